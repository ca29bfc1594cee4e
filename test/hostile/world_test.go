package hostile

import (
	"context"
	"crypto/sha256"
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
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"uplevel/internal/problem"
	"uplevel/test/lab"
)

var (
	sweep = flag.Bool("sweep", false, "also what takes gigabytes or minutes")
	seed  = flag.Int("seed", rand.IntN(1000), "which doors the short form takes each case to")
)

// The most that anything hostile may take.
const (
	toolMemory    = 64 << 10  // KiB
	publishMemory = 512 << 10 // KiB
	serviceMemory = 256 << 10 // KiB
	patience      = time.Minute
)

// world is a service with a product of two levels, and a folder in which everything
// hostile happens: homes, what lies around them, and the user's own folders.
type world struct {
	*lab.Lab
	t    *testing.T
	pack string
	area string
	seed int
	sums map[touched][sha256.Size]byte
	*tally
}

// tally is what came to each door, and what it cost.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
	peak   map[string]int64
}

// in is the world for a subtest.
func (w *world) in(t *testing.T) *world {
	t.Helper()
	return &world{w.Lab, t, w.pack, w.area, w.seed, w.sums, w.tally}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.New(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Lab: l, t: t, area: l.Path("area"), seed: *seed, sums: map[touched][sha256.Size]byte{}, tally: &tally{counts: map[string]int{}, peak: map[string]int64{}}}
	t.Cleanup(w.close)
	t.Logf("-seed %d", w.seed)
	for level := range 2 {
		w.write(l.Path("dist", fmt.Sprint(level), "bin/run"), fmt.Sprintf("run %d", level))
		w.write(l.Path("dist", fmt.Sprint(level), "lib/big.jar"), strings.Repeat(fmt.Sprintf("jar %d ", level), 1000))
		w.write(l.Path("dist", fmt.Sprint(level), "LICENSE"), "free")
	}
	if w.pack, _, err = l.PublishTwo(t.Context(), "shop", l.Path("dist/0"), l.Path("dist/1")); err != nil {
		t.Fatal(err)
	}
	w.must("uplevel-publish", "product", "add", "anywhere", "1", "--dist", l.Path("dist/0"))
	for _, dir := range []string{"tmp", "person", "outside"} {
		w.write(filepath.Join(w.area, dir, "canary"), "sings")
	}
	w.write(filepath.Join(w.area, "canary"), "sings")
	l.Set("TMPDIR", filepath.Join(w.area, "tmp"))
	l.Set("HOME", filepath.Join(w.area, "person"))
	l.Set("XDG_CACHE_HOME", l.Path("cache"))
	return w
}

// TestEveryDoor carries everything hostile to every door, of one world: building the
// programs costs more than most of it.
func TestEveryDoor(t *testing.T) {
	w := newWorld(t)
	for _, door := range []struct {
		name string
		try  func(*world)
	}{
		{"zips to the tool", (*world).zipsToTool},
		{"zips to the publisher", (*world).zipsToPublisher},
		{"trees to the publisher", (*world).treesToPublisher},
		{"texts to the publisher", (*world).textsToPublisher},
		{"uploads to the service", (*world).uploads},
		{"thousands of uploads", (*world).thousands},
		{"what is dear, at once", (*world).atOnce},
		{"what is asked and not read", (*world).notRead},
		{"pipes where zips are wanted", (*world).pipes},
		{"files of a home", (*world).filesOfHome},
		{"archives that both changed", (*world).archives},
		{"hotfixes with good signatures", (*world).signed},
		{"genuine zips, changed", (*world).genuine},
		{"decisions that are none", (*world).finals},
		{"what another tool left", (*world).takenOver},
	} {
		if !t.Run(door.name, func(t *testing.T) { door.try(w.in(t)) }) {
			t.Logf("%s: failed", door.name)
		}
	}
}

func (w *world) close() {
	for _, door := range slices.Sorted(maps.Keys(w.counts)) {
		w.t.Logf("door %-28s %4d cases, peak %d KiB", door, w.counts[door], w.peak[door])
	}
	kb := w.ServicePeak()
	w.t.Logf("service: peak %d KiB", kb)
	if kb > serviceMemory {
		w.t.Errorf("the service held %d KiB, the limit is %d", kb, serviceMemory)
	}
	if err := w.Close(); err != nil {
		w.t.Error(err)
	}
}

func (w *world) write(name, content string) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) must(name string, args ...string) string {
	w.t.Helper()
	r, err := w.Do(w.t.Context(), w.Dir, name, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return r.Output
}

// home unpacks a home into the area.
func (w *world) home(name string) string {
	w.t.Helper()
	home := filepath.Join(w.area, name)
	if err := os.MkdirAll(home, 0o755); err != nil {
		w.t.Fatal(err)
	}
	if out, err := exec.CommandContext(w.t.Context(), "cp", "-a", w.pack+"/.", home).CombinedOutput(); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
	return home
}

// snapshot is everything in the area: paths, modes, owners, times, links and contents. Of
// a home the tool's own notes are left out: log, metadata it believed, lock, caches.
func (w *world) snapshot() map[string]string {
	w.t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(w.area, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(w.area, p)
		for _, own := range []string{"updates/logs", "updates/trust", "updates/lock", "updates/scan-cache", "updates/organisation", "updates/cache", "updates/reports"} {
			if rel == own || strings.HasSuffix(rel, "/"+own) {
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
		}
		all[rel] = w.look(p, rel)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, absolute := range []string{"/etc/uplevel-canary", "/x", "/server"} {
		if _, err := os.Lstat(absolute); err == nil {
			all[absolute] = "there"
		}
	}
	return all
}

func (w *world) look(p, rel string) string {
	w.t.Helper()
	info, err := os.Lstat(p)
	if err != nil {
		w.t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	text := fmt.Sprint(info.Mode(), st.Uid, st.Gid)
	switch {
	case info.Mode().IsRegular():
		text += fmt.Sprintf(" %d %x", info.ModTime().UnixNano(), w.sum(p, st))
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(p)
		text += fmt.Sprint(" ", target, err)
	case info.IsDir() && filepath.Base(rel) != "updates" && rel != "." && rel != "tmp":
		text += fmt.Sprint(" ", info.ModTime().UnixNano())
	}
	return text
}

// sum is the digest of a file. That of a large one is kept for as long as the kernel says that
// nobody touched it: a program sets any time but that.
func (w *world) sum(p string, st *syscall.Stat_t) [sha256.Size]byte {
	w.t.Helper()
	now := touched{st.Dev, st.Ino, st.Size, st.Ctim}
	if known, ok := w.sums[now]; ok {
		return known
	}
	data, err := os.ReadFile(p)
	if err != nil {
		w.t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	if st.Size > large {
		w.sums[now] = sum
	}
	return sum
}

// large is from how many bytes on a digest is kept.
const large = 1 << 20

// touched is what is another one after every change of a file.
type touched struct {
	dev, inode uint64
	size       int64
	changed    syscall.Timespec
}

// attempt is one way through a door: a program with its arguments, and how it must end.
type attempt struct {
	door, what string
	dir        string
	program    string
	args       []string
	exits      []problem.Kind // one of them; 0 is for what is harmless
	words      []string
	memory     int64  // KiB
	may        string // change: what begins with this, below the area
}

// try carries something hostile to a door: it must be refused with words, in bounded
// memory and time, and nothing may be touched.
func (w *world) try(a attempt) lab.Run {
	w.t.Helper()
	before := w.snapshot()
	r := w.run(a)
	after := w.snapshot()
	if a.may != "" {
		own := func(p, _ string) bool { return strings.HasPrefix(p, a.may) }
		maps.DeleteFunc(before, own)
		maps.DeleteFunc(after, own)
	}
	if !maps.Equal(before, after) {
		w.t.Errorf("%s: %s: something was touched:\n%s\n%s", a.door, a.what, changed(before, after), r.Output)
	}
	return r
}

// run does so without looking at what was touched.
func (w *world) run(a attempt) lab.Run {
	w.t.Helper()
	ctx, stop := context.WithTimeout(w.t.Context(), patience)
	defer stop()
	r, _ := w.Do(ctx, a.dir, a.program, a.args...)
	w.mu.Lock()
	w.counts[a.door]++
	w.peak[a.door] = max(w.peak[a.door], r.PeakKB)
	w.mu.Unlock()
	say := func(format string, args ...any) {
		w.t.Helper()
		w.t.Errorf("%s: %s: %s: exit %d\n%.2000s", a.door, a.what, fmt.Sprintf(format, args...), r.Exit, r.Output)
	}
	if ctx.Err() != nil {
		say("took longer than %s", patience)
	}
	if !slices.Contains(a.exits, problem.Kind(r.Exit)) {
		say("want exit %d", a.exits)
	}
	if r.PeakKB > a.memory {
		say("it held %d KiB, the limit is %d", r.PeakKB, a.memory)
	}
	if strings.Contains(r.Output, "panic: ") || strings.Contains(r.Output, "goroutine ") {
		say("it panicked")
	}
	if at := raw(r.Output); at >= 0 {
		say("control characters reach the terminal: %q", r.Output[max(0, at-40):min(len(r.Output), at+40)])
	}
	if r.Exit != 0 {
		for _, words := range a.words {
			if !strings.Contains(r.Output, words) {
				say("it does not say %q", words)
			}
		}
	}
	return r
}

// raw returns where a text holds what a terminal obeys, or -1.
func raw(text string) int {
	for i, c := range text {
		if c == utf8.RuneError || unicode.IsControl(c) && c != '\n' || unicode.Is(unicode.Bidi_Control, c) {
			return i
		}
	}
	return -1
}

func changed(before, after map[string]string) string {
	var b strings.Builder
	for _, p := range slices.Sorted(maps.Keys(before)) {
		if after[p] != before[p] {
			fmt.Fprintf(&b, "- %.200q %s\n", p, before[p])
		}
	}
	for _, p := range slices.Sorted(maps.Keys(after)) {
		if after[p] != before[p] {
			fmt.Fprintf(&b, "+ %.200q %s\n", p, after[p])
		}
	}
	return b.String()
}
