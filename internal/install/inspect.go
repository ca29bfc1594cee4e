package install

import (
	"context"
	"errors"
	"io/fs"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
)

// Inspection is what stands in the home, and what is wrong with it in itself.
type Inspection struct {
	Tree       manifest.Tree            // a file that cannot be read has no digest
	Unreadable map[string]error         // files whose content the disk does not give
	Recorded   map[string]digest.Digest // content of the same inode, size and time, as the scan record has it
}

// Inspect looks at paths as [Home.Look] does, but hashes every file and goes on where the
// disk does not give a file's content. A file that may not be read is an error: nothing
// is known of it. With remember the scan cache is written anew, else nothing is.
func (h *Home) Inspect(ctx context.Context, paths []string, remember bool) (Inspection, error) {
	s := scanner{home: h, folders: map[string]bool{"": true}}
	entries, err := s.stat(paths)
	if err != nil {
		return Inspection{}, err
	}
	out := Inspection{Recorded: map[string]digest.Digest{}}
	if out.Unreadable, err = s.hashAll(ctx, entries); err != nil {
		return Inspection{}, err
	}
	s.cache = h.readCache()
	var found []manifest.Entry
	for _, e := range entries {
		if e.Kind == manifest.File && e.Sum.IsZero() && out.Unreadable[e.Path] == nil {
			continue // went while we looked
		}
		found = append(found, e.Entry)
		if r, ok := s.cache[e.Path]; ok && r.ID.Changed != 0 && r.ID.is(e.id) {
			out.Recorded[e.Path] = r.Sum
		}
	}
	if remember {
		h.writeCache(s.fresh(entries))
	}
	out.Tree, err = manifest.NewTree(found)
	return out, err
}

// hashAll reads every file on all cores, and returns those that the disk does not give.
func (s *scanner) hashAll(ctx context.Context, entries []*looked) (map[string]error, error) {
	var mu sync.Mutex
	unreadable := map[string]error{}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(runtime.NumCPU())
	buffers := sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}
	for _, e := range entries {
		if e.Kind != manifest.File {
			continue
		}
		work.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			buffer := buffers.Get().(*[]byte) //nolint:errcheck // the pool holds nothing else
			defer buffers.Put(buffer)
			sum, size, err := s.home.sum(e.Path, *buffer)
			switch {
			case err == nil:
				e.Sum, e.Size = sum, size
			case errors.Is(err, fs.ErrNotExist):
			case mediaError(err):
				mu.Lock()
				defer mu.Unlock()
				unreadable[e.Path] = err
			default:
				return err
			}
			return nil
		})
	}
	return unreadable, work.Wait()
}
