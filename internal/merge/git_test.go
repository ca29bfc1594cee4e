package merge

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// writer makes up texts as operators and vendors write them, with many lines that repeat.
type writer struct{ *rand.Rand }

func (w writer) pick(of ...string) string { return of[w.IntN(len(of))] }

func (w writer) line() string {
	switch w.IntN(10) {
	case 0, 1:
		return ""
	case 2:
		return w.pick("}", "  }", "]", "end")
	case 3:
		return w.pick("{", "  {", "server {", "  location / {", "[section]")
	case 4:
		return w.pick("# comment", "# ----", "#", "# see the manual")
	case 5:
		return fmt.Sprintf("  - item%d", w.IntN(4))
	}
	return fmt.Sprintf("%s = %d", w.pick("port", "host", "timeout", "level", "path", "user"), w.IntN(30))
}

func (w writer) text(lines int) []string {
	var out []string
	for len(out) < lines {
		if len(out) > 6 && w.IntN(8) == 0 { // a block that looks like an earlier one
			at := w.IntN(len(out) - 5)
			out = append(out, out[at:at+2+w.IntN(4)]...)
			continue
		}
		out = append(out, w.line())
	}
	return out
}

// edit returns the text after some inserts, deletes, changes, copies and moves.
func (w writer) edit(text []string, edits int) []string {
	out := slices.Clone(text)
	for range edits {
		at := w.IntN(len(out) + 1)
		n := min(1+w.IntN(3), len(out)-at)
		to := w.IntN(len(out) - n + 1)
		switch part := slices.Clone(out[at : at+n]); w.IntN(5) {
		case 0:
			out = slices.Insert(out, at, w.text(1+w.IntN(3))...)
		case 1:
			out = slices.Delete(out, at, at+n)
		case 2:
			out = slices.Replace(out, at, at+n, w.text(n)...)
		case 3:
			out = slices.Insert(out, to, part...)
		case 4:
			out = slices.Insert(slices.Delete(out, at, at+n), to, part...)
		}
	}
	return out
}

// bytes ends the lines, the last one mostly.
func (w writer) bytes(text []string) string {
	s := strings.Join(text, "\n")
	if len(text) > 0 && w.IntN(12) > 0 {
		s += "\n"
	}
	return s
}

// triple makes up three sides; now and then both make some of the same changes.
func (w writer) triple() (base, mine, theirs string) {
	b := w.text(w.IntN(1 + w.IntN(1+w.IntN(400))))
	edits := 1 + len(b)/40
	if w.IntN(10) == 0 {
		edits = 1 + len(b)/3
	}
	start := b
	if w.IntN(4) == 0 {
		start = w.edit(b, 1+w.IntN(3))
	}
	return w.bytes(b), w.bytes(w.edit(start, w.IntN(1+edits))), w.bytes(w.edit(start, w.IntN(1+edits)))
}

// numbers are lines of few different kinds, none of which stands out.
func (w writer) numbers(lines int) []string {
	var out []string
	for range lines {
		out = append(out, strconv.Itoa(w.IntN(40)))
	}
	return out
}

// scatter changes or deletes single lines.
func (w writer) scatter(text []string, changes int) []string {
	out := slices.Clone(text)
	for range changes {
		at := w.IntN(len(out))
		out[at] = w.numbers(1)[0]
		if w.IntN(2) == 0 {
			out = slices.Delete(out, at, at+1)
		}
	}
	return out
}

// crowded is a triple with so many differences that git's search gives up the shortest
// way.
func (w writer) crowded() (base, mine, theirs string) {
	b := w.numbers(1_500 + w.IntN(2_500))
	half := len(b) / 2
	mine = w.bytes(append(w.scatter(b[:half], 50+w.IntN(400)), b[half:]...))
	return w.bytes(b), mine, w.bytes(append(slices.Clone(b[:half]), w.scatter(b[half:], 50+w.IntN(400))...))
}

// lopsided is a triple where mine is written anew at one end and has changes far apart in
// the rest, and so long that git's search goes on early from a run of equal lines.
func (w writer) lopsided() (base, mine, theirs string) {
	b := w.numbers(36_000 + w.IntN(4_000))
	anew := 400 + w.IntN(400)
	m := w.numbers(anew)
	for rest := b[anew:]; len(rest) > 0; {
		n := min(30+w.IntN(50), len(rest))
		m = append(append(m, rest[:n-1]...), w.numbers(1)...)
		rest = rest[n:]
	}
	t := w.scatter(b, 1+w.IntN(3))
	if w.IntN(2) == 0 {
		slices.Reverse(b)
		slices.Reverse(m)
		slices.Reverse(t)
	}
	return w.bytes(b), w.bytes(m), w.bytes(t)
}

// judge is git merge-file in a folder of its own.
type judge struct{ git, dir string }

func newJudge(t *testing.T) judge {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal("git is what this test compares with:", err)
	}
	return judge{git, t.TempDir()}
}

// merge returns git's merge, and how many conflicts it has.
func (j judge) merge(side, base, mine, theirs string) (string, int, error) {
	paths := []string{filepath.Join(j.dir, "mine"), filepath.Join(j.dir, "base"), filepath.Join(j.dir, "theirs")}
	for i, text := range []string{mine, base, theirs} {
		if err := os.WriteFile(paths[i], []byte(text), 0o600); err != nil {
			return "", 0, err
		}
	}
	args := append([]string{"merge-file", "-p", "-q"}, paths...)
	if side != "" {
		args = slices.Insert(args, 1, side)
	}
	cmd := exec.Command(j.git, args...)
	cmd.Dir = j.dir
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 && exit.ExitCode() < 128 {
		return string(out), exit.ExitCode(), nil
	}
	return string(out), 0, err
}

// tally counts what came of the triples.
type tally struct{ clean, conflicts, large, differ atomic.Int64 }

// compare merges one triple in both ways. With conflicts, the texts with one side's lines
// at each of them must be git's, too.
func (j judge) compare(n *tally, base, mine, theirs string) error {
	got, err := lines(base, mine, theirs)
	if errors.Is(err, ErrWhole) {
		n.large.Add(1)
		return nil
	} else if err != nil {
		return err
	}
	want, conflicts, err := j.merge("", base, mine, theirs)
	if err != nil {
		return err
	}
	if (conflicts > 0) != (len(got.conflicts) > 0) {
		return fmt.Errorf("git has %d conflicts, we %d", conflicts, len(got.conflicts))
	}
	if conflicts == 0 {
		n.clean.Add(1)
		return equal("the merge", got.mine, want)
	}
	n.conflicts.Add(1)
	for side, text := range map[string]string{"--ours": got.mine, "--theirs": got.theirs} {
		if want, _, err = j.merge(side, base, mine, theirs); err != nil {
			return err
		}
		if err = equal("the merge with "+side, text, want); err != nil {
			return err
		}
	}
	return nil
}

func equal(what, got, want string) error {
	if got != want {
		return fmt.Errorf("%s is not git's\n got %q\nwant %q", what, got, want)
	}
	return nil
}

// agree compares many triples; UPLEVEL_MERGE_SEED and UPLEVEL_MERGE_TRIPLES choose others.
func agree(t *testing.T, triples int, triple func(writer) (base, mine, theirs string)) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s, err := strconv.ParseUint(os.Getenv("UPLEVEL_MERGE_SEED"), 10, 64); err == nil {
		seed = s
	}
	if n, err := strconv.Atoi(os.Getenv("UPLEVEL_MERGE_TRIPLES")); err == nil {
		triples = n
	}
	t.Logf("UPLEVEL_MERGE_SEED=%d", seed)
	var n tally
	var next atomic.Uint64
	var workers sync.WaitGroup
	for range 2 * runtime.NumCPU() {
		j := newJudge(t)
		workers.Go(func() {
			for i := next.Add(1); i <= uint64(triples); i = next.Add(1) {
				base, mine, theirs := triple(writer{rand.New(rand.NewPCG(seed, i))})
				if err := j.compare(&n, base, mine, theirs); err != nil && n.differ.Add(1) <= 3 {
					t.Errorf("triple %d: %v\nbase   %.2000q\nmine   %.2000q\ntheirs %.2000q", i, err, base, mine, theirs)
				}
			}
		})
	}
	workers.Wait()
	t.Logf("clean: %d; with conflicts: %d; beyond the bounds: %d; not as git: %d",
		n.clean.Load(), n.conflicts.Load(), n.large.Load(), n.differ.Load())
	if n.clean.Load() < int64(triples)/10 {
		t.Error("too few of them merge cleanly")
	}
}

func TestAgreesWithGit(t *testing.T) {
	t.Parallel()
	agree(t, 3_000, writer.triple)
}

func TestAgreesWithGitOnManyDifferences(t *testing.T) {
	t.Parallel()
	agree(t, 100, writer.crowded)
}

func TestAgreesWithGitOnALopsidedText(t *testing.T) {
	t.Parallel()
	agree(t, 30, writer.lopsided)
}
