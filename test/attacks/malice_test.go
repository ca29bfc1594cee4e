package attacks

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/api"
	"uplevel/internal/bundle"
	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/object"
	"uplevel/internal/plain"
	"uplevel/internal/release"
	"uplevel/internal/trust/online"
)

// toolMemory is the most that the tool may hold, in KiB.
const toolMemory = 64 << 10

// malice is what a malicious publisher, who holds the release key, lists in a manifest.
type malice struct {
	name  string
	write func(good string) string
}

func maliciousManifests() []malice {
	path := func(name string) malice {
		return malice{"path " + name, func(good string) string { return strings.ReplaceAll(good, "\tbin/run", "\t"+name) }}
	}
	more := func(name string, lines ...string) malice {
		return malice{name, func(good string) string { return ordered(good + strings.Join(lines, "\n") + "\n") }}
	}
	sum := digest.Of([]byte("x")).String()
	file := func(name string) string { return "file\t0644\t1\t" + sum + "\t" + name }
	all := []malice{
		more("an outward link", "link\tx\t../canary"), more("an absolute link", "link\tx\t/etc"), more("a deep outward link", "link\tbin/x\t../../canary"),
		more("a link to a folder and a file below it", "link\tx\tbin", file("x/y")), more("links that leave together", "link\ta\tbin", "link\tb\ta/../../canary"),
		more("a file below a file", file("LICENSE/x")), more("a path twice", file("LICENSE")), more("no folder", file("no/x")),
		more("a device", "other\tx"), more("set-user-id", "file\t4755\t1\t"+sum+"\tx"), more("a sticky folder", "dir\t1777\tx"),
		more("an endless file", "file\t0644\t9223372036854775807\t"+sum+"\tx"), more("a negative size", "file\t0644\t-1\t"+sum+"\tx"),
		more("the tool", file("bin/uplevel")), more("the tool's state", "dir\t0755\tupdates", file("updates/state.json")),
		{"not in order", func(good string) string {
			lines := strings.Split(strings.TrimSuffix(good, "\n"), "\n")
			slices.Reverse(lines[1:])
			return strings.Join(lines, "\n") + "\n"
		}},
		{"more than its length", func(string) string { return manifest.Header + "\n" + strings.Repeat("dir\t0755\ta\n", 6<<20) }},
		{"binary", func(string) string { return "\x00\xff\x1b[2J" }},
		{"nothing", func(string) string { return "" }},
	}
	for _, name := range []string{"../canary", "bin/../../canary", "/canary", "//canary", "bin//run", "bin/./run", "..", ".", "", `..\canary`, "c:/canary", "bin/\x1b[2J", "bin/\x00", "bin/\xff", "bin/run/", strings.Repeat("d/", 600) + "x"} {
		all = append(all, path(name))
	}
	return all
}

// ordered sorts the lines after the first by their paths.
func ordered(text string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	at := func(line string) string {
		f := strings.Split(line, "\t")
		if f[0] == "link" {
			return f[1]
		}
		return f[len(f)-1]
	}
	slices.SortStableFunc(lines[1:], func(a, b string) int { return strings.Compare(at(a), at(b)) })
	return strings.Join(lines, "\n") + "\n"
}

// malicious signs level 3 of each hostile manifest with the release key and, as no honest
// service would take it, the online keys: the tool refuses it by every way, and nothing is
// touched. The ways take turns: behind both is one reader.
func (w *world) malicious(t *testing.T, keys online.Keys) {
	home := w.home()
	w.check(os.WriteFile(filepath.Join(filepath.Dir(home), "canary"), []byte("sings"), 0o644))
	tree, most, tried := w.tree(home), int64(0), 0
	for n, m := range maliciousManifests() {
		f := w.forger(t, keys)
		file := w.level3(f, m.write)
		service := f.serve()
		for _, way := range [][]string{{"apply-update", file}, {"update"}}[n%2 : n%2+1] {
			env := []string{"UPLEVEL_SERVICE=" + service, "UPLEVEL_CACHE=" + t.TempDir()}
			run, _ := w.DoWith(t.Context(), env, home, "uplevel", way...)
			most, tried = max(most, run.PeakKB), tried+1
			if run.Exit != 14 || !strings.Contains(run.Output, "Next:") || !strings.Contains(run.Output, "What was published is not usable") || strings.ContainsFunc(run.Output, plain.Unsafe) {
				t.Errorf("%s, %s: exit %d: %.600q", m.name, way[0], run.Exit, run.Output)
			}
			if run.PeakKB > toolMemory {
				t.Errorf("%s, %s: it held %d KiB", m.name, way[0], run.PeakKB)
			}
			if w.tree(home) != tree {
				t.Fatalf("%s, %s: the installation changed", m.name, way[0])
			}
			if said, err := os.ReadFile(filepath.Join(filepath.Dir(home), "canary")); string(said) != "sings" {
				t.Fatalf("%s, %s: outside of the installation: %q %v", m.name, way[0], said, err)
			}
			w.check(os.RemoveAll(filepath.Join(home, "updates/trust"))) // the next forger begins again
		}
	}
	t.Logf("%d tries with signed hostile manifests, peak %d KiB", tried, most)
	w.honest(home, "update")
}

// level3 lists a level whose manifest is a changed one of level 2, has the forger serve it,
// and returns an offline update to it.
func (w *world) level3(f *forger, change func(good string) string) string {
	w.t.Helper()
	all := w.members(w.zip)
	var x bundle.Index
	w.check(json.Unmarshal(all[0].data, &x))
	objects := map[string][]byte{} // stored forms by digest
	for _, m := range all {
		if sum, ok := strings.CutPrefix(m.name, "objects/"); ok {
			objects[sum] = m.data
		}
	}
	store := func(content []byte) release.Ref {
		var b bytes.Buffer
		sum, size, err := object.Encode(&b, bytes.NewReader(content))
		w.check(err)
		objects[sum.String()] = b.Bytes()
		return release.Ref{Sum: sum, Size: size}
	}
	record, err := release.ParseRecord(w.opened(objects, x.To.Record), shop, 2)
	w.check(err)
	record.Level = 3
	record.Manifest = store([]byte(change(string(w.opened(objects, record.Manifest)))))
	store([]byte("x"))
	text, err := json.Marshal(record) // also one that no publisher would write
	w.check(err)
	x.To.Level, x.To.Record = 3, store(text)
	m := f.targets(shop.Role(), func(t *metadata.TargetsType) {
		listing := bytes.Replace(*t.Targets[shop.TargetPath(2)].Custom, []byte(`"level":2`), []byte(`"level":3`), 1)
		t.Targets[shop.TargetPath(3)] = &metadata.TargetFiles{
			Length: x.To.Record.Size, Hashes: metadata.Hashes{"sha256": x.To.Record.Sum[:]}, Custom: ptr(json.RawMessage(listing)),
		}
	})
	f.list(shop.Role(), f.publisher(shop.Role(), m, "product.shop.key"))
	f.answer = delivering(objects, "/tuf/targets/shop/1/full/"+x.To.Record.Sum.String()+".3.json", text)

	index, err := json.Marshal(x)
	w.check(err)
	members := []member{{"index.json", index}}
	for _, m := range all[1:] {
		if !strings.HasPrefix(m.name, "objects/") {
			members = append(members, m)
		}
	}
	for sum, data := range objects {
		members = append(members, member{"objects/" + sum, data})
	}
	slices.SortStableFunc(members[len(all)-len(w.objectsOf(all)):], func(a, b member) int { return strings.Compare(a.name, b.name) })
	return w.carrying(w.write("level3.zip", members), f)
}

func (w *world) objectsOf(all []member) []member {
	return slices.DeleteFunc(slices.Clone(all), func(m member) bool { return !strings.HasPrefix(m.name, "objects/") })
}

func (w *world) opened(objects map[string][]byte, ref release.Ref) []byte {
	w.t.Helper()
	r, err := object.NewReader(bytes.NewReader(objects[ref.Sum.String()]), ref.Sum, ref.Size)
	w.check(err)
	data, err := io.ReadAll(r)
	w.check(err)
	return data
}

// delivering answers for a service that has a level's record and objects.
func delivering(objects map[string][]byte, recordPath string, record []byte) func(http.ResponseWriter, *http.Request) bool {
	return func(rw http.ResponseWriter, r *http.Request) bool {
		sum, isObject := strings.CutPrefix(r.URL.Path, "/objects/")
		switch {
		case r.URL.Path == recordPath:
			_, _ = rw.Write(record)
		case isObject && objects[sum] != nil:
			_, _ = rw.Write(objects[sum])
		case strings.HasSuffix(r.URL.Path, "/deliveries"):
			var ask api.DeliveryRequest
			if json.NewDecoder(r.Body).Decode(&ask) != nil {
				return false
			}
			answer := api.DeliveryAnswer{Expires: time.Now().AddDate(1, 0, 0)}
			for _, o := range ask.Objects {
				answer.Items = append(answer.Items, api.Delivery{Object: o, URL: "/objects/" + o.String(), Size: int64(len(objects[o.String()]))})
			}
			_ = json.NewEncoder(rw).Encode(answer)
		default:
			return false
		}
		return true
	}
}
