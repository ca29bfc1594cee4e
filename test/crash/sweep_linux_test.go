// Package crash cuts the update tool off at its state-changing system calls, with and
// without the power of its disk, lets others of them fail, and judges what a later start
// makes of it: wholly the old level or wholly the new, the operator's files as they were.
// The judge is package fsck, which shares no code with the installer, and a plain
// comparison of trees.
//
// A short seeded sample runs with every test run; `make sweep` tries every point of the calls
// that give and take names and that sync, SWEEP=full every point of all.
package crash

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"uplevel/internal/fsck"
	"uplevel/test/lab"
	"uplevel/test/powercut"
)

var (
	long = flag.Bool("sweep", false, "try every point of the calls that are tried exhaustively")
	seed = flag.Uint64("seed", 0, "seed of the samples; 0: by the clock, printed")
	most = flag.Duration("most", 0, "begin no point after this time; 0: no limit")
	only = flag.String("operation", "", "only these operations, with commas between them")
	at   = flag.String("call", "", "only at these calls, with commas between them")
	hows = flag.String("how", "", "only these disturbances, as EROFS+, with commas between them")
)

// size is how much is tried.
type size int

const (
	short size = iota
	sweep
	full
)

func sizeWanted() size {
	switch {
	case os.Getenv("SWEEP") == "full":
		return full
	case *long:
		return sweep
	}
	return short
}

// sweeper is what every operation shares.
type sweeper struct {
	lab    *lab.Lab
	dir    string // for disks
	size   size
	seed   uint64
	houses atomic.Int64
	began  time.Time
	tally  *tally
}

// TestNothingIsEverHalfDone is the sweep.
func TestNothingIsEverHalfDone(t *testing.T) {
	t.Parallel()
	require(t)
	s := newSweep(t)
	t.Cleanup(func() {
		s.tally.print(s.seed)
		if s.tally.points() < 100 && *only == "" {
			t.Errorf("only %d points were tried", s.tally.points())
		}
	})
	for _, op := range operations() {
		if wanted(*only, op.name) {
			t.Run(op.name, func(t *testing.T) {
				t.Parallel()
				s.operation(t, op)
				if op.name == "update" {
					s.seesWhatIsNotSynced(t, op)
				}
				if op.fills {
					s.fillsUp(t, op)
				}
			})
		}
	}
}

// wanted reports whether a list names something, or names nothing at all.
func wanted(list, name string) bool {
	return list == "" || slices.Contains(strings.Split(list, ","), name)
}

func require(t *testing.T) {
	t.Helper()
	powercut.Require(t)
	if runtime.GOARCH == "amd64" {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("the sweep changes registers of amd64: run it there")
	}
	t.Skip("SKIPPED, and nothing was tried: the sweep changes registers of amd64: run it there")
}

func newSweep(t *testing.T) *sweeper {
	t.Helper()
	s := &sweeper{dir: powercut.Folder(t), size: sizeWanted(), seed: *seed, began: time.Now(), tally: newTally()}
	if s.seed == 0 {
		s.seed = uint64(time.Now().UnixNano())
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if s.lab, err = lab.New(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.lab.Close(); err != nil {
			t.Error(err)
		}
	})
	s.publish(t)
	s.build(t, root, s.lab.Path("bin", "disturb"), "", "./test/crash/disturb")
	s.lab.Set("GOMAXPROCS", "1") // one run is like the next
	return s
}

// publish gives the lab three levels, a hotfix, an offline update and two tools.
func (s *sweeper) publish(t *testing.T) {
	t.Helper()
	l := s.lab
	do := func(args ...string) {
		t.Helper()
		if _, err := l.Do(t.Context(), l.Dir, args[0], args[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	for name, tree := range map[string]map[string]string{"old": oldTree(), "new": newTree(), "newer": newerTree(), "fixed": fixedTree()} {
		writeTree(t, l.Path(name), tree)
	}
	home, _, err := l.PublishTwo(t.Context(), "shop", l.Path("old"), l.Path("new"))
	if err != nil {
		t.Fatal(err)
	}
	do("uplevel-publish", "level", "shop", "1", "--dist", l.Path("newer"), "--notes", l.Path("notes.yaml"))
	l.Set("UPLEVEL_LEVEL", "1") // where an operation names no level
	l.Set("LAB", l.Dir)
	do("uplevel-publish", "hotfix", "shop", "1", "--for", "Lab", "--level", "0",
		"--dist", l.Path("fixed"), "--notes", l.Path("notes.yaml"), "--out", l.Path("hotfixes"))
	do("uplevel", "--dir", home, "create-update", "--end-level", "1")
	for _, version := range []string{"7.0", "8.0"} {
		s.build(t, "../..", l.Path("tool-"+version, "uplevel-"+runtime.GOOS+"-"+runtime.GOARCH), "-X main.version="+version, "./cmd/uplevel")
	}
	// The tool that is swept is the newest: none but self-update renews it.
	do("cp", l.Path("tool-8.0", "uplevel-"+runtime.GOOS+"-"+runtime.GOARCH), l.Path("bin", "uplevel"))
	do("uplevel-publish", "tools", "--from", l.Path("tool-8.0"), "--publish")
}

func (s *sweeper) build(t *testing.T, root, file, flags, pkg string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w "+flags, "-o", file, pkg)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// begin makes the home that an operation starts from, unmounted, and what "old" means.
func (s *sweeper) begin(t *testing.T, op operation, p place) (*house, map[string]string) {
	t.Helper()
	h, err := newHouse(s.dir, s.name(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.close(); err != nil {
			t.Error(err)
		}
	})
	if err := h.furnish(s.lab.Path("shop-home")); err != nil {
		t.Fatal(err)
	}
	if err := writeFiles(h.home(), operatorsOwn()); err != nil {
		t.Fatal(err)
	}
	pristine := s.snapshot(t, h)
	for _, st := range op.before {
		s.step(t, h, st)
	}
	before := s.snapshot(t, h)
	if op.either { // an open commit is never the old state: its old is the pack's
		before = pristine
	}
	if err := h.rest(); err != nil {
		t.Fatal(err)
	}
	return h, before
}

func (s *sweeper) name() string { return fmt.Sprintf("h%d", s.houses.Add(1)) }

func (s *sweeper) snapshot(t *testing.T, h *house) map[string]string {
	t.Helper()
	seen, err := snapshot(h)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// step runs a line in a home.
func (s *sweeper) step(t *testing.T, h *house, st step) {
	t.Helper()
	if r, err := s.lab.Do(t.Context(), h.home(), "sh", "-c", h.exports()+st.line); r.Exit != st.exit {
		t.Fatalf("%s: exit %d: %v", st.line, r.Exit, err)
	}
}

// subject is an operation in one place, with what is known of it.
type subject struct {
	verdict

	from  *house         // before it, unmounted
	calls map[string]int // that an undisturbed run makes
	rand  *rand.Rand
	mu    sync.Mutex
}

// subject runs an operation undisturbed, judges that, and counts its calls.
func (s *sweeper) subject(t *testing.T, op operation, p place) *subject {
	t.Helper()
	from, before := s.begin(t, op, p)
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(op.name + p.String()))
	u := &subject{verdict: verdict{op: op, before: before}, from: from, rand: rand.New(rand.NewPCG(s.seed, sum.Sum64()))}
	s.in(t, u.from, func(h *house) {
		r, what, err := s.disturbed(t, h, op, op.run, disturbance{})
		if err != nil || r.Exit != op.ends {
			t.Fatalf("undisturbed: exit %d, %v: %s", r.Exit, err, r.Output)
		}
		u.calls, u.after = what.Calls, s.snapshot(t, h)
		if state, wrong := u.judge(h, r); wrong != "" || (state == "old") != op.stays {
			t.Fatalf("undisturbed: %s %s", state, wrong)
		}
		t.Logf("%s: an undisturbed run makes %v", p, u.calls)
	})
	return u
}

// in does something in a clone of a house and takes it away again.
func (s *sweeper) in(t *testing.T, from *house, do func(*house)) {
	t.Helper()
	h, err := from.clone(s.name())
	if err != nil {
		t.Error(err)
		return
	}
	defer func() {
		if err := h.close(); err != nil {
			t.Error(err)
		}
	}()
	do(h)
}

// point runs the operation disturbed, then recovers and judges.
func (s *sweeper) point(t *testing.T, u *subject, d disturbance) {
	t.Helper()
	s.in(t, u.from, func(h *house) {
		name := fmt.Sprintf("%s on %s: %s", u.op.name, h.place, d)
		r, what, err := s.disturbed(t, h, u.op, u.op.run, d)
		if err == nil && d.loss != never {
			err = h.cut(d.loss, true)
		}
		if err != nil {
			s.bad(t, u, name, err.Error())
			return
		}
		s.tally.ran(u, d, what.Met)
		// A signal before the program listens ends it as any other (143): nothing was done.
		if d.how == "term" && r.Exit != u.op.ends && r.Exit != 130 && r.Exit != 143 {
			s.bad(t, u, name, fmt.Sprintf("exit %d, want 130, or %d for what was done already", r.Exit, u.op.ends))
		}
		s.settle(t, u, h, r, name)
	})
}

// settle has a later start recover, and judges.
func (s *sweeper) settle(t *testing.T, u *subject, h *house, r lab.Run, name string) {
	t.Helper()
	if err := s.recovered(t, h, u.op); err != nil {
		s.bad(t, u, name, err.Error())
		return
	}
	state, wrong := u.judge(h, r)
	if wrong != "" {
		s.bad(t, u, name, fmt.Sprintf("%s\n(it had ended with %d: %s)", wrong, r.Exit, strings.TrimSpace(r.Output)))
		return
	}
	s.tally.saw(u, state)
	s.afterwards(t, u, h, r, name)
}

// afterwards goes on from what a run left, as an operator would, and has the judge look at
// what comes of that.
func (s *sweeper) afterwards(t *testing.T, u *subject, h *house, r lab.Run, name string) {
	t.Helper()
	steps := u.op.then
	if r.Exit == u.op.ends {
		steps = slices.Concat(steps, u.op.kept)
	}
	if len(steps) == 0 {
		return
	}
	for _, st := range steps {
		if r, err := s.lab.Do(t.Context(), h.home(), "sh", "-c", h.exports()+st.line); r.Exit != st.exit {
			s.bad(t, u, name, fmt.Sprintf("afterwards %s: exit %d: %v", st.line, r.Exit, err))
			return
		}
	}
	report, err := fsck.Home(h.home())
	report.Customised = slices.DeleteFunc(report.Customised, func(p string) bool { return strings.HasPrefix(p, "conf/") })
	if err != nil || len(report.Findings)+len(report.Lost)+len(report.Customised) > 0 {
		s.bad(t, u, name, fmt.Sprintf("afterwards fsck finds: %v %v %v %v", err, report.Findings, report.Lost, report.Customised))
	}
}

func (s *sweeper) bad(t *testing.T, u *subject, name, what string) {
	t.Helper()
	s.tally.isBad(u)
	t.Errorf("BAD %s: %s", name, what)
}
