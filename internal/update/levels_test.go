package update

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/api"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

func listedAs(level int, state release.State, change ...func(*release.Listed)) release.Listed {
	l := release.Listed{Listing: release.Listing{
		Product: line.Product, Version: line.Version, Channel: line.Channel,
		Level: level, State: state, RegularN: 1, SecurityN: level % 2,
	}}
	for _, c := range change {
		c(&l)
	}
	return l
}

func catalogue() []release.Listed {
	return []release.Listed{
		listedAs(0, release.Live), listedAs(1, release.Live),
		listedAs(3, release.Live, func(l *release.Listed) { l.Floor = "run the migration" }),
		listedAs(4, release.Withdrawn, func(l *release.Listed) { l.Reason = "breaks login" }),
		listedAs(6, release.Live), listedAs(7, release.Testing), listedAs(8, release.Verifying),
	}
}

func TestWhichLevel(t *testing.T) {
	t.Parallel()
	five := 5
	for _, c := range []struct {
		name  string
		at    int
		opts  Options
		may   api.CheckAnswer
		want  int // -1: nothing to do
		kind  problem.Kind
		words string
	}{
		{name: "latest live", want: 6},
		{name: "latest by 0", opts: Options{Level: "0"}, want: 6},
		{name: "latest, nothing above", at: 6, want: -1},
		{name: "one asked for", opts: Options{Level: "3"}, want: 3},
		{name: "with the version", opts: Options{Level: "1.2.3"}, want: 3},
		{name: "the same", at: 3, opts: Options{Level: "3"}, want: -1},
		{name: "lower", at: 3, opts: Options{Level: "1"}, kind: problem.Failed, words: "Invalid update level"},
		{name: "no such", opts: Options{Level: "5"}, kind: problem.Failed, words: "Invalid update level"},
		{name: "of another version", opts: Options{Level: "1.3.5"}, kind: problem.Failed, words: "Invalid update level"},
		{name: "malformed", opts: Options{Level: "five"}, kind: problem.Failed, words: "Invalid update level"},
		{name: "withdrawn", opts: Options{Level: "4"}, kind: problem.Refused, words: "breaks login"},
		{name: "staying at a withdrawn one", at: 4, opts: Options{Level: "4"}, want: -1},
		{name: "testing, not asked for", opts: Options{Level: "7"}, kind: problem.Refused, words: "testing"},
		{name: "testing, not entitled", opts: Options{Level: "7", States: []release.State{release.Testing}}, kind: problem.NotEntitled, words: "testing"},
		{
			name: "testing, entitled", opts: Options{Level: "7", States: []release.State{release.Testing}},
			may: api.CheckAnswer{States: []string{"testing"}}, want: 7,
		},
		{
			name: "latest with testing", opts: Options{States: []release.State{release.Testing}},
			may: api.CheckAnswer{States: []string{"testing"}}, want: 7,
		},
		{name: "latest, testing not entitled", opts: Options{States: []release.State{release.Testing}}, want: 6},
		{name: "latest of a lapsed subscription", may: api.CheckAnswer{MaxLevel: &five}, want: 3},
		{name: "above a lapsed subscription", opts: Options{Level: "6"}, may: api.CheckAnswer{MaxLevel: &five}, kind: problem.NotEntitled, words: "ended"},
		{name: "another channel is never lower", at: 9, opts: Options{Channel: "security", Level: "3"}, want: 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := line
			if c.opts.Channel != "" {
				l.Channel = c.opts.Channel
			}
			w, err := makeWish(l, catalogue(), plan.Point{Channel: "full", Level: c.at}, c.opts)
			var got release.Listed
			above := false
			if err == nil {
				got, above, err = w.grant(c.may)
			}
			switch {
			case c.kind != 0:
				if err == nil || problem.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.words) {
					t.Errorf("got level %d and %v, want %s with %q", got.Level, err, c.kind, c.words)
				}
			case err != nil:
				t.Error(err)
			case above != (c.want >= 0) || above && got.Level != c.want:
				t.Errorf("got %d, %v, want %d", got.Level, above, c.want)
			}
		})
	}
}

func TestTheWayBetweenLevels(t *testing.T) {
	t.Parallel()
	w := wish{line: line, levels: catalogue(), at: plan.Point{Channel: "full", Level: 1}}
	var passed []int
	for _, l := range w.between(6) {
		passed = append(passed, l.Level)
	}
	if d := cmp.Diff([]int{3, 6}, passed); d != "" {
		t.Error("withdrawn levels give nothing: " + d)
	}
	if d := cmp.Diff([]plan.Floor{{Level: 3, Reason: "run the migration"}}, floors(w.between(6))); d != "" {
		t.Error(d)
	}
	if regular, security := counts(w.between(6)); regular != 2 || security != 1 {
		t.Errorf("%d regular and %d security, want 2 and 1", regular, security)
	}
	if floor, ok := w.firstFloor(6, api.CheckAnswer{}); !ok || floor.Level != 3 {
		t.Errorf("first floor %d, %v", floor.Level, ok)
	}
	if _, ok := w.firstFloor(3, api.CheckAnswer{}); ok {
		t.Error("the wanted level is a floor on the way to itself")
	}
}

func TestMarkdownAsU2WritesIt(t *testing.T) {
	t.Parallel()
	r := &Result{
		Product: "shop", Version: "1.2",
		From: Place{Channel: "full"}, To: Place{Channel: "full", Level: 10},
		Files: Files{Added: []string{"a"}, Modified: []string{"m"}, Conflicts: []string{"c"}},
		Gain: Gain{
			Security: 1, Floors: []plan.Floor{{Level: 5, Reason: "migrate"}},
			Updates: []UpdateNote{{
				Level: 10, ID: 7, Type: release.Security, Description: "Closes a hole.\n",
				Instructions: "Restart.", BugFixes: map[string]string{"B-2": "two", "B-1": "one"}, Advisories: []string{"A-1"},
			}},
		},
	}
	want := `# Changelog

Product: shop-1.2

Update level: 0 to 10

## Added Files (1)

- a

## Updated Files (2)

- c
- m

## Removed Files (0)

_None_
`
	if d := cmp.Diff(want, string(changelog(r))); d != "" {
		t.Error(d)
	}
	for _, part := range []string{
		"Security updates: 1, regular updates: 0", "**Level 5 must not be missed:** migrate", "## Update level 10",
		"### Update 7 (security)\n\nCloses a hole.\n", "#### Instructions\n\nRestart.", "- B-1: one\n- B-2: two\n", "Advisories: A-1",
	} {
		if !strings.Contains(string(summary(r)), part) {
			t.Errorf("summary lacks %q:\n%s", part, summary(r))
		}
	}
	if changelogName(0, 10) != "changelog-0000-0010.md" || summaryName(5, 10) != "update-summary-0005-0010.md" {
		t.Error("file names are not U2's")
	}
}

func TestInstallationsAreToldApart(t *testing.T) {
	t.Parallel()
	id := InstallationID("pack", "machine", "/opt/shop")
	if id != InstallationID("pack", "machine", "/opt/shop") || len(id) != 64 {
		t.Errorf("id %q is not stable or not 64 digits", id)
	}
	for _, other := range []string{
		InstallationID("pack2", "machine", "/opt/shop"), InstallationID("pack", "machine2", "/opt/shop"),
		InstallationID("pack", "machine", "/opt/shop2"), InstallationID("pack", "machine/opt", "/shop"),
	} {
		if other == id {
			t.Error("two installations have one id")
		}
	}
}
