package reconcile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"uplevel/internal/manifest"
	"uplevel/internal/plan"
)

// model is a tree as a map, for drawing, changing and carrying out.
type model map[string]manifest.Entry

var (
	names    = []string{"a", "b", "ä", "日本", "a b", "c.txt"}
	contents = []string{"", "1", "2", "3", "4"}
	modes    = []uint32{0o600, 0o644, 0o755}
)

func drawEntry(t *rapid.T, path string) manifest.Entry {
	switch rapid.IntRange(0, 7).Draw(t, "kind") {
	case 0:
		return link(path, rapid.SampledFrom([]string{"a", "b"}).Draw(t, "target"))
	case 1, 2:
		return manifest.Entry{Path: path, Kind: manifest.Dir, Mode: rapid.SampledFrom(modes[1:]).Draw(t, "mode")}
	}
	return file(path, rapid.SampledFrom(contents).Draw(t, "content"), rapid.SampledFrom(modes).Draw(t, "mode"))
}

func drawPath(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(names), 1, 3).Draw(t, "path"), "/")
}

// set puts e in m: folders above come with it, what stood there goes with its content.
func (m model) set(e manifest.Entry) {
	parts := strings.Split(e.Path, "/")
	for i := 1; i < len(parts); i++ {
		up := strings.Join(parts[:i], "/")
		if m[up].Kind != manifest.Dir {
			m.drop(up)
			m[up] = dir(up)
		}
	}
	if e.Kind != manifest.Dir || m[e.Path].Kind != manifest.Dir {
		m.drop(e.Path)
	}
	m[e.Path] = e
}

func (m model) drop(path string) {
	for p := range m {
		if p == path || strings.HasPrefix(p, path+"/") {
			delete(m, p)
		}
	}
}

func (m model) clone() model {
	c := model{}
	maps.Copy(c, m)
	return c
}

func (m model) tree(t *rapid.T) manifest.Tree {
	var all []manifest.Entry
	for _, e := range m {
		all = append(all, e)
	}
	made, err := manifest.NewTree(all)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func (m model) paths() []string {
	var all []string
	for p := range m {
		all = append(all, p)
	}
	slices.Sort(all)
	return all
}

// change returns m after up to n random changes, and the paths at which they were made.
func change(t *rapid.T, m model, n int) (model, []string) {
	out := m.clone()
	var touched []string
	for range rapid.IntRange(0, n).Draw(t, "changes") {
		path := drawPath(t)
		if existing := out.paths(); len(existing) > 0 && rapid.Bool().Draw(t, "existing") {
			path = rapid.SampledFrom(existing).Draw(t, "which")
		}
		if rapid.IntRange(0, 2).Draw(t, "how") == 0 {
			out.drop(path)
		} else {
			out.set(drawEntry(t, path))
		}
		touched = append(touched, path)
	}
	return out, touched
}

// carryOut does to m what the outcomes say, in the installer's order: removals, the
// deepest first, then everything else from the top.
func carryOut(t *rapid.T, m model, outcomes []plan.Outcome) model {
	out := m.clone()
	for _, o := range slices.Backward(outcomes) {
		if o.Action == plan.Remove || o.Action == plan.Replace && o.Disk.Kind == manifest.Dir && o.Result.Kind != manifest.Dir {
			if o.Disk.Kind == manifest.Dir && out.holds(o.Path) {
				if o.Action == plan.Replace {
					t.Fatalf("%s: a folder with content is to be replaced", o.Path)
				}
				continue
			}
			delete(out, o.Path)
		}
	}
	for _, o := range outcomes {
		if o.Action == plan.Add || o.Action == plan.Replace || o.Action == plan.Mode {
			if up := parent(o.Path); up != "" && out[up].Kind != manifest.Dir {
				t.Fatalf("%s: %s, but %s is no folder", o.Path, o.Action, up)
			}
			if _, there := m[o.Path]; there == (o.Action == plan.Add) {
				t.Fatalf("%s: %s, but something there: %v", o.Path, o.Action, there)
			}
			out[o.Path] = *o.Result
		}
	}
	return out
}

func (m model) holds(dir string) bool {
	for p := range m {
		if strings.HasPrefix(p, dir+"/") {
			return true
		}
	}
	return false
}

// occupied reports what lies in a folder of disk that neither tree lists.
func (m model) occupied(base, want model) func(string) bool {
	return func(dir string) bool {
		for p := range m {
			_, inBase := base[p]
			_, inWant := want[p]
			if strings.HasPrefix(p, dir+"/") && !inBase && !inWant {
				return true
			}
		}
		return false
	}
}

// step updates disk from base to want and returns what then stands there.
func step(t *rapid.T, base, disk, want model, policy Policy) (model, []plan.Outcome) {
	rules := Rules{OnConflict: policy, Occupied: disk.occupied(base, want)}
	outcomes := Update(base.tree(t), disk.tree(t), want.tree(t), rules)
	if _, err := plan.Make(plan.Plan{
		Kind: plan.Update, Product: "p", Version: "1",
		To: plan.Point{Channel: "full"}, Outcomes: outcomes,
	}); err != nil {
		t.Fatalf("no plan: %v", err)
	}
	return carryOut(t, disk, outcomes), outcomes
}

func near(path string, touched []string) bool {
	for _, other := range touched {
		if path == other || strings.HasPrefix(path, other+"/") || strings.HasPrefix(other, path+"/") {
			return true
		}
	}
	return false
}

// shared reports whether path lies with something of the operator's in a folder that
// the vendor does not ship as a folder throughout: such a folder stays as it is.
func shared(path string, touched []string, trees ...model) bool {
	for up := parent(path); up != ""; up = parent(up) {
		for _, m := range trees {
			if m[up].Kind != manifest.Dir && near(up, touched) {
				return true
			}
		}
	}
	return false
}

func TestUntouchedProductBecomesExactlyWhatIsWanted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base, _ := change(t, model{}, 12)
		want, _ := change(t, base, 12)
		got, outcomes := step(t, base, base, want, Stop)
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("%v\n%s", brief(outcomes), d)
		}
	})
}

func TestJumpIsStepWhereTheOperatorChangedNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		one, _ := change(t, model{}, 10)
		two, _ := change(t, one, 6)
		three, _ := change(t, two, 6)
		disk, touched := change(t, one, 4)
		jumped, _ := step(t, one, disk, three, Mine)
		stepped, _ := step(t, one, disk, two, Mine)
		stepped, _ = step(t, two, stepped, three, Mine)
		for _, p := range append(jumped.paths(), stepped.paths()...) {
			if !near(p, touched) && !shared(p, touched, one, two, three) && jumped[p] != stepped[p] {
				t.Fatalf("%s (operator touched %q): jump gives %v, steps give %v", p, touched, jumped[p], stepped[p])
			}
		}
	})
}

func TestWhatTheOperatorMadeIsIntact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base, _ := change(t, model{}, 10)
		want, _ := change(t, base, 8)
		disk, _ := change(t, base, 6)
		policy := rapid.SampledFrom([]Policy{Stop, Mine}).Draw(t, "policy")
		got, outcomes := step(t, base, disk, want, policy)
		for p, e := range disk {
			pristine := base[p].SameContent(e)
			if !pristine && !got[p].SameContent(e) {
				t.Fatalf("%s was %v and is %v\n%v", p, e, got[p], brief(outcomes))
			}
		}
		for p, e := range base {
			if _, there := disk[p]; there || e.Kind == manifest.Dir || want[p].Kind == manifest.Dir {
				continue
			}
			if _, back := got[p]; back && want[p].Path != "" && !replacedFolderAbove(base, disk, p) {
				t.Fatalf("%s was removed by the operator and is back\n%v", p, brief(outcomes))
			}
		}
	})
}

// replacedFolderAbove reports whether a folder above path is something else on disk.
func replacedFolderAbove(base, disk model, path string) bool {
	for up := parent(path); up != ""; up = parent(up) {
		if base[up].Kind != manifest.Dir || disk[up].Kind != manifest.Dir {
			return true
		}
	}
	return false
}

func TestPlanningAgainGivesTheSameAndAfterwardsNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base, _ := change(t, model{}, 10)
		want, _ := change(t, base, 8)
		disk, _ := change(t, base, 6)
		policy := rapid.SampledFrom([]Policy{Mine, Theirs}).Draw(t, "policy")
		got, outcomes := step(t, base, disk, want, policy)
		_, again := step(t, base, disk, want, policy)
		if d := cmp.Diff(outcomes, again); d != "" {
			t.Fatalf("planned twice: %s", d)
		}
		_, after := step(t, want, got, want, policy)
		for _, o := range after {
			if o.Action.Changes() {
				t.Fatalf("after the change there is still %v\nfirst %v", brief(after), brief(outcomes))
			}
		}
	})
}

func TestRevertAfterUpdateIsBefore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base, _ := change(t, model{}, 10)
		want, _ := change(t, base, 8)
		disk, _ := change(t, base, 6)
		policy := rapid.SampledFrom([]Policy{Mine, Theirs}).Draw(t, "policy")
		updated, outcomes := step(t, base, disk, want, policy)

		committed, former := model{}, model{}
		for _, o := range outcomes {
			if !o.Action.Changes() {
				continue
			}
			if e, ok := updated[o.Path]; ok {
				committed[o.Path] = e
			}
			if e, ok := disk[o.Path]; ok {
				former[o.Path] = e
			}
		}
		back := Revert(committed.tree(t), updated.tree(t), former.tree(t),
			Rules{Occupied: updated.occupied(committed, former)}, rapid.Bool().Draw(t, "discard"))
		if d := cmp.Diff(disk, carryOut(t, updated, back)); d != "" {
			t.Fatalf("update %v\nrevert %v\n%s", brief(outcomes), brief(back), d)
		}
	})
}

func TestEditsSurviveARevert(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base, _ := change(t, model{}, 10)
		want, _ := change(t, base, 8)
		edited, _ := change(t, want, 4)
		back := Revert(want.tree(t), edited.tree(t), base.tree(t), Rules{Occupied: edited.occupied(want, base)}, false)
		got := carryOut(t, edited, back)
		for p, e := range edited {
			if !want[p].SameContent(e) && !got[p].SameContent(e) {
				t.Fatalf("%s was edited to %v and is %v", p, e, got[p])
			}
		}
	})
}

func ExampleUpdate() {
	base, _ := manifest.NewTree([]manifest.Entry{f("shipped")})
	disk, _ := manifest.NewTree([]manifest.Entry{f("edited by the operator")})
	want, _ := manifest.NewTree([]manifest.Entry{f("shipped next")})
	for _, o := range Update(base, disk, want, Rules{}) {
		fmt.Println(o.Path, o.Action, o.Why)
	}
	// Output: f conflict customised
}
