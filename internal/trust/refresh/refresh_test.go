package refresh_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/durable"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/refresh"
	"uplevel/internal/trust/trusttest"
)

var (
	day0 = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	is   = release.Line{Product: "wso2is", Version: "7.1.0", Channel: "full"}
	am   = release.Line{Product: "wso2am", Version: "3.2.0", Channel: "full"}
)

const day = 24 * time.Hour

// home is a client with its folder, its repository and a clock to turn.
type home struct {
	t      *testing.T
	repo   *trusttest.Repo
	dir    string
	now    time.Time
	config refresh.Config
}

// newHome returns a home that trusts nothing yet, and a repository with levels 0 and 1.
func newHome(t *testing.T) *home {
	t.Helper()
	repo := trusttest.New(t, day0)
	repo.AddLevel(is, 0)
	repo.AddLevel(is, 1)
	repo.PublishOnline()
	h := &home{t: t, repo: repo, dir: filepath.Join(t.TempDir(), "updates", "trust"), now: day0}
	h.config = refresh.Config{
		Dir: h.dir, Root: repo.File("1.root.json"), Remote: repo, Now: func() time.Time { return h.now },
	}
	return h
}

func (h *home) client() *refresh.Client {
	h.t.Helper()
	c, err := refresh.New(h.config)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func (h *home) refresh(lines ...release.Line) *trust.View {
	h.t.Helper()
	view, err := h.client().Refresh(context.Background(), lines...)
	if err != nil {
		h.t.Fatal(err)
	}
	return view
}

func (h *home) cached(role string) []byte {
	data, err := os.ReadFile(filepath.Join(h.dir, trust.CacheName(role)))
	if err != nil {
		return nil
	}
	return data
}

func levels(t *testing.T, view *trust.View, line release.Line) []int {
	t.Helper()
	listed, err := view.Levels(line)
	if err != nil {
		t.Fatal(err)
	}
	var numbers []int
	for _, l := range listed {
		numbers = append(numbers, l.Level)
	}
	return numbers
}

func want[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: -want +got\n%s", what, d)
	}
}

func TestFirstRefreshFetchesEveryFileOnce(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	view := h.refresh(is)
	want(t, "requests", h.repo.Requests(), []string{
		"2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json", "1.product.wso2is.json", "2.line.wso2is-7.1.0.full.json",
	})
	want(t, "levels", levels(t, view, is), []int{0, 1})
	want(t, "lines", view.Lines("wso2is"), []release.Line{is})
	want(t, "mode", view.Mode(), trust.Online)
	if role, at := view.Expires(); role != trust.RoleTimestamp || !at.Equal(day0.Add(3*day)) {
		t.Errorf("%s expires first, on %s", role, at)
	}
	for _, role := range []string{"root", "timestamp", "snapshot", "targets", "product.wso2is", is.Role()} {
		if !bytes.Equal(h.cached(role), h.repo.Current(role)) {
			t.Errorf("%s is not kept byte for byte", role)
		}
	}
	entries, err := os.ReadDir(h.dir)
	if err != nil || len(entries) != 6 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
	fingerprint, err := trust.Fingerprint(h.repo.File("1.root.json"))
	if err != nil || view.RootFingerprint() != fingerprint || len(fingerprint) != 64 {
		t.Errorf("fingerprint %q, want %q, %v", view.RootFingerprint(), fingerprint, err)
	}
}

func TestNothingChangedTakesTwoRequests(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.refresh(is)
	h.repo.Requests()
	h.refresh(is)
	want(t, "requests", h.repo.Requests(), []string{"2.root.json", "timestamp.json"})

	h.repo.PublishTimestamp() // signed again because its time ran out, nothing else
	h.refresh(is)
	want(t, "requests after signing again", h.repo.Requests(), []string{"2.root.json", "timestamp.json"})
	if !bytes.Equal(h.cached("timestamp"), h.repo.Current("timestamp")) {
		t.Error("the new timestamp is not kept")
	}
}

func TestOnlyChangedRolesAreFetched(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.refresh(is)
	h.repo.AddLevel(is, 4)
	h.repo.PublishOnline()
	h.repo.Requests()
	view := h.refresh(is)
	want(t, "requests", h.repo.Requests(), []string{"2.root.json", "timestamp.json", "3.snapshot.json", "3.line.wso2is-7.1.0.full.json"})
	want(t, "levels", levels(t, view, is), []int{0, 1, 4})
}

func TestWhatIsNotPublishedIsSaidByTheView(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	security := is
	security.Channel = "security"
	view := h.refresh(am, security, is)
	for _, line := range []release.Line{am, security} {
		if _, err := view.Levels(line); problem.KindOf(err) != problem.Failed || !strings.Contains(err.Error(), line.String()) {
			t.Errorf("%s: %v", line, err)
		}
	}
	if _, err := view.Level(is, 9); !errors.Is(err, release.ErrLevel) {
		t.Errorf("level 9: %v", err)
	}
	if l, err := view.Level(is, 1); err != nil || l.State != release.Live || l.Record.Sum.IsZero() {
		t.Errorf("level 1: %+v, %v", l, err)
	}
}

func TestRootsAreFollowedOneByOne(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	before := h.refresh(is).RootFingerprint()
	old := h.repo.Keys["root"][0]
	h.repo.Keys["root"][0] = trusttest.Key("root-4")
	h.repo.PublishRoot(old)
	h.repo.PublishRoot()
	view := h.refresh(is)
	want(t, "root version", view.RootVersion(), 3)
	if view.RootFingerprint() == before {
		t.Error("the fingerprint does not tell that root keys changed")
	}
	if !bytes.Equal(h.cached("root"), h.repo.File("3.root.json")) {
		t.Error("the last root is not kept")
	}
}

func TestRootRotationsOfOneRefreshAreBounded(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	for range trust.MaxRotations + 2 {
		h.repo.PublishRoot()
	}
	want(t, "root version", h.refresh().RootVersion(), 1+trust.MaxRotations)
	want(t, "root version after one more refresh", h.refresh().RootVersion(), 3+trust.MaxRotations)
}

func TestFastForwardIsRecoveredByRotatingKeys(t *testing.T) {
	t.Parallel()
	for _, role := range []string{trust.RoleTimestamp, trust.RoleSnapshot} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			// With stolen online keys every version is driven to its end.
			for _, m := range h.repo.Roles {
				m.Signed.Version = 1_000_000
			}
			for name := range h.repo.Roles {
				h.repo.PublishRole(name)
			}
			h.repo.Timestamp.Signed.Version, h.repo.Snapshot.Signed.Version = 1<<60, 1<<60
			h.repo.PublishOnline()
			h.refresh(is)
			// The vendor replaces the key and begins again with small versions.
			h.repo.Keys[role][0] = trusttest.Key("new " + role)
			h.repo.PublishRoot()
			h.repo.Timestamp.Signed.Version, h.repo.Snapshot.Signed.Version = 6, 6
			for _, m := range h.repo.Roles {
				m.Signed.Version = 9
			}
			for name := range h.repo.Roles {
				h.repo.PublishRole(name)
			}
			h.repo.PublishOnline()
			want(t, "levels", levels(t, h.refresh(is), is), []int{0, 1})
			if !bytes.Equal(h.cached("snapshot"), h.repo.Current("snapshot")) {
				t.Error("the old snapshot is still kept")
			}
		})
	}
}

func TestDamagedCacheIsHealed(t *testing.T) {
	t.Parallel()
	damages := map[string]func(t *testing.T, name string){
		"garbage":   func(t *testing.T, name string) { write(t, name, []byte("{garbage")) },
		"empty":     func(t *testing.T, name string) { write(t, name, nil) },
		"other":     func(t *testing.T, name string) { write(t, name, []byte(`{"signed":{"_type":"x"},"signatures":[]}`)) },
		"too long":  func(t *testing.T, name string) { write(t, name, bytes.Repeat([]byte(" "), trust.MaxLine+1)) },
		"flipped":   flipByte,
		"a folder":  func(t *testing.T, name string) { replace(t, name, func() error { return os.Mkdir(name, 0o755) }) },
		"dangling":  func(t *testing.T, name string) { replace(t, name, func() error { return os.Symlink("nowhere", name) }) },
		"forbidden": func(t *testing.T, name string) { must(t, os.Chmod(name, 0)) },
		"gone":      func(t *testing.T, name string) { must(t, os.Remove(name)) },
	}
	for damage, do := range damages {
		for _, role := range []string{"timestamp", "snapshot", "targets", "product.wso2is", is.Role()} {
			t.Run(damage+" "+role, func(t *testing.T) {
				t.Parallel()
				h := newHome(t)
				h.refresh(is)
				do(t, filepath.Join(h.dir, trust.CacheName(role)))
				want(t, "levels", levels(t, h.refresh(is), is), []int{0, 1})
				if damage != "forbidden" && !bytes.Equal(h.cached(role), h.repo.Current(role)) {
					t.Errorf("%s is not healed", role)
				}
			})
		}
	}
}

func TestDamagedRootIsRefusedAndKept(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.refresh(is)
	name := filepath.Join(h.dir, "root.json")
	write(t, name, []byte("{damaged"))
	_, err := h.client().Refresh(context.Background(), is)
	refused(t, err, problem.Verification, "root.json is damaged")
	if got := h.cached("root"); string(got) != "{damaged" {
		t.Errorf("it was replaced by %.40q: revoked keys would be back", got)
	}
}

func TestWithoutAnyRootNothingIsAsked(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.config.Root = nil
	_, err := h.client().Refresh(context.Background(), is)
	refused(t, err, problem.Verification, "no trusted root")
	h.config.Root = []byte("{}")
	_, err = h.client().Refresh(context.Background(), is)
	refused(t, err, problem.Verification, "root.json")
	want(t, "requests", len(h.repo.Requests()), 0)
}

func TestTwoClientsAtOnce(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if _, err := h.client().Refresh(context.Background(), is); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	entries, err := os.ReadDir(h.dir)
	if err != nil || len(entries) != 6 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

func TestTrustedWaitsForARefreshAtWork(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.refresh(is)
	h.repo.AddLevel(is, 2)
	h.repo.PublishOnline()
	client := h.client()
	// Between timestamp and snapshot somebody asks what is trusted.
	trusted := make(chan error, 1)
	h.config.Remote = remote{h.repo, "3.snapshot.json", func(context.Context) ([]byte, error) {
		go func() {
			view, err := client.Trusted(is)
			if err == nil {
				_, err = view.Level(is, 2)
			}
			trusted <- err
		}()
		return h.repo.File("3.snapshot.json"), nil
	}}
	h.refresh(is)
	must(t, <-trusted)
}

func TestLockHeldElsewhereIsNamed(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	must(t, durable.MkdirAll(h.dir, 0o755))
	lock, err := durable.TryLock(filepath.Join(h.dir, "lock"), "uplevel check, process 77")
	must(t, err)
	h.config.LockWait = time.Millisecond
	_, err = h.client().Refresh(context.Background(), is)
	refused(t, err, problem.Refused, "uplevel check, process 77")
	want(t, "requests", len(h.repo.Requests()), 0)
	must(t, lock.Release())
	h.refresh(is)
}

func TestTrustedReadsTheFolderOnly(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	_, err := h.client().Trusted(is)
	refused(t, err, problem.Verification, "not complete")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
	h.refresh(is)
	h.repo.Requests()
	view, err := h.client().Trusted(is)
	must(t, err)
	want(t, "levels", levels(t, view, is), []int{0, 1})
	want(t, "expired", view.Expired(), false)
	h.now = day0.Add(500 * day)
	view, err = h.client().Trusted(is)
	must(t, err)
	want(t, "expired later", view.Expired(), true)
	want(t, "requests", len(h.repo.Requests()), 0)
	flipByte(t, filepath.Join(h.dir, trust.CacheName(is.Role())))
	_, err = h.client().Trusted(is)
	refused(t, err, problem.Verification, "line.wso2is-7.1.0.full.json")
}

func TestConfigurationIsChecked(t *testing.T) {
	t.Parallel()
	now := func() time.Time { return day0 }
	for name, config := range map[string]refresh.Config{
		"no folder":        {Now: now},
		"no clock":         {Dir: "x"},
		"unknown mode":     {Dir: "x", Now: now, Mode: "offline"},
		"allowance online": {Dir: "x", Now: now, Allowance: day},
		"negative":         {Dir: "x", Now: now, Grace: -1},
	} {
		if _, err := refresh.New(config); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func refused(t *testing.T, err error, kind problem.Kind, text string) {
	t.Helper()
	p, ok := errors.AsType[*problem.Error](err)
	switch {
	case !ok:
		t.Errorf("%v: want a problem of kind %s", err, kind)
	case p.Kind != kind || !strings.Contains(p.Text, text):
		t.Errorf("%s: %q, want %s: …%s…", p.Kind, p.Text, kind, text)
	case p.Next == "":
		t.Errorf("%q has no next step", p.Text)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	must(t, os.WriteFile(name, data, 0o644))
}

func replace(t *testing.T, name string, do func() error) {
	t.Helper()
	must(t, os.Remove(name))
	must(t, do())
}

func flipByte(t *testing.T, name string) {
	t.Helper()
	data, err := os.ReadFile(name)
	must(t, err)
	data[len(data)/2] ^= 1
	write(t, name, data)
}
