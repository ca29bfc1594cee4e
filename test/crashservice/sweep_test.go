// Package crashservice cuts the service and the publisher off at their state-changing system
// calls, lets others of them fail and the power go, and judges what a later start makes of
// it: the service comes up, nothing it holds is damaged, what was acknowledged is there, a
// customer gets the old level or the new, and the publisher just runs its command again. The
// judge is `upleveld check --deep` (package fsck, which shares no code with what writes),
// a customer's update and questions to the API as any client asks them.
//
// A short seeded sample runs with every test run; `make sweep` tries more, SWEEP=full all.
package crashservice

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"uplevel/test/powercut"
)

var (
	sweep = flag.Bool("sweep", false, "try many points; with SWEEP=full all")
	seed  = flag.Uint64("seed", 0, "seed of the sample; 0: by the clock, printed")
	only  = flag.String("operation", "", "only this operation")
	most  = flag.Duration("most", 0, "begin no point of an operation when its share of this time is over; 0: no limit")
)

// exhaustive are the calls at which every point is tried by a sweep, sampled those at which
// some are. Those with a question mark are not there on every machine.
func exhaustive() []string {
	return []string{"renameat", "linkat", "unlinkat", "?unlink", "mkdirat", "fsync", "fdatasync", "ftruncate", "fchmod"}
}

func sampled() []string { return []string{"pwrite64", "write", "openat", "?open"} }

// failures are the errors that calls are made to return, besides being killed.
func failures() []string { return []string{"EIO", "ENOSPC", "EDQUOT", "EACCES", "EROFS", "EINTR"} }

// cut is a power cut: which file system loses what.
type cut struct {
	kind powercut.Kind
	loss powercut.Loss
}

func cuts() []cut {
	return []cut{{powercut.Ext4, powercut.Flushed}, {powercut.Ext4, powercut.Unflushed}, {powercut.XFS, powercut.Flushed}, {powercut.XFS, powercut.Unflushed}}
}

// point is one disturbance of an operation: at the Nth call of one thread it is killed, or,
// with an error, that call fails. Without a call the power goes after it is done.
type point struct {
	call  string
	n     int
	error string
	cut   *cut // the power goes, too
}

func (p point) String() string {
	how := "killed"
	switch {
	case p.error != "":
		how = p.error
	case p.cut != nil:
		how = fmt.Sprintf("power cut, %s, loss %d", p.cut.kind, p.cut.loss)
	}
	if p.call == "" {
		return "done, then " + how
	}
	return fmt.Sprintf("%s #%d %s", p.call, p.n, how)
}

// options are strace's for the point.
func (p point) options() []string {
	if p.call == "" {
		return nil
	}
	what := "signal=SIGKILL"
	if p.error != "" {
		what = "error=" + p.error
	}
	return []string{"-e", "trace=" + p.call, "-e", fmt.Sprintf("inject=%s:%s:when=%d", p.call, what, p.n)}
}

// sweeper counts what was seen.
type sweeper struct {
	*world
	rand                     *rand.Rand
	tried, met, killed, cuts int
	old, new, bad            int
	left                     int // what the time was too short for
}

// TestNothingAcknowledgedIsLost is the sweep.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	need(t)
	number := *seed
	if number == 0 {
		number = uint64(time.Now().UnixNano())
	}
	s := &sweeper{world: newWorld(t), rand: rand.New(rand.NewPCG(number, 0))}
	for _, op := range operations() {
		if *only == "" || *only == op.name {
			t.Run(op.name, func(t *testing.T) { s.operation(t, op) })
		}
	}
	fmt.Printf("crash of the service: %d points tried, %d met, %d processes killed, %d power cuts, states seen: old %d, new %d, bad = %d; no time for %d (seed %d)\n",
		s.tried, s.met, s.killed, s.cuts, s.old, s.new, s.bad, s.left, number)
	if *only == "" && (s.tried < len(operations()) || s.met < s.tried/3) {
		t.Errorf("only %d points were tried, and %d of them met", s.tried, s.met)
	}
}

func need(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("strace is missing: scripts/install-deps installs it")
		}
		t.Skip("SKIPPED, and nothing was tried: strace is missing: run scripts/install-deps")
	}
	powercut.Require(t)
}

// operation tries the points of an operation.
func (sw *sweeper) operation(t *testing.T, op operation) {
	began, share := time.Now(), *most/time.Duration(len(operations()))
	points := sw.points(sw.count(t, op))
	for i, p := range points {
		if *most > 0 && time.Since(began) > share {
			sw.left += len(points) - i
			return
		}
		sw.point(t, op, p)
	}
}

// count returns how often a thread calls what, at most, when nothing disturbs it.
func (sw *sweeper) count(t *testing.T, op operation) map[string]int {
	t.Helper()
	s := sw.fresh(t, "", op.empty)
	defer s.remove(t)
	calls := append(exhaustive(), sampled()...)
	r, trace := sw.disturbed(t, s, op, []string{"-e", "trace=" + strings.Join(calls, ",")})
	if r.exit != 0 {
		t.Fatalf("undisturbed: exit %d: %s%s", r.exit, r.out, r.err)
	}
	byThread, most := map[string]int{}, map[string]int{}
	for line := range strings.Lines(trace) {
		head, _, is := strings.Cut(line, "(")
		fields := strings.Fields(head)
		if !is || len(fields) != 2 {
			continue
		}
		byThread[head]++
		most[fields[1]] = max(most[fields[1]], byThread[head])
	}
	return most
}

// points chooses among all points of an operation, by how much is to be tried.
func (sw *sweeper) points(most map[string]int) (all []point) {
	full := os.Getenv("SWEEP") == "full"
	for _, call := range append(exhaustive(), sampled()...) {
		n := most[strings.TrimPrefix(call, "?")]
		limit := n
		if !full && slices.Contains(sampled(), call) {
			limit = min(n, 4)
		}
		for _, i := range sw.rand.Perm(n)[:limit] {
			all = append(all, sw.ways(point{call: call, n: i + 1}, full)...)
		}
	}
	// In any order: what the time is too short for is a fair sample then.
	sw.rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if !*sweep {
		all = all[:min(len(all), 1)]
	}
	done := cuts() // after what was acknowledged
	if !*sweep {
		i := sw.rand.IntN(len(done))
		done = done[i : i+sw.rand.IntN(2)]
	}
	for _, c := range done {
		all = append([]point{{cut: &c}}, all...)
	}
	return all
}

// ways are the disturbances at one call: a kill or a cut, and an error; of a full sweep all.
func (sw *sweeper) ways(at point, full bool) (ways []point) {
	kill := at
	if c := sw.rand.IntN(2 * len(cuts())); c < len(cuts()) && !full {
		kill.cut = &cuts()[c]
	}
	ways = append(ways, kill)
	errors := failures()
	if !full {
		i := sw.rand.IntN(len(errors))
		errors = errors[i : i+1]
	}
	for _, e := range errors {
		at.error = e
		ways = append(ways, at)
	}
	at.error = ""
	if full {
		for _, c := range cuts() {
			at.cut = &c
			ways = append(ways, at)
		}
	}
	return ways
}

// point disturbs an operation once, and judges.
func (sw *sweeper) point(t *testing.T, op operation, p point) {
	t.Helper()
	kind := powercut.Kind("")
	if p.cut != nil {
		kind = p.cut.kind
	}
	s := sw.fresh(t, kind, op.empty)
	defer s.remove(t)
	r, trace := sw.disturbed(t, s, op, p.options())
	sw.tried++
	dead := strings.Contains(trace, "killed by SIGKILL")
	if dead || p.call == "" || strings.Contains(trace, "(INJECTED)") {
		sw.met++
	}
	if dead && p.error == "" {
		sw.killed++
	}
	switch {
	case p.cut != nil:
		s.kill()
		if err := s.disk.Cut(p.cut.loss); err != nil {
			t.Fatal(err)
		}
		sw.cuts++
	case !op.serves && s.service != nil && !s.service.over() && sw.rand.IntN(2) == 0:
		r = sw.atOnce(t, s, op, p, r)
	}
	said := ""
	if s.service != nil {
		said = s.service.log.String()
	}
	s.kill()
	sw.judge(t, s, op, p, r, said)
}

// atOnce runs the same command again on the very service that met the failure. When it ends
// well, that is what was acknowledged.
func (sw *sweeper) atOnce(t *testing.T, s *site, op operation, p point, r ran) ran {
	t.Helper()
	again := s.run(t.Context(), op.run(s)...)
	if again.exit != 0 && !op.twice(again) {
		sw.fail(t, op, p, "%s, exit %d; the service that met it goes on and refuses the same command: exit %d: %s\n%s", r.err, r.exit, again.exit, again.err, s.service.log)
		return r
	}
	if r.exit == 0 {
		return r
	}
	return again
}

// disturbed runs an operation under strace with these options, and returns how it ended and
// what strace saw. When the service dies of it, the command is cut off, too.
func (sw *sweeper) disturbed(t *testing.T, s *site, op operation, options []string) (ran, string) {
	t.Helper()
	traced := append([]string{"strace", "-f", "-o", s.path("trace")}, options...)
	switch {
	case op.serves:
		up, err := s.begin(append(traced, absolute(s, op.run(s))...)...)
		if err != nil {
			t.Fatalf("%s: %v", op.name, err)
		}
		if up {
			if err := s.service.signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
		r := ran{exit: s.service.cmd.ProcessState.ExitCode(), err: s.service.log.String()}
		if up && !op.empty {
			r.exit = 0 // it served
		}
		return r, read(t, s.path("trace"))
	case op.own:
		s.start(t)
		if op.before != nil {
			ok(t, op.before(s))
		}
		r := s.run(t.Context(), append(traced, absolute(s, op.run(s))...)...)
		return r, read(t, s.path("trace"))
	}
	s.start(t)
	if len(options) == 0 {
		return s.run(t.Context(), op.run(s)...), ""
	}
	tr := s.attach(t, options)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	over := s.service.ended
	done := make(chan ran)
	go func() { done <- s.run(ctx, op.run(s)...) }()
	select {
	case r := <-done:
		return r, tr.detach(t)
	case <-over:
		stop()
		return <-done, tr.detach(t)
	}
}

// absolute is a command line with the program's own path: strace finds no other.
func absolute(s *site, args []string) []string {
	return append([]string{s.Path("bin", args[0])}, args[1:]...)
}

func (sw *sweeper) fail(t *testing.T, op operation, p point, format string, args ...any) {
	t.Helper()
	sw.bad++
	t.Errorf("%s, %s: %s", op.name, p, fmt.Sprintf(format, args...))
}
