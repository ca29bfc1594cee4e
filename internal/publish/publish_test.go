package publish

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/digest"
	"uplevel/internal/problem"
	"uplevel/internal/publish/signing"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

func TestInitOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	first, already, err := d.Signer.Init(t.Context(), signing.InitRequest{RootKeys: 3, Threshold: 2})
	if err != nil || already {
		t.Fatal(already, err)
	}
	again, already, err := d.Signer.Init(t.Context(), signing.InitRequest{})
	if err != nil || !already || again != first {
		t.Fatal(again, already, err)
	}
	other := newDesk(t)
	other.service = d.service
	other.Signer.Service, other.Signer.Remote = d.service, d.service
	_, _, err = other.Signer.Init(t.Context(), signing.InitRequest{})
	wantKind(t, err, problem.Refused, "has a root already")
	if _, err := os.Stat(other.Signer.Folder.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error("keys were made for a service that has others")
	}
	_, _, err = newDesk(t).Signer.Init(t.Context(), signing.InitRequest{RootKeys: 1, Threshold: 2})
	wantKind(t, err, problem.Usage, "2 of 1")
}

func TestInitContinuesAfterEachFailure(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	down := problem.New(problem.Unreachable, "", "down")
	d.service.broken = func(call string) error {
		if call == "submit" {
			return down
		}
		return nil
	}
	if _, _, err := d.Signer.Init(t.Context(), signing.InitRequest{}); !errors.Is(err, down) {
		t.Fatal(err)
	}
	kept, err := d.Signer.Folder.Document(trust.RoleRoot)
	if err != nil {
		t.Fatal(err)
	}
	d.service.broken = nil
	d.service.lose = func(call string) error {
		if call == "submit" {
			return down
		}
		return nil
	}
	if _, _, err := d.Signer.Init(t.Context(), signing.InitRequest{}); !errors.Is(err, down) {
		t.Fatal(err)
	}
	d.service.lose = nil
	got, already, err := d.Signer.Init(t.Context(), signing.InitRequest{})
	want, _ := trust.Fingerprint(kept)
	if err != nil || !already || got != want {
		t.Fatal(got, want, already, err)
	}
	// The same folder with another service is told apart, before anything is signed.
	d.Signer.Service = newService(t, d.Now)
	d.Signer.Remote = newService(t, d.Now)
	_, _, err = d.Signer.Init(t.Context(), signing.InitRequest{})
	wantKind(t, err, problem.Refused, "another service")
}

func TestPublishLevels(t *testing.T) {
	t.Parallel()
	d := ready(t)
	zero := add(t, d, release0())
	if zero.Stored != 4+3 {
		t.Errorf("level 0 stored %d objects", zero.Stored)
	}
	files := with(release0(), map[string]string{"bin/shop": "#!/bin/sh\necho 1.0.1\n", "conf/new.ini": "a=1\n", "lib/shop-1.0.jar": ""})
	asked := d.service.asked
	one := level(t, d, files, notes1)
	if one.Level != 1 || one.Stored != 2+3 || d.service.asked-asked != 5 {
		t.Errorf("level %d stored %d objects and asked about %d", one.Level, one.Stored, d.service.asked-asked)
	}
	want := release.Changes{Added: []string{"conf/new.ini"}, Modified: []string{"bin/shop"}, Removed: []string{"lib/shop-1.0.jar"}}
	if diff := cmp.Diff(want, one.Report.Changes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int{"bin/shop": 4711, "conf/new.ini": 4712, "lib/shop-1.0.jar": 4712}, one.Report.Notes.Attribution); diff != "" {
		t.Error(diff)
	}
	levels := listed(t, d, shop)
	if len(levels) != 2 || levels[1].Type != release.Mixed || levels[1].SecurityN != 1 || levels[1].Title != "November fixes" ||
		levels[1].State != release.Live || levels[1].SupportEnds != "2030-01-31" {
		t.Errorf("%+v", levels)
	}
	l, err := d.load(t.Context(), levels[1])
	if err != nil || !slices.Equal(l.record.Rules.Data, []string{"data/**"}) {
		t.Errorf("rules did not pass on: %+v, %v", l.record, err)
	}
}

func TestPublishingAgainNamesWhatIsThere(t *testing.T) {
	t.Parallel()
	d := ready(t)
	add(t, d, release0())
	if out := add(t, d, release0()); !out.Already {
		t.Error("level 0 was published twice")
	}
	_, err := d.AddProduct(t.Context(), ProductRequest{Line: shop, Dist: build(t, with(release0(), map[string]string{"x": "y"}))})
	wantKind(t, err, problem.Refused, "published already")
	files := with(release0(), map[string]string{"bin/shop": "two"})
	level(t, d, files, notes1)
	puts := d.service.puts
	again := level(t, d, files, notes1)
	if !again.Already || again.Level != 1 || d.service.puts != puts {
		t.Errorf("%+v", again)
	}
	if other := level(t, d, files, strings.ReplaceAll(notes1, "4712", "4713")); other.Already || other.Level != 2 {
		t.Errorf("other notes: %+v", other)
	}
	_, err = d.Level(t.Context(), LevelRequest{Line: shop, Dist: build(t, release0()), Notes: []byte(notes1), Number: 2})
	wantKind(t, err, problem.Failed, "Invalid update level")
	out, err := d.Level(t.Context(), LevelRequest{Line: shop, Dist: build(t, release0()), Notes: []byte(notes1), Number: 7})
	if err != nil || out.Level != 7 {
		t.Errorf("%+v, %v", out, err)
	}
}

// TestContinuesAfterFailureAnywhere fails at the n-th call, before or after it is done,
// for every n until none is left, and publishes again each time.
func TestContinuesAfterFailureAnywhere(t *testing.T) {
	t.Parallel()
	down := problem.New(problem.Unreachable, "", "down")
	files := with(release0(), map[string]string{"bin/shop": "two", "conf/a": "1", "conf/b": "2"})
	for _, late := range []bool{false, true} {
		for n, failed := 1, true; failed; n++ {
			if n > 60 {
				t.Fatal("it never ends")
			}
			d := ready(t)
			add(t, d, release0())
			d.Cache = filepath.Join(t.TempDir(), "cold")
			calls := 0
			fail := func(string) error {
				if calls++; calls == n {
					return down
				}
				return nil
			}
			if late {
				d.service.lose = fail
			} else {
				d.service.broken = fail
			}
			req := LevelRequest{Line: shop, Dist: build(t, files), Notes: []byte(notes1)}
			_, err := d.Level(t.Context(), req)
			failed = err != nil
			if failed && problem.KindOf(err) != problem.Unreachable {
				t.Fatalf("call %d: %v", n, err)
			}
			d.service.broken, d.service.lose = nil, nil
			if levels := listed(t, d, shop); len(levels) > 2 {
				t.Fatalf("call %d: %d levels", n, len(levels))
			}
			d.tick()
			out, err := d.Level(t.Context(), req)
			if err != nil || out.Level != 1 {
				t.Fatalf("again after call %d: %+v, %v", n, out, err)
			}
			if levels := listed(t, d, shop); len(levels) != 2 || levels[1].Level != 1 {
				t.Fatalf("again after call %d: %+v", n, levels)
			}
		}
	}
}

func TestLostObjectOfTheLevelBeforeIsUploadedAgain(t *testing.T) {
	t.Parallel()
	d := ready(t)
	add(t, d, release0())
	delete(d.service.objects, digest.Of([]byte(release0()["LICENSE"])))
	out := level(t, d, with(release0(), map[string]string{"bin/shop": "two"}), notes1)
	if out.Level != 1 || d.service.objects[digest.Of([]byte(release0()["LICENSE"]))] == nil {
		t.Errorf("%+v", out)
	}
}

// TestPublishingAgainHealsTheStore: what the service lost of the newest level, or of
// level 0, is uploaded again by the same command.
func TestPublishingAgainHealsTheStore(t *testing.T) {
	t.Parallel()
	d := ready(t)
	files := with(release0(), map[string]string{"bin/shop": "two"})
	for _, again := range []func() Outcome{
		func() Outcome { return add(t, d, release0()) },
		func() Outcome { return level(t, d, files, notes1) },
	} {
		before := maps.Clone(d.service.objects)
		again()
		whole := maps.Clone(d.service.objects)
		for sum := range whole {
			if before[sum] != nil {
				continue
			}
			delete(d.service.objects, sum)
			if out := again(); !out.Already {
				t.Fatalf("%+v", out)
			}
			if len(d.service.objects) != len(whole) {
				t.Errorf("object %s was not uploaded again", sum)
			}
			d.service.objects = maps.Clone(whole)
		}
	}
}

// TestOtherRulesAreNotPassedOver: a first release that is there with other rules is not
// what was asked for.
func TestOtherRulesAreNotPassedOver(t *testing.T) {
	t.Parallel()
	d := ready(t)
	add(t, d, release0())
	same := ProductRequest{Line: shop, Dist: build(t, release0()), SupportedUntil: "2030-01-31", Rules: release.Rules{Data: []string{"data/**"}}}
	for name, change := range map[string]func(*ProductRequest){
		"rules":    func(r *ProductRequest) { r.Rules.Generated = []string{"work/**"} },
		"platform": func(r *ProductRequest) { r.Platform = release.Unix },
		"support":  func(r *ProductRequest) { r.SupportedUntil = "2031-01-31" },
	} {
		other := same
		change(&other)
		if _, err := d.AddProduct(t.Context(), other); problem.KindOf(err) != problem.Refused {
			t.Errorf("%s: %v", name, err)
		}
	}
	if out, err := d.AddProduct(t.Context(), same); err != nil || !out.Already {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestDailyWorkNeedsNeitherRootNorTargetsKey(t *testing.T) {
	t.Parallel()
	d := ready(t)
	add(t, d, release0())
	for _, key := range []string{"root.key", "targets.key"} {
		if err := os.Remove(filepath.Join(d.Signer.Folder.Dir, key)); err != nil {
			t.Fatal(err)
		}
	}
	level(t, d, with(release0(), map[string]string{"bin/shop": "two"}), notes1)
	if _, err := d.SetState(t.Context(), StateRequest{Line: shop, Level: 1, State: release.Withdrawn, Reason: "breaks"}); err != nil {
		t.Error(err)
	}
	if _, _, err := d.Signer.Status(t.Context()); err != nil {
		t.Error(err)
	}
	other := shop
	other.Version = "1.1"
	if _, err := d.AddProduct(t.Context(), ProductRequest{Line: other, Dist: build(t, with(release0(), map[string]string{"updates/product.txt": ""}))}); err != nil {
		t.Errorf("another version of a known product: %v", err)
	}
	other.Product = "till"
	_, err := d.AddProduct(t.Context(), ProductRequest{Line: other, Dist: build(t, with(release0(), map[string]string{"updates/product.txt": ""}))})
	wantKind(t, err, problem.Refused, "targets.key")
}

func TestStates(t *testing.T) {
	t.Parallel()
	d := ready(t)
	add(t, d, release0())
	out, err := d.Level(t.Context(), LevelRequest{
		Line: shop, Dist: build(t, with(release0(), map[string]string{"bin/shop": "2"})),
		Notes: []byte(notes1), State: release.Testing, Floor: "Migrate the database first.",
	})
	if err != nil || out.State != release.Testing {
		t.Fatal(out, err)
	}
	set := func(req StateRequest) Outcome {
		t.Helper()
		req.Line, req.Level = shop, 1
		out, err := d.SetState(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		d.tick()
		return out
	}
	set(StateRequest{State: release.Live, Tested: "on Debian"})
	if l := listed(t, d, shop)[1]; l.State != release.Live || l.Tested != "on Debian" || l.Floor == "" {
		t.Errorf("%+v", l)
	}
	if !set(StateRequest{State: release.Live}).Already {
		t.Error("promoted twice")
	}
	set(StateRequest{State: release.Withdrawn, Reason: "loses orders"})
	if l := listed(t, d, shop)[1]; l.State != release.Withdrawn || l.Reason != "loses orders" {
		t.Errorf("%+v", l)
	}
	if !set(StateRequest{State: release.Withdrawn, Reason: "loses orders"}).Already {
		t.Error("withdrawn twice")
	}
	set(StateRequest{State: release.Withdrawn, Reason: "loses all orders"})
	for _, state := range []release.State{release.Testing, release.Live} { // a pipeline that runs again
		_, err = d.SetState(t.Context(), StateRequest{Line: shop, Level: 1, State: state})
		wantKind(t, err, problem.Refused, "was withdrawn and stays so: loses all orders")
	}
	_, err = d.SetState(t.Context(), StateRequest{Line: shop, Level: 0, State: release.Verifying})
	wantKind(t, err, problem.Refused, "is live and cannot become verifying")
	if l := listed(t, d, shop); l[0].State != release.Live || l[1].State != release.Withdrawn || l[1].Reason != "loses all orders" {
		t.Errorf("%+v", l)
	}
	_, err = d.SetState(t.Context(), StateRequest{Line: shop, Level: 1, State: release.Withdrawn})
	wantKind(t, err, problem.Usage, "reason")
	_, err = d.SetState(t.Context(), StateRequest{Line: shop, Level: 9, State: release.Live})
	wantKind(t, err, problem.Failed, "Invalid update level")
	_, err = d.Level(t.Context(), LevelRequest{Line: shop, State: release.Withdrawn})
	wantKind(t, err, problem.Usage, "withdrawn")
}

func TestAnotherChannelStartsAtTheSameLevel0(t *testing.T) {
	t.Parallel()
	d := ready(t)
	add(t, d, release0())
	hot := shop
	hot.Channel = "hot"
	out, err := d.Level(t.Context(), LevelRequest{Line: hot, Dist: build(t, with(release0(), map[string]string{"bin/shop": "hot"})), Notes: []byte(notes1)})
	if err != nil || out.Level != 1 {
		t.Fatal(out, err)
	}
	d.tick()
	levels := listed(t, d, hot)
	if len(levels) != 2 || levels[0].Level != 0 || levels[0].Channel != "hot" || levels[0].SupportEnds != "2030-01-31" {
		t.Fatalf("%+v", levels)
	}
	a, err := d.load(t.Context(), levels[0])
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.load(t.Context(), listed(t, d, shop)[0])
	if err != nil || a.record.Manifest != b.record.Manifest {
		t.Errorf("%+v, %+v, %v", a.record, b.record, err)
	}
	if len(listed(t, d, shop)) != 1 {
		t.Error("the default channel got the level too")
	}
	out, err = d.Level(t.Context(), LevelRequest{Line: hot, Dist: build(t, with(release0(), map[string]string{"bin/shop": "hotter"})), Notes: []byte(notes1)})
	if err != nil || out.Level != 2 {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	d := ready(t)
	_, err := d.Level(t.Context(), LevelRequest{Line: shop, Dist: build(t, release0()), Notes: []byte(notes1)})
	wantKind(t, err, problem.Failed, "is not published")
	_, err = d.AddProduct(t.Context(), ProductRequest{Line: release.Line{Product: "uplevel-x", Version: "1"}})
	wantKind(t, err, problem.Usage, "reserved")
	_, err = d.AddProduct(t.Context(), ProductRequest{Line: shop, SupportedUntil: "soon"})
	wantKind(t, err, problem.Usage, "no date")
	_, err = d.AddProduct(t.Context(), ProductRequest{Line: shop, Dist: build(t, with(release0(), map[string]string{"updates/product.txt": "till-1.0"}))})
	wantKind(t, err, problem.Refused, "till-1.0")
	add(t, d, release0())
	submissions := len(d.service.files)
	bad := with(release0(), map[string]string{"conf/aux.txt": "x"})
	_, err = d.Level(t.Context(), LevelRequest{Line: shop, Dist: build(t, bad), Notes: []byte(notes1)})
	wantKind(t, err, problem.Refused, "windows-name")
	_, err = d.Level(t.Context(), LevelRequest{Line: shop, Dist: build(t, bad), Notes: []byte(notes1), Accept: []string{"windows-name"}})
	wantKind(t, err, problem.Usage, "no reason")
	_, err = d.Level(t.Context(), LevelRequest{Line: shop, Dist: build(t, bad), Notes: []byte("updates: [{id: 1, typ: regular}]")})
	wantKind(t, err, problem.Failed, "typ")
	if len(d.service.files) != submissions {
		t.Error("a refused level changed the metadata")
	}
	out, err := d.Level(t.Context(), LevelRequest{Line: shop, Dist: build(t, bad), Notes: []byte(notes1), Accept: []string{"windows-name=Linux only"}})
	if err != nil || out.Report.Notes.Accepted["windows-name"] != "Linux only" {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestValidatePublishesNothing(t *testing.T) {
	t.Parallel()
	d := ready(t)
	report, err := d.Validate(t.Context(), LevelRequest{Line: shop, Dist: build(t, with(release0(), map[string]string{"LICENSE": ""}))}, "")
	if err != nil || len(report.Refusing) != 0 || len(report.Findings) != 1 || report.Findings[0].Rule != "missing-license" {
		t.Fatalf("%+v, %v", report, err)
	}
	add(t, d, release0())
	before, puts := len(d.service.files), d.service.puts
	report, err = d.Validate(t.Context(), LevelRequest{Line: shop, Dist: build(t, with(release0(), map[string]string{"conf/shop.properties": "port=1\n"})), Notes: []byte(notes1)}, "")
	if err != nil || report.Level != 1 || len(report.Findings) != 1 || report.Findings[0].Rule != "config-keys-removed" {
		t.Errorf("%+v, %v", report, err)
	}
	report, err = d.Validate(t.Context(), LevelRequest{Line: shop, Dist: build(t, with(release0(), map[string]string{"conf/shop.properties": "port=1\n"})), Notes: []byte(notes1), Strict: true}, "")
	if err != nil || problem.KindOf(report.Error()) != problem.Refused {
		t.Errorf("%+v, %v", report, err)
	}
	if len(d.service.files) != before || d.service.puts != puts {
		t.Error("validate changed the service")
	}
}

func TestReturningContentIsNamed(t *testing.T) {
	t.Parallel()
	d := ready(t)
	add(t, d, release0())
	level(t, d, with(release0(), map[string]string{"bin/shop": "fixed"}), notes1)
	out := level(t, d, release0(), notes1)
	if len(out.Report.Findings) != 1 || out.Report.Findings[0].Rule != "content-returns" ||
		out.Report.Findings[0].Paths[0] != "bin/shop (as in level 0)" {
		t.Errorf("%+v", out.Report.Findings)
	}
}

func TestRenew(t *testing.T) {
	t.Parallel()
	d := ready(t)
	add(t, d, release0())
	if renewed, _, err := d.Signer.Renew(t.Context(), false); err != nil || len(renewed) != 0 {
		t.Fatalf("%+v, %v", renewed, err)
	}
	d.clock = d.clock.Add(70 * 24 * time.Hour)
	d.service.renew(t)
	renewed, _, err := d.Signer.Renew(t.Context(), false)
	if err != nil || len(renewed) != 2 || renewed[0].Role != "product.shop" || renewed[1].Role != shop.Role() {
		t.Fatalf("%+v, %v", renewed, err)
	}
	// All but root has run out: the publisher is still who can sign again.
	d.clock = d.clock.Add(400 * 24 * time.Hour)
	d.service.renew(t)
	root := filepath.Join(d.Signer.Folder.Dir, "root.key")
	if err := os.Rename(root, root+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Signer.Refresh(t.Context(), shop); problem.KindOf(err) != problem.Verification {
		t.Fatalf("metadata that expired were trusted: %v", err)
	} else if known, ok := errors.AsType[*problem.Error](err); !ok || !strings.Contains(known.Next, "keys renew") {
		t.Errorf("no word of keys renew: %+v", known)
	}
	renewed, _, err = d.Signer.Renew(t.Context(), false)
	if err != nil || len(renewed) != 3 {
		t.Fatalf("%+v, %v", renewed, err)
	}
	if levels := listed(t, d, shop); len(levels) != 1 {
		t.Errorf("%+v", levels)
	}
	d.clock = d.clock.Add(250 * 24 * time.Hour)
	d.service.renew(t)
	renewed, _, err = d.Signer.Renew(t.Context(), false)
	wantKind(t, err, problem.Refused, "root")
	if len(renewed) != 2 {
		t.Errorf("the others were not renewed: %+v", renewed)
	}
	if err := os.Rename(root+".away", root); err != nil {
		t.Fatal(err)
	}
	if renewed, _, err = d.Signer.Renew(t.Context(), true); err != nil || len(renewed) != 4 || renewed[0].Version != 2 {
		t.Errorf("%+v, %v", renewed, err)
	}
}

func TestRenewFromAFolderThatFellBehind(t *testing.T) {
	t.Parallel()
	d := ready(t)
	add(t, d, release0())
	behind := filepath.Join(t.TempDir(), "keys")
	if err := os.CopyFS(behind, os.DirFS(d.Signer.Folder.Dir)); err != nil {
		t.Fatal(err)
	}
	level(t, d, with(release0(), map[string]string{"bin/shop": "two"}), notes1)
	d.clock = d.clock.Add(130 * 24 * time.Hour)
	d.service.renew(t)
	d.Signer.Folder.Dir = behind
	renewed, _, err := d.Signer.Renew(t.Context(), false)
	if err != nil || len(renewed) != 2 {
		t.Fatalf("%+v, %v", renewed, err)
	}
	if levels := listed(t, d, shop); len(levels) != 2 {
		t.Errorf("a level was lost: %+v", levels)
	}
}

func TestPublicationRenewsTheProductsRole(t *testing.T) {
	t.Parallel()
	d := ready(t)
	add(t, d, release0())
	d.clock = d.clock.Add(90 * 24 * time.Hour)
	d.service.renew(t)
	level(t, d, with(release0(), map[string]string{"bin/shop": "two"}), notes1)
	s, err := d.Signer.Folder.Status("product.shop", d.clock)
	if err != nil || s.Warn != 0 || s.Version != 2 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestADistributionThatChangesMeanwhileIsRefused(t *testing.T) {
	t.Parallel()
	d := ready(t)
	add(t, d, release0())
	dir := build(t, with(release0(), map[string]string{"bin/shop": "two"}))
	d.service.broken = func(call string) error {
		if call == "missing" {
			return os.WriteFile(filepath.Join(dir, "bin", "shop"), []byte("three"), 0o600)
		}
		return nil
	}
	_, err := d.Level(t.Context(), LevelRequest{Line: shop, Dist: dir, Notes: []byte(notes1)})
	wantKind(t, err, problem.Refused, "changed while it was published")
}
