package content

import (
	"errors"
	"fmt"
	"io"
	"path"

	"uplevel/internal/archive"
	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/merge"
	"uplevel/internal/plan"
	"uplevel/internal/release"
)

// maxArchive bounds an archive that is merged member by member, in bytes; a larger one
// is taken as a whole.
const maxArchive = 1 << 30

// maxMembers bounds the members of its three versions together.
const maxMembers = 60_000

// archive merges member by member.
func (l *Looker) archive(base *manifest.Entry, mine, theirs manifest.Entry) (plan.Merged, error) {
	s := archive.Sides{MaxMembers: maxMembers}
	for _, side := range []struct {
		entry *manifest.Entry
		disk  bool
		to    **io.SectionReader
	}{{&mine, true, &s.Mine}, {&theirs, false, &s.Theirs}, {base, false, &s.Base}} {
		if side.entry == nil {
			continue
		}
		if side.entry.Size > maxArchive {
			return plan.Merged{}, fmt.Errorf("%w: it has %d bytes, the limit is %d", merge.ErrWhole, side.entry.Size, maxArchive)
		}
		var err error
		if *side.to, err = l.section(*side.entry, side.disk); err != nil {
			return plan.Merged{}, err
		}
	}
	m := plan.Merged{How: "member by member"}
	var done archive.Result
	var err error
	if m.Mine, done, err = l.archived(s, false); err != nil {
		return m, err
	}
	m.Disputes = memberDisputes(done.Conflicts)
	if len(done.Conflicts) > 0 {
		m.Theirs, _, err = l.archived(s, true)
	}
	return m, err
}

// archived holds the merged archive, with one side at conflicts.
func (l *Looker) archived(s archive.Sides, preferTheirs bool) (ref release.Ref, done archive.Result, err error) {
	ref, err = l.held.write(func(w io.Writer) error {
		var err error
		done, err = archive.Merge(l.ctx, s, w, preferTheirs, l.member)
		return err
	})
	return ref, done, err
}

// section is the content of one side where it can be read anywhere.
func (l *Looker) section(e manifest.Entry, disk bool) (*io.SectionReader, error) {
	r, err := l.open(e, disk)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	ref, err := l.held.keep(digest.NewReader(r, e.Sum, e.Size))
	if err != nil {
		return nil, err
	}
	s, _ := l.held.section(ref)
	return s, nil
}

// member merges the text of one member.
func (l *Looker) member(name string, base, mine, theirs []byte) (archive.Text, error) {
	format := l.format(name)
	if path.Base(name) == "MANIFEST.MF" {
		format = nil
	}
	r, err := merge.Merge(merge.Sides{Base: base, Mine: mine, Theirs: theirs}, format)
	if errors.Is(err, merge.ErrWhole) {
		return archive.Text{}, fmt.Errorf("%w: %w", archive.ErrWhole, err)
	}
	if err != nil {
		return archive.Text{}, err
	}
	t := archive.Text{Merged: r.Merged, Theirs: r.Theirs}
	value := func(v merge.Value) archive.Value { return archive.Value{Text: v.Text, Gone: !v.Present} }
	for _, c := range r.Conflicts {
		t.Conflicts = append(t.Conflicts, archive.Conflict{
			Key: c.Key, Why: archive.KeyChanged, Base: value(c.Base), Mine: value(c.Mine), Theirs: value(c.Theirs),
		})
	}
	return t, nil
}

// memberDisputes are an archive's conflicts as a plan lists them.
func memberDisputes(conflicts []archive.Conflict) []plan.Dispute {
	var all []merge.Conflict
	value := func(v archive.Value) merge.Value { return merge.Value{Text: v.Text, Present: !v.Gone} }
	for _, c := range conflicts {
		all = append(all, merge.Conflict{Key: memberKey(c), Base: value(c.Base), Mine: value(c.Mine), Theirs: value(c.Theirs)})
	}
	return disputes(all)
}

// memberKey names a place in an archive: "WEB-INF/web.xml: web-app.display-name".
func memberKey(c archive.Conflict) string {
	key := c.Key
	if key == "" && c.Why != archive.BothChanged {
		key = string(c.Why)
	}
	switch {
	case c.Member == "":
		return key
	case key == "":
		return c.Member
	}
	return c.Member + ": " + key
}
