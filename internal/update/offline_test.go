package update

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"uplevel/internal/bundle"
	"uplevel/internal/digest"
	"uplevel/internal/merge/formats"
	"uplevel/internal/object"
	"uplevel/internal/offline"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/statefile"
	"uplevel/internal/trust"
	"uplevel/internal/trust/refresh"
	"uplevel/internal/trust/trusttest"
)

// Three levels of a shop. Level 2 contains the bank's hotfix 1, and level 3 keeps nothing.
var (
	off0 = files{"bin/run": "#! run 0", "conf/a.properties": "a=1\nb=1\nc=1\n", "lib/a.jar": "jar\x000", "lib/old.jar": "old\x00"}
	off1 = with(off0, files{"bin/run": "#! run 1"})
	off2 = with(off1, files{"conf/a.properties": "a=1\nb=1\nc=2\n", "lib/a.jar": "jar\x002", "lib/new.jar": "new\x00", "lib/old.jar": "gone"})
	hot1 = with(off1, files{"lib/a.jar": "jar\x001 fixed"})
)

func newOffline(t *testing.T) *vendor {
	t.Helper()
	v := newVendor(t, start)
	v.signsHotfixes()
	v.publishNotes(line, 0, off0, release.Notes{}, release.Rules{})
	v.publish(line, 1, off1)
	notes := v.someNotes(2)
	notes.AbsorbsHotfixes = []string{"Bank-hf1"}
	v.publishNotes(line, 2, off2, notes, release.Rules{})
	return v
}

// storing is a fetcher that has the stored form, too.
type storing struct{ *fetcher }

func (s storing) Stored(ref release.Ref) (io.ReadCloser, error) {
	var b bytes.Buffer
	if _, _, err := object.Encode(&b, bytes.NewReader(s.v.Objects[ref.Sum])); err != nil {
		return nil, err
	}
	return io.NopCloser(&b), nil
}

// damaging has damaged what it stores of one content since it was fetched.
type damaging struct {
	storing

	sum digest.Digest
}

func (d damaging) Stored(ref release.Ref) (io.ReadCloser, error) {
	if ref.Sum == d.sum {
		return io.NopCloser(strings.NewReader("damaged")), nil
	}
	return d.storing.Stored(ref)
}

func (d damaging) Open(ref release.Ref) (io.ReadCloser, error) {
	if ref.Sum == d.sum {
		return nil, problem.New(problem.Verification, "Run the command again: it is fetched anew.", "damaged in the cache")
	}
	return d.storing.Open(ref)
}

// drafted asks for an offline update and does not write it.
func (v *vendor) drafted(opts offline.Options) (*offline.Draft, error) {
	v.t.Helper()
	client, err := refresh.New(refresh.Config{Dir: v.t.TempDir(), Root: v.File("1.root.json"), Remote: v.Repo, Now: func() time.Time { return v.Now }})
	v.must(err)
	m := offline.Maker{Service: v, Trust: client, Fetch: damaging{storing{newFetcher(v)}, v.damaged}, Log: slog.New(slog.DiscardHandler)}
	if opts.Line == (release.Line{}) {
		opts.Line = line
	}
	return m.Make(context.Background(), opts)
}

// made makes an offline update as create-update does, and returns its bytes.
func (v *vendor) made(opts offline.Options) []byte {
	v.t.Helper()
	draft, err := v.drafted(opts)
	v.must(err)
	var zip bytes.Buffer
	_, err = draft.Write(&zip)
	v.must(err)
	return zip.Bytes()
}

func (v *vendor) zip(opts offline.Options) *bundle.Offline {
	v.t.Helper()
	data := v.made(opts)
	zip, err := bundle.OpenOffline(bytes.NewReader(data), int64(len(data)))
	v.must(err)
	return zip
}

// island is an installation that reaches nobody.
func island(t *testing.T, v *vendor, level int) *bank {
	t.Helper()
	b := &bank{onDisk(t, v, level), t, v}
	b.Formats, b.System = formats.For, "linux/amd64"
	b.Service, b.Fetch = nil, nil
	return b
}

func (b *bank) update(zip *bundle.Offline, opts Options) (*Result, error) {
	return b.ApplyUpdate(context.Background(), zip, opts)
}

func (b *bank) updated(zip *bundle.Offline) *Result {
	b.t.Helper()
	res, err := b.update(zip, Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

// untouched runs what must be refused, and wants the home as it was with nothing staged.
func (b *bank) untouched(kind problem.Kind, words string, do func() error) {
	b.t.Helper()
	before := b.content()
	refused(b.t, do(), kind, words)
	b.is(before)
	if _, err := os.Stat(b.path("updates/staging/pending.json")); err == nil {
		b.t.Errorf("%s: something is staged", words)
	}
}

func TestOneOfflineUpdateForManyInstallations(t *testing.T) {
	t.Parallel()
	v := newOffline(t)
	untouched, customised, hotfixed := island(t, v, 0), island(t, v, 0), island(t, v, 1)
	customised.write("conf/a.properties", "a=mine\nb=1\nc=1\n")
	customised.write("lib/a.jar", "jar\x00 mine")
	hotfixed.belongs("org_bank")
	hotfixed.apply(v.hotfix(1, 1, off1, hot1))
	var states []statefile.State
	for _, b := range []*bank{untouched, customised, hotfixed} {
		s, err := b.StateFile(t.Context())
		v.must(err)
		states = append(states, s)
	}
	if len(states[0].Files) != 0 || len(states[1].Files) != 2 || len(states[2].Files) != 1 || states[2].Hotfixes[0] != "Bank-hf1" {
		t.Errorf("%+v", states)
	}
	zip := v.zip(offline.Options{States: states})

	b := untouched
	planned, err := b.update(zip, Options{DryRun: true})
	v.must(err)
	if _, err := b.Trust.Trusted(line); err == nil || planned.Outcome != Planned {
		t.Error("a dry run keeps metadata")
	}
	res := b.updated(zip)
	b.is(off2)
	if res.Outcome != Done || res.From.Name != "1.2.0" || res.To.Name != "1.2.2" || len(res.Gain.Updates) != 2 || res.Freshness.Mode != trust.Carried || res.Download != 0 {
		t.Errorf("%+v", res)
	}
	if view, err := b.Trust.Trusted(line); err != nil || view.Expired() && view.Mode() == trust.Carried {
		t.Errorf("not kept: %v", err)
	}
	if o, err := b.Home.Organisation(); err != nil || o.ID != "org" {
		t.Errorf("whose it is was not learned: %+v, %v", o, err)
	}
	if res := b.updated(zip); res.Outcome != Nothing {
		t.Errorf("again: %s", res.Outcome)
	}

	res, err = customised.update(zip, Options{})
	if problem.KindOf(err) != problem.Conflicts || strings.Join(res.Files.Merged, " ") != "conf/a.properties" || strings.Join(res.Files.Conflicts, " ") != "lib/a.jar" {
		t.Fatalf("%v, %+v", err, res)
	}
	for _, side := range []string{".original", ".new"} {
		if _, err := os.Stat(customised.path("lib/a.jar" + side)); err != nil {
			t.Error(err)
		}
	}
	v.must(os.WriteFile(customised.path("lib/a.jar.final"), []byte("both"), 0o644))
	_, err = customised.Continue(t.Context(), Options{})
	v.must(err)
	customised.is(with(off2, files{"conf/a.properties": "a=mine\nb=1\nc=2\n", "lib/a.jar": "both"}))

	if res := hotfixed.updated(zip); strings.Join(res.Hotfixes.Absorbed, " ") != "Bank-hf1" {
		t.Errorf("%+v", res.Hotfixes)
	}
	hotfixed.is(off2)
}

func TestAHomeOfAnotherToolTakesAnOfflineUpdate(t *testing.T) {
	t.Parallel()
	v := newOffline(t)
	b := island(t, v, 1)
	b.write("conf/a.properties", "a=mine\nb=1\nc=1\n")
	b.leftBy(`{"update-level": "1"}`)
	s, err := b.StateFile(t.Context())
	v.must(err)
	if s.Compared || s.Record != nil || len(s.Files) != len(off1) {
		t.Errorf("%+v", s)
	}
	b.updated(v.zip(offline.Options{States: []statefile.State{s}}))
	b.is(with(off2, files{"conf/a.properties": "a=mine\nb=1\nc=2\n"}))
}

// TestACustomisedFileNeedsItsOriginal: without a state file the original of a file that
// is no text does not travel; the refusal says how to get it.
func TestACustomisedFileNeedsItsOriginal(t *testing.T) {
	t.Parallel()
	v := newOffline(t)
	b := island(t, v, 0)
	b.write("lib/a.jar", "jar\x00 mine")
	b.write("conf/a.properties", "a=mine\nb=1\nc=1\n")
	zip := v.zip(offline.Options{})
	for _, dry := range []bool{true, false} {
		b.untouched(problem.Refused, "the original lib/a.jar", func() error {
			_, err := b.update(zip, Options{DryRun: dry})
			if p, ok := errors.AsType[*problem.Error](err); !ok || !strings.Contains(p.Next, "create-update --from-state") || !strings.Contains(p.Next, "current-state --out") {
				t.Errorf("%+v", err)
			}
			return err
		})
	}
	s, err := b.StateFile(t.Context())
	v.must(err)
	if _, err := b.update(v.zip(offline.Options{States: []statefile.State{s}}), Options{}); problem.KindOf(err) != problem.Conflicts {
		t.Error(err)
	}
}

func TestOfflineUpdatesThatDoNotFit(t *testing.T) {
	t.Parallel()
	v := newOffline(t)
	other := newOffline(t)
	other.publishNotes(line, 3, off2, other.someNotes(3), release.Rules{}, func(l *release.Listing) { l.State = release.Testing })
	other.answer.States = []string{"testing"}
	from0, from1 := v.zip(offline.Options{End: "1"}), v.zip(offline.Options{Start: 1})
	inTesting := other.zip(offline.Options{End: "3", AskedFor: []release.State{release.Testing}})
	for what, c := range map[string]struct {
		level int
		zip   *bundle.Offline
		words string
	}{
		"another start": {0, from1, "begins at level 1.2.1, the product is at 1.2.0"},
		"below":         {2, from0, "goes to level 1.2.1, below the installed 1.2.2"},
		"testing":       {0, inTesting, "in state testing, which was not asked for"},
	} {
		b := island(t, v, c.level)
		if c.zip == inTesting {
			b = island(t, other, c.level)
		}
		b.untouched(problem.Refused, c.words, func() error { _, err := b.update(c.zip, Options{}); return err })
		if _, err := b.Trust.Trusted(line); err == nil {
			t.Errorf("%s: metadata are kept", what)
		}
	}
	b := island(t, other, 0)
	_, err := b.update(inTesting, Options{States: []release.State{release.Testing}})
	v.must(err)
}

// TestTroubleWithOfflineUpdates is what may become of a zip on its way.
func TestTroubleWithOfflineUpdates(t *testing.T) {
	t.Parallel()
	v := newOffline(t)
	data := v.made(offline.Options{})
	open := func(data []byte) (*bundle.Offline, error) {
		return bundle.OpenOffline(bytes.NewReader(data), int64(len(data)))
	}
	b := island(t, v, 0)
	for at := 0; at < len(data); at += 97 {
		damaged := bytes.Clone(data)
		damaged[at] ^= 0x20
		before := b.content()
		zip, err := open(damaged)
		if err == nil {
			_, err = b.update(zip, Options{DryRun: true})
		}
		if err != nil && problem.KindOf(err) != problem.Verification {
			t.Fatalf("byte %d: %v", at, err)
		}
		if d := b.content(); len(d) != len(before) {
			t.Fatal("the home changed")
		}
	}
	b.untouched(problem.Verification, "Unable to use the offline update", func() error { _, err := open(data[:len(data)-1]); return err })

	// Damaged in a content, so that it opens.
	damaged := bytes.Clone(data)
	damaged[bytes.LastIndex(damaged[:len(damaged)-3000], []byte("objects/"))+8+64+20] ^= 1
	if zip, err := open(damaged); err == nil {
		b.untouched(problem.Verification, "", func() error { _, err := b.update(zip, Options{}); return err })
	}
	if _, err := b.Trust.Trusted(line); err == nil {
		t.Error("metadata of a damaged zip are kept")
	}
}

func TestOfflineUpdatesOfOthersAndOfOldTimes(t *testing.T) {
	t.Parallel()
	v := newOffline(t)
	old := v.made(offline.Options{End: "1"})
	open := func(data []byte) *bundle.Offline {
		zip, err := bundle.OpenOffline(bytes.NewReader(data), int64(len(data)))
		v.must(err)
		return zip
	}
	// Another vendor's, whose first root only looks like ours.
	b := island(t, v, 0)
	c := newVendor(t, start)
	c.Keys[trust.RoleTargets] = []ed25519.PrivateKey{trusttest.Key("evil")}
	c.Root.Signed.Version = 0
	c.Keys[trust.RoleRoot] = []ed25519.PrivateKey{trusttest.Key("evil")}
	c.PublishRoot()
	c.PublishRole(trust.RoleTargets)
	for level, tree := range []files{off0, off1} {
		c.publish(line, level, tree)
	}
	b.untouched(problem.Verification, "", func() error { _, err := b.update(c.zip(offline.Options{}), Options{}); return err })

	// Older than what is trusted: transport. The level is still listed: applied.
	v.Now = v.Now.Add(time.Hour)
	v.PublishOnline()
	_, err := b.online().Check(t.Context(), CheckOptions{})
	v.must(err)
	b.updated(open(old))
	b.is(off1)

	// And of before a root rotation, likewise.
	v.Keys[trust.RoleTimestamp] = []ed25519.PrivateKey{trusttest.Key("timestamp-2")}
	v.PublishRoot()
	v.PublishOnline()
	rotated := island(t, v, 0)
	_, err = rotated.online().Check(t.Context(), CheckOptions{})
	v.must(err)
	rotated.updated(open(old))
	rotated.is(off1)

	// Withdrawn since, in what is trusted here: refused, whatever the zip says.
	v.withdraw(1, "it loses orders")
	late := island(t, v, 0)
	_, err = late.online().Check(t.Context(), CheckOptions{})
	v.must(err)
	late.untouched(problem.Verification, "Level 1.2.1 was withdrawn: it loses orders", func() error { _, err := late.update(open(old), Options{}); return err })
	// Where nobody has heard of that, it is applied.
	deaf := island(t, v, 0)
	deaf.updated(open(old))
	deaf.is(off1)
}

func TestClocksOfIslandsMayBeWrong(t *testing.T) {
	t.Parallel()
	v := newOffline(t)
	zip := v.zip(offline.Options{})
	for _, now := range []time.Time{start.AddDate(-20, 0, 0), start.AddDate(11, 0, 0)} {
		b := island(t, v, 0)
		client, err := refresh.New(refresh.Config{Dir: b.path("updates/trust"), Root: v.File("1.root.json"), Now: func() time.Time { return now }})
		v.must(err)
		b.Trust, b.Now = client, func() time.Time { return now }
		res := b.updated(zip)
		if age := res.Freshness.Age; (age == 0) != now.Before(start) || res.Freshness.Expired {
			t.Errorf("by a clock at %s: %+v", now, res.Freshness)
		}
		strict := island(t, v, 0)
		strict.Trust, err = refresh.New(refresh.Config{
			Dir: strict.path("updates/trust"), Root: v.File("1.root.json"), Now: func() time.Time { return now }, Mode: trust.Carried, Allowance: 45 * 24 * time.Hour,
		})
		v.must(err)
		strict.untouched(problem.Verification, "clock", func() error { _, err := strict.update(zip, Options{}); return err })
	}
}

// TestAnOfflineUpdateToAnotherChannel goes from tree to tree, and back.
func TestAnOfflineUpdateToAnotherChannel(t *testing.T) {
	t.Parallel()
	v := newOffline(t)
	security := line
	security.Channel = "security"
	v.publish(security, 0, off0)
	v.publish(security, 1, with(off0, files{"bin/run": "#! run secure"}))
	b := island(t, v, 2)
	s, err := b.StateFile(t.Context())
	v.must(err)
	zip := v.zip(offline.Options{Line: security, States: []statefile.State{s}})
	if name := zip.Index().FileName(); name != "shop-1.2.2-1.2.1-security.zip" {
		t.Error(name)
	}
	res := b.updated(zip)
	b.is(with(off0, files{"bin/run": "#! run secure"}))
	if res.To.Channel != "security" || res.To.Level != 1 || len(res.Gain.Updates) != 1 {
		t.Errorf("%+v", res.To)
	}
	_, err = b.Revert(t.Context(), RevertOptions{})
	v.must(err)
	b.is(off2)
	island(t, v, 1).untouched(problem.Refused, "begins at level 1.2.2, the product is at 1.2.1 of channel full", func() error {
		_, err := island(t, v, 1).update(zip, Options{})
		return err
	})
}

// TestAnOfflineUpdateRepairsAHomeAtItsLevel: one zip brings one installation to the level,
// and restores what another one there has lost.
func TestAnOfflineUpdateRepairsAHomeAtItsLevel(t *testing.T) {
	t.Parallel()
	v := newOffline(t)
	whole, hurt, below := island(t, v, 2), island(t, v, 2), island(t, v, 1)
	v.must(os.Remove(hurt.path("lib/new.jar")))
	v.must(os.Truncate(hurt.path("bin/run"), 0))
	stateOf := func(b *bank) statefile.State {
		s, err := b.StateFile(t.Context())
		v.must(err)
		return s
	}
	draft, err := v.drafted(offline.Options{States: []statefile.State{stateOf(whole)}})
	if err != nil || !draft.Empty() || strings.Join(draft.Left, " ") != "1.2.2" {
		t.Errorf("nothing is lost: %+v, %v", draft, err)
	}
	states := []statefile.State{stateOf(whole), stateOf(hurt), stateOf(below)}
	data := v.made(offline.Options{States: states})
	if !bytes.Equal(data, v.made(offline.Options{States: []statefile.State{states[2], states[1], states[0]}})) {
		t.Error("the order of the state files shows")
	}
	zip, err := bundle.OpenOffline(bytes.NewReader(data), int64(len(data)))
	v.must(err)
	if from := zip.Index().From; len(from) != 2 || from[0].Level != 1 || from[1] != zip.Index().To || !zip.Index().Repairs() {
		t.Errorf("%+v", from)
	}
	if res := hurt.updated(zip); res.Outcome != Nothing {
		t.Errorf("%+v", res)
	}
	for _, name := range []string{"lib/new.jar", "bin/run"} { // without the zip they are to be had nowhere
		v.must(os.RemoveAll(hurt.path("updates/store/" + digest.Of([]byte(off2[name])).String())))
	}
	if res := hurt.repair(RepairOptions{From: zip}); len(res.Repair.Restored) != 2 || res.Repair.Restored[0].From != fromZip {
		t.Errorf("%+v", res.Repair)
	}
	hurt.is(off2)
	below.updated(zip)
	below.is(off2)
}

// TestStateFilesThatLie are refused: also those of the wanted level itself.
func TestStateFilesThatLie(t *testing.T) {
	t.Parallel()
	v := newOffline(t)
	for _, level := range []int{1, 2} {
		s, err := island(t, v, level).StateFile(t.Context())
		v.must(err)
		s.Record = &release.Ref{Sum: digest.Of([]byte("another")), Size: 7}
		_, err = v.drafted(offline.Options{States: []statefile.State{s}})
		refused(t, err, problem.Refused, "names another record")
	}
	s, err := island(t, v, 2).StateFile(t.Context())
	v.must(err)
	s.Level, s.Record = 9, nil
	_, err = v.drafted(offline.Options{End: "2", States: []statefile.State{s}})
	refused(t, err, problem.Refused, "of level 1.2.9, which the vendor's signed metadata do not list")
}

// TestADamagedDownloadIsToldAsThat, so that it is fetched anew, and not as a full disk.
func TestADamagedDownloadIsToldAsThat(t *testing.T) {
	t.Parallel()
	v := newOffline(t)
	v.damaged = digest.Of([]byte(off2["lib/new.jar"]))
	draft, err := v.drafted(offline.Options{})
	v.must(err)
	_, err = draft.Write(io.Discard)
	refused(t, err, problem.Verification, "damaged in the cache")
}

// TestADiskThatIsFullBeforeTheZipIsJudgedIsTold: the service's metadata come first where it is
// there; a disk that does not take them is not told as a zip that lacks some.
func TestADiskThatIsFullBeforeTheZipIsJudgedIsTold(t *testing.T) {
	t.Parallel()
	v := newOffline(t)
	zip := v.zip(offline.Options{})
	b := island(t, v, 0)
	b.Service, b.Trust = v, fullDisk{b.Trust}
	b.untouched(problem.Refused, "no space left", func() error { _, err := b.update(zip, Options{}); return err })
	if _, err := b.update(zip, Options{DryRun: true}); err != nil {
		t.Errorf("a dry run keeps nothing: %v", err)
	}
}

// fullDisk keeps nothing of what the service says.
type fullDisk struct{ Trust }

func (fullDisk) Refresh(context.Context, ...release.Line) (*trust.View, error) {
	return nil, problem.New(problem.Refused, "Make room.", "Unable to keep it: %w", &fs.PathError{Op: "write", Path: "timestamp.json", Err: syscall.ENOSPC})
}
