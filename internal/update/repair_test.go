//go:build !windows

package update

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// mended is a product that the tests of repair damage.
var mended = files{
	"bin/run": "#! run", "conf/app.conf": "a=0\nb=0\nc=0\n", "conf/key": "secret", "lib/text": "vendor's text", "data/db": "seed",
	"run/pid": "0", "dir/one": "1", "dir/two": "2", "link": "-> lib/text", "zero": "\x00\x00", "none": "",
}

func newMended(t *testing.T) *bank {
	t.Helper()
	v := newVendor(t, start)
	v.publishNotes(line, 0, mended, v.someNotes(0), release.Rules{Data: []string{"data/**"}, Generated: []string{"run/**"}})
	b := newBank(t, v, 0)
	b.Service, b.Fetch = v, newFetcher(v)
	return b
}

func (b *bank) repair(opts RepairOptions) VerifyResult {
	b.t.Helper()
	res, err := b.Repair(context.Background(), opts)
	if err != nil {
		b.t.Fatalf("repair: %v\n%+v", err, res.Repair)
	}
	sound := b.content()
	for p := range sound {
		if strings.Contains(p, ".rescued") {
			b.t.Errorf("%s is left", p)
		}
	}
	return res
}

func (b *bank) do(name string, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatalf("%s: %v", name, err)
	}
}

// TestRepairTellsDamageFromCustomisation: each fault, and what looks like one and is the
// operator's.
func TestRepairTellsDamageFromCustomisation(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, path string
		hurt       func(b *bank, full string) error
		fault      string // empty: it is the operator's, and stays
	}{
		{"empty", "lib/text", func(_ *bank, f string) error { return os.Truncate(f, 0) }, Empty},
		{"zeros", "lib/text", func(_ *bank, f string) error { return os.WriteFile(f, make([]byte, 70000), 0o600) }, Zeros},
		{"a folder in a file's place", "lib/text", func(_ *bank, f string) error { return errors.Join(os.Remove(f), os.Mkdir(f, 0o755)) }, WrongKind},
		{"a file in a folder's place", "dir", func(_ *bank, f string) error {
			return errors.Join(os.RemoveAll(f), os.WriteFile(f, []byte("x"), 0o600))
		}, WrongKind},
		{"a file in a link's place", "link", func(_ *bank, f string) error {
			return errors.Join(os.Remove(f), os.WriteFile(f, []byte("x"), 0o600))
		}, WrongKind},
		{"a pipe in a file's place", "lib/text", func(_ *bank, f string) error { return errors.Join(os.Remove(f), syscall.Mkfifo(f, 0o600)) }, WrongKind},
		{"no right to execute", "bin/run", func(_ *bank, f string) error { return os.Chmod(f, 0o644) }, WrongMode},
		{"others may write", "lib/text", func(_ *bank, f string) error { return os.Chmod(f, 0o666) }, WrongMode},
		{"missing", "lib/text", func(_ *bank, f string) error { return os.Remove(f) }, IsMissing},
		{"a folder is missing", "dir", func(_ *bank, f string) error { return os.RemoveAll(f) }, IsMissing},

		{"edited", "lib/text", func(_ *bank, f string) error { return os.WriteFile(f, []byte("mine"), 0o600) }, ""},
		{"closed to others", "conf/key", func(_ *bank, f string) error { return os.Chmod(f, 0o600) }, ""},
		{"closed to writing, as hardening does", "lib/text", func(_ *bank, f string) error { return os.Chmod(f, 0o444) }, ""},
		{"open to a group, as shared installations are", "lib/text", func(_ *bank, f string) error { return os.Chmod(f, 0o664) }, ""},
		{"the product's by rule, with bits of its own", "run/pid", func(_ *bank, f string) error { return os.Chmod(f, 0o666) }, ""},
		{"kept elsewhere", "conf", func(b *bank, f string) error {
			elsewhere := filepath.Join(b.t.TempDir(), "conf")
			return errors.Join(os.Rename(f, elsewhere), os.Symlink(elsewhere, f))
		}, ""},
		{"a link of one's own", "link", func(_ *bank, f string) error { return errors.Join(os.Remove(f), os.Symlink("conf/key", f)) }, ""},
		{"the product's by rule", "run/pid", func(_ *bank, f string) error { return os.Truncate(f, 0) }, ""},
		{"the operator's by rule", "data/db", func(_ *bank, f string) error { return os.Remove(f) }, ""},
		{"zeros where the vendor has some", "zero", func(_ *bank, f string) error { return os.WriteFile(f, []byte("mine"), 0o600) }, ""},
		{"something where the vendor has nothing", "none", func(_ *bank, f string) error { return os.WriteFile(f, []byte("mine"), 0o600) }, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := newMended(t)
			whole := b.content()
			b.do(row.name, row.hurt(b, b.path(row.path)))
			var hurt files
			if row.fault == "" { // else there may be a pipe, which nobody reads
				hurt = b.content()
			}
			if row.fault != "" && row.fault != IsMissing {
				res, err := b.Verify(t.Context(), VerifyOptions{})
				if problem.KindOf(err) != problem.Verification || len(res.Faults) != 1 || res.Faults[0].Fault != row.fault || res.Faults[0].Path != row.path {
					t.Fatalf("verify finds %+v, %v", res.Faults, err)
				}
			}
			res := b.repair(RepairOptions{})
			if row.fault == "" {
				if res.Repair.Outcome != Nothing {
					t.Errorf("repaired: %+v", res.Repair)
				}
				if d := cmp.Diff(hurt, b.content()); d != "" {
					t.Errorf("the operator's was touched (-before +after):\n%s", d)
				}
				return
			}
			if d := cmp.Diff(whole, b.content()); d != "" {
				t.Errorf("not whole again (-whole +repaired):\n%s", d)
			}
			if len(res.Repair.Restored) == 0 || res.Repair.Restored[0] != (Restored{What: row.path, Was: row.fault, From: res.Repair.Restored[0].From}) {
				t.Errorf("told: %+v", res.Repair.Restored)
			}
			if _, err := b.Revert(t.Context(), RevertOptions{}); err != nil {
				t.Errorf("taking it back: %v", err)
			}
		})
	}
}

// TestRevertAfterRepairBringsBackWhatStood and going to an older level does not.
func TestRevertAfterRepairBringsBackWhatStood(t *testing.T) {
	t.Parallel()
	b := newMended(t)
	b.v.publishNotes(line, 1, with(mended, files{"lib/text": "newer text"}), b.v.someNotes(1), release.Rules{})
	whole := b.content()
	b.do("update", func() error { _, err := b.Update(t.Context(), Options{Level: "1"}); return err }())
	b.do("hurt", errors.Join(os.Remove(b.path("dir/one")), os.Truncate(b.path("bin/run"), 0)))
	b.write("conf/key", "mine")
	hurt := b.content()
	b.repair(RepairOptions{})
	b.do("revert", func() error { _, err := b.Revert(t.Context(), RevertOptions{}); return err }())
	if d := cmp.Diff(hurt, b.content()); d != "" {
		t.Errorf("a repair taken back (-before +after):\n%s", d)
	}
	b.repair(RepairOptions{})
	b.do("revert to 0", func() error { _, err := b.Revert(t.Context(), RevertOptions{To: "0"}); return err }())
	if d := cmp.Diff(with(whole, files{"conf/key": "mine"}), b.content()); d != "" {
		t.Errorf("going to a level brings damage back (-want +got):\n%s", d)
	}
}

// TestRepairBringsAMergeBack: what the tool merged, not the vendor's bare file.
func TestRepairBringsAMergeBack(t *testing.T) {
	t.Parallel()
	b := newMended(t)
	b.v.publishNotes(line, 1, with(mended, files{"conf/app.conf": "a=0\nb=0\nc=1\n"}), b.v.someNotes(1), release.Rules{})
	b.write("conf/app.conf", "a=mine\nb=0\nc=0\n")
	b.do("update", func() error { _, err := b.Update(t.Context(), Options{Level: "1"}); return err }())
	merged := b.content()
	for _, hurt := range []func() error{
		func() error { return os.Truncate(b.path("conf/app.conf"), 0) },
		func() error { return os.Remove(b.path("conf/app.conf")) },
	} {
		b.do("hurt", hurt())
		res := b.repair(RepairOptions{})
		if d := cmp.Diff(merged, b.content()); d != "" || !slices.Equal(res.Merged, []string{"conf/app.conf"}) {
			t.Errorf("merged is %v (-merged +repaired):\n%s", res.Merged, d)
		}
	}
	b.repair(RepairOptions{Customised: true})
	if got := b.content()["conf/app.conf"]; got != "a=0\nb=0\nc=1\n" {
		t.Errorf("with customised it is %q", got)
	}
}

// TestRepairNamesWhatCannotBeHad and restores all else.
func TestRepairNamesWhatCannotBeHad(t *testing.T) {
	t.Parallel()
	b := newMended(t)
	b.do("hurt", errors.Join(os.Remove(b.path("lib/text")), os.Remove(b.path("dir/one")), os.Chmod(b.path("bin/run"), 0o600)))
	delete(b.v.Objects, digest.Of([]byte("vendor's text")))
	res, err := b.Repair(t.Context(), RepairOptions{})
	if problem.KindOf(err) != problem.Verification || !strings.Contains(err.Error(), "lib/text") || len(res.Repair.Unrestored) != 1 {
		t.Fatalf("%v: %+v", err, res.Repair)
	}
	if b.content()["dir/one"] != "1" || len(res.Repair.Restored) != 2 || res.Repair.Outcome != Done {
		t.Errorf("all else: %+v", res.Repair)
	}
	b.v.refuse = problem.New(problem.Credentials, "", "wrong password")
	b.do("hurt again", os.Remove(b.path("dir/two")))
	history, err := b.Home.History()
	b.v.must(err)
	res, err = b.Repair(t.Context(), RepairOptions{})
	again, historyErr := b.Home.History()
	if problem.KindOf(err) != problem.Verification || !strings.Contains(err.Error(), "wrong password") || len(res.Repair.Unrestored) != 2 ||
		len(again) != len(history) || historyErr != nil {
		t.Errorf("%v: %+v; %d changes, before %d", err, res.Repair, len(again), len(history))
	}
	b.v.refuse = nil
	b.Service, b.Fetch = nil, nil
	if _, err = b.Repair(t.Context(), RepairOptions{}); problem.KindOf(err) != problem.Verification || !strings.Contains(err.Error(), "not to be used") {
		t.Error(err)
	}
}

// TestRepairWritesNothingWithoutAgreement.
func TestRepairWritesNothingWithoutAgreement(t *testing.T) {
	t.Parallel()
	b := newMended(t)
	b.do("hurt", os.Remove(b.path("lib/text")))
	hurt := b.content()
	no := problem.New(problem.Declined, "", "no")
	if _, err := b.Repair(t.Context(), RepairOptions{Agree: func(r VerifyResult) error {
		if len(r.Repair.Restored) != 1 || r.Repair.Outcome != Planned {
			t.Errorf("asked about %+v", r.Repair)
		}
		return no
	}}); !errors.Is(err, no) {
		t.Error(err)
	}
	res := b.repair(RepairOptions{DryRun: true})
	if res.Repair.Outcome != Planned || len(res.Repair.Restored) != 1 {
		t.Errorf("dry run: %+v", res.Repair)
	}
	if d := cmp.Diff(hurt, b.content()); d != "" {
		t.Error(d)
	}
}

// sick is a home whose disk does not give some files.
type sick struct {
	Home
	paths    []string
	recorded map[string]digest.Digest
}

func (s sick) Inspect(ctx context.Context, paths []string, remember bool) (Inspection, error) {
	in, err := s.Home.Inspect(ctx, paths, remember)
	in.Unreadable = map[string]error{}
	var all []manifest.Entry
	for _, e := range in.Tree.Entries() {
		if slices.Contains(s.paths, e.Path) {
			e.Sum, in.Unreadable[e.Path] = digest.Digest{}, syscall.EIO
		}
		all = append(all, e)
	}
	maps.Copy(in.Recorded, s.recorded)
	tree, treeErr := manifest.NewTree(all)
	in.Tree = tree
	return in, errors.Join(err, treeErr)
}

// TestWhatTheDiskDoesNotGiveIsAskedForTwice: a file that can be read after all is not
// replaced, and one that was customised before is nobody's to replace.
func TestWhatTheDiskDoesNotGiveIsAskedForTwice(t *testing.T) {
	t.Parallel()
	b := newMended(t)
	whole := b.content()
	home := b.Home
	b.Home = sick{Home: home, paths: []string{"lib/text"}}
	res, err := b.Repair(t.Context(), RepairOptions{})
	if problem.KindOf(err) != problem.Verification || !strings.Contains(err.Error(), "whether it was customised is not known") || !res.Faults[0].Lost {
		t.Errorf("nothing is known of it: %v: %+v", err, res.Faults)
	}
	b.Home = sick{Home: home, paths: []string{"lib/text"}, recorded: map[string]digest.Digest{"lib/text": digest.Of([]byte(mended["lib/text"]))}}
	_, err = b.Repair(t.Context(), RepairOptions{})
	if problem.KindOf(err) != problem.Refused || !strings.Contains(err.Error(), "now it can") {
		t.Errorf("%v", err)
	}
	b.Home = sick{Home: home, paths: []string{"lib/text"}, recorded: map[string]digest.Digest{"lib/text": digest.Of([]byte("mine"))}}
	res, err = b.Repair(t.Context(), RepairOptions{})
	if problem.KindOf(err) != problem.Verification || !strings.Contains(err.Error(), "customised before") || !res.Faults[0].Lost {
		t.Errorf("%v: %+v", err, res.Faults)
	}
	if d := cmp.Diff(whole, b.content()); d != "" {
		t.Error(d)
	}
}

// TestRepairUnderAHotfix: what belongs there is the hotfix's, from the store or its zip;
// its record comes back from the zip, too.
func TestRepairUnderAHotfix(t *testing.T) {
	t.Parallel()
	b := newMended(t)
	b.v.signsHotfixes()
	fixed := with(mended, files{"lib/text": "fixed text", "lib/bin": "\x00fixed"})
	zip := b.v.hotfix(1, 0, mended, fixed)
	b.Service, b.Fetch = nil, nil
	b.apply(zip)
	whole := b.content()
	b.do("hurt", errors.Join(os.Truncate(b.path("lib/text"), 0), os.Truncate(b.path("lib/bin"), 0)))
	res, err := b.Repair(t.Context(), RepairOptions{})
	if problem.KindOf(err) != problem.Verification || !strings.Contains(err.Error(), "lib/bin") || b.content()["lib/text"] != "fixed text" {
		t.Errorf("from the store: %v: %+v", err, res.Repair)
	}
	payload, err := trust.HotfixPayload(zip.Envelope())
	b.v.must(err)
	b.do("break the record", os.WriteFile(b.path("updates/store/"+digest.Of(payload).String()), []byte("broken"), 0o600))
	if _, err := b.Repair(t.Context(), RepairOptions{}); problem.KindOf(err) != problem.Verification || !strings.Contains(err.Error(), "record of hotfix") {
		t.Error(err)
	}
	res = b.repair(RepairOptions{From: CarriedHotfix(zip, payload)})
	if d := cmp.Diff(whole, b.content()); d != "" || len(res.Hotfixed) != 2 || len(res.Damaged) != 0 {
		t.Errorf("from the zip: %+v (-whole +repaired):\n%s", res, d)
	}
}

// TestRepairOfWhatTheToolKeeps: manifest and record come anew, and damaged metadata.
func TestRepairOfWhatTheToolKeeps(t *testing.T) {
	t.Parallel()
	b := newMended(t)
	if _, err := b.Check(t.Context(), CheckOptions{}); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(b.path("updates/store/*"))
	b.v.must(err)
	for _, name := range names {
		b.do("break", os.WriteFile(name, []byte("broken"), 0o600))
	}
	b.do("break", os.WriteFile(b.path("updates/trust/snapshot.json"), []byte("{}"), 0o600))
	res := b.repair(RepairOptions{})
	if len(names) < 3 || len(res.Repair.Restored) < len(names) || res.Repair.Restored[0].From != "service" {
		t.Errorf("%+v", res.Repair)
	}
	if _, err := b.Verify(t.Context(), VerifyOptions{Strict: true}); err != nil {
		t.Error(err)
	}
}

// TestTheReportSaysWhatStandsAndWhatIsSigned.
func TestTheReportSaysWhatStandsAndWhatIsSigned(t *testing.T) {
	t.Parallel()
	b := newMended(t)
	if _, err := b.Check(t.Context(), CheckOptions{}); err != nil {
		t.Fatal(err)
	}
	verdict := func(want string) Audit {
		t.Helper()
		res, err := b.Verify(t.Context(), VerifyOptions{})
		a := b.Audit(res, err)
		if a.Verdict != want || !a.Signed.Listed || a.Signed.Root == "" || a.Signed.Manifest.Sum.IsZero() || a.Host != "" {
			t.Errorf("verdict %s, want %s: %+v", a.Verdict, want, a)
		}
		if _, err := json.Marshal(a); err != nil {
			t.Error(err)
		}
		return a
	}
	verdict(VerdictWhole)
	b.write("conf/key", "mine")
	a := verdict(VerdictCustomised)
	if len(a.Differences) != 1 || a.Differences[0].Stands.Sum != digest.Of([]byte("mine")) || a.Differences[0].Signed.Sum != digest.Of([]byte("secret")) {
		t.Errorf("%+v", a.Differences)
	}
	b.do("hurt", os.Truncate(b.path("lib/text"), 0))
	verdict(VerdictDamaged)
	res := b.repair(RepairOptions{})
	a = b.Audit(res, nil)
	text := string(a.Text())
	for _, words := range []string{"A repair brought back 1 things", "Stood before the repair:", "lib/text: was empty, from", "conf/key: customised", digest.Of([]byte("mine")).String()} {
		if !strings.Contains(text, words) {
			t.Errorf("%q is not in the report:\n%s", words, text)
		}
	}
}

// TestANameWritesNoLineOfTheReport: whoever may make a file must not make a verdict.
func TestANameWritesNoLineOfTheReport(t *testing.T) {
	t.Parallel()
	b := newMended(t)
	b.write("conf/x\nVerdict            whole\x1b[2J", "mine")
	b.do("link", errors.Join(os.Remove(b.path("link")), os.Symlink("a\nVerdict            whole", b.path("link"))))
	res, err := b.Verify(t.Context(), VerifyOptions{})
	text := string(b.Audit(res, err).Text())
	if err != nil || len(res.Foreign) != 1 || strings.Count(text, "\nVerdict") != 1 || strings.Contains(text, "\x1b") || !strings.Contains(text, `conf/x\nVerdict`) {
		t.Errorf("%v\n%s", err, text)
	}
}

// TestWhatLooksDamagedAndIsMeantSo: the operator is told how to say it, and it works.
func TestWhatLooksDamagedAndIsMeantSo(t *testing.T) {
	t.Parallel()
	b := newMended(t)
	b.write("conf/key", "")
	res, err := b.Verify(t.Context(), VerifyOptions{})
	if p, ok := errors.AsType[*problem.Error](err); !ok || len(res.Faults) != 1 || !strings.Contains(p.Next, "once it holds a blank line") {
		t.Fatalf("%v: %+v", err, res.Faults)
	}
	b.write("conf/key", "\n")
	if res, err = b.Verify(t.Context(), VerifyOptions{}); err != nil || !slices.Equal(res.Customised, []string{"conf/key"}) {
		t.Errorf("%v: %+v", err, res)
	}
}

// TestAnInterruptedRepairLosesNothing: what was not asked for is not told to be lost.
func TestAnInterruptedRepairLosesNothing(t *testing.T) {
	t.Parallel()
	b := newMended(t)
	b.do("hurt", os.Remove(b.path("lib/text")))
	ctx, cancel := context.WithCancel(t.Context())
	b.Progress = &signalAfter{cancel: cancel}
	res, err := b.Repair(ctx, RepairOptions{})
	if !errors.Is(err, context.Canceled) || problem.KindOf(err) == problem.Verification || len(res.Repair.Restored) != 0 {
		t.Errorf("%v: %+v", err, res.Repair)
	}
}

// TestALookThatFailsAfterTheCommit hides nothing of what was done.
func TestALookThatFailsAfterTheCommit(t *testing.T) {
	t.Parallel()
	b := newMended(t)
	b.do("hurt", os.Remove(b.path("lib/text")))
	b.Home = &blinded{Home: b.Home}
	res, err := b.Repair(t.Context(), RepairOptions{})
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || !strings.Contains(p.Stands, "restored, as change #1") || res.Repair.Outcome != Done || b.content()["lib/text"] != mended["lib/text"] {
		t.Errorf("%+v: %+v", err, res.Repair)
	}
}

// blinded is a home that can be looked at once.
type blinded struct {
	Home

	looked bool
}

func (h *blinded) Inspect(ctx context.Context, paths []string, remember bool) (Inspection, error) {
	if h.looked {
		return Inspection{}, syscall.ENOSPC
	}
	h.looked = true
	return h.Home.Inspect(ctx, paths, remember)
}

// signalAfter cancels once the files are looked at.
type signalAfter struct{ cancel context.CancelFunc }

func (s *signalAfter) Start(string, int, int64) {}
func (s *signalAfter) Item(string)              {}
func (s *signalAfter) Bytes(int64)              {}
func (s *signalAfter) Done()                    { s.cancel() }

// TestRepairLeavesWhatLiesBehindALink: with --customised, too; all else is restored then.
func TestRepairLeavesWhatLiesBehindALink(t *testing.T) {
	t.Parallel()
	b := newMended(t)
	b.do("inside", errors.Join(os.RemoveAll(b.path("data")), os.Mkdir(b.path("elsewhere"), 0o755), os.Symlink("elsewhere", b.path("data"))))
	b.do("outside", errors.Join(os.Rename(b.path("conf"), b.path("moved")), os.Symlink("moved", b.path("conf"))))
	b.repair(RepairOptions{})
	names, err := os.ReadDir(b.path("elsewhere"))
	if err != nil || len(names) != 0 {
		t.Errorf("%v: %v", names, err)
	}
	b.write("lib/text", "mine")
	res, err := b.Repair(t.Context(), RepairOptions{Customised: true})
	if problem.KindOf(err) != problem.Verification || len(res.Repair.Unrestored) != 2 || res.Repair.Unrestored[0].What != "conf" {
		t.Errorf("%v: %+v", err, res.Repair)
	}
	if names, err = os.ReadDir(b.path("elsewhere")); err != nil || len(names) != 0 {
		t.Errorf("%v: %v", names, err)
	}
	if got := b.content(); got["lib/text"] != mended["lib/text"] || got["conf"] != "-> moved" || got["moved/key"] != "secret" || got["data"] != "-> elsewhere" {
		t.Errorf("%v", got)
	}
}

// TestBetweenTellsWithoutTheService what is stored.
func TestBetweenTellsWithoutTheService(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	online, err := s.Between(t.Context(), BetweenOptions{From: "0", To: "0", Files: true})
	if err != nil || online.To.Level != 2 || len(online.Gain.Updates) != 2 {
		t.Fatalf("%+v, %v", online, err)
	}
	if d := cmp.Diff([][]string{{"lib/b.jar"}, {"bin/run", "conf/app.conf", "lib/a.jar"}, {"lib/old.jar"}}, [][]string{online.Added, online.Updated, online.Removed}); d != "" {
		t.Error(d)
	}
	s.update(Options{Level: "2"})
	s.Service, s.Fetch = nil, nil
	if _, err := s.Between(t.Context(), BetweenOptions{From: "2", To: "2", Files: true}); err != nil {
		t.Errorf("the installed level is stored: %v", err)
	}
	if _, err := s.Between(t.Context(), BetweenOptions{From: "3", To: "2"}); problem.KindOf(err) != problem.Failed {
		t.Error(err)
	}
	s.now = s.now.Add(time.Hour)
}

// lateSignal cancels when the commit is over.
type lateSignal struct {
	cancel context.CancelFunc
	commit bool
}

func (l *lateSignal) Start(phase string, _ int, _ int64) { l.commit = l.commit || phase == "commit" }
func (l *lateSignal) Item(string)                        {}
func (l *lateSignal) Bytes(int64)                        {}
func (l *lateSignal) Done() {
	if l.commit {
		l.cancel()
	}
}

// TestASignalAfterTheCommitComesTooLate: what is done is said to be done.
func TestASignalAfterTheCommitComesTooLate(t *testing.T) {
	t.Parallel()
	b := newMended(t)
	b.do("hurt", os.Remove(b.path("lib/text")))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.Progress = &lateSignal{cancel: cancel}
	res, err := b.Repair(ctx, RepairOptions{})
	if err != nil || ctx.Err() == nil || res.Repair.Outcome != Done || len(res.Missing) != 0 {
		t.Errorf("%v: %+v", err, res)
	}
}
