//go:build !windows

package install

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"uplevel/internal/problem"
)

const today = "uplevel-30-11-2026.log"

// planted is a home whose owner put links where the tool, that root runs, writes.
func planted(t *testing.T, links map[string]string) (h *Home, outside string) {
	t.Helper()
	dir := t.TempDir()
	outside = filepath.Join(dir, "outside")
	home := filepath.Join(dir, "home")
	tree{"outside/.bashrc": "mine\n", "home/updates/product.txt": "shop-1\n", "home/lib/a": "a"}.write(t, dir)
	for at, to := range links {
		tree{at: "→" + strings.ReplaceAll(to, "OUTSIDE", outside)}.write(t, home)
	}
	h, err := Open(home, Options{Now: time.Now, Holder: "a test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h, outside
}

func untouched(t *testing.T, outside string) {
	t.Helper()
	if got := read(t, outside); len(got) != 1 || got[".bashrc"] != "mine\n" {
		t.Errorf("outside lies %v", got)
	}
}

// TestALogIsWrittenInTheHomeOnly: its name can be known before.
func TestALogIsWrittenInTheHomeOnly(t *testing.T) {
	t.Parallel()
	for what, links := range map[string]map[string]string{
		"a link to a file":             {logsDir + "/" + today: "OUTSIDE/.bashrc"},
		"a relative one":               {logsDir + "/" + today: "../../../outside/.bashrc"},
		"a link to a file that is not": {logsDir + "/" + today: "OUTSIDE/new"},
		"a link to a file of the home": {logsDir + "/" + today: "../../lib/a"},
		"a link to the folder":         {logsDir: "OUTSIDE"},
		"a link to one that is not":    {logsDir: "OUTSIDE/new"},
	} {
		h, outside := planted(t, links)
		f, err := h.OpenLog(today)
		if problem.KindOf(err) != problem.Refused {
			t.Errorf("%s: %v", what, err)
		}
		if err == nil {
			_, _ = f.WriteString("text of the user\n")
			_ = f.Close()
		}
		untouched(t, outside)
		if got := read(t, h.Dir()); got["lib/a"] != "a" {
			t.Errorf("%s: the product has %v", what, got)
		}
	}
}

// TestALogIsContinued: by the next run, also behind a folder that is a link within the home.
func TestALogIsContinued(t *testing.T) {
	t.Parallel()
	for _, links := range []map[string]string{nil, {logsDir: "../lib"}} {
		h, _ := planted(t, links)
		for _, text := range []string{"one\n", "two\n"} {
			f, err := h.OpenLog(today)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString(text); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(filepath.Join(h.Dir(), logsDir, today)); err != nil || string(got) != "one\ntwo\n" {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// TestALogThatRootMakesIsTheOwners, and one that was there keeps its own.
func TestALogThatRootMakesIsTheOwners(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		lacking(t, "root, who alone can give files away: run sudo make test", nil)
	}
	h, _ := planted(t, nil)
	if err := os.Chown(filepath.Join(h.Dir(), updatesDir), 1234, 4321); err != nil {
		t.Fatal(err)
	}
	f, err := h.OpenLog(today)
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	for _, rel := range []string{logsDir, logsDir + "/" + today} {
		info, err := os.Stat(filepath.Join(h.Dir(), rel))
		if err != nil {
			t.Fatal(err)
		}
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Uid != 1234 || st.Gid != 4321 {
			t.Errorf("%s belongs to %v", rel, st)
		}
	}
}

// TestNoFolderOfTheToolLeadsOut: nothing is made in one that does.
func TestNoFolderOfTheToolLeadsOut(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{stagingDir, storeDir, trustDir} {
		for _, to := range []string{"OUTSIDE", "../../outside", "OUTSIDE/new"} {
			h, outside := planted(t, map[string]string{dir: to})
			unlock, err := h.Lock()
			if problem.KindOf(err) != problem.Refused || !strings.Contains(err.Error(), dir) {
				t.Errorf("%s → %s: %v", dir, to, err)
			}
			if err == nil {
				_ = h.Import(nil, nil)
				_ = unlock()
			}
			if _, err := h.TrustDir(); (err != nil) != (dir == trustDir) {
				t.Errorf("%s → %s: the trusted metadata: %v", dir, to, err)
			}
			untouched(t, outside)
			if h.exists(lockFile) {
				t.Errorf("%s → %s: a lock was made", dir, to)
			}
		}
	}
	h, _ := planted(t, map[string]string{trustDir: "../lib"})
	unlock, err := h.Lock()
	if err != nil {
		t.Fatalf("a link that stays in the home: %v", err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}

// TestUpdatesThatLeadOutAreNoHome; a home whose own path is a link is one.
func TestUpdatesThatLeadOutAreNoHome(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree{"outside/product.txt": "shop-1\n", "bad/updates": "→../outside", "good/updates/product.txt": "shop-1\n", "link": "→good"}.write(t, dir)
	if h, err := Open(filepath.Join(dir, "bad"), Options{Now: time.Now}); err == nil {
		t.Errorf("opened: %v", h.State())
	}
	h, err := Open(filepath.Join(dir, "link"), Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := h.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
	if f, err := h.OpenLog(today); err != nil {
		t.Error(err)
	} else {
		_ = f.Close()
	}
}

// TestAPipeInTheHomeIsNotOpened: whoever opens one waits for its other end.
func TestAPipeInTheHomeIsNotOpened(t *testing.T) {
	t.Parallel()
	h, _ := planted(t, map[string]string{"lib/b.final": "pipe"})
	for _, pipe := range []string{"lib/pipe", logsDir + "/" + today} {
		tree{filepath.Dir(pipe): "/"}.write(t, h.Dir())
		if err := syscall.Mkfifo(filepath.Join(h.Dir(), pipe), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, rel := range []string{"lib/pipe", "lib/b.final"} {
		if _, err := h.OpenFile(rel); err == nil {
			t.Errorf("%s was opened", rel)
		}
	}
	if f, err := h.OpenLog(today); err == nil {
		t.Errorf("the log is %s", f.Name())
	}
	if final, err := h.HasFinal(&Pending{}, "lib/b"); final || err != nil {
		t.Errorf("a link to a pipe decides: %v, %v", final, err)
	}
}
