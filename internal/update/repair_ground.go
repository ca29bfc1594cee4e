package update

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"

	"uplevel/internal/manifest"
)

// ground tells where nothing can be restored: the place is not the product's own, or
// holds what would be lost.
type ground struct {
	home string
	seen manifest.Tree
}

// closed tells why nothing is restored at a path; empty where it can be.
func (g ground) closed(d Difference) (string, error) {
	for dir := path.Dir(d.Path); dir != "."; dir = path.Dir(dir) {
		above, there := g.seen.Lookup(dir)
		if there && above.Kind == manifest.Link {
			return "it lies behind " + dir + ", which is a link here and not looked into", nil
		}
		if !there || above.Kind != manifest.Dir {
			continue
		}
		nested, err := g.exists(dir + "/updates/product.txt")
		if err != nil || nested {
			return "it lies in " + dir + ", which is another product's home", err
		}
	}
	if d.Have != nil && d.Have.Kind == manifest.Link && d.Want.Kind == manifest.Dir {
		return "it is kept elsewhere, behind a link: put a folder in place of the link, and that is filled", nil
	}
	if d.Have == nil || d.Have.Kind != manifest.Dir || d.Want.Kind == manifest.Dir {
		return "", nil
	}
	empty, err := g.empty(d.Path)
	if err != nil || empty {
		return "", err
	}
	return "a folder stands there that is not empty: move what it holds away", nil
}

func (g ground) exists(name string) (bool, error) {
	root, err := os.OpenRoot(g.home)
	if err != nil {
		return false, err
	}
	defer root.Close()
	_, err = root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (g ground) empty(dir string) (bool, error) {
	root, err := os.OpenRoot(g.home)
	if err != nil {
		return false, err
	}
	defer root.Close()
	f, err := root.Open(dir)
	if err != nil {
		return false, err
	}
	defer f.Close()
	_, err = f.ReadDir(1)
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	return false, err
}
