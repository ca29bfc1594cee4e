package update

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/api"
	"uplevel/internal/fleet"
	"uplevel/internal/install"
	"uplevel/internal/problem"
)

// reader makes an updater that describes the home at dir, and how it opens it.
func reader(t *testing.T, u *Updater, dir string) (*Updater, func() (Home, error)) {
	t.Helper()
	d := &Updater{Log: u.Log, Now: u.Now, Tool: "test", System: "linux/test", Machine: func() (string, error) { return "machine", nil }}
	return d, func() (Home, error) {
		h, err := install.Open(dir, install.Options{Now: time.Now, Holder: "test", ReadOnly: true})
		if err == nil {
			t.Cleanup(func() { _ = h.Close() })
		}
		return OnDisk(h), err
	}
}

func goTo(t *testing.T, u *Updater, level string) {
	t.Helper()
	if _, err := u.Update(t.Context(), Options{Level: level, NoReport: true}); err != nil {
		t.Fatal(err)
	}
}

// everything is all that lies below dir, with sizes, modes and times.
func everything(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			b.WriteString(path + " " + info.Mode().String() + " " + info.ModTime().String() + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestDescribeTellsLevelAndDriftAndWritesNothing(t *testing.T) {
	t.Parallel()
	v := newVendor(t, start)
	v.publish(line, 0, level0)
	v.publish(line, 1, level1)
	u := onDisk(t, v, 0)
	goTo(t, u, "1")
	dir := u.Home.Dir()
	d, open := reader(t, u, dir)
	v.must(os.WriteFile(filepath.Join(dir, "conf/app.conf"), []byte("a=mine"), 0o644))
	v.must(os.Remove(filepath.Join(dir, "lib/a.jar")))
	v.must(os.WriteFile(filepath.Join(dir, "lib/foreign.jar"), []byte("x"), 0o644))
	unlock, err := u.Home.Lock() // as of an update at work
	v.must(err)
	defer func() { v.must(unlock()) }()
	before := everything(t, dir)
	got, err := d.Describe(t.Context(), open)
	v.must(err)
	want := Described{Report: api.Report{
		Made: start, Installation: InstallationID("pack", "machine", dir), Product: "shop", Version: "1.2", Channel: "full", Level: 1,
		Customised: 1, Missing: 1, Operation: "report", Outcome: "ok", FromLevel: 1, Tool: "test", OS: "linux/test",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if after := everything(t, dir); after != before {
		t.Errorf("something was written:\n%s", cmp.Diff(before, after))
	}
	link := filepath.Join(t.TempDir(), "current")
	v.must(os.Symlink(dir, link))
	d, open = reader(t, u, link)
	if again, err := d.Describe(t.Context(), open); err != nil || again.Report.Installation != got.Report.Installation {
		t.Errorf("by a link it is %s, not %s (%v)", again.Report.Installation, got.Report.Installation, err)
	}
}

// TestDescribeWhileSomethingIsWrong tells the level all the same.
func TestDescribeWhileSomethingIsWrong(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		spoil   func(dir string) error
		outcome string
		why     string
	}{
		"a commit is open":  {func(dir string) error { return os.WriteFile(filepath.Join(dir, "updates/COMMITTING"), nil, 0o644) }, Committing, "being committed"},
		"the store is gone": {func(dir string) error { return os.RemoveAll(filepath.Join(dir, "updates/store")) }, "ok", "missing"},
		"taken over":        {func(dir string) error { return os.Remove(filepath.Join(dir, "updates/state.json")) }, "ok", "not known what level"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, start)
			v.publish(line, 0, level0)
			u := onDisk(t, v, 0)
			v.must(row.spoil(u.Home.Dir()))
			d, open := reader(t, u, u.Home.Dir())
			got, err := d.Describe(t.Context(), open)
			if err != nil || got.Report.Outcome != row.outcome || !got.Report.DriftUnknown || !strings.Contains(got.Why, row.why) || got.Report.Product != "shop" {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// TestDescribeWhileAnUpdateRuns has the product change between the two looks: what is told
// is the product after it, or that nothing is known of the drift.
func TestDescribeWhileAnUpdateRuns(t *testing.T) {
	t.Parallel()
	v := newVendor(t, start)
	v.publish(line, 0, level0)
	v.publish(line, 1, level1)
	u := onDisk(t, v, 0)
	d, open := reader(t, u, u.Home.Dir())
	n := 0
	got, err := d.Describe(t.Context(), func() (Home, error) {
		if n++; n == 2 {
			goTo(t, u, "1")
		}
		return open()
	})
	if err != nil || got.Report.Level != 1 || got.Report.DriftUnknown || got.Report.Customised+got.Report.Missing != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDescribeDoesNotLookForEver(t *testing.T) {
	t.Parallel()
	v := newVendor(t, start)
	v.publish(line, 0, level0)
	u := onDisk(t, v, 0)
	d, open := reader(t, u, u.Home.Dir())
	d.LookTime = time.Nanosecond
	got, err := d.Describe(t.Context(), open)
	if err != nil || !got.Report.DriftUnknown || got.Report.Outcome != "ok" || !strings.Contains(got.Why, "took longer than 1ns") {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDescribeCanBeInterrupted(t *testing.T) {
	t.Parallel()
	v := newVendor(t, start)
	v.publish(line, 0, level0)
	u := onDisk(t, v, 0)
	v.must(os.WriteFile(filepath.Join(u.Home.Dir(), "updates/COMMITTING"), nil, 0o644))
	d, open := reader(t, u, u.Home.Dir())
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := d.Describe(ctx, open); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// TestATakenOverHomeKeepsItsName looks before and after the first change there.
func TestATakenOverHomeKeepsItsName(t *testing.T) {
	t.Parallel()
	v := newVendor(t, start)
	v.publish(line, 0, level0)
	v.publish(line, 1, level1)
	u := onDisk(t, v, 0)
	dir := u.Home.Dir()
	v.must(os.Remove(filepath.Join(dir, "updates/state.json")))
	d, open := reader(t, u, dir)
	before, err := d.Describe(t.Context(), open)
	v.must(err)
	home, err := open()
	v.must(err)
	u.Home = home
	goTo(t, u, "1")
	after, err := d.Describe(t.Context(), open)
	v.must(err)
	if before.Report.Installation != after.Report.Installation || after.Report.Level != 1 || after.Report.DriftUnknown {
		t.Errorf("%+v\n%+v", before, after)
	}
}

func TestHotfixesOfAnotherToolFitIntoAReport(t *testing.T) {
	t.Parallel()
	others := []string{"Bank-hf1", "\x1b[2J" + strings.Repeat("ü", 300)}
	for range 200 {
		others = append(others, "x")
	}
	names := hotfixesOf(State{Others: others})
	r := fleet.Report{
		Installation: strings.Repeat("a", 64), Product: "shop", Version: "1.0", Channel: "full", Operation: "report", Outcome: "ok", Hotfixes: names,
	}
	if err := r.Check(); err != nil || names[0] != "Bank-hf1" || !strings.HasPrefix(names[1], "?[2Jü") {
		t.Errorf("%v, %q", err, names[:2])
	}
}

func TestFailuresAreTold(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write("conf/app.conf", "a=mine")
	for _, row := range []struct {
		name string
		do   func() error
		want string // operation and outcome; empty: nothing is told
	}{
		{"conflicts", func() error { _, err := s.Update(t.Context(), Options{Level: "2"}); return err }, "update conflicts"},
		{"not resolved", func() error { _, err := s.Continue(t.Context(), Options{}); return err }, "continue conflicts"},
		{"no such level", func() error { _, err := s.Update(t.Context(), Options{Level: "7"}); return err }, "update failed"},
		{"silent", func() error { _, err := s.Update(t.Context(), Options{Level: "7", NoReport: true}); return err }, ""},
		{"dry run", func() error { _, err := s.Update(t.Context(), Options{Level: "7", DryRun: true}); return err }, ""},
		{"offline", func() error { _, err := s.Continue(t.Context(), Options{Offline: true}); return err }, ""},
		{"prepare", func() error { _, err := s.Prepare(t.Context(), Options{Level: "7"}); return err }, ""},
		{"plan", func() error { _, err := s.Plan(t.Context(), Options{Level: "7"}); return err }, ""},
		{"nothing to take back", func() error { _, err := s.Revert(t.Context(), RevertOptions{To: "#9"}); return err }, "revert failed"},
		{"interrupted", func() error {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := s.Update(ctx, Options{Level: "7"})
			return err
		}, ""},
		{"no hotfix", func() error { _, err := s.RevertHotfix(t.Context(), "", RevertOptions{}); return err }, "revert-hotfix refused"},
	} {
		s.v.reports = nil
		if row.do() == nil {
			t.Fatalf("%s: no error", row.name)
		}
		got := ""
		for _, r := range s.v.reports {
			got += r.Operation + " " + r.Outcome
			if r.Level != 0 || r.FromLevel != 0 || r.Installation == "" {
				t.Errorf("%s: %+v", row.name, r)
			}
		}
		if got != row.want {
			t.Errorf("%s: told %q, want %q", row.name, got, row.want)
		}
	}
}

// TestFailuresAreTheSameWhateverTheServiceSays refuses, and hangs.
func TestFailuresAreTheSameWhateverTheServiceSays(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	_, plain := s.Update(t.Context(), Options{Level: "7", NoReport: true})
	s.Service = deaf{s.v}
	began := time.Now()
	_, err := s.Update(t.Context(), Options{Level: "7"})
	if problem.KindOf(err) != problem.Failed || err.Error() != plain.Error() {
		t.Errorf("%v, and without a report %v", err, plain)
	}
	if took := time.Since(began); took > failureTime+time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestACopyThatFailsIsNoInstallation makes one with --to, which is removed again.
func TestACopyThatFailsIsNoInstallation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write("updates/product.txt", "shop-1.2\n")
	s.Other = func(_ context.Context, dir string) (*Updater, error) {
		other, home := *s.Updater, *s.home
		home.dir = dir
		other.Home = &home
		return &other, nil
	}
	if _, err := s.ToDirectory(t.Context(), filepath.Join(t.TempDir(), "copy"), Options{Level: "7"}); err == nil || len(s.v.reports) != 0 {
		t.Errorf("%v, %+v", err, s.v.reports)
	}
}

// deaf never answers a report.
type deaf struct{ *vendor }

func (deaf) Report(ctx context.Context, _ api.Report) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestContinuedChangesDoNotTellADrift that nobody looked for.
func TestContinuedChangesDoNotTellADrift(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write("conf/app.conf", "a=mine")
	_, err := s.Prepare(t.Context(), Options{Level: "1"})
	s.home.must(err)
	_, err = s.ApplyPrepared(t.Context(), Options{})
	s.home.must(err)
	if len(s.v.reports) != 1 || !s.v.reports[0].DriftUnknown || s.v.reports[0].Outcome != "ok" {
		text, _ := json.Marshal(s.v.reports)
		t.Errorf("%s", text)
	}
}
