package hostile

import (
	"os"
	"path/filepath"
	"strings"
)

// Tree is a folder on disk that somebody might publish.
type Tree struct {
	Name     string
	Harmless bool
	Make     func(dir string) error
}

// Trees are all of them; those with devices need root, pipes and sockets a Unix system.
func Trees() []Tree {
	link := func(name, target string) func(string) error {
		return func(dir string) error { return os.Symlink(target, filepath.Join(dir, name)) }
	}
	all := []Tree{
		{Name: "empty", Make: func(dir string) error { return os.Remove(filepath.Join(dir, "LICENSE")) }},
		{Name: "outward link", Make: link("x", "../../canary")},
		{Name: "absolute link", Make: link("x", "/etc/passwd")},
		{Name: "link to an own name", Make: link("x", "x"), Harmless: true},
		{Name: "link with escapes", Make: link("x", "\x1b[2J")},
		{Name: "link to its folder's folder", Make: link("x", "..")},
		{Name: "link that is not UTF-8", Make: link("x", "a\xff")},
		{Name: "links that leave together", Make: func(dir string) error {
			if err := os.MkdirAll(filepath.Join(dir, "d/e"), 0o755); err != nil {
				return err
			}
			if err := os.Symlink("../..", filepath.Join(dir, "d/e/up")); err != nil {
				return err
			}
			return os.Symlink("d/e/up/..", filepath.Join(dir, "out"))
		}},
		{Name: "set-user-id", Make: func(dir string) error { return mode(dir, os.ModeSetuid|0o755) }},
		{Name: "set-group-id", Make: func(dir string) error { return mode(dir, os.ModeSetgid|0o755) }},
		{Name: "sticky", Make: func(dir string) error { return mode(dir, os.ModeSticky|0o755) }, Harmless: true},
		{Name: "case", Make: func(dir string) error { return files(dir, "Readme", "README") }},
		{Name: "composed and decomposed", Make: func(dir string) error { return files(dir, "caf\u00e9", "cafe\u0301") }},
		{Name: "long s", Make: func(dir string) error { return files(dir, "bus", "bu\u017f") }},
		{Name: "Kelvin sign", Make: func(dir string) error { return files(dir, "k", "\u212a") }},
		{Name: "sharp s", Make: func(dir string) error { return files(dir, "STRASSE", "stra\u00dfe") }},
		{Name: "another product's", Make: func(dir string) error { return text(dir, "updates/product.txt", "other-9\n") }},
		{Name: "product.txt of escapes", Make: func(dir string) error { return text(dir, "updates/product.txt", "\x1b[2J\xff\n") }},
		{Name: "product.txt of 1 MB", Make: func(dir string) error { return text(dir, "updates/product.txt", strings.Repeat("x", 1<<20)) }},
	}
	for _, n := range Names() {
		if n.Disk {
			all = append(all, Tree{Name: n.Name, Make: func(dir string) error { return text(dir, n.Text, "x") }, Harmless: n.Harmless})
		}
	}
	return append(all, devices()...)
}

func mode(dir string, m os.FileMode) error {
	if err := files(dir, "x"); err != nil {
		return err
	}
	return os.Chmod(filepath.Join(dir, "x"), m)
}

func files(dir string, names ...string) error {
	for _, n := range names {
		if err := text(dir, n, n); err != nil {
			return err
		}
	}
	return nil
}

func text(dir, name, content string) error {
	full := dir + "/" + name // as it is, not cleaned
	if err := os.MkdirAll(full[:strings.LastIndexByte(full, '/')], 0o755); err != nil {
		return err
	}
	return os.WriteFile(full, []byte(content), 0o644)
}
