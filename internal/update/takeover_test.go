package update

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"uplevel/internal/problem"
	"uplevel/internal/release"
)

func TestLevelsAreNamedShortly(t *testing.T) {
	t.Parallel()
	for want, levels := range map[string][]int{
		"": nil, "0": {0}, "0–1": {0, 1}, "0, 4, 17–20": {0, 4, 17, 18, 19, 20}, "0–2, 4, 6–7": {0, 1, 2, 4, 6, 7},
	} {
		var listed []release.Listed
		for _, n := range levels {
			var l release.Listed
			l.Level = n
			listed = append(listed, l)
		}
		if got := ranges(listed); got != want {
			t.Errorf("%v are named %q, want %q", levels, got, want)
		}
	}
}

// leftBehind makes the site's home one that another tool left at a level.
func leftBehind(t *testing.T, level int) *site {
	t.Helper()
	s := newSite(t)
	s.home.state.Record, s.home.state.Level = release.Ref{}, level
	clear(s.home.store)
	return s
}

func TestALevelThatWasNeverPublishedIsRefused(t *testing.T) {
	t.Parallel()
	s := leftBehind(t, 77)
	_, err := s.Update(context.Background(), Options{})
	s.refuses(err, problem.Failed, "Invalid update level 1.2.77")
	if !strings.Contains(err.Error(), "has no such level, only 0") {
		t.Errorf("it does not name those there are: %v", err)
	}
	_, err = s.Check(context.Background(), CheckOptions{})
	s.refuses(err, problem.Failed, "Invalid update level 1.2.77")
}

func TestWhatAnotherToolLeftIsVerifiedWithTheService(t *testing.T) {
	t.Parallel()
	s := leftBehind(t, 0)
	res, err := s.Verify(context.Background(), VerifyOptions{})
	if err != nil || res.Pristine == 0 || len(res.Customised) > 0 {
		t.Errorf("%+v, %v", res, err)
	}
	s.Fetch = nil
	_, err = s.Verify(context.Background(), VerifyOptions{})
	s.refuses(err, problem.Verification, "this product keeps no manifest yet")
}

func TestACopyOfAnotherToolIsNamed(t *testing.T) {
	t.Parallel()
	s := leftBehind(t, 0)
	s.home.state.Copy = "/backup/shop-1f"
	_, err := s.Revert(context.Background(), RevertOptions{})
	s.refuses(err, problem.Failed, "Unable to revert as backups could not be found")
	if p, ok := err.(*problem.Error); !ok || !strings.Contains(p.Next, "/backup/shop-1f") { //nolint:errorlint // the very error
		t.Errorf("the copy is not named: %v", err)
	}
}

// closed is a file system with a folder that this user may not read.
type closed struct{ fstest.MapFS }

func (c closed) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == "data" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return c.MapFS.ReadDir(name)
}

// TestConflictsOfAnotherAreFoundBesideAClosedFolder: a database's folder is another user's
// often, and on a failure scripts would throw the .final files away.
func TestConflictsOfAnotherAreFoundBesideAClosedFolder(t *testing.T) {
	t.Parallel()
	home := closed{fstest.MapFS{
		"conf/a.xml": {}, "conf/a.xml.new": {}, "conf/a.xml.original": {}, "data/db": {}, "lib/b.new": {}, "z.txt": {}, "z.txt.new": {}, "z.txt.original": {},
		"inner/updates/product.txt": {}, "inner/c": {}, "inner/c.new": {}, "inner/c.original": {},
	}}
	got, err := conflictsIn(home)
	if !slices.Equal(got, []string{"conf/a.xml", "z.txt"}) || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%q, %v", got, err)
	}
}
