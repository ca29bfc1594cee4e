package update

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/api"
	"uplevel/internal/digest"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/reconcile"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/refresh"
)

var start = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

// site is one installation with its vendor.
type site struct {
	*Updater
	t    *testing.T
	v    *vendor
	home *plainHome
	get  *fetcher
	now  time.Time
}

// levels of the product that most tests use.
var (
	level0 = files{"bin/run": "#! run 0", "conf/app.conf": "a=0", "lib/a.jar": "a", "lib/old.jar": "old", "empty/": ""}
	level1 = files{"bin/run": "#! run 1", "conf/app.conf": "a=0", "lib/a.jar": "a1", "lib/old.jar": "old", "empty/": "", "doc/new": "-> ../lib"}
	level2 = files{"bin/run": "#! run 2", "conf/app.conf": "a=2", "lib/a.jar": "a2", "lib/b.jar": "b", "empty/": ""}
)

func newSite(t *testing.T) *site {
	t.Helper()
	v := newVendor(t, start)
	for level, tree := range []files{level0, level1, level2} {
		v.publish(line, level, tree)
	}
	return openSite(t, v, 0)
}

func openSite(t *testing.T, v *vendor, level int) *site {
	t.Helper()
	s := &site{t: t, v: v, home: newPlainHome(t, v, line, level), get: newFetcher(v), now: v.Now}
	client, err := refresh.New(refresh.Config{
		Dir: t.TempDir(), Root: v.File("1.root.json"), Remote: v.Repo, Now: func() time.Time { return s.now },
	})
	v.must(err)
	s.Updater = &Updater{
		Home: s.home, Trust: client, Service: v, Fetch: s.get, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return s.now }, Tool: "test", User: "operator",
		Machine: func() (string, error) { return "machine", nil },
	}
	return s
}

func (s *site) write(path, content string) {
	s.t.Helper()
	s.home.must(os.MkdirAll(filepath.Dir(s.home.path(path)), 0o755))
	s.home.must(os.WriteFile(s.home.path(path), []byte(content), 0o644))
}

// content returns everything in the home: path → content, as in files.
func (s *site) content() files {
	s.t.Helper()
	return contentOf(s.t, s.home.dir)
}

func contentOf(t testing.TB, dir string) files {
	t.Helper()
	found := files{}
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		switch {
		case entry.IsDir():
			if inside, err := os.ReadDir(name); err != nil || len(inside) == 0 {
				found[filepath.ToSlash(rel)+"/"] = ""
			}
		case entry.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			found[filepath.ToSlash(rel)] = "-> " + target
			return err
		default:
			data, err := os.ReadFile(name)
			found[filepath.ToSlash(rel)] = string(data)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (s *site) is(want files) {
	s.t.Helper()
	if d := cmp.Diff(want, s.content()); d != "" {
		s.t.Errorf("the home differs (-want +got):\n%s", d)
	}
}

func (s *site) update(opts Options) *Result {
	s.t.Helper()
	res, err := s.Update(context.Background(), opts)
	if err != nil {
		s.t.Fatalf("update %+v: %v", opts, err)
	}
	return res
}

func (s *site) refuses(err error, kind problem.Kind, words string) {
	s.t.Helper()
	if err == nil || problem.KindOf(err) != kind || !strings.Contains(err.Error(), words) {
		s.t.Errorf("got %v (%s), want %s with %q", err, problem.KindOf(err), kind, words)
	}
}

func with(base files, changes files) files {
	out := files{}
	maps.Copy(out, base)
	for p, c := range changes {
		out[p] = c
		if c == "gone" {
			delete(out, p)
		}
	}
	return out
}

func TestUpdateToTheLatest(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write("logs/server.log", "foreign")
	res := s.update(Options{})
	s.is(with(level2, files{"logs/server.log": "foreign"}))
	if res.Outcome != Done || res.From.Name != "1.2.0" || res.To.Name != "1.2.2" || res.To.State != release.Live {
		t.Errorf("outcome %s from %+v to %+v", res.Outcome, res.From, res.To)
	}
	want := noFiles()
	want.Added, want.Removed = []string{"lib/b.jar"}, []string{"lib/old.jar"}
	want.Modified = []string{"bin/run", "conf/app.conf", "lib/a.jar"}
	if d := cmp.Diff(want, res.Files); d != "" {
		t.Error(d)
	}
	if res.Gain.Regular != 1 || res.Gain.Security != 1 || len(res.Gain.Updates) != 2 || !res.Gain.Restart {
		t.Errorf("gain %+v", res.Gain)
	}
	if u := res.Gain.Updates[0]; u.Level != 1 || u.ID != 101 || u.Headline != "Fix 1." || u.Instructions != "Restart." {
		t.Errorf("first update %+v", u)
	}
	if d := cmp.Diff([]string{"hf1", "hf2"}, res.Gain.Absorbed); d != "" {
		t.Error(d)
	}
	if res.Freshness == nil || res.Freshness.Mode != "online" || res.Freshness.Expired || res.Back != "revert" || res.Download == 0 {
		t.Errorf("freshness %+v, back %q, download %d", res.Freshness, res.Back, res.Download)
	}
	if !strings.Contains(string(s.home.docs["changelog-0000-0002.md"]), "## Updated Files (3)") || s.home.docs["update-summary-0000-0002.md"] == nil {
		t.Errorf("documents %v", s.home.docs)
	}
	if d := cmp.Diff(TemplateData{Added: want.Added, Modified: want.Modified, Removed: want.Removed, Conflicts: []string{}}, res.Template()); d != "" {
		t.Error(d)
	}
}

func TestJumpIsStep(t *testing.T) {
	t.Parallel()
	jump, step := newSite(t), newSite(t)
	for _, s := range []*site{jump, step} {
		s.write("mine", "foreign")
	}
	jump.update(Options{Level: "2"})
	step.update(Options{Level: "1"})
	step.update(Options{Level: "2"})
	jump.is(with(level2, files{"mine": "foreign"}))
	step.is(jump.content())
}

func TestNothingToDo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.update(Options{})
	s.v.calls = nil
	for _, opts := range []Options{{}, {Level: "2"}, {Level: "1.2.2"}} {
		s.v.Requests()
		if res := s.update(opts); res.Outcome != Nothing || res.To.Level != 2 {
			t.Errorf("%+v: %s", opts, res.Outcome)
		}
		if asked := s.v.Requests(); len(asked) != 2 {
			t.Errorf("metadata requests %q, want two", asked)
		}
	}
	if d := cmp.Diff([]string{"check shop", "check shop", "check shop"}, s.v.calls); d != "" {
		t.Error(d)
	}
	s.v.calls = nil
	if res := s.update(Options{Level: "1", AtLeast: true}); res.Outcome != Nothing || len(s.v.calls)+len(s.v.Requests()) != 0 {
		t.Errorf("--at-least: %s after calls %q", res.Outcome, s.v.calls)
	}
	_, err := s.Update(context.Background(), Options{Level: "1"})
	s.refuses(err, problem.Failed, "Invalid update level")
}

func TestCheckAsksLittle(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	res, err := s.Check(context.Background(), CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Levels) != 2 || res.Latest.Level != 2 || res.Security != 1 || res.Regular != 1 || res.Download == 0 {
		t.Errorf("check: %+v", res)
	}
	if d := cmp.Diff([]string{"hf1", "hf2"}, res.Absorbed); d != "" {
		t.Error(d)
	}
	s.is(level0)
	s.update(Options{})
	s.v.Requests()
	s.v.calls = nil
	res, err = s.Check(context.Background(), CheckOptions{})
	if err != nil || len(res.Levels) != 0 || res.Latest.Level != 2 {
		t.Errorf("up to date: %+v, %v", res, err)
	}
	asked, total := s.v.Requests(), 0
	for _, file := range asked {
		total += len(s.v.File(file))
	}
	if len(asked) != 2 || len(s.v.calls) != 1 || total > 5<<10 {
		t.Errorf("asked for %q (%d bytes) and %q, want two files and one check", asked, total, s.v.calls)
	}
}

func TestWithdrawnIsNeverAcceptedOnceSeen(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	before := map[string][]byte{}
	for _, f := range []string{"timestamp.json"} {
		before[f] = s.v.File(f)
	}
	s.v.withdraw(2, "loses orders")
	_, err := s.Update(context.Background(), Options{Level: "2"})
	s.refuses(err, problem.Refused, "loses orders")
	s.v.Put("timestamp.json", before["timestamp.json"]) // as if it had never been withdrawn
	_, err = s.Update(context.Background(), Options{Level: "2"})
	s.refuses(err, problem.Verification, "older")
	s.is(level0)
}

func TestWithdrawalSeenStopsAPreparedLevel(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if _, err := s.Prepare(context.Background(), Options{Level: "2"}); err != nil {
		t.Fatal(err)
	}
	s.v.withdraw(2, "loses orders")
	if _, err := s.Check(context.Background(), CheckOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := s.ApplyPrepared(context.Background(), Options{})
	s.refuses(err, problem.Refused, "loses orders")
	s.is(level0)
}

func TestPrepareThenApplyWithoutNetwork(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	res, err := s.Prepare(context.Background(), Options{Level: "1"})
	if err != nil || res.Outcome != Prepared {
		t.Fatalf("%s, %v", res.Outcome, err)
	}
	s.is(level0)
	s.Service, s.Fetch = nil, nil
	res, err = s.ApplyPrepared(context.Background(), Options{})
	if err != nil || res.Outcome != Done || res.Changelog != "updates/changelog-0000-0001.md" {
		t.Fatalf("%+v, %v", res, err)
	}
	s.is(level1)
	_, err = s.Continue(context.Background(), Options{})
	s.refuses(err, problem.Failed, "no change to continue")
}

func TestConflictThenContinue(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write("conf/app.conf", "a=mine")
	res, err := s.Update(context.Background(), Options{})
	s.refuses(err, problem.Conflicts, "conf/app.conf")
	if res.Outcome != Conflicts || !slices.Equal(res.Template().Conflicts, []string{"conf/app.conf"}) {
		t.Errorf("result %s, conflicts %q", res.Outcome, res.Files.Conflicts)
	}
	s.is(with(level0, files{"conf/app.conf": "a=mine", "conf/app.conf.original": "a=0", "conf/app.conf.new": "a=2"}))

	_, err = s.Continue(context.Background(), Options{})
	s.refuses(err, problem.Conflicts, "conf/app.conf")
	_, err = s.Update(context.Background(), Options{})
	s.refuses(err, problem.Conflicts, "conf/app.conf")

	s.v.publish(line, 3, level2) // a newer level is out: what was staged is committed all the same
	s.Service, s.Fetch = nil, nil
	s.write("conf/app.conf.final", "a=both")
	list, err := s.Conflicts(context.Background(), false)
	if err != nil || list.Unresolved != 0 || list.Conflicts[0].Resolved != "final" {
		t.Errorf("conflicts %+v, %v", list, err)
	}
	if res, err = s.Continue(context.Background(), Options{}); err != nil || res.To.Level != 2 {
		t.Fatalf("%+v, %v", res, err)
	}
	s.is(with(level2, files{"conf/app.conf": "a=both"}))
}

func TestResolveAndDiscard(t *testing.T) {
	t.Parallel()
	for choice, want := range map[Resolution]string{{Mine: true}: "a=mine", {Theirs: true}: "a=2"} {
		s := newSite(t)
		s.write("conf/app.conf", "a=mine")
		_, err := s.Update(context.Background(), Options{})
		s.refuses(err, problem.Conflicts, "")
		_, err = s.Resolve(context.Background(), "lib/a.jar", choice)
		s.refuses(err, problem.Failed, "no conflict")
		_, err = s.Resolve(context.Background(), "conf/app.conf", Resolution{})
		s.refuses(err, problem.Usage, "")
		if list, err := s.Resolve(context.Background(), "conf/app.conf", choice); err != nil || list.Unresolved != 0 {
			t.Fatalf("%+v, %v", list, err)
		}
		if _, err := s.Continue(context.Background(), Options{}); err != nil {
			t.Fatal(err)
		}
		s.is(with(level2, files{"conf/app.conf": want}))
	}
	s := newSite(t)
	s.write("conf/app.conf", "a=mine")
	_, err := s.Update(context.Background(), Options{})
	s.refuses(err, problem.Conflicts, "")
	res, err := s.Revert(context.Background(), RevertOptions{})
	if err != nil || res.Outcome != Dropped {
		t.Fatalf("%s, %v", res.Outcome, err)
	}
	s.is(with(level0, files{"conf/app.conf": "a=mine"}))
}

func TestOnConflict(t *testing.T) {
	t.Parallel()
	for policy, want := range map[reconcile.Policy]string{reconcile.Mine: "a=mine", reconcile.Theirs: "a=2"} {
		s := newSite(t)
		s.write("conf/app.conf", "a=mine")
		s.home.must(os.Remove(s.home.path("lib/old.jar")))
		s.update(Options{OnConflict: policy})
		s.is(with(level2, files{"conf/app.conf": want}))
	}
}

func TestRemovedByTheOperator(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.home.must(os.Remove(s.home.path("lib/a.jar")))
	res := s.update(Options{Level: "1"})
	if d := cmp.Diff([]string{"lib/a.jar"}, res.Files.Absent); d != "" {
		t.Error(d)
	}
	s.is(with(level1, files{"lib/a.jar": "gone"}))
	s.update(Options{Level: "2", RestoreRemoved: true})
	s.is(level2)
}

func TestRevertIsBefore(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write("logs/x", "foreign")
	s.write("lib/b.jar.mine", "foreign")
	before := s.content()
	s.update(Options{Level: "1"})
	atOne := s.content()
	s.update(Options{Level: "2"})
	s.Service, s.Fetch = nil, nil
	revert := func(opts RevertOptions, level int, want files) {
		t.Helper()
		res, err := s.Revert(context.Background(), opts)
		if err != nil || res.To.Level != level || s.home.state.Level != level {
			t.Fatalf("revert %+v: %+v, %v", opts, res.To, err)
		}
		s.is(want)
	}
	revert(RevertOptions{}, 1, atOne)
	revert(RevertOptions{}, 0, before)
	_, err := s.Revert(context.Background(), RevertOptions{})
	s.refuses(err, problem.Failed, "Unable to revert as backups could not be found")
	s.Service, s.Fetch = s.v, s.get
	s.update(Options{Level: "1"})
	s.update(Options{Level: "2"})
	revert(RevertOptions{To: "1.2.0"}, 0, before)
	s.update(Options{Level: "2"})
	id := len(s.home.history)
	s.write("lib/b.jar", "edited since")
	revert(RevertOptions{To: "#" + string(rune('0'+id)), DiscardEdits: true}, 0, before)
}

func TestRevertKeepsEdits(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.update(Options{Level: "1"})
	s.write("lib/a.jar", "edited since")
	s.write("conf/app.conf", "edited since")
	res, err := s.Revert(context.Background(), RevertOptions{})
	s.refuses(err, problem.Conflicts, "lib/a.jar")
	if d := cmp.Diff([]string{"lib/a.jar"}, res.Files.Conflicts); d != "" {
		t.Error("only what the update changed is looked at: " + d)
	}
	if _, err := s.Resolve(context.Background(), "lib/a.jar", Resolution{Mine: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Continue(context.Background(), Options{}); err != nil {
		t.Fatal(err)
	}
	s.is(with(level0, files{"lib/a.jar": "edited since", "conf/app.conf": "edited since"}))
}

func TestRevertWithoutBackupNeedsTheService(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.update(Options{Level: "2", NoBackup: true})
	s.v.refuse = problem.New(problem.Unreachable, "", "the service is down")
	_, err := s.Revert(context.Background(), RevertOptions{})
	s.refuses(err, problem.Unreachable, "Unable to revert as backups could not be found")
	s.is(level2)
	s.v.refuse = nil
	if _, err := s.Revert(context.Background(), RevertOptions{}); err != nil {
		t.Fatal(err)
	}
	s.is(level0)
}

func TestDryRunWritesNothingAndEndsAlike(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	res := s.update(Options{DryRun: true})
	if res.Outcome != Planned || len(res.Files.Modified) != 3 || res.DiskNeed == 0 {
		t.Errorf("dry run: %+v", res)
	}
	s.write("conf/app.conf", "a=mine")
	_, err := s.Update(context.Background(), Options{DryRun: true})
	s.refuses(err, problem.Conflicts, "conf/app.conf")
	if _, err := s.Plan(context.Background(), Options{}); err != nil {
		t.Errorf("plan with conflicts: %v", err)
	}
	s.home.refuse = problem.New(problem.Refused, "", "Insufficient disk space")
	_, err = s.Update(context.Background(), Options{DryRun: true})
	s.refuses(err, problem.Refused, "Insufficient disk space")
	s.is(with(level0, files{"conf/app.conf": "a=mine"}))
	if s.home.pending != nil || len(s.home.history) != 0 || len(s.v.reports) != 0 {
		t.Error("a dry run left something")
	}
}

func TestPlanFile(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	planned, err := s.Plan(context.Background(), Options{Level: "2"})
	if err != nil {
		t.Fatal(err)
	}
	data, err := planned.Plan.Bytes()
	s.home.must(err)
	given, err := plan.Parse(data)
	s.home.must(err)
	again, err := s.Plan(context.Background(), Options{Level: "2"})
	if d := cmp.Diff(given, again.Plan); err != nil || d != "" {
		t.Errorf("planned twice: %v %s", err, d)
	}

	s.write("lib/a.jar", "changed meanwhile")
	_, err = s.Apply(context.Background(), given, Options{})
	s.refuses(err, problem.Refused, "lib/a.jar")
	s.write("lib/a.jar", "a")
	s.v.withdraw(2, "bad")
	_, err = s.Apply(context.Background(), given, Options{})
	s.refuses(err, problem.Refused, "bad")
	s.v.Change(line, 2, func(l *release.Listing) { l.State = release.Live })
	s.v.publish(release.Line{Product: "other", Version: "1", Channel: "full"}, 0, files{"x": "x"})
	if _, err = s.Apply(context.Background(), given, Options{}); err != nil {
		t.Fatal(err)
	}
	s.is(level2)
	_, err = s.Apply(context.Background(), given, Options{})
	s.refuses(err, problem.Refused, "starts at level 0")
}

func TestErrorsComeInOrder(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.v.refuse = problem.New(problem.Credentials, "", "Invalid credentials")
	_, err := s.Update(context.Background(), Options{Level: "9"})
	s.refuses(err, problem.Failed, "Invalid update level")
	_, err = s.Update(context.Background(), Options{})
	s.refuses(err, problem.Credentials, "Invalid credentials")
	timestamp := slices.Clone(s.v.File("timestamp.json"))
	timestamp[len(timestamp)/2] ^= 1
	s.v.Put("timestamp.json", timestamp)
	_, err = s.Update(context.Background(), Options{})
	s.refuses(err, problem.Verification, "timestamp.json")
	s.is(level0)
}

func TestExpiredMetadataStopNewLevelsOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.update(Options{Level: "1"})
	s.now = s.now.Add(400 * 24 * time.Hour)
	_, err := s.Update(context.Background(), Options{})
	s.refuses(err, problem.Verification, "")
	check, err := s.Check(context.Background(), CheckOptions{})
	if err != nil || !check.Freshness.Expired || check.Freshness.Why == "" {
		t.Errorf("check: %+v, %v", check.Freshness, err)
	}
	verify, err := s.Verify(context.Background(), VerifyOptions{})
	if err != nil || !verify.Freshness.Expired || len(verify.Messages) == 0 {
		t.Errorf("verify: %+v, %v", verify.Freshness, err)
	}
	if _, err := s.CurrentState(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := s.Revert(context.Background(), RevertOptions{}); err != nil {
		t.Error(err)
	}
	s.is(level0)
}

func TestVerify(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Service, s.Fetch = nil, nil
	s.write("conf/app.conf", "a=mine")
	s.write("logs/a.log", "x")
	s.write("lib/extra.jar", "x")
	s.home.must(os.Chmod(s.home.path("lib/a.jar"), 0o600))
	s.home.must(os.Remove(s.home.path("lib/old.jar")))
	res, err := s.Verify(context.Background(), VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := []any{res.Pristine, res.Customised, res.Missing, res.Foreign, res.Modes}
	want := []any{
		2,
		[]string{"conf/app.conf"},
		[]string{"lib/old.jar"},
		[]string{"lib/extra.jar", "logs/"},
		[]ModeDifference{{Path: "lib/a.jar", Have: "0600", Want: "0644"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	_, err = s.Verify(context.Background(), VerifyOptions{Strict: true})
	s.refuses(err, problem.Verification, "1 customised, 1 missing, 1 with another mode")
	s.home.store[s.home.state.Record.Sum] = []byte("other")
	_, err = s.Verify(context.Background(), VerifyOptions{})
	s.refuses(err, problem.Verification, "")
}

func TestInstalledLevelMustBeTheSignedOne(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	other := s.v.levels[line][0]
	other.Created = other.Created.Add(time.Hour)
	record, err := other.Bytes()
	s.home.must(err)
	s.home.state.Record = s.home.keep(record)
	_, err = s.Update(context.Background(), Options{})
	s.refuses(err, problem.Verification, "not the one that the vendor signed")
}

func TestTakenOverHomeLearnsItsRecord(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.home.state.Record = release.Ref{}
	clear(s.home.store)
	s.update(Options{Level: "1"})
	s.is(level1)
}

func TestAnotherChannelIsNeverLower(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	security := line
	security.Channel = "security"
	s.v.publish(security, 0, level0)
	s.v.publish(security, 1, with(level0, files{"lib/a.jar": "a-fixed"}))
	s.update(Options{Level: "2"})
	res := s.update(Options{Channel: "security"})
	s.is(with(level0, files{"lib/a.jar": "a-fixed"}))
	if res.From.Channel != "full" || res.To.Channel != "security" || res.To.Level != 1 {
		t.Errorf("from %+v to %+v", res.From, res.To)
	}
	if _, err := s.Revert(context.Background(), RevertOptions{}); err != nil || s.home.state.Channel != "full" {
		t.Errorf("channel %s after revert, %v", s.home.state.Channel, err)
	}
	s.is(level2)
}

func TestFloors(t *testing.T) {
	t.Parallel()
	v := newVendor(t, start)
	v.publish(line, 0, level0)
	v.publish(line, 1, level1, func(l *release.Listing) { l.Floor = "run bin/migrate" })
	v.publish(line, 2, level2)
	passing, stopping := openSite(t, v, 0), openSite(t, v, 0)
	floor := plan.Floor{Level: 1, Reason: "run bin/migrate"}
	if res := passing.update(Options{}); res.To.Level != 2 || !slices.Equal(res.Gain.Floors, []plan.Floor{floor}) {
		t.Errorf("passing: %+v", res.Gain.Floors)
	}
	if res := stopping.update(Options{StopAtFloor: true}); res.To.Level != 1 || res.StoppedAt == nil || *res.StoppedAt != floor {
		t.Errorf("stopping: %+v", res.StoppedAt)
	}
	stopping.is(level1)
	if res := stopping.update(Options{StopAtFloor: true}); res.To.Level != 2 {
		t.Errorf("on from the floor: %+v", res.To)
	}
}

func TestReportsNameNoOne(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write("conf/app.conf", "a=mine")
	s.update(Options{Level: "1"})
	if len(s.v.reports) != 1 {
		t.Fatalf("%d reports", len(s.v.reports))
	}
	want := api.Report{
		Made: s.now, Installation: InstallationID("pack", "machine", s.home.dir), Product: "shop", Version: "1.2", Channel: "full",
		Level: 1, Customised: 1, Operation: "update", Outcome: "ok", Tool: "test",
	}
	if d := cmp.Diff(want, s.v.reports[0]); d != "" {
		t.Error(d)
	}
	s.update(Options{Level: "2", OnConflict: reconcile.Mine, NoReport: true})
	if len(s.v.reports) != 1 {
		t.Error("a report in spite of --no-report")
	}
}

func TestToDirectoryLeavesTheOriginal(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write("conf/app.conf", "a=0")
	s.write("logs/x", "foreign")
	s.write("updates/product.txt", "shop-1.2\n")
	s.home.must(os.Symlink("/nowhere", s.home.path("logs/link")))
	before := s.content()
	to := filepath.Join(t.TempDir(), "copy")
	s.Other = func(_ context.Context, dir string) (*Updater, error) {
		other := *s.Updater
		home := *s.home
		home.dir = dir
		other.Home = &home
		return &other, nil
	}
	res, err := s.ToDirectory(context.Background(), to, Options{Level: "2"})
	if err != nil || res.Home != to || res.Outcome != Done {
		t.Fatalf("%+v, %v", res, err)
	}
	s.is(before)
	want := with(level2, files{"logs/x": "foreign", "updates/product.txt": "shop-1.2\n", "logs/link": "-> /nowhere"})
	if d := cmp.Diff(want, contentOf(t, to)); d != "" {
		t.Error(d)
	}
	if info, err := os.Stat(filepath.Join(to, "bin/run")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("bin/run: %v, %v", info, err)
	}
	_, err = s.ToDirectory(context.Background(), to, Options{})
	s.refuses(err, problem.Refused, "not empty")
	_, err = s.ToDirectory(context.Background(), filepath.Join(s.home.dir, "inner"), Options{})
	s.refuses(err, problem.Refused, "inside the product directory")
	failing := filepath.Join(t.TempDir(), "copy")
	_, err = s.ToDirectory(context.Background(), failing, Options{Level: "77"})
	s.refuses(err, problem.Failed, "Invalid update level")
	if _, err := os.Lstat(failing); err == nil {
		t.Error("what was copied for nothing is still there")
	}
}

func TestHistoryAndState(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.update(Options{Level: "1"})
	h, err := s.History(context.Background())
	if err != nil || len(h.Changes) != 1 || h.Changes[0].User != "operator" || h.Changes[0].To.Level != 1 || h.Changes[0].Modified != 2 {
		t.Errorf("history %+v, %v", h, err)
	}
	e, err := s.HistoryEntry(context.Background(), 1)
	if err != nil || !slices.Equal(e.Files.Added, []string{"doc/new"}) {
		t.Errorf("entry %+v, %v", e.Files, err)
	}
	_, err = s.HistoryEntry(context.Background(), 2)
	s.refuses(err, problem.Failed, "no change #2")
	state, err := s.CurrentState(context.Background())
	if err != nil || state.At.Level != 1 || state.At.State != release.Live || state.LastUpdate == nil || state.Pending != nil {
		t.Errorf("state %+v, %v", state, err)
	}
	if res, err := s.Recover(context.Background()); err != nil || res.Outcome != "clean" || res.At.Level != 1 {
		t.Errorf("recover %+v, %v", res, err)
	}
}

// TestStolenService gives an attacker the service's database, objects and online keys:
// everything but the release keys.
func TestStolenService(t *testing.T) {
	t.Parallel()
	evil := []byte("#! evil")
	for _, c := range []struct {
		name   string
		attack func(v *vendor)
		words  string // of the refusal
	}{
		{"other bytes under a signed digest", func(v *vendor) {
			v.Objects[digest.Of([]byte(level2["bin/run"]))] = evil
		}, "does not match its digest"},
		{"another manifest under a signed digest", func(v *vendor) {
			v.Objects[v.levels[line][2].Manifest.Sum] = files{"bin/run": string(evil)}.tree(v.t).Bytes()
		}, "does not match its digest"},
		{"a level listed with a key of their own", func(v *vendor) {
			v.Keys[line.Role()] = v.Keys["snapshot"]
			v.publish(line, 3, files{"bin/run": string(evil)})
		}, "not signed by enough of the keys"},
		{"a delegation to a key of their own", func(v *vendor) {
			v.Keys["targets"] = v.Keys["timestamp"]
			v.AddDelegation("targets", "line.evil", []string{"*/*/*/*"}, v.Keys["timestamp"][0])
			v.PublishRole("line.evil")
			v.PublishRole("targets")
			v.PublishOnline()
		}, "not signed by enough of the keys"},
		{"an older list of levels under a newer number", func(v *vendor) {
			old := v.Current(line.Role())
			v.withdraw(2, "loses orders")
			v.Put("99."+line.Role()+".json", old)
			v.Roles[line.Role()].Signed.Version = 99
			v.PublishOnline()
		}, "another version"},
		{"level 1 shown as level 2", func(v *vendor) {
			role := v.Roles[line.Role()]
			target := func(level int) []byte {
				return []byte(hex.EncodeToString(role.Signed.Targets[line.TargetPath(level)].Hashes["sha256"]))
			}
			number := func(n int64) []byte { return fmt.Appendf(nil, "\"version\":%d", n) }
			forged := bytes.ReplaceAll(v.Current(line.Role()), target(2), target(1))
			forged = bytes.ReplaceAll(forged, number(role.Signed.Version), number(role.Signed.Version+1))
			role.Signed.Version++
			v.Put(trust.FileName(line.Role(), role.Signed.Version), forged)
			v.PublishOnline()
		}, "not signed by enough of the keys"},
		{"a root of their own", func(v *vendor) {
			v.Keys["root"] = v.Keys["snapshot"]
			v.PublishRoot()
			v.PublishOnline()
		}, "not signed by enough of the keys"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.update(Options{Level: "1"})
			before := s.content()
			c.attack(s.v)
			_, err := s.Update(context.Background(), Options{})
			s.refuses(err, problem.Verification, c.words)
			s.is(before)
			if s.home.state.Level != 1 {
				t.Errorf("now at level %d", s.home.state.Level)
			}
		})
	}
	t.Run("a withdrawal once seen", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		hidden := map[string][]byte{"timestamp.json": s.v.File("timestamp.json")}
		s.v.withdraw(2, "loses orders")
		if _, err := s.Check(context.Background(), CheckOptions{}); err != nil {
			t.Fatal(err)
		}
		// With the online keys a newer snapshot can list the older role again.
		s.v.Roles[line.Role()].Signed.Version--
		s.v.PublishOnline()
		_, err := s.Update(context.Background(), Options{Level: "2"})
		s.refuses(err, problem.Verification, "older than what is already trusted")
		s.v.Put("timestamp.json", hidden["timestamp.json"])
		_, err = s.Update(context.Background(), Options{Level: "2"})
		s.refuses(err, problem.Verification, "older than what is already trusted")
		s.is(level0)
	})
}
