package concurrent

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"uplevel/test/lab"
)

// TestCheckDeepBesideAPublication holds check --deep, with the database read, at the copies;
// levels are published, an organisation is added. None of it is damage.
func TestCheckDeepBesideAPublication(t *testing.T) {
	t.Parallel()
	l := theLab(t)
	product(t, l, "judged")
	h := hold(t, l, l.Dir, at{"openat", l.Path("service", "objects", "metadata", "1.root.json"), 1}, "upleveld", "check", "--deep")
	expect(t, l, l.Dir, 0, nil, "uplevel-publish", levelArgs(l, "judged", "new")...)
	expect(t, l, l.Dir, 0, nil, "upleveld", "admin", "organisation", "add", "Meanwhile")
	said := h.ends(0, "objects")
	if strings.Contains(said, "DAMAGE") {
		t.Error(said)
	}
}

// TestManyFirstStarts starts migrations on one empty data folder at once, and commands on the
// service that comes of it: one secret, one set of keys, one schema, and each that runs can use
// them.
func TestManyFirstStarts(t *testing.T) {
	t.Parallel()
	l := theLab(t)
	rounds := 1
	if *sweep {
		rounds = 40
	}
	for range rounds {
		data := filepath.Join(t.TempDir(), "data")
		for _, atOnce := range [][][]string{
			{{"migrate"}, {"migrate"}, {"migrate"}},
			{{"admin", "organisation", "add", "One"}, {"migrate"}, {"admin", "organisation", "add", "Two"}},
		} {
			var all []chan lab.Run
			for _, args := range atOnce {
				over := make(chan lab.Run, 1)
				all = append(all, over)
				go func() {
					r, _ := l.Do(t.Context(), l.Dir, "upleveld", append(args, "--data", data)...)
					over <- r
				}()
			}
			for _, over := range all {
				if r := <-over; r.Exit != 0 {
					t.Errorf("exit %d\n%s", r.Exit, r.Output)
				}
			}
		}
		expect(t, l, l.Dir, 0, nil, "upleveld", "check", "--deep", "--data", data)
	}
}

// TestTwoServicesOnOneFolder starts a service at the very moment at which another one made
// its secret and has not sealed its keys yet: both run, with the same keys.
func TestTwoServicesOnOneFolder(t *testing.T) {
	t.Parallel()
	l := theLab(t)
	data := filepath.Join(t.TempDir(), "data")
	serve := []string{"serve", "--data", data, "--listen", "127.0.0.1:0", "--public-url", "https://localhost"}
	h := hold(t, l, l.Dir, at{"linkat", filepath.Join(data, "secret"), 1}, "upleveld", serve...)
	second := exec.Command(l.Path("bin", "upleveld"), serve...)
	second.Env = l.Env
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	second.Stderr = log
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = second.Process.Kill(); _ = second.Wait() })
	waitUntil(t, func() bool {
		said, err := os.ReadFile(log.Name())
		return err == nil && bytes.Contains(said, []byte("serving"))
	})
	h.kill()
	expect(t, l, l.Dir, 0, []string{"online keys answer"}, "upleveld", "check", "--data", data)
}
