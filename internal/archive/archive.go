// Package archive merges zip archives that both operator and vendor changed, member by
// member: what nobody had to merge keeps its exact stored bytes. It reads and writes
// through what it is handed and knows no file system. The rules are described in
// docs/design/archive.md.
package archive

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"uplevel/internal/archive/anatomy"
)

// ErrWhole is in the chain of errors that say an archive can not be merged by its
// members: damaged, hostile, too large or of a kind that is not understood. The file is
// then to be treated as a whole.
var ErrWhole = anatomy.ErrRefused

// whole says why an archive can not be merged by its members.
func whole(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrWhole)
}

// Sides are the three versions, as files that can be read anywhere.
type Sides struct {
	Base   *io.SectionReader // nil: both sides added the archive
	Mine   *io.SectionReader
	Theirs *io.SectionReader

	// MaxMembers bounds the members that are known at a time, those of all versions and of
	// archives within together: each takes memory. 0 is no bound but that of each archive.
	MaxMembers int
}

// Members merges the content of one member that both sides changed; base is nil if both
// added it. The name is that of the member within its archive. With
// [ErrWhole] in the chain of its error the member is a conflict as a whole; any other
// error ends the merge of the archive.
type Members func(name string, base, mine, theirs []byte) (Text, error)

// Text is the merged content of one member.
type Text struct {
	Merged    []byte // the operator's side at conflicts
	Theirs    []byte // the vendor's side at conflicts; not looked at if there are none
	Conflicts []Conflict
}

// Why something is a conflict.
type Why string

// The reasons. Members may give others of its own.
const (
	BothChanged   Why = "both-changed"   // the whole member, and it can not be merged
	MineRemoved   Why = "mine-removed"   // the operator removed what the vendor changed
	TheirsRemoved Why = "theirs-removed" // the vendor removed what the operator changed
	TooLarge      Why = "too-large"      // both changed it and it is too large to be merged
	Signature     Why = "signature"      // merging would break the signature of a signed jar
	Stub          Why = "stub"           // the bytes before the first member
	Comment       Why = "comment"        // the comment of the archive
	KeyChanged    Why = "key"            // one key or place within a member
)

// Conflict is what both sides changed and what could not be merged.
type Conflict struct {
	Member string // as in "WEB-INF/lib/a.jar!/b.xml"; empty for the archive itself
	Key    string // within the member; empty for the whole of it
	Why    Why
	Base   Value
	Mine   Value
	Theirs Value
}

// Value is what one side has, in words where it is not text.
type Value struct {
	Text string
	Gone bool // there is nothing
}

// Result is what a merge did.
type Result struct {
	Merged    []string // members whose content is made of both sides
	Conflicts []Conflict
}

// Merge writes the merged archive to out, at conflicts with the operator's side or, with
// preferTheirs, the vendor's. With nil members every member that both changed is a
// conflict, unless it is itself an archive. After an error what was written is no archive.
func Merge(ctx context.Context, s Sides, out io.Writer, preferTheirs bool, members Members) (Result, error) {
	if s.Mine == nil || s.Theirs == nil {
		return Result{}, errors.New("merging archives: one side is missing")
	}
	m := &merger{
		members: members, preferTheirs: preferTheirs, loads: maxLoads, room: cmp.Or(s.MaxMembers, math.MaxInt),
		comparer: comparer{a: make([]byte, chunk), b: make([]byte, chunk), unpack: maxUnpack},
	}
	buffered := bufio.NewWriterSize(out, chunk)
	result, err := m.merge(ctx, s, buffered, 0)
	if err == nil {
		err = buffered.Flush()
	}
	if err != nil {
		return Result{}, fmt.Errorf("merging archives: %w", err)
	}
	slices.Sort(result.Merged)
	slices.SortStableFunc(result.Conflicts, func(a, b Conflict) int { return cmp.Compare(a.Member, b.Member) })
	return result, nil
}

const (
	maxDepth = 2         // of archives within the outermost
	maxLoad  = 4 << 20   // bytes of one member that are read into memory
	maxLoads = 256 << 20 // bytes of all members that are, in one merge

	chunk = 64 << 10
)

// merger is one merge with what it may still spend.
type merger struct {
	comparer

	members      Members
	preferTheirs bool
	loads        int64
	room         int // members that may still be known
}

// frames are the three archives, read.
type frames struct{ base, mine, theirs *anatomy.Archive }

// members counts what is known of all three.
func (f frames) members() int {
	n := 0
	for _, a := range []*anatomy.Archive{f.base, f.mine, f.theirs} {
		if a != nil {
			n += len(a.Members)
		}
	}
	return n
}

func (m *merger) openFrames(ctx context.Context, s Sides) (frames, error) {
	f := frames{base: &anatomy.Archive{}}
	for _, side := range []struct {
		name string
		from *io.SectionReader
		to   **anatomy.Archive
	}{{"former", s.Base, &f.base}, {"operator's", s.Mine, &f.mine}, {"vendor's", s.Theirs, &f.theirs}} {
		if side.from == nil {
			continue
		}
		var err error
		if *side.to, err = anatomy.Open(ctx, side.from); err != nil {
			return f, fmt.Errorf("the %s archive: %w", side.name, err)
		}
		if f.members() > m.room {
			return f, whole("the archives have too many members")
		}
	}
	return f, nil
}

func (m *merger) merge(ctx context.Context, s Sides, out *bufio.Writer, depth int) (Result, error) {
	f, err := m.openFrames(ctx, s)
	if err != nil {
		return Result{}, err
	}
	m.room -= f.members()
	defer func() { m.room += f.members() }()
	choices, err := m.choose(ctx, f)
	if err != nil {
		return Result{}, err
	}
	if breaksSignature(f, choices) {
		side := f.mine
		if m.preferTheirs {
			side = f.theirs
		}
		if err := m.copyRange(ctx, out, side.Source, 0, side.Source.Size()); err != nil {
			return Result{}, err
		}
		return Result{Conflicts: []Conflict{{Why: Signature, Base: signedBy(f.base), Mine: signedBy(f.mine), Theirs: signedBy(f.theirs)}}}, nil
	}
	w := &writer{merger: m, out: out, depth: depth}
	if err := w.write(ctx, f, choices); err != nil {
		return Result{}, err
	}
	return w.result, nil
}
