package server

import (
	"cmp"
	"container/list"
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/singleflight"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/release"
)

// memberCache knows which objects belong to the levels asked for lately.
type memberCache struct {
	once  singleflight.Group // thousands of tools ask for a new level at the same moment
	mu    sync.Mutex
	sets  map[digest.Digest]*list.Element
	order list.List // of memberSet, the one used last first
	size  int       // digests in all sets
	most  int       // of them; 0: maxMembers
}

type memberSet struct {
	record  digest.Digest
	members map[digest.Digest]bool
}

// maxMembers bounds the digests that are kept: about 50 MB.
const maxMembers = 500_000

// of returns the objects of a level: record, manifest, notes, and every file.
func (c *memberCache) of(ctx context.Context, content Content, level release.Published) (map[digest.Digest]bool, error) {
	if members, ok := c.known(level.Record.Sum); ok {
		return members, nil
	}
	set, err, _ := c.once.Do(level.Record.Sum.String(), func() (any, error) {
		if members, ok := c.known(level.Record.Sum); ok {
			return members, nil
		}
		return c.read(context.WithoutCancel(ctx), content, level) // others wait for it, too
	})
	members, _ := set.(map[digest.Digest]bool)
	return members, err
}

func (c *memberCache) known(record digest.Digest) (map[digest.Digest]bool, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.sets[record]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(memberSet).members, true //nolint:errcheck // the list holds nothing else
}

// read reads the manifest and remembers what it lists.
func (c *memberCache) read(ctx context.Context, content Content, level release.Published) (map[digest.Digest]bool, error) {
	text, err := content.Content(ctx, level.Manifest)
	if err != nil {
		return nil, fmt.Errorf("manifest of level %d: %w", level.Level, gone(err))
	}
	tree, err := manifest.Parse(text)
	if err != nil {
		return nil, err
	}
	members := map[digest.Digest]bool{level.Record.Sum: true, level.Manifest.Sum: true, level.Notes.Sum: true}
	for _, e := range tree.Entries() {
		if e.Kind == manifest.File {
			members[e.Sum] = true
		}
	}
	c.add(memberSet{record: level.Record.Sum, members: members})
	return members, nil
}

func (c *memberCache) add(s memberSet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sets == nil {
		c.sets = map[digest.Digest]*list.Element{}
	}
	if _, ok := c.sets[s.record]; ok {
		return
	}
	c.sets[s.record] = c.order.PushFront(s)
	c.size += len(s.members)
	for c.size > cmp.Or(c.most, maxMembers) && c.order.Len() > 1 {
		last := c.order.Remove(c.order.Back()).(memberSet) //nolint:errcheck // the list holds nothing else
		delete(c.sets, last.record)
		c.size -= len(last.members)
	}
}
