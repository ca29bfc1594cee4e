package fetch

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"uplevel/internal/durable"
)

// Bounds of a sweep.
const (
	leftAfter = 7 * 24 * time.Hour // without a write, that long, nobody is at work on a file
	looksAt   = 10_000             // names in one sweep; the next begins elsewhere
)

// sweep removes what kills left of downloads. Objects stay: only their user knows how much room
// there is. What fails is tried again with another fetch.
func (f *Fetcher) sweep() {
	if f.Now == nil {
		return
	}
	folders := []string{f.Dir}
	top, err := list(f.Dir, looksAt)
	if err != nil {
		return
	}
	for _, e := range top {
		if e.IsDir() && len(e.Name()) == 2 {
			folders = append(folders, filepath.Join(f.Dir, e.Name()))
		}
	}
	swap := func(i, j int) { folders[i], folders[j] = folders[j], folders[i] }
	rand.Shuffle(len(folders), swap) //nolint:gosec // only so that each folder has its turn
	for left := looksAt; len(folders) > 0 && left > 0; folders = folders[1:] {
		entries, err := list(folders[0], left)
		if err != nil {
			continue
		}
		left -= len(entries) + 1
		for _, e := range entries {
			f.drop(filepath.Join(folders[0], e.Name()), e)
		}
	}
}

// list returns at most n entries of a folder, in no order.
func list(dir string, n int) ([]fs.DirEntry, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	entries, err := d.ReadDir(n)
	if len(entries) > 0 {
		err = nil
	}
	return entries, err
}

// drop removes a file that is old enough and none but a download's. A partial file goes under
// the lock of who would go on with it. What cannot be removed is tried again by another sweep.
func (f *Fetcher) drop(name string, e fs.DirEntry) {
	of, partial := strings.CutSuffix(name, ".partial")
	locked, lock := strings.CutSuffix(name, ".lock")
	alone := strings.Contains(e.Name(), ".own-") || strings.HasPrefix(e.Name(), ".") && strings.Contains(e.Name(), ".partial-")
	if !e.Type().IsRegular() || !partial && !lock && !alone {
		return
	}
	if info, err := e.Info(); err != nil || f.Now().Sub(info.ModTime()) < leftAfter {
		return
	}
	if alone {
		_ = os.Remove(name)
		return
	}
	if lock {
		of = locked
	}
	held, err := durable.TryLock(of+".lock", "a sweep")
	if err != nil {
		return
	}
	if partial {
		_ = os.Remove(name)
	}
	_ = held.Release() // takes the lock's file away, too
}
