package delta

import (
	"context"
	"hash/maphash"
	"io"
	"path"
	"slices"

	"uplevel/internal/archive/layout"
	"uplevel/internal/digest"
	"uplevel/internal/manifest"
)

// Content is one content of a tree, by the first path that has it.
type Content struct {
	Path string
	Sum  digest.Digest
	Size int64 // bytes
}

// Contents returns the contents of a tree, each once, in the order of their paths.
func Contents(tree manifest.Tree) []Content {
	var all []Content
	seen := map[digest.Digest]bool{}
	for _, e := range tree.Entries() {
		if e.Kind == manifest.File && !seen[e.Sum] {
			seen[e.Sum] = true
			all = append(all, Content{e.Path, e.Sum, e.Size})
		}
	}
	return all
}

// Wanted returns those of the new contents that no old one is.
func Wanted(old, all []Content) []Content {
	has := map[digest.Digest]bool{}
	for _, c := range old {
		has[c.Sum] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(c Content) bool { return has[c.Sum] })
}

// byPath says for each wanted content which old one lies at its path, none where there is none.
// Both sides know it.
func byPath(old, wanted []Content) []int {
	at := map[string]int{}
	for i, c := range old {
		at[c.Path] = i
	}
	pairs := make([]int, len(wanted))
	for i, c := range wanted {
		pairs[i] = none
		if o, ok := at[c.Path]; ok {
			pairs[i] = o
		}
	}
	return pairs
}

// pair says for each wanted content of which old one it is made: the one at its path, else the
// one whose name differs in digits only, else the one with the most in common.
func pair(ctx context.Context, old, wanted []Content, openOld, openNew func(Content) (File, error)) ([]int, error) {
	pairs := byPath(old, wanted)
	taken := map[int]bool{}
	for _, o := range pairs {
		taken[o] = true
	}
	byName := map[string][]int{}
	for i, c := range old {
		if !taken[i] {
			byName[loose(c.Path)] = append(byName[loose(c.Path)], i)
		}
	}
	var left []int
	for i, c := range wanted {
		if pairs[i] != none {
			continue
		}
		if all := byName[loose(c.Path)]; len(all) > 0 {
			pairs[i], byName[loose(c.Path)] = all[0], all[1:]
			taken[all[0]] = true
			continue
		}
		left = append(left, i)
	}
	return pairs, pairByContent(ctx, pairs, left, taken, side{old, openOld}, side{wanted, openNew})
}

// side is one of the two trees.
type side struct {
	all  []Content
	open func(Content) (File, error)
}

// pairByContent pairs what no name pairs.
func pairByContent(ctx context.Context, pairs, left []int, taken map[int]bool, old, wanted side) error {
	if len(left) == 0 {
		return nil
	}
	seed := maphash.MakeSeed()
	holders := map[uint64][]int{}
	for i, c := range old.all {
		if taken[i] {
			continue
		}
		marks, err := old.marks(ctx, c, seed)
		if err != nil {
			return err
		}
		for _, m := range marks {
			holders[m] = append(holders[m], i)
		}
	}
	for _, i := range left {
		marks, err := wanted.marks(ctx, wanted.all[i], seed)
		if err != nil {
			return err
		}
		common := map[int]int{}
		for _, m := range marks {
			for _, o := range holders[m] {
				common[o]++
			}
		}
		best, most := none, len(marks)/16
		for o, n := range common {
			if n > most || n == most && best != none && o < best {
				best, most = o, n
			}
		}
		pairs[i] = best
	}
	return nil
}

// Marks are what tells similar contents from others.
const (
	maxMarks = 256
	window   = 32
	rare     = 1 << 9 // one of so many places is marked
	farthest = 4 << 20
)

// marks returns marks of a content: of an archive the names and sizes of its members, of another
// one stretches that its bytes themselves choose.
func (s side) marks(ctx context.Context, c Content, seed maphash.Seed) ([]uint64, error) {
	file, err := s.open(c)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	parts, err := layout.Of(ctx, io.NewSectionReader(file, 0, c.Size))
	if err != nil {
		return nil, err
	}
	var all []uint64
	for _, p := range parts {
		if p.Name != "" && !p.Frame {
			all = append(all, maphash.String(seed, path.Base(loose(p.Name))+"\x00"+string(rune(p.Size))))
		}
	}
	if all == nil {
		b := make([]byte, min(c.Size, farthest))
		if _, err := io.ReadFull(io.NewSectionReader(file, 0, c.Size), b); err != nil {
			return nil, err
		}
		all = stretches(b, seed)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return all[:min(len(all), maxMarks)], nil
}

// stretches returns marks of the stretches that begin where a rolling sum of the bytes is rare.
func stretches(b []byte, seed maphash.Seed) []uint64 {
	var all []uint64
	const prime = 16777619
	var out uint32 = 1
	for range window {
		out *= prime
	}
	var sum uint32
	for i, c := range b {
		sum = sum*prime + uint32(c)
		if i < window {
			continue
		}
		sum -= uint32(b[i-window]) * out
		if sum>>16%rare == 0 {
			all = append(all, maphash.Bytes(seed, b[i-window+1:i+1]))
		}
	}
	return all
}
