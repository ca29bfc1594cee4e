// Package manifest is the tree of a level: every directory, file and link of a
// distribution with mode, size and digest, in one canonical text that is signed by
// its digest. The format is described in docs/design/format.md.
package manifest

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"uplevel/internal/digest"
)

// Header is the first line of the canonical text; it names the format's version.
const Header = "uplevel-manifest/1"

// Limits of one manifest; a text beyond them is refused before it is parsed.
const (
	MaxBytes   = 64 << 20
	MaxEntries = 500_000
	MaxPath    = 1024    // bytes of one path or link target
	MaxFile    = 1 << 40 // bytes of one file
)

// Kind tells what stands at a path.
type Kind string

// The kinds of entry a manifest may list.
const (
	Dir  Kind = "dir"
	File Kind = "file"
	Link Kind = "link"
	// Other is a device, socket or pipe found on a disk; a manifest never lists it.
	Other Kind = "other"
)

// Entry is one path of a tree.
type Entry struct {
	Path   string        `json:"path"` // relative to the home, slashes
	Kind   Kind          `json:"kind"`
	Mode   uint32        `json:"mode,omitempty"` // permission bits; 0 for links
	Size   int64         `json:"size,omitempty"` // bytes, files only
	Sum    digest.Digest `json:"sum,omitzero"`   // files only
	Target string        `json:"target,omitempty"`
}

// SameContent reports whether two entries hold the same thing, modes aside.
func (e Entry) SameContent(other Entry) bool {
	return e.Kind == other.Kind && e.Size == other.Size && e.Sum == other.Sum && e.Target == other.Target
}

// Same reports whether two entries are equal, modes included.
func (e Entry) Same(other Entry) bool { return e.SameContent(other) && e.Mode == other.Mode }

// Tree is a set of entries sorted by path. The zero value is an empty tree.
type Tree struct{ entries []Entry }

// NewTree sorts entries and returns them as a tree; it fails on a path given twice.
// It does not apply the rules of a published manifest: see [Tree.Check].
func NewTree(entries []Entry) (Tree, error) {
	sorted := slices.Clone(entries)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].Path < sorted[j].Path })
	for i := 1; i < len(sorted); i++ {
		if sorted[i].Path == sorted[i-1].Path {
			return Tree{}, fmt.Errorf("path %q is listed twice", sorted[i].Path)
		}
	}
	return Tree{entries: sorted}, nil
}

// Entries returns the entries sorted by path. The caller must not change them.
func (t Tree) Entries() []Entry { return t.entries }

// Len returns the number of entries.
func (t Tree) Len() int { return len(t.entries) }

// Lookup returns the entry at path.
func (t Tree) Lookup(path string) (Entry, bool) {
	i := sort.Search(len(t.entries), func(i int) bool { return t.entries[i].Path >= path })
	if i < len(t.entries) && t.entries[i].Path == path {
		return t.entries[i], true
	}
	return Entry{}, false
}

// Check applies the rules every manifest obeys: safe relative paths, a listed
// directory above every entry, links that stay inside, plain permission bits.
func (t Tree) Check() error {
	if len(t.entries) > MaxEntries {
		return fmt.Errorf("manifest lists %d entries, the limit is %d", len(t.entries), MaxEntries)
	}
	for _, e := range t.entries {
		if err := e.Check(); err != nil {
			return fmt.Errorf("manifest entry %q: %w", e.Path, err)
		}
		if up, _, nested := cutLast(e.Path); nested {
			parent, ok := t.Lookup(up)
			if !ok || parent.Kind != Dir {
				return fmt.Errorf("manifest entry %q: its folder is not listed as a directory", e.Path)
			}
		}
	}
	return nil
}

// Bytes returns the canonical text. Equal trees have equal bytes.
func (t Tree) Bytes() []byte {
	var b bytes.Buffer
	b.WriteString(Header + "\n")
	for _, e := range t.entries {
		switch e.Kind {
		case Dir:
			fmt.Fprintf(&b, "dir\t%04o\t%s\n", e.Mode, e.Path)
		case File:
			fmt.Fprintf(&b, "file\t%04o\t%d\t%s\t%s\n", e.Mode, e.Size, e.Sum, e.Path)
		case Link:
			fmt.Fprintf(&b, "link\t%s\t%s\n", e.Path, e.Target)
		case Other:
			panic("manifest: " + e.Path + " is no directory, file or link; Check refuses it")
		}
	}
	return b.Bytes()
}

// Parse reads a canonical text and checks it. A text that parses prints back to the
// same bytes.
func Parse(text []byte) (Tree, error) {
	if len(text) > MaxBytes {
		return Tree{}, fmt.Errorf("manifest of %d bytes, the limit is %d", len(text), MaxBytes)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 4*MaxPath)
	if !lines.Scan() || lines.Text() != Header {
		return Tree{}, fmt.Errorf("manifest does not begin with %q", Header)
	}
	var entries []Entry
	for lines.Scan() {
		e, err := parseLine(lines.Text())
		if err != nil {
			return Tree{}, fmt.Errorf("manifest line %d: %w", len(entries)+2, err)
		}
		if len(entries) >= MaxEntries {
			return Tree{}, fmt.Errorf("manifest lists more than %d entries", MaxEntries)
		}
		entries = append(entries, e)
	}
	if err := lines.Err(); err != nil {
		return Tree{}, fmt.Errorf("reading manifest: %w", err)
	}
	tree, err := NewTree(entries)
	if err != nil {
		return Tree{}, err
	}
	if err := tree.Check(); err != nil {
		return Tree{}, err
	}
	if !bytes.Equal(tree.Bytes(), text) {
		return Tree{}, fmt.Errorf("manifest is not in canonical form")
	}
	return tree, nil
}

func parseLine(line string) (Entry, error) {
	f := strings.Split(line, "\t")
	switch {
	case f[0] == string(Dir) && len(f) == 3:
		mode, err := strconv.ParseUint(f[1], 8, 12)
		return Entry{Path: f[2], Kind: Dir, Mode: uint32(mode)}, err
	case f[0] == string(Link) && len(f) == 3:
		return Entry{Path: f[1], Kind: Link, Target: f[2]}, nil
	case f[0] == string(File) && len(f) == 5:
		mode, err := strconv.ParseUint(f[1], 8, 12)
		if err != nil {
			return Entry{}, err
		}
		size, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			return Entry{}, err
		}
		sum, err := digest.Parse(f[3])
		return Entry{Path: f[4], Kind: File, Mode: uint32(mode), Size: size, Sum: sum}, err
	}
	return Entry{}, fmt.Errorf("unknown form %.100q", line)
}

func cutLast(path string) (dir, base string, nested bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}
