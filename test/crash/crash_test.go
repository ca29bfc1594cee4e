// Package crash cuts the update tool off at its state-changing system calls, lets
// others of them fail, and judges what a later start makes of it: wholly the old level
// or wholly the new, the operator's files as they were. The judge is package fsck,
// which shares no code with the installer, and a plain comparison of trees.
//
// A short seeded sample runs with every test run; `make sweep` tries every point.
package crash

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"uplevel/internal/fsck"
	"uplevel/test/lab"
)

var (
	sweep = flag.Bool("sweep", false, "try every point")
	seed  = flag.Uint64("seed", 0, "seed of the sample; 0: by the clock, printed")
	only  = flag.String("operation", "", "only this operation")
)

// exhaustive are the calls at which every point is tried, sampled those at which some are.
func exhaustive() []string {
	return []string{"renameat", "linkat", "unlinkat", "mkdirat", "fsync", "syncfs", "symlinkat", "fchmod", "fchmodat", "ftruncate"}
}

func sampled() []string { return []string{"write", "openat"} }

// failures are the errors that calls are made to return, besides being killed.
func failures() []string { return []string{"EIO", "ENOSPC", "EACCES", "EROFS"} }

// terminate asks the tool to end, as Ctrl-C and a service manager do.
const terminate = "signal=SIGTERM"

// operation is one thing an operator does, with how the home is brought before it.
type operation struct {
	name   string
	before []step // on a fresh pack
	run    []string
	ends   int  // its exit code when nothing is in its way
	stays  bool // ends at the old level
	waits  bool // leaves a change that waits, with its side files
	either bool // may end at either: a recovery that cannot go forward goes back
}

type step struct {
	exit int
	line string // for the shell, in the home
}

func operations() []operation {
	return []operation{
		{name: "update", run: []string{"update", "--on-conflict", "mine"}},
		{name: "prepare", run: []string{"prepare", "--on-conflict", "mine"}, stays: true},
		{name: "conflict", run: []string{"update"}, ends: 3, waits: true},
		{name: "apply", before: []step{{0, "uplevel prepare --on-conflict mine"}}, run: []string{"apply"}},
		{name: "revert", before: []step{{0, "uplevel update --on-conflict mine"}}, run: []string{"revert"}},
		{name: "continue", before: []step{{3, "uplevel update"}, {0, "echo both > conf/conflict.txt.final"}}, run: []string{"--continue"}},
		{name: "apply-hotfix", run: []string{"apply-hotfix", "../hotfixes/shop-1-Lab-hf1.zip", "--for", "Lab"}},
		{name: "hotfix conflict", before: []step{{0, "echo mine > conf/a.properties"}}, run: []string{"apply-hotfix", "../hotfixes/shop-1-Lab-hf1.zip", "--for", "Lab"}, ends: 3, waits: true},
		{name: "revert-hotfix", before: []step{{0, "uplevel apply-hotfix ../hotfixes/shop-1-Lab-hf1.zip --for Lab"}}, run: []string{"revert-hotfix"}},
		{name: "merge", before: []step{{0, edited}}, run: []string{"update", "--on-conflict", "mine"}},
		{name: "merged conflict", before: []step{{0, edited}, {3, "uplevel update"}, {0, "uplevel resolve conf/conflict.txt --theirs"}}, run: []string{"--continue"}},
		{name: "revert far", before: []step{
			{0, edited},
			{0, "uplevel update --on-conflict mine"},
			{0, "uplevel update --on-conflict mine --level 2"},
			{0, "printf '\nlater=1\n' >> conf/a.properties"},
		}, run: []string{"revert", "--to", "0"}},
		{name: "recover", before: []step{{-1, cutMidway}}, run: []string{"recover"}, either: true},
	}
}

// edited makes a change that merges with the vendor's, in a file that level 2 renames.
const edited = "printf '\nmine=1\n' >> conf/a.properties"

// cutMidway leaves a commit open: the update is killed at its twelfth rename behind the
// commit point. strace counts by thread, so that a run may pass it unharmed.
const cutMidway = "strace -f -qq -o /dev/null -e trace=renameat -e inject=renameat:signal=SIGKILL:when=12 uplevel update --on-conflict mine || true; test -e updates/COMMITTING"

// TestNothingIsEverHalfDone is the sweep.
func TestNothingIsEverHalfDone(t *testing.T) {
	needStrace(t)
	s := newSweep(t)
	for _, op := range operations() {
		if *only == "" || *only == op.name {
			t.Run(op.name, func(t *testing.T) { s.operation(t, op) })
		}
	}
	fmt.Printf("crash: %d points tried, %d runs killed, states seen: old %d, new %d, bad = %d (seed %d)\n", s.tried, s.killed, s.old, s.new, s.bad, s.seed)
	if s.tried < 30 && *only == "" {
		t.Errorf("only %d points were tried", s.tried)
	}
}

func needStrace(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("strace is missing: scripts/install-deps installs it")
		}
		t.Skip("SKIPPED, and nothing was tried: strace is missing: run scripts/install-deps")
	}
}

type sweeper struct {
	lab             *lab.Lab
	pack            string
	rand            *rand.Rand
	seed            uint64
	tried, old, new int
	bad             int
	killed          int // runs that a kill really ended
}

// killed reports whether a run under strace was ended by the kill that was asked for:
// strace counts calls by thread, so that some points lie beyond the last call.
func killed(r lab.Run) bool { return r.Exit == -1 || r.Exit == 128+int(syscall.SIGKILL) }

func newSweep(t *testing.T) *sweeper {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.New(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	writeTree(t, l.Path("old"), oldTree())
	writeTree(t, l.Path("new"), newTree())
	home, _, err := l.PublishTwo(t.Context(), "shop", l.Path("old"), l.Path("new"))
	if err != nil {
		t.Fatal(err)
	}
	writeTree(t, l.Path("newer"), newerTree())
	if _, err := l.Do(t.Context(), l.Dir, "uplevel-publish", "level", "shop", "1", "--dist", l.Path("newer"), "--notes", l.Path("notes.yaml")); err != nil {
		t.Fatal(err)
	}
	l.Set("UPLEVEL_LEVEL", "1") // where an operation names no level
	writeTree(t, l.Path("fixed"), fixedTree())
	if _, err := l.Do(t.Context(), l.Dir, "uplevel-publish", "hotfix", "shop", "1", "--for", "Lab", "--level", "0",
		"--dist", l.Path("fixed"), "--notes", l.Path("notes.yaml"), "--out", l.Path("hotfixes")); err != nil {
		t.Fatal(err)
	}
	s := &sweeper{lab: l, pack: home, seed: *seed}
	if s.seed == 0 {
		s.seed = uint64(time.Now().UnixNano())
	}
	s.rand = rand.New(rand.NewPCG(s.seed, 0))
	// Downloads are there before: the sweep is about the disk.
	s.lab.Set("UPLEVEL_CACHE", l.Path("cache"))
	// strace counts by thread: the fewer there are, the more points are really met.
	s.lab.Set("GOMAXPROCS", "1")
	warm := s.fresh(t, operation{name: "warm"})
	s.shell(t, warm, 0, "uplevel update --on-conflict mine")
	return s
}

func oldTree() map[string]string {
	return map[string]string{
		"bin/start": "start 0", "bin/stop": "stop", "conf/a.properties": "a=0", "conf/conflict.txt": "vendor 0", "conf/mine.txt": "vendor",
		"lib/x-1.jar": "x1", "lib/same.jar": "same", "lib/gone/deep/file": "deep", "turns": "a file", "LICENSE": "free", "leer/größe.txt": "0",
	}
}

func newTree() map[string]string {
	return map[string]string{
		"bin/start": "start 1", "bin/stop": "stop", "conf/a.properties": "a=1", "conf/conflict.txt": "vendor 1", "conf/mine.txt": "vendor",
		"lib/x-2.jar": "x2", "lib/same.jar": "same", "fresh/deep/one": "1", "fresh/two": "2", "turns/into": "a folder", "LICENSE": "free", "leer/größe.txt": "1",
	}
}

// newerTree is level 2.
func newerTree() map[string]string {
	newer := newTree()
	delete(newer, "conf/a.properties")
	delete(newer, "fresh/two")
	newer["etc/a.properties"], newer["bin/start"], newer["fresh/three"] = "a=1\nb=2", "start 2", "3"
	return newer
}

// fixedTree is the old one under a hotfix.
func fixedTree() map[string]string {
	fixed := oldTree()
	fixed["bin/start"], fixed["conf/a.properties"], fixed["turns"], fixed["hot/deep/one"] = "start fixed", "a=fixed", "a fixed file", "1"
	delete(fixed, "lib/gone/deep/file")
	return fixed
}

// writeTree writes a build; bin/stop changes its mode from one to the next.
func writeTree(t *testing.T, dir string, tree map[string]string) {
	t.Helper()
	for p, content := range tree {
		full := filepath.Join(dir, p)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, isNew := tree["lib/x-2.jar"]; isNew {
		if err := os.Chmod(filepath.Join(dir, "bin/stop"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	target := map[bool]string{false: "bin/start", true: "lib/same.jar"}[tree["turns"] == ""]
	if err := os.Symlink(target, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
}

// fresh makes a home: the pack, the operator's own changes and files, and the steps
// that come before the operation.
func (s *sweeper) fresh(t *testing.T, op operation) string {
	t.Helper()
	home, err := os.MkdirTemp(s.lab.Dir, "home-") //nolint:usetesting // removed after each point: there are thousands
	if err != nil {
		t.Fatal(err)
	}
	s.fill(t, home, op)
	return home
}

// fill makes an empty folder the home that an operation starts from.
func (s *sweeper) fill(t *testing.T, home string, op operation) {
	t.Helper()
	const most = 20 // tries of steps that do not always succeed
	for range most {
		if s.filled(t, home, op) {
			return
		}
		entries, err := os.ReadDir(home)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if err := os.RemoveAll(filepath.Join(home, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Fatalf("%s: its beginning cannot be made in %d tries", op.name, most)
}

// filled tries to; false where a step that may fail did.
func (s *sweeper) filled(t *testing.T, home string, op operation) bool {
	t.Helper()
	if out, err := exec.Command("cp", "-a", s.pack+"/.", home).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for p, content := range map[string]string{
		"conf/mine.txt": "customised", "conf/conflict.txt": "customised too", "logs/server.log": "log", "lib/gone/foreign": "foreign",
	} {
		full := filepath.Join(home, p)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, st := range op.before {
		r, err := s.lab.Do(t.Context(), home, "sh", "-c", st.line)
		if st.exit < 0 && r.Exit != 0 {
			return false
		}
		if r.Exit != max(st.exit, 0) {
			t.Fatalf("%s: exit %d: %v", st.line, r.Exit, err)
		}
	}
	return true
}

// shell runs a line in a home.
func (s *sweeper) shell(t *testing.T, home string, exit int, line string) {
	t.Helper()
	r, err := s.lab.Do(t.Context(), home, "sh", "-c", line)
	if r.Exit != exit {
		t.Fatalf("%s: exit %d: %v", line, r.Exit, err)
	}
}

// operation tries every point of an operation, or a sample of them.
func (s *sweeper) operation(t *testing.T, op operation) {
	before := snapshot(t, s.settled(t, op))
	whole := s.fresh(t, op)
	if r, err := s.lab.Do(t.Context(), whole, "uplevel", op.run...); r.Exit != op.ends {
		t.Fatalf("undisturbed: exit %d: %v", r.Exit, err)
	}
	after := snapshot(t, whole)
	if !op.stays {
		s.judge(t, op, whole, "undisturbed", before, after, true)
	}
	for _, call := range append(exhaustive(), sampled()...) {
		n := s.count(t, op, call)
		for _, point := range s.points(n, slices.Contains(sampled(), call)) {
			s.point(t, op, call, point, "signal=SIGKILL", before, after)
			if *sweep || s.rand.IntN(6) == 0 {
				s.point(t, op, call, point, "error="+failures()[s.rand.IntN(len(failures()))], before, after)
			}
			if *sweep || s.rand.IntN(6) == 0 {
				s.point(t, op, call, point, terminate, before, after)
			}
		}
	}
}

// settled is a home before the operation, recovered: what "old" means for it.
func (s *sweeper) settled(t *testing.T, op operation) string {
	t.Helper()
	if op.name == "recover" { // an open commit is never the old state: its old is the pack's
		return s.fresh(t, operation{})
	}
	return s.fresh(t, op)
}

// points are the points to try of n: all of them, or a few.
func (s *sweeper) points(n int, sample bool) []int {
	most := n
	switch {
	case !*sweep:
		most = min(n, 3)
	case sample:
		most = min(n, 40)
	}
	all := s.rand.Perm(n)[:most]
	slices.Sort(all)
	return all
}

// count returns how often an undisturbed run makes a call.
func (s *sweeper) count(t *testing.T, op operation, call string) int {
	t.Helper()
	home, trace := s.fresh(t, op), filepath.Join(s.lab.Dir, "trace")
	args := append([]string{"-f", "-qq", "-o", trace, "-e", "trace=" + call, s.lab.Path("bin", "uplevel")}, op.run...)
	if r, err := s.lab.Do(t.Context(), home, "strace", args...); r.Exit != op.ends {
		t.Fatal(err)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(text, []byte(call+"("))
}

// point runs the operation with one call disturbed, then recovers and judges.
func (s *sweeper) point(t *testing.T, op operation, call string, n int, how string, before, after map[string]string) {
	t.Helper()
	home := s.fresh(t, op)
	defer os.RemoveAll(home)
	name := fmt.Sprintf("%s %s #%d %s", op.name, call, n+1, how)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	inject := fmt.Sprintf("inject=%s:%s:when=%d", call, how, n+1)
	args := append([]string{"-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e", inject, s.lab.Path("bin", "uplevel")}, op.run...)
	r, _ := s.lab.Do(ctx, home, "strace", args...)
	if killed(r) {
		s.killed++
	}
	if ctx.Err() != nil {
		t.Errorf("%s: hangs", name)
		return
	}
	// A signal before the program listens ends it as any other (-1): nothing was done.
	if how == terminate && r.Exit != op.ends && r.Exit != 130 && r.Exit != -1 {
		s.fail(t, name, "exit %d, want 130, or %d for what was done already", r.Exit, op.ends)
	}
	if rec, err := s.lab.Do(t.Context(), home, "uplevel", "recover"); rec.Exit != 0 {
		s.bad++
		t.Errorf("%s: recover: %v", name, err)
		return
	}
	s.judge(t, op, home, name, before, after, op.acknowledged(r))
	if op.denied(r) && !maps.Equal(snapshot(t, home), before) {
		s.fail(t, name, "exit %d said that nothing was changed", r.Exit)
	}
	s.keepsPrepared(t, op, r, home, name)
}

// acknowledged reports whether a run promised the new level.
func (op operation) acknowledged(r lab.Run) bool {
	return r.Exit == op.ends && !op.stays && !op.either
}

// denied reports whether a run said that the product is as it was: then no later start
// may bring the change about.
func (op operation) denied(r lab.Run) bool {
	return !op.either && r.Exit != op.ends && slices.Contains([]int{1, 13, 14, 15, 16, 130}, r.Exit)
}

// keepsPrepared judges what was acknowledged as prepared: a later apply must find it.
func (s *sweeper) keepsPrepared(t *testing.T, op operation, r lab.Run, home, name string) {
	t.Helper()
	if (op.stays || op.waits) && r.Exit == op.ends && !lab.Exists(filepath.Join(home, "updates/staging/pending.json")) {
		s.fail(t, name, "what was acknowledged as prepared is gone")
	}
}

// judge compares a home with old and new; what was acknowledged must be new.
func (s *sweeper) judge(t *testing.T, op operation, home, name string, before, after map[string]string, done bool) {
	t.Helper()
	s.tried++
	now := snapshot(t, home)
	report, err := fsck.Home(home)
	isOld, isNew := maps.Equal(now, before), maps.Equal(now, after)
	switch {
	case err != nil:
		s.fail(t, name, "fsck: %v", err)
	case len(report.Lost) > 0:
		s.fail(t, name, "the way back is lost for %s", strings.Join(report.Lost, ", "))
	case len(report.Findings) > 0:
		s.fail(t, name, "fsck finds: %s", strings.Join(report.Findings, "; "))
	case isNew && !op.stays:
		s.new++
	case isOld && !done:
		s.old++
	case isOld:
		s.fail(t, name, "what was acknowledged was taken back")
	default:
		s.fail(t, name, "neither old nor new:\n%s", difference(before, after, now))
	}
}

func (s *sweeper) fail(t *testing.T, name, format string, args ...any) {
	t.Helper()
	s.bad++
	t.Errorf("%s: %s", name, fmt.Sprintf(format, args...))
}

// snapshot is every path of a home with mode and content, and the level that the state
// says; the rest of updates/ is fsck's to judge.
func snapshot(t *testing.T, home string) map[string]string {
	t.Helper()
	seen := map[string]string{}
	err := filepath.WalkDir(home, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(home, p)
		if rel == "updates" {
			return fs.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content := ""
		switch {
		case d.Type().IsRegular():
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			content = string(data)
		case d.Type()&fs.ModeSymlink != 0:
			content, _ = os.Readlink(p)
		}
		if strings.HasPrefix(rel, "bin/uplevel") {
			content = ""
		}
		seen[rel] = info.Mode().String() + " " + content
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	report, err := fsck.Home(home)
	if err != nil {
		t.Fatal(err)
	}
	seen["level"] = fmt.Sprint(report.Level, report.Hotfixes)
	return seen
}

func difference(before, after, now map[string]string) string {
	var b strings.Builder
	paths := map[string]bool{}
	for _, m := range []map[string]string{before, after, now} {
		for p := range m {
			paths[p] = true
		}
	}
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		if now[p] != before[p] || now[p] != after[p] {
			fmt.Fprintf(&b, "  %s: old %.40q, new %.40q, now %.40q\n", p, before[p], after[p], now[p])
		}
	}
	return b.String()
}
