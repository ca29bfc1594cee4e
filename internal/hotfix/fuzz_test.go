package hotfix_test

import (
	"path/filepath"
	"testing"

	"uplevel/internal/hotfix"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// FuzzNames reads names of hotfixes and of their zips.
func FuzzNames(f *testing.F) {
	for _, name := range []string{
		"wso2is-7.1.0-ACME-hf1.zip", "wso2is-7.1.0-ACME-hf-12.zip", "a-b-1.0-c_d.e-hf3.zip", "../x/shop-1.0-A-hf1.zip", `c:\shop-1.0-A-hf1.zip`, "ACME-hf1", "ACME-hf-1",
		"ACME-hf0", "ACME-hf01", "ACME-hf99999999999999999999", "", "-hf1", "shop-1.0--hf1.zip",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := hotfix.ParseName(text)
		if err == nil {
			if again, err := hotfix.ParseName(name); err != nil || again != name {
				t.Fatalf("%q is %q, which reads back as %q, %v", text, name, again, err)
			}
		}
		if err != nil && problem.KindOf(err) != problem.Failed {
			t.Fatal(err)
		}
		n, err := hotfix.ParseFileName(text)
		if err != nil {
			return
		}
		line := release.Line{Product: n.Product, Version: n.Version, Channel: release.DefaultChannel}
		file := hotfix.FileName(line, n.For, n.Sequence)
		if again, err := hotfix.ParseFileName(file); err != nil || again != n || filepath.Base(file) != file {
			t.Fatalf("%q is %+v, whose file %q reads back as %+v, %v", text, n, file, again, err)
		}
	})
}
