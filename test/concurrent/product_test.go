package concurrent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"uplevel/test/lab"
)

// settings is the file that the product writes while it is updated.
const settings = "conf/a.properties"

// byRename writes a file as careful programs do: beside it, then renamed over it.
func byRename(t *testing.T, home, text string) {
	t.Helper()
	full := filepath.Join(home, settings)
	if err := os.WriteFile(full+".tmp", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(full+".tmp", full); err != nil {
		t.Fatal(err)
	}
}

// holds says which of the files in the folder of the settings have a text.
func holds(t *testing.T, home, text string) (files []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(home, "conf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if data, err := os.ReadFile(filepath.Join(home, "conf", e.Name())); err == nil && strings.Contains(string(data), text) {
			files = append(files, e.Name())
		}
	}
	return files
}

// TestAProductThatWritesBeforeTheCommit changes a file between scan and commit: refused, and
// nothing of the product is changed.
func TestAProductThatWritesBeforeTheCommit(t *testing.T) {
	t.Parallel()
	l := theLab(t)
	home := home(t, writer{})
	h := hold(t, l, home, staged(home), "uplevel", "update", "--on-conflict", "mine")
	byRename(t, home, "a=0\nmeanwhile=1\n")
	h.ends(15, settings+" changed meanwhile", "Run the command again")
	if got := holds(t, home, "meanwhile=1"); !slices.Equal(got, []string{"a.properties"}) {
		t.Errorf("what the product wrote lies in %v", got)
	}
	isWhole(t, home, 0)
	expect(t, l, home, 0, nil, "uplevel", "update", "--on-conflict", "mine")
	if got := holds(t, home, "meanwhile=1"); !slices.Equal(got, []string{"a.properties"}) {
		t.Errorf("what the product wrote lies in %v", got)
	}
	isWhole(t, home, 1)
}

// TestAProductThatReplacesAFileDuringTheCommit renames a new file over one that is about to
// be replaced: it is put aside, by name.
func TestAProductThatReplacesAFileDuringTheCommit(t *testing.T) {
	t.Parallel()
	l := theLab(t)
	home := home(t, writer{})
	h := hold(t, l, home, within(home), "uplevel", "update", "--on-conflict", "mine")
	byRename(t, home, "a=0\nmeanwhile=1\n")
	h.ends(0, "Put aside, because they appeared meanwhile", settings+".rescued-1")
	if got := holds(t, home, "meanwhile=1"); !slices.Equal(got, []string{"a.properties.rescued-1"}) {
		t.Errorf("what the product wrote lies in %v", got)
	}
	isWhole(t, home, 1, "a.properties.rescued-1 is left")
}

// TestWhatAProductWritesIntoAReplacedFileIsKept has the product hold a file open that is
// replaced, and write into it afterwards, before the commit is over.
func TestWhatAProductWritesIntoAReplacedFileIsKept(t *testing.T) {
	t.Parallel()
	l := theLab(t)
	home := home(t, writer{})
	open, err := os.OpenFile(filepath.Join(home, settings), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	h := hold(t, l, home, at{"renameat", filepath.Join(home, "conf"), 1}, "uplevel", "update", "--on-conflict", "mine")
	if now, err := os.ReadFile(filepath.Join(home, settings)); err != nil || string(now) != "a=1\n" {
		t.Fatalf("it stands still elsewhere: %q, %v", now, err)
	}
	if _, err := open.WriteString("late=1\n"); err != nil {
		t.Fatal(err)
	}
	h.ends(0, "Put aside, because they appeared meanwhile", settings+".rescued-1")
	if got := holds(t, home, "late=1"); !slices.Equal(got, []string{"a.properties.rescued-1"}) {
		t.Errorf("what the product wrote lies in %v", got)
	}
	isWhole(t, home, 1, "a.properties.rescued-1 is left")
}

// TestABusyProduct updates and reverts a product that writes its log, and makes and removes
// files in the product's folders, all the time.
func TestABusyProduct(t *testing.T) {
	t.Parallel()
	l := theLab(t)
	home := home(t, writer{})
	ctx, stop := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	busy.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			log, err := os.OpenFile(filepath.Join(home, "lib/gone/busy.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
			if err != nil {
				t.Error(err)
				return
			}
			fmt.Fprintf(log, "line %d\n", n)
			log.Close()
			for _, dir := range []string{"bin", "conf", "lib"} {
				name := filepath.Join(home, dir, fmt.Sprintf("busy%d.tmp", n%7))
				_ = os.WriteFile(name, []byte("tmp"), 0o644)
				_ = os.Remove(name)
			}
		}
	})
	rounds := 1
	if *sweep {
		rounds = 20
	}
	for range rounds {
		expect(t, l, home, 0, nil, "uplevel", "update", "--on-conflict", "mine")
		isWhole(t, home, 1)
		expect(t, l, home, 0, nil, "uplevel", "revert")
		isWhole(t, home, 0)
	}
	expect(t, l, home, 0, nil, "uplevel", "verify")
	stop()
	busy.Wait()
	log, err := os.ReadFile(filepath.Join(home, "lib/gone/busy.log"))
	if err != nil {
		t.Fatal(err)
	}
	for n, line := range bytes.Split(bytes.TrimSpace(log), []byte("\n")) {
		if string(line) != fmt.Sprintf("line %d", n) {
			t.Fatalf("line %d of the log is %q", n, line)
		}
	}
}

// TestManyToolsAtOnce is a storm: tools that change, look and clean at once, on one home,
// with one cache. Each ends as done, refused or undecided, and the home is whole.
func TestManyToolsAtOnce(t *testing.T) {
	t.Parallel()
	l := theLab(t)
	home := home(t, writer{})
	most := 5
	if *sweep {
		most = 150
	}
	commands := [][]string{
		{"update", "--on-conflict", "mine"},
		{"revert"},
		{"gc"},
		{"recover"},
		{"verify"},
		{"verify", "--repair", "--yes"},
		{"prepare", "--on-conflict", "mine"},
		{"apply"},
		{"check"},
		{"current-state"},
		{"history"},
		{"plan"},
		{"apply-hotfix", "../shop-1-Lab-hf1.zip", "--for", "Lab"},
		{"revert-hotfix"},
		{"apply-update", "../shop-1.0-1.1.zip", "--on-conflict", "mine"},
	}
	// 1 is what has nothing to do: nothing prepared, no hotfix, no such change.
	allowed := []int{0, 1, 4, 15}
	ends := map[int]int{}
	var mu sync.Mutex
	var storm sync.WaitGroup
	for tool := range uint64(4) {
		random := rand.New(rand.NewPCG(*seed, tool))
		storm.Go(func() {
			for range most {
				args := commands[random.IntN(len(commands))]
				r, _ := l.Do(t.Context(), home, "uplevel", args...)
				mu.Lock()
				ends[r.Exit]++
				mu.Unlock()
				another := r.Exit == 14 && strings.Contains(r.Output, "Hotfix Lab-hf1 is for shop-1 level 1.0") // a tool was faster
				if !slices.Contains(allowed, r.Exit) && !another {
					t.Errorf("%q: exit %d\n%s", args, r.Exit, r.Output)
				}
			}
		})
	}
	storm.Wait()
	t.Logf("seed %d: ends %v", *seed, ends)
	expect(t, l, home, 0, nil, "uplevel", "recover")
	expect(t, l, home, 0, nil, "uplevel", "verify")
	isWhole(t, home, either)
}

// TestTwoHomesOneCache has two operators fetch the same objects at once: one is held with
// an object half written, the other gets it by itself; both are whole.
func TestTwoHomesOneCache(t *testing.T) {
	t.Parallel()
	l := theLab(t)
	first, second := home(t, writer{}), home(t, writer{})
	cache := t.TempDir()
	shared := &lab.Lab{Dir: l.Dir, Env: append(slices.Clone(l.Env), "UPLEVEL_CACHE="+cache)}
	run := []string{"update", "--on-conflict", "mine"}
	h := hold(t, shared, first, at{"write", partial(cache, "x2"), 1}, "uplevel", run...)
	expect(t, shared, second, 0, nil, "uplevel", run...)
	isWhole(t, second, 1)
	h.ends(0)
	isWhole(t, first, 1)
	left := 0
	for _, pattern := range []string{"*/*/*.lock", "*/*/*.partial", "*/*/*.own-*", "*/*.lock", "*/*.partial", "*/*.own-*"} {
		found, err := filepath.Glob(filepath.Join(cache, pattern))
		if err != nil {
			t.Fatal(err)
		}
		left += len(found)
	}
	if left > 0 {
		t.Errorf("%d half downloads were left in the cache", left)
	}
}

// partial is where an object with a content is downloaded to.
func partial(cache, content string) string {
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
	return filepath.Join(cache, sum[:2], sum+".partial")
}

// waitUntil waits for something that will come to be.
func waitUntil(t *testing.T, is func() bool) {
	t.Helper()
	for !is() {
		select {
		case <-t.Context().Done():
			t.Fatal("it never came to be")
		case <-time.After(20 * time.Millisecond):
		}
	}
}
