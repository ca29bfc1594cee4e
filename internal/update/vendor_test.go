package update

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"uplevel/internal/api"
	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust/trusttest"
)

var line = release.Line{Product: "shop", Version: "1.2", Channel: release.DefaultChannel}

// files is a tree for tests: path → content; a path with a slash at its end is a folder,
// content that begins with "-> " a link, "#! " an executable file.
type files map[string]string

func (f files) tree(t testing.TB) manifest.Tree {
	t.Helper()
	entries := map[string]manifest.Entry{}
	for p, content := range f {
		e := manifest.Entry{Path: strings.TrimSuffix(p, "/"), Kind: manifest.File, Mode: 0o644}
		target, isLink := strings.CutPrefix(content, "-> ")
		switch {
		case strings.HasSuffix(p, "/"):
			e.Kind, e.Mode = manifest.Dir, 0o755
		case isLink:
			e.Kind, e.Mode, e.Target = manifest.Link, 0, target
		default:
			e.Size, e.Sum = int64(len(content)), digest.Of([]byte(content))
			if strings.HasPrefix(content, "#!") {
				e.Mode = 0o755
			}
		}
		entries[e.Path] = e
		for i := range e.Path {
			if dir := e.Path[:i]; i > 0 && e.Path[i] == '/' && entries[dir].Kind != manifest.Dir {
				entries[dir] = manifest.Entry{Path: dir, Kind: manifest.Dir, Mode: 0o755}
			}
		}
	}
	var all []manifest.Entry
	for _, e := range entries {
		all = append(all, e)
	}
	tree, err := manifest.NewTree(all)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// vendor publishes levels; it is the service's metadata, API and object store too.
type vendor struct {
	*trusttest.Repo
	t       testing.TB
	mu      sync.Mutex
	levels  map[release.Line]map[int]release.Record
	trees   map[release.Line]map[int]files
	answer  api.CheckAnswer
	refuse  error // what the service answers with instead
	reports []api.Report
	calls   []string

	hotfixes []api.Hotfix  // for the caller's organisation
	damaged  digest.Digest // in the download cache of who makes an offline update
}

func newVendor(t testing.TB, now time.Time) *vendor {
	t.Helper()
	return &vendor{
		Repo: trusttest.New(t, now), t: t,
		levels: map[release.Line]map[int]release.Record{}, trees: map[release.Line]map[int]files{},
		answer: api.CheckAnswer{Organisation: "org", Entitlement: api.Entitlement{Kind: "paid", State: "active"}},
	}
}

// publish lists a level with these files and one update, security if the level is even.
func (v *vendor) publish(l release.Line, level int, tree files, change ...func(*release.Listing)) release.Record {
	v.t.Helper()
	return v.publishNotes(l, level, tree, v.someNotes(level), release.Rules{}, change...)
}

func (v *vendor) someNotes(level int) release.Notes {
	if level == 0 {
		return release.Notes{}
	}
	u := release.Update{
		ID: 100 + level, Type: release.Regular,
		Description: fmt.Sprintf("Fix %d.\n\nMore.", level), Instructions: "Restart.",
		BugFixes: map[string]string{fmt.Sprintf("BUG-%d", level): "It broke"},
	}
	if level%2 == 0 {
		u.Type = release.Security
	}
	return release.Notes{Updates: []release.Update{u}, AbsorbsHotfixes: []string{fmt.Sprintf("hf%d", level)}}
}

func (v *vendor) publishNotes(l release.Line, level int, tree files, n release.Notes, rules release.Rules, change ...func(*release.Listing)) release.Record {
	v.t.Helper()
	for p, content := range tree {
		if !strings.HasSuffix(p, "/") {
			v.Store([]byte(content))
		}
	}
	notes, err := n.Bytes()
	v.must(err)
	record := release.Record{
		Format: 1, Product: l.Product, Version: l.Version, Channel: l.Channel, Level: level,
		Manifest: v.Store(tree.tree(v.t).Bytes()), Notes: v.Store(notes), Rules: rules, Created: v.Now,
	}
	regular, security := n.Counts()
	listing := release.Listing{
		Product: l.Product, Version: l.Version, Channel: l.Channel, Level: level,
		State: release.Live, Type: n.Type(), RegularN: regular, SecurityN: security, Published: v.Now,
	}
	for _, c := range change {
		c(&listing)
	}
	v.List(listing, record)
	v.PublishOnline()
	if v.levels[l] == nil {
		v.levels[l], v.trees[l] = map[int]release.Record{}, map[int]files{}
	}
	v.levels[l][level], v.trees[l][level] = record, tree
	return record
}

func (v *vendor) withdraw(level int, reason string) {
	v.Change(line, level, func(l *release.Listing) { l.State, l.Reason = release.Withdrawn, reason })
	v.PublishOnline()
}

func (v *vendor) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

func (v *vendor) called(name string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls = append(v.calls, name)
	return v.refuse
}

// Check answers what the test set.
func (v *vendor) Check(_ context.Context, req api.CheckRequest) (api.CheckAnswer, error) {
	answer := v.answer
	answer.Hotfixes = v.hotfixes
	return answer, v.called("check " + req.Product)
}

func (v *vendor) AcceptEULA(context.Context, string) error { return v.called("eula") }

func (v *vendor) Report(_ context.Context, r api.Report) error {
	v.reports = append(v.reports, r)
	return v.called("report")
}

// fetcher gets objects from a vendor into memory and believes only digests.
type fetcher struct {
	v       *vendor
	fetched map[digest.Digest][]byte
	bytes   int64
}

func newFetcher(v *vendor) *fetcher { return &fetcher{v: v, fetched: map[digest.Digest][]byte{}} }

func (f *fetcher) Sizes(_ context.Context, _ release.Line, _ int, refs []release.Ref) (int64, error) {
	total := int64(0)
	for _, ref := range refs {
		if _, have := f.fetched[ref.Sum]; !have {
			total += ref.Size
		}
	}
	return total, f.v.called("sizes")
}

func (f *fetcher) Fetch(_ context.Context, l release.Line, level int, refs []release.Ref) error {
	if err := f.v.called("fetch"); err != nil {
		return err
	}
	for _, ref := range refs {
		if _, have := f.fetched[ref.Sum]; have {
			continue
		}
		if !f.v.belongs(l, level, ref) {
			return problem.New(problem.NotEntitled, "", "object %s is not of level %d", ref.Sum, level)
		}
		data, ok := f.v.Objects[ref.Sum]
		if !ok || digest.Of(data) != ref.Sum || int64(len(data)) != ref.Size {
			return problem.New(problem.Verification, "", "%w: %s", digest.ErrMismatch, ref.Sum)
		}
		f.fetched[ref.Sum] = data
		f.bytes += ref.Size
	}
	return nil
}

// belongs applies the service's rule: only objects of the level asked for are given.
func (v *vendor) belongs(l release.Line, level int, ref release.Ref) bool {
	record, ok := v.levels[l][level]
	if !ok {
		return false
	}
	data, err := record.Bytes()
	v.must(err)
	if slices.Contains([]digest.Digest{digest.Of(data), record.Manifest.Sum, record.Notes.Sum}, ref.Sum) {
		return true
	}
	for _, e := range v.trees[l][level].tree(v.t).Entries() {
		if e.Sum == ref.Sum && e.Kind == manifest.File {
			return true
		}
	}
	return false
}

func (f *fetcher) Open(ref release.Ref) (io.ReadCloser, error) {
	data, ok := f.fetched[ref.Sum]
	if !ok {
		return nil, fmt.Errorf("%s: %w", ref.Sum, fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}
