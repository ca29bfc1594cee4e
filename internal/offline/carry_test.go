package offline

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/api"
	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/statefile"
)

var line = release.Line{Product: "shop", Version: "1.2", Channel: "full"}

// tree makes a tree of path=content; content tells the tests' contents apart.
func tree(t *testing.T, files ...string) manifest.Tree {
	t.Helper()
	var entries []manifest.Entry
	for _, f := range files {
		path, content, _ := strings.Cut(f, "=")
		entries = append(entries, manifest.Entry{Path: path, Kind: manifest.File, Mode: 0o644, Size: int64(len(content)), Sum: digest.Of([]byte(content))})
	}
	tree, err := manifest.NewTree(entries)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func of(contents ...string) []digest.Digest {
	var sums []digest.Digest
	for _, c := range contents {
		sums = append(sums, digest.Of([]byte(c)))
	}
	slices.SortFunc(sums, digest.Digest.Compare)
	return sums
}

func sums(c contents) []digest.Digest {
	return slices.SortedFunc(maps.Keys(c), digest.Digest.Compare)
}

func state(files ...statefile.File) statefile.State {
	return statefile.State{Product: "shop", Version: "1.2", Channel: "full", Compared: true, Files: files}
}

func TestWhatIsCarried(t *testing.T) {
	t.Parallel()
	to := level{tree: tree(t, "a=a2", "b=b", "c=c2", "n=new", "m=b")}
	plain := start{level: level{tree: tree(t, "a=a1", "b=b", "c=c2", "o=old")}}
	for what, c := range map[string]struct {
		states       []statefile.State
		wanted, base []string
	}{
		"untouched":          {nil, []string{"a2", "new", "b"}, nil},
		"customised, kept":   {[]statefile.State{state(statefile.File{Path: "c", Kind: manifest.File})}, []string{"a2", "new", "b", "c2"}, []string{"c2"}},
		"missing, changed":   {[]statefile.State{state(statefile.File{Path: "a", Kind: statefile.Missing})}, []string{"a2", "new", "b"}, []string{"a1"}},
		"customised, gone":   {[]statefile.State{state(statefile.File{Path: "o", Kind: manifest.File})}, []string{"a2", "new", "b"}, []string{"old"}},
		"foreign":            {[]statefile.State{state(statefile.File{Path: "x", Kind: manifest.File})}, []string{"a2", "new", "b"}, nil},
		"two installations":  {[]statefile.State{state(statefile.File{Path: "a"}), state(statefile.File{Path: "o"})}, []string{"a2", "new", "b"}, []string{"a1", "old"}},
		"nothing to compare": {[]statefile.State{{}}, []string{"a2", "new", "b", "c2"}, []string{"a1", "b", "c2", "old"}},
	} {
		from := plain
		from.states = c.states
		if d := cmp.Diff(of(c.wanted...), sums(wanted(from, to))); d != "" {
			t.Errorf("%s: wanted %s", what, d)
		}
		if d := cmp.Diff(of(c.base...), sums(former(from))); d != "" {
			t.Errorf("%s: former %s", what, d)
		}
	}
}

func TestWhatPeopleEdit(t *testing.T) {
	t.Parallel()
	from := start{level: level{tree: tree(t, "conf/a=1", "conf/b=1", "lib/a=1", "lib/gone=2", "huge="+strings.Repeat("x", edited+1))}}
	to := level{tree: tree(t, "conf/a=2", "conf/b=1", "lib/a=2")}
	for globs, want := range map[string]string{"": "conf/a lib/a lib/gone", "conf/**": "conf/a", "lib/g*": "lib/gone", "huge": "huge"} {
		from.record.Rules.KeepPristine, to.record.Rules.KeepPristine = nil, nil
		if globs != "" {
			to.record.Rules.KeepPristine = []string{globs}
		}
		files, sure, err := edits(from, to)
		var paths []string
		for _, e := range files {
			paths = append(paths, e.Path)
		}
		if err != nil || sure != (globs != "") || strings.Join(paths, " ") != want {
			t.Errorf("%q: %q, %v, %v", globs, paths, sure, err)
		}
	}
	for content, want := range map[string]bool{"": true, "text\n": true, "\x00": false, strings.Repeat("x", 9000) + "\x00": true} {
		if got, err := isText(strings.NewReader(content)); got != want || err != nil {
			t.Errorf("%.10q: %v, %v", content, got, err)
		}
	}
}

func TestChoosing(t *testing.T) {
	t.Parallel()
	listed := func(number int, s release.State) release.Listed {
		return release.Listed{Listing: release.Listing{Product: "shop", Version: "1.2", Channel: "full", Level: number, State: s, Reason: "broken"}}
	}
	levels := []release.Listed{listed(0, release.Live), listed(2, release.Live), listed(4, release.Withdrawn), listed(5, release.Live), listed(6, release.Testing), listed(7, release.Withdrawn)}
	two := 2
	for what, c := range map[string]struct {
		opts Options
		may  api.CheckAnswer
		want int
		kind problem.Kind
	}{
		"latest":                    {want: 5},
		"latest, as U2 writes it":   {opts: Options{End: "0"}, want: 5},
		"latest, testing asked for": {opts: Options{AskedFor: []release.State{release.Testing}}, want: 5},
		"latest, testing allowed":   {opts: Options{AskedFor: []release.State{release.Testing}}, may: api.CheckAnswer{States: []string{"testing"}}, want: 6},
		"latest, lapsed":            {may: api.CheckAnswer{MaxLevel: &two}, want: 2},
		"named":                     {opts: Options{End: "1.2.2"}, want: 2},
		"of another version":        {opts: Options{End: "1.3.2"}, kind: problem.Failed},
		"none such":                 {opts: Options{End: "3"}, kind: problem.Failed},
		"withdrawn":                 {opts: Options{End: "4"}, kind: problem.Refused},
		"testing, not asked for":    {opts: Options{End: "6"}, kind: problem.Refused},
		"testing, not allowed":      {opts: Options{End: "6", AskedFor: []release.State{release.Testing}}, kind: problem.NotEntitled},
		"above what lapsed":         {opts: Options{End: "5"}, may: api.CheckAnswer{MaxLevel: &two}, kind: problem.NotEntitled},
	} {
		got, err := choose(line, levels, c.opts, c.may)
		if c.want != 0 && (err != nil || got.Level != c.want) || c.want == 0 && (err == nil || problem.KindOf(err) != c.kind) {
			t.Errorf("%s: level %d, %v", what, got.Level, err)
		}
	}
	if _, err := choose(line, nil, Options{}, api.CheckAnswer{}); problem.KindOf(err) != problem.Failed {
		t.Error(err)
	}
}
