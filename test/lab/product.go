package lab

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Product returns a digest of what a refused command must leave as it was: the files of a
// home with modes, contents and targets, and what the tool says of its own state. Logs and
// trusted metadata may have grown, and whose the home is may be known by now.
func Product(home string) (string, error) {
	h := sha256.New()
	err := filepath.WalkDir(home, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(home, p)
		if d.IsDir() && (rel == "updates/logs" || rel == "updates/trust") {
			return fs.SkipDir
		}
		if rel == "updates/scan-cache" || rel == "updates/lock" || rel == "updates/organisation" {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var content []byte
		switch {
		case d.Type().IsRegular():
			content, err = os.ReadFile(p)
		case d.Type()&fs.ModeSymlink != 0:
			var target string
			target, err = os.Readlink(p)
			content = []byte(target)
		}
		fmt.Fprintf(h, "%q %v %x\n", rel, info.Mode(), sha256.Sum256(content))
		return err
	})
	return fmt.Sprintf("%x", h.Sum(nil)), err
}
