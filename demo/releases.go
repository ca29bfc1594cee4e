package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// published is one release of the product that the demo publishes as a level.
type published struct {
	version   string
	integrity string // SHA-512 of the package, base64, as the registry names it
}

// releases are the levels 0 to 4, pinned by digest.
func releases() []published {
	return []published{
		{"2.38.1", "qkoEz8/Y+K6XRlkJFmPEsT4bJFa2nHmYMkp6aEg6HaM4uewpJRI0jJsQhVWl8xZ6k6VtVr3vWnsAMPL5LPthvA=="},
		{"2.39.0", "72luWE0u8ZpdjhzQ1eDPjw+ZsCckIj9sItOsdYlfaMlehKmbNA1sIerro3RTIn3IKQj+6Qgk4Ro1cRkIfo0uJA=="},
		{"2.40.0", "Oyv2yOx8ORBPloYmfHny4TZa9m0Bq0MAJEf5YoNMs/Ft/dbCWkIF/xNU82c5wqgn65uHSh6ka6BUXHeruXC03w=="},
		{"2.41.0", "X3/zXt3i1q9k1ZMQLUKKfHRlwrxsSly6TVRtowYvcFskK5Q8FBtf1pm9h/bXQwG16f9M4ngvI77QhaWngy00og=="},
		{"2.42.0", "MLBxpoyZqcunRK+Jx0zvswxs1M7qr4hCu2oaBTHx1QTR2iEZt78Qyzqf+cQHsx1fKhWWfPiNFmbS0cj6Qv6AXQ=="},
	}
}

const productPackage = "allure-commandline"

// fetchReleases puts every release, verified, into cache and unpacks its dist folder
// to out/VERSION. What is there and verified is not fetched again.
func fetchReleases(ctx context.Context, cache, out string, say func(string)) error {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	for _, r := range releases() {
		archive := filepath.Join(cache, fmt.Sprintf("%s-%s.tgz", productPackage, r.version))
		if verifyArchive(archive, r.integrity) != nil {
			say("fetching " + productPackage + " " + r.version)
			if err := pack(ctx, cache, r.version); err != nil {
				return err
			}
			if err := verifyArchive(archive, r.integrity); err != nil {
				_ = os.Remove(archive)
				return err
			}
		}
		say("unpacking " + productPackage + " " + r.version)
		if err := unpackDist(archive, filepath.Join(out, r.version)); err != nil {
			return fmt.Errorf("unpacking %s: %w", archive, err)
		}
	}
	return nil
}

func pack(ctx context.Context, cache, version string) error {
	npm := exec.CommandContext(ctx, "npm", "pack", "--silent", productPackage+"@"+version)
	npm.Dir = cache
	said, err := npm.CombinedOutput()
	if err != nil {
		reason, _, _ := strings.Cut(strings.TrimSpace(string(said)), "\n")
		if reason == "" {
			reason = err.Error()
		}
		return fmt.Errorf("npm cannot fetch %s %s: check the network or npm's registry setting, then run make demo again (%.200s)",
			productPackage, version, reason)
	}
	return nil
}

func verifyArchive(name, integrity string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha512.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := base64.StdEncoding.EncodeToString(h.Sum(nil)); got != integrity {
		return fmt.Errorf("%s does not have its pinned digest: it was removed, run make demo again", filepath.Base(name))
	}
	return nil
}

// unpackDist unpacks package/dist of a verified archive below dir, through os.Root.
func unpackDist(archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for members := tar.NewReader(unzipped); ; {
		h, err := members.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, inDist := strings.CutPrefix(h.Name, "package/dist/")
		if !inDist || h.Typeflag != tar.TypeReg {
			continue
		}
		if err := unpackMember(root, name, h.FileInfo().Mode().Perm(), io.LimitReader(members, 200<<20)); err != nil {
			return err
		}
	}
}

func unpackMember(root *os.Root, name string, mode fs.FileMode, content io.Reader) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}
