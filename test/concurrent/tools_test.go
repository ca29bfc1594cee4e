package concurrent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writer is a command that changes a home.
type writer struct {
	name   string
	before []step
	args   []string
	ends   int
	level  int      // that it leaves
	finds  []string // what is found afterwards, and is meant so
}

func writers() []writer {
	mine := []step{{0, "uplevel update --on-conflict mine"}}
	conflict := []step{{3, "uplevel update"}}
	hotfix := "../shop-1-Lab-hf1.zip"
	return []writer{
		{name: "update", args: []string{"update", "--on-conflict", "mine"}, level: 1},
		{name: "prepare", args: []string{"prepare", "--on-conflict", "mine"}},
		{name: "apply", before: []step{{0, "uplevel prepare --on-conflict mine"}}, args: []string{"apply"}, level: 1},
		{name: "revert", before: mine, args: []string{"revert"}},
		{name: "resolve", before: conflict, args: []string{"resolve", "conf/conflict.txt", "--mine"}},
		{name: "continue", before: append(conflict, step{0, "uplevel resolve conf/conflict.txt --mine"}), args: []string{"--continue"}, level: 1},
		{name: "apply-hotfix", args: []string{"apply-hotfix", hotfix, "--for", "Lab"}},
		{name: "revert-hotfix", before: []step{{0, "uplevel apply-hotfix " + hotfix + " --for Lab"}}, args: []string{"revert-hotfix"}},
		{name: "apply-update", args: []string{"apply-update", "../shop-1.0-1.1.zip", "--on-conflict", "mine"}, level: 1},
		{name: "gc", before: mine, args: []string{"gc", "--all", "--yes"}, level: 1, finds: []string{freed}},
		{name: "repair", before: []step{{0, "rm lib/x-1.jar"}}, args: []string{"verify", "--repair", "--yes"}},
		{name: "recover", args: []string{"recover"}},
		{name: "take-over", before: []step{{0, forgotten}}, args: []string{"update", "--on-conflict", "mine"}, level: 1},
	}
}

// forgotten makes the home one that another tool left: it says product and level, and
// nothing of ours is kept.
const forgotten = `rm -rf updates/state.json updates/store updates/history updates/trust`

// readers are the commands that change nothing.
func readers() [][]string {
	return [][]string{
		{"check"},
		{"plan"},
		{"update", "--dry-run", "--on-conflict", "mine"},
		{"current-state"},
		{"verify"},
		{"verify", "--strict"},
		{"history"},
		{"conflicts"},
		{"support-bundle", "--out", "../bundle.zip"},
		{"report", "--dry-run"},
	}
}

// home is a fresh home with what its commands name beside it.
func home(t *testing.T, w writer) string {
	t.Helper()
	l := theLab(t)
	at := fresh(t, l)
	for _, zip := range []string{"hotfixes/shop-1-Lab-hf1.zip", "shop-1.0-1.1.zip"} {
		if err := os.Symlink(l.Path(zip), filepath.Join(filepath.Dir(at), filepath.Base(zip))); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	for _, s := range w.before {
		expect(t, l, at, s.exit, nil, "sh", "-c", s.line)
	}
	return at
}

// locked is the point at which a tool has just put its name into the lock.
func locked(home string) at {
	return at{"write", filepath.Join(home, "updates/lock"), 1}
}

// TestOneToolWinsTheOtherSaysSo holds each command that writes behind taking the lock, and
// lets others try.
func TestOneToolWinsTheOtherSaysSo(t *testing.T) {
	t.Parallel()
	l := theLab(t)
	for i, w := range writers() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			at := home(t, w)
			h := hold(t, l, at, locked(at), "uplevel", w.args...)
			for j, other := range writers() {
				if !*sweep && (i+2*j)%len(writers()) > 0 {
					continue // each with one other, each against one
				}
				if other.name == "gc" && w.name != "revert" && w.name != "gc" {
					continue // it finds nothing to free, by looking alone
				}
				expect(t, l, at, 15, []string{
					"Another update tool is at work on this product", fmt.Sprintf("uplevel (process %d)", h.pid), "Wait for it to end, then try again.",
				}, "uplevel", other.args...)
			}
			h.ends(w.ends)
			isWhole(t, at, w.level, w.finds...)
			if _, err := os.Lstat(filepath.Join(at, "updates/lock")); err == nil {
				t.Error("the lock stayed")
			}
		})
	}
}

// TestReadersBesideACommit holds an update in the middle of its commit: who looks says that
// one is at work, and never that something is damaged.
func TestReadersBesideACommit(t *testing.T) {
	t.Parallel()
	l := theLab(t)
	at := home(t, writer{})
	h := hold(t, l, at, within(at), "uplevel", "update", "--on-conflict", "mine")
	for _, r := range readers() {
		got, err := l.Do(t.Context(), at, "uplevel", r...)
		flat := strings.Join(strings.Fields(got.Output), " ")
		switch {
		case got.Exit == 15 && strings.Contains(flat, fmt.Sprintf("is at work on this product: locked by uplevel (process %d)", h.pid)):
		case got.Exit == 0 && (r[0] == "support-bundle" || r[0] == "report"):
			// Both tell what they see, and that a change is being committed.
		default:
			t.Errorf("%q beside a commit: exit %d: %v\n%s", r, got.Exit, err, got.Output)
		}
	}
	expect(t, l, at, 0, []string{fmt.Sprintf("at work on it: uplevel (process %d)", h.pid), "Wait for it to end."}, "uplevel", "doctor")
	h.ends(0)
	isWhole(t, at, 1)
}

// within is the point behind which a commit replaces files one by one.
func within(home string) at {
	return at{"renameat", filepath.Join(home, "updates/COMMITTING"), 1}
}

// TestWhatWasSeenOfTwoLevelsDoesNotCount holds a command that looks, with a file open, while
// an update begins and ends.
func TestWhatWasSeenOfTwoLevelsDoesNotCount(t *testing.T) {
	t.Parallel()
	l := theLab(t)
	for _, r := range [][]string{{"verify"}, {"verify", "--strict"}, {"update", "--dry-run", "--on-conflict", "mine"}} {
		t.Run(strings.Join(r, " "), func(t *testing.T) {
			t.Parallel()
			home := home(t, writer{})
			h := hold(t, l, home, at{"read", filepath.Join(home, "LICENSE"), 1}, "uplevel", r...)
			expect(t, l, home, 0, nil, "uplevel", "update", "--on-conflict", "mine")
			h.ends(15, "Another update tool changed this product while it was looked at", "Wait for it to end, then run the command again.")
			expect(t, l, home, 0, nil, "uplevel", "verify")
			isWhole(t, home, 1)
		})
	}
}

// TestReadersSeeOneLevel holds an update before its commit point: who looks sees the old
// level, whole.
func TestReadersSeeOneLevel(t *testing.T) {
	t.Parallel()
	l := theLab(t)
	at := home(t, writer{})
	h := hold(t, l, at, staged(at), "uplevel", "update", "--on-conflict", "mine")
	for _, r := range readers() {
		if r[len(r)-1] == "--strict" {
			continue // one file is customised
		}
		expect(t, l, at, 0, nil, "uplevel", r...)
	}
	h.ends(0)
	isWhole(t, at, 1)
}

// staged is the point at which everything lies ready and nothing of the product is changed.
func staged(home string) at {
	return at{"renameat", filepath.Join(home, "updates/staging/pending.json"), 1}
}

// TestAKilledHolderIsNoHolder kills a tool that holds the lock: its name in the file, and
// another process that has its number by now, keep nobody away.
func TestAKilledHolderIsNoHolder(t *testing.T) {
	t.Parallel()
	l := theLab(t)
	at := home(t, writer{})
	h := hold(t, l, at, locked(at), "uplevel", "update")
	h.kill()
	if err := os.WriteFile(filepath.Join(at, "updates/lock"), fmt.Appendf(nil, "uplevel (process %d)\n", os.Getpid()), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, l, at, 0, nil, "uplevel", "update", "--on-conflict", "mine")
	isWhole(t, at, 1)
}

// TestOneHomeByOtherPaths lets a second tool come to a home by a link and a relative path.
func TestOneHomeByOtherPaths(t *testing.T) {
	t.Parallel()
	l := theLab(t)
	at := home(t, writer{})
	link := filepath.Join(t.TempDir(), "by-link")
	if err := os.Symlink(at, link); err != nil {
		t.Fatal(err)
	}
	h := hold(t, l, at, locked(at), "uplevel", "update", "--on-conflict", "mine")
	says := []string{fmt.Sprintf("locked by uplevel (process %d)", h.pid)}
	expect(t, l, "/", 15, says, "uplevel", "update", "--dir", link)
	expect(t, l, filepath.Dir(at), 15, says, "uplevel", "update", "--dir", "./home/../home")
	expect(t, l, filepath.Join(link, "conf"), 15, says, "uplevel", "update")
	bound := filepath.Join(t.TempDir(), "bound")
	if mount(t, at, bound) {
		expect(t, l, "/", 15, says, "uplevel", "update", "--dir", bound)
	}
	h.ends(0)
	isWhole(t, at, 1)
}

// TestTheLockOfAnotherUser holds the lock as root, in a home of another user, whose tool may
// not open it.
func TestTheLockOfAnotherUser(t *testing.T) {
	t.Parallel()
	l := theLab(t)
	if os.Getuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("root is missing: there must be two users")
		}
		t.Skip("SKIPPED, and nothing was tried: needs root, for there must be two users: run sudo make test")
	}
	at := home(t, writer{})
	for p := at; p != "/" && p != os.TempDir(); p = filepath.Dir(p) {
		if err := os.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h := hold(t, l, at, locked(at), "uplevel", "update", "--on-conflict", "mine")
	own(t, at)
	says := []string{"The update tool of another user is at work on this product", "remove updates/lock, or run it as that user"}
	asNobody(t, l, at, 15, says, "update")
	h.ends(0)
	isWhole(t, at, 1)
}

// TestAFileSystemWithoutLocks lets taking a lock fail as it does on a network file system
// without its lock service.
func TestAFileSystemWithoutLocks(t *testing.T) {
	t.Parallel()
	l := theLab(t)
	at := home(t, writer{})
	for _, failure := range []string{"ENOLCK", "EOPNOTSUPP"} {
		expect(t, l, at, 15, []string{"The file system gives no lock", "Mount the product's folder with locks"}, "strace", "-f", "-qq", "-o", "/dev/null",
			"-P", filepath.Join(at, "updates/lock"), "-e", "trace=flock", "-e", "inject=flock:error="+failure, l.Path("bin", "uplevel"), "update")
	}
	isWhole(t, at, 0, "updates/lock is left") // unlocked, and empty
}
