package update

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"uplevel/internal/problem"
)

// TestNobodyElseReadsWhatWasPrivate: files that the operator closed to others hold
// passwords. What is kept, staged and written of them is closed, too: through a merge, a
// conflict with its side files, the decision, and the way back.
func TestNobodyElseReadsWhatWasPrivate(t *testing.T) {
	t.Parallel()
	v := newVendor(t, start)
	conf := func(head, tail string) string { return head + strings.Repeat("\n", 1) + "m=0\nn=0\no=0\np=0\n" + tail }
	v.publish(line, 0, files{"conf/app.conf": conf("a=0", "z=0"), "conf/db.conf": conf("a=0", "z=0")})
	v.publish(line, 1, files{"conf/app.conf": conf("a=1", "z=0"), "conf/db.conf": conf("a=1", "z=0")})
	v.publish(line, 2, files{"conf/app.conf": conf("a=2", "z=2"), "conf/db.conf": conf("a=2", "z=0")})
	u := onDisk(t, v, 0)
	home := u.Home.Dir()
	const secret = "hunter2-of-the-database"
	for _, name := range []string{"conf/app.conf", "conf/db.conf"} {
		v.must(os.WriteFile(filepath.Join(home, name), []byte(conf("a=0", "z="+secret)), 0o600))
		v.must(os.Chmod(filepath.Join(home, name), 0o600))
	}
	closed := func(after string) {
		t.Helper()
		if n := readableByOthers(t, home, secret); n > 0 {
			t.Errorf("after %s others read the secret in %d files", after, n)
		}
	}
	closed("nothing")
	if _, err := u.Update(context.Background(), Options{Level: "1"}); err != nil {
		t.Fatal(err)
	}
	closed("a merge")
	_, err := u.Update(context.Background(), Options{Level: "2"})
	if problem.KindOf(err) != problem.Conflicts {
		t.Fatal(err)
	}
	closed("a conflict")
	v.must(os.WriteFile(filepath.Join(home, "conf/app.conf.final"), []byte(conf("a=2", "z="+secret+"2")), 0o600))
	if _, err := u.Continue(context.Background(), Options{}); err != nil {
		t.Fatal(err)
	}
	closed("the decision")
	if text, err := os.ReadFile(filepath.Join(home, "conf/app.conf")); err != nil || !strings.Contains(string(text), secret) {
		t.Fatalf("the secret is lost: %s, %v", text, err)
	}
	if _, err := u.Revert(context.Background(), RevertOptions{}); err != nil {
		t.Fatal(err)
	}
	closed("the way back")
	if text, err := os.ReadFile(filepath.Join(home, "conf/app.conf")); err != nil || !strings.Contains(string(text), secret) {
		t.Fatalf("the secret is lost: %s, %v", text, err)
	}
}

// readableByOthers counts files that everybody may read and that hold the text, as it is
// or compressed.
func readableByOthers(t *testing.T, dir, text string) int {
	t.Helper()
	dec, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	n := 0
	err = filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err != nil || info.Mode().Perm()&0o004 == 0 {
			return err
		}
		data, err := os.ReadFile(name)
		if plain, err := dec.DecodeAll(data, nil); err == nil {
			data = append(data, plain...)
		}
		if bytes.Contains(data, []byte(text)) {
			t.Logf("%s is %04o", name, info.Mode().Perm())
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
