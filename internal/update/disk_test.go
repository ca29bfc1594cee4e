package update

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"uplevel/internal/digest"
	"uplevel/internal/fsck"
	"uplevel/internal/install"
	"uplevel/internal/object"
	"uplevel/internal/plan"
	"uplevel/internal/release"
	"uplevel/internal/trust/refresh"
)

// onDisk opens a site whose installation is really on disk, at a level, as a pack
// brings it.
func onDisk(t testing.TB, v *vendor, level int) *Updater {
	t.Helper()
	seed := newPlainHome(t, v, line, level)
	dir := seed.dir
	write := func(name string, data []byte) {
		v.must(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		v.must(os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	record := v.levels[line][level]
	state, err := json.Marshal(install.State{
		Format: install.StateFormat, Product: line.Product, Version: line.Version, Channel: line.Channel, Level: level,
		Record: seed.state.Record, Manifest: record.Manifest, Notes: record.Notes, Pack: "pack",
	})
	v.must(err)
	write("updates/product.txt", []byte(line.ProductVersion()+"\n"))
	write("updates/state.json", state)
	write("updates/config.json", fmt.Appendf(nil, `{"update-level": "%d"}`, level))
	for _, ref := range []release.Ref{seed.state.Record, record.Manifest, record.Notes} {
		var stored bytes.Buffer
		_, _, err := object.Encode(&stored, bytes.NewReader(v.Objects[ref.Sum]))
		v.must(err)
		write("updates/store/"+ref.Sum.String(), stored.Bytes())
	}
	home, err := install.Open(dir, install.Options{Now: time.Now, Holder: "test"})
	v.must(err)
	t.Cleanup(func() { home.Close() })
	client, err := refresh.New(refresh.Config{Dir: filepath.Join(dir, "updates/trust"), Root: v.File("1.root.json"), Remote: v.Repo, Now: func() time.Time { return v.Now }})
	v.must(err)
	return &Updater{
		Home: OnDisk(home), Trust: client, Service: v, Fetch: newFetcher(v), Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return v.Now }, Tool: "test", User: "operator",
	}
}

// product is what lies in a home without the tool's own.
func product(t testing.TB, u *Updater) files {
	t.Helper()
	found := contentOf(t, u.Home.Dir())
	for p := range found {
		if strings.HasPrefix(p, "updates/") {
			delete(found, p)
		}
	}
	return found
}

// drawTree is a random tree: names that collide with folders between levels, Unicode,
// empty files and folders, links, executables.
func drawTree(t *rapid.T, label string) files {
	names := []string{"a", "b", "dir/a", "dir/b", "dir/deep/c", "größe – 大.txt", "bin/run", "x/1", "x/2", "x/3/y", "link", "dir/link"}
	tree := files{"LICENSE": "free"}
	for _, name := range names {
		switch rapid.SampledFrom([]string{"absent", "one", "two", "empty", "run", "link", "folder"}).Draw(t, label+" "+name) {
		case "one":
			tree[name] = "one " + name
		case "two":
			tree[name] = "two " + name
		case "empty":
			tree[name] = ""
		case "run":
			tree[name] = "#! " + name
		case "link":
			if strings.Contains(name, "link") {
				tree[name] = "-> LICENSE"
			}
		case "folder":
			if !strings.Contains(name, "link") {
				tree[name+"x/"] = ""
			}
		}
	}
	return tree
}

// TestOnDiskJumpIsStepAndRevertIsBefore runs random levels through the real installer:
// the same result by jumping and by stepping, revert back to what was before, foreign
// and customised files untouched, and nothing that fsck would object to.
func TestOnDiskJumpIsStepAndRevertIsBefore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		v := newVendor(t, start)
		for level := range 3 {
			v.publish(line, level, drawTree(rt, fmt.Sprint("level ", level)))
		}
		jump, step := onDisk(t, v, 0), onDisk(t, v, 0)
		for _, u := range []*Updater{jump, step} {
			v.must(os.WriteFile(filepath.Join(u.Home.Dir(), "LICENSE"), []byte("customised"), 0o644))
			v.must(os.WriteFile(filepath.Join(u.Home.Dir(), "foreign"), []byte("mine"), 0o644))
		}
		before := product(t, jump)
		mustUpdate(rt, jump, "2")
		mustUpdate(rt, step, "1")
		mustUpdate(rt, step, "2")
		if d := cmp.Diff(product(t, jump), product(t, step)); d != "" {
			rt.Fatalf("jumping and stepping differ (-jump +step):\n%s", d)
		}
		if product(t, jump)["LICENSE"] != "customised" || product(t, jump)["foreign"] != "mine" {
			rt.Fatal("the operator's files were touched")
		}
		sound(rt, jump)
		sound(rt, step)
		if _, err := jump.Revert(t.Context(), RevertOptions{}); err != nil {
			rt.Fatal("revert:", err)
		}
		if _, err := step.Revert(t.Context(), RevertOptions{To: "0"}); err != nil {
			rt.Fatal("revert to 0:", err)
		}
		for name, u := range map[string]*Updater{"jumped": jump, "stepped": step} {
			if d := cmp.Diff(before, product(t, u)); d != "" {
				rt.Fatalf("%s, then reverted (-before +after):\n%s", name, d)
			}
			sound(rt, u)
		}
	})
}

// TestPlanningTwiceGivesTheSamePlan: what is shown is what is done, and a plan that was
// printed reads back as it was.
func TestPlanningTwiceGivesTheSamePlan(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		v := newVendor(t, start)
		for level := range 2 {
			v.publish(line, level, drawTree(rt, fmt.Sprint("level ", level)))
		}
		u := onDisk(t, v, 0)
		for p, content := range product(t, u) {
			if plain := !strings.HasSuffix(p, "/") && !strings.HasPrefix(content, "-> "); plain && len(p)%2 == 0 {
				v.must(os.WriteFile(filepath.Join(u.Home.Dir(), p), []byte("customised"), 0o644))
			}
		}
		var texts [2]string
		for i := range texts {
			res, err := u.Plan(t.Context(), Options{})
			if err != nil {
				rt.Fatal(err)
			}
			text, err := res.Plan.Bytes()
			if err != nil {
				rt.Fatal(err)
			}
			again, err := plan.Parse(text)
			if err != nil {
				rt.Fatal(err)
			}
			if d := cmp.Diff(res.Plan, again, cmpopts.EquateEmpty()); d != "" {
				rt.Fatalf("printed and read (-before +after):\n%s", d)
			}
			texts[i] = string(text)
		}
		if d := cmp.Diff(texts[0], texts[1]); d != "" {
			rt.Fatalf("planned twice:\n%s", d)
		}
	})
}

// TestADamagedStoreHoldsNoUpdateUp: what is damaged there is fetched like what is missing.
func TestADamagedStoreHoldsNoUpdateUp(t *testing.T) {
	t.Parallel()
	v := newVendor(t, start)
	v.publish(line, 0, files{"LICENSE": "free", "a": "0"})
	v.publish(line, 1, files{"LICENSE": "free", "a": "1"})
	u := onDisk(t, v, 0)
	if _, err := u.Update(t.Context(), Options{Level: "1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Revert(t.Context(), RevertOptions{}); err != nil {
		t.Fatal(err)
	}
	of := digest.Of([]byte("1")).String()
	name := filepath.Join(u.Home.Dir(), "updates/store", of)
	v.must(os.WriteFile(name, []byte("damaged"), 0o644))
	if _, err := u.Update(t.Context(), Options{Level: "1"}); err != nil {
		t.Fatal(err)
	}
	if got := product(t, u)["a"]; got != "1" {
		t.Errorf("a is %q", got)
	}
}

func mustUpdate(t *rapid.T, u *Updater, level string) {
	if _, err := u.Update(t.Context(), Options{Level: level}); err != nil {
		t.Fatalf("to level %s: %v", level, err)
	}
}

func sound(t *rapid.T, u *Updater) {
	report, err := fsck.Home(u.Home.Dir())
	if err != nil || len(report.Findings) > 0 || len(report.Missing) > 0 || len(report.Customised) > 1 {
		t.Fatalf("fsck: %+v, %v", report, err)
	}
}
