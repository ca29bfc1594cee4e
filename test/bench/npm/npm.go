// Package npm fetches releases of real products, pinned by digest, for the benchmarks.
package npm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Release is one version of a package on npm.
type Release struct {
	Name, Version string
	Digest        string // SHA-512 of the package, base64, as the registry names it
}

// Fetch returns the package, a tar.gz, whose digest is the pinned one. What lies verified in
// cache is not fetched again.
func (r Release) Fetch(ctx context.Context, cache string) ([]byte, error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	name := filepath.Join(cache, fmt.Sprintf("%s-%s.tgz", strings.NewReplacer("@", "", "/", "-").Replace(r.Name), r.Version))
	data, err := os.ReadFile(name)
	if err == nil && r.pinned(data) {
		return data, nil
	}
	npm := exec.CommandContext(ctx, "npm", "pack", "--silent", r.Name+"@"+r.Version)
	npm.Dir = cache
	if said, err := npm.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("npm cannot fetch %s %s: check the network or npm's registry setting (%.200s)", r.Name, r.Version, said)
	}
	if data, err = os.ReadFile(name); err != nil {
		return nil, err
	}
	if !r.pinned(data) {
		return nil, errors.Join(fmt.Errorf("%s does not have its pinned digest", name), os.Remove(name))
	}
	return data, nil
}

func (r Release) pinned(data []byte) bool {
	sum := sha512.Sum512(data)
	return base64.StdEncoding.EncodeToString(sum[:]) == r.Digest
}

// Files calls do for each file of a package, one after the other; name is its path within the
// package's own folder.
func Files(data []byte, do func(name string, mode os.FileMode, content io.Reader) error) error {
	unzipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return err
	}
	for members := tar.NewReader(unzipped); ; {
		h, err := members.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, name, _ := strings.Cut(h.Name, "/"); h.Typeflag == tar.TypeReg {
			if err := do(name, h.FileInfo().Mode().Perm(), members); err != nil {
				return err
			}
		}
	}
}

// Unpack writes the files of a package below dir, as npm installs them.
func Unpack(data []byte, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	err = Files(data, func(name string, mode os.FileMode, content io.Reader) error {
		name = filepath.FromSlash(name)
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		file, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, mode|0o644)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, content)
		return errors.Join(err, file.Close())
	})
	return errors.Join(err, root.Close())
}
