package digest

import "testing"

// FuzzParse reads digests, which name files: taken is only what prints as it was read.
func FuzzParse(f *testing.F) {
	f.Add(Of([]byte("a")).String())
	f.Add("CA978112CA1BBDCAFAC231B39A23DC4DA786EFF8147C4E72B9807785AFEE48BB")
	f.Add("../../etc/passwd")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Parse(text)
		if err == nil && d.String() != text {
			t.Fatalf("%q is read as %s", text, d)
		}
		if err != nil && !d.IsZero() {
			t.Fatal("a value together with an error")
		}
		var of Digest
		if err := of.UnmarshalText([]byte(text)); err != nil {
			return
		}
		if back, err := of.MarshalText(); err != nil || string(back) != text {
			t.Fatalf("%q becomes %q, %v", text, back, err)
		}
	})
}
