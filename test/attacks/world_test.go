// Package attacks plays the attacks that docs/reliability.md lists on the built update tool:
// a hostile service, mirror or CDN in front of a real one, with keys that were really stolen.
package attacks

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/release"
	"uplevel/internal/sqlstore"
	"uplevel/internal/trust"
	"uplevel/internal/trust/online"
	"uplevel/internal/trust/sign"
	"uplevel/internal/trust/trusttest"
	"uplevel/test/lab"
)

var shop = release.Line{Product: "shop", Version: "1", Channel: "full"}

// Roles whose files a client of the shop holds, besides root and timestamp.
var roles = []string{trust.RoleSnapshot, trust.RoleTargets, "product.shop", shop.Role()}

// world is a vendor with a service, a product of three levels, and a root of three keys of
// which two must sign. Its metadata are known at three times: early, when level 2 was not
// there yet; when customers refreshed; and now, after which everything was signed anew twice.
// An attack plays with what is of the first two; the honest service shows what is of now.
type world struct {
	*lab.Lab
	t          *testing.T
	pack       string
	seen       string // home of a customer who refreshed
	zip        string // offline update from level 0 to 2
	hotfix     string
	early, old map[string][]byte // files below /tuf/
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := newLab(t)
	var err error
	if w.pack, _, err = w.PublishTwo(t.Context(), "shop", w.dist(0), w.dist(1)); err != nil {
		t.Fatal(err)
	}
	w.must("uplevel-publish", "keys", "rotate", "root", "--keep", "--new", "2", "--threshold", "2")
	w.early = w.published()
	w.must("uplevel-publish", "level", "shop", "1", "--dist", w.dist(2), "--notes", w.Path("notes.yaml"))
	w.must("uplevel-publish", "hotfix", "shop", "1", "--for", "Lab", "--level", "0", "--dist", w.dist(7), "--notes", w.Path("notes.yaml"), "--out", w.Path("hotfixes"))
	w.hotfix = w.Path("hotfixes/shop-1-Lab-hf1.zip")
	w.must("uplevel", "--dir", w.home(), "create-update", "--out", w.Path("update.zip"))
	w.zip = w.Path("update.zip")
	w.old = w.published()
	for range 2 { // so that it is ahead of whoever signs the next version with stolen keys
		w.must("uplevel-publish", "keys", "renew", "--all")
	}
	return w
}

func newLab(t *testing.T) *world {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.New(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return &world{Lab: l, t: t}
}

// dist is a build.
func (w *world) dist(n int) string {
	w.t.Helper()
	dir := w.Path("dist", fmt.Sprint(n))
	for name, text := range map[string]string{"bin/run": fmt.Sprintf("run %d\n", n), "LICENSE": "free\n"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755), os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)); err != nil {
			w.t.Fatal(err)
		}
	}
	return dir
}

func (w *world) must(name string, args ...string) string {
	w.t.Helper()
	run, err := w.Do(w.t.Context(), w.Dir, name, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return run.Output
}

func (w *world) env(name string) string {
	for _, e := range slices.Backward(w.Env) {
		if value, ok := strings.CutPrefix(e, name+"="); ok {
			return value
		}
	}
	return ""
}

// home is an installation at level 0 that trusts nothing but the vendor's root.
func (w *world) home() string { return w.copyOf(w.pack) }

func (w *world) copyOf(from string) string {
	w.t.Helper()
	home, err := os.MkdirTemp(w.Dir, "home-")
	if err != nil {
		w.t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", from+"/.", home).CombinedOutput(); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
	return home
}

// tool runs the tool in a home against a service; empty: the honest one.
func (w *world) tool(home, service string, args ...string) (int, string) {
	w.t.Helper()
	if service == "" {
		return w.run(home, nil, args...)
	}
	return w.run(home, []string{"UPLEVEL_SERVICE=" + service}, args...)
}

func (w *world) run(home string, env []string, args ...string) (int, string) {
	w.t.Helper()
	ctx, stop := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, w.Path("bin/uplevel"), args...)
	cmd.Dir, cmd.Env = home, append(append(slices.Clone(w.Env), "UPLEVEL_CACHE="+home+"-cache"), env...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		w.t.Fatalf("%q hangs: %s", args, out)
	}
	if err != nil && cmd.ProcessState == nil {
		w.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// honest wants the tool to do something with the honest service.
func (w *world) honest(home string, args ...string) string {
	w.t.Helper()
	code, said := w.tool(home, "", args...)
	if code != 0 {
		w.t.Errorf("honest %q: exit %d: %s", args, code, said)
	}
	return said
}

// tree is what a refused command must leave as it was.
func (w *world) tree(home string) string {
	w.t.Helper()
	sum, err := lab.Product(home)
	if err != nil {
		w.t.Fatal(err)
	}
	return sum
}

// insecure talks to the lab's service; who judges is the tool.
func insecure() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
}

// published are the metadata that are current now, all roots among them.
func (w *world) published() map[string][]byte {
	w.t.Helper()
	files := map[string][]byte{}
	get := func(name string) bool {
		answer, err := insecure().Get(w.env("UPLEVEL_SERVICE") + "/tuf/" + name)
		if err != nil {
			w.t.Fatal(err)
		}
		defer answer.Body.Close()
		data, err := io.ReadAll(answer.Body)
		if err != nil {
			w.t.Fatal(err)
		}
		if answer.StatusCode == http.StatusOK {
			files[name] = data
		}
		return answer.StatusCode == http.StatusOK
	}
	for n := int64(1); get(trust.FileName(trust.RoleRoot, n)); n++ {
	}
	get("timestamp.json")
	f := &forger{t: w.t, files: files}
	f.read()
	get(trust.FileName(trust.RoleSnapshot, f.timestamp.Signed.Meta["snapshot.json"].Version))
	f.read()
	for name, m := range f.snapshot.Signed.Meta {
		get(trust.FileName(strings.TrimSuffix(name, ".json"), m.Version))
	}
	return files
}

// stolen opens the online keys with what a thief of the whole service has: database and
// secret file.
func (w *world) stolen() online.Keys {
	w.t.Helper()
	db, err := sqlstore.Open(w.t.Context(), sqlstore.Options{URL: "sqlite:" + w.Path("service/uplevel.db"), Now: time.Now})
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	sealed, err := db.Sealed(w.t.Context(), "online-keys")
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := os.ReadFile(w.Path("service/secret"))
	if err != nil {
		w.t.Fatal(err)
	}
	var secret []byte
	if _, err := fmt.Sscanf(string(text), "%x", &secret); err != nil {
		w.t.Fatal(err)
	}
	keys, err := online.Unseal(secret, sealed)
	if err != nil {
		w.t.Fatal(err)
	}
	return keys
}

// release opens keys of the publisher: who has them is a malicious publisher.
func (w *world) release(files ...string) []sign.Key {
	w.t.Helper()
	var keys []sign.Key
	for _, file := range files {
		data, err := os.ReadFile(w.Path("keys", file))
		if err != nil {
			w.t.Fatal(err)
		}
		key, err := sign.OpenKey(data, w.env("UPLEVEL_KEY_PASSPHRASE"))
		if err != nil {
			w.t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

// forger makes metadata from those of the time when customers refreshed.
type forger struct {
	t         *testing.T
	w         *world
	keys      online.Keys
	mu        sync.Mutex        // of files, once they are served
	files     map[string][]byte // what is served below /tuf/
	timestamp *metadata.Metadata[metadata.TimestampType]
	snapshot  *metadata.Metadata[metadata.SnapshotType]

	answer  func(http.ResponseWriter, *http.Request) bool // before all else; true: it answered
	objects func([]byte) []byte                           // what becomes of content on the way
}

func (w *world) forger(t *testing.T, keys online.Keys) *forger {
	t.Helper()
	f := &forger{t: t, w: w, keys: keys, files: map[string][]byte{}}
	maps.Copy(f.files, w.old)
	f.read()
	return f
}

func (f *forger) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// read parses timestamp and, if it is there, snapshot.
func (f *forger) read() {
	f.t.Helper()
	var err error
	f.timestamp, err = new(metadata.Metadata[metadata.TimestampType]).FromBytes(f.files["timestamp.json"])
	f.must(err)
	data := f.files[trust.FileName(trust.RoleSnapshot, f.timestamp.Signed.Meta["snapshot.json"].Version)]
	if data == nil {
		return
	}
	f.snapshot, err = new(metadata.Metadata[metadata.SnapshotType]).FromBytes(data)
	f.must(err)
}

// version of a role as it is listed.
func (f *forger) version(role string) int64 {
	f.t.Helper()
	switch role {
	case trust.RoleTimestamp:
		return 0
	case trust.RoleSnapshot:
		return f.timestamp.Signed.Meta["snapshot.json"].Version
	case trust.RoleRoot:
		n := int64(1)
		for f.files[trust.FileName(role, n+1)] != nil {
			n++
		}
		return n
	}
	return f.snapshot.Signed.Meta[role+".json"].Version
}

func (f *forger) current(role string) []byte { return f.files[trust.FileName(role, f.version(role))] }

// targets is the next version of targets or a role below, changed.
func (f *forger) targets(role string, change func(*metadata.TargetsType)) *trusttest.Targets {
	f.t.Helper()
	m, err := new(trusttest.Targets).FromBytes(f.current(role))
	f.must(err)
	m.Signed.Version++
	if m.Signed.Targets == nil {
		m.Signed.Targets = map[string]*metadata.TargetFiles{}
	}
	if change != nil {
		change(&m.Signed)
	}
	return m
}

// by signs with keys that are no release keys; publisher signs with release keys.
func (f *forger) by(m *trusttest.Targets, keys ...ed25519.PrivateKey) []byte {
	f.t.Helper()
	return trusttest.Sign(f.t, m, keys...)
}

func (f *forger) publisher(role string, m *trusttest.Targets, files ...string) []byte {
	f.t.Helper()
	m.ClearSignatures()
	data, err := m.ToBytes(false)
	f.must(err)
	data, err = sign.AddSignatures(role, data, f.w.release(files...))
	f.must(err)
	return data
}

// list serves a file as the next version of its role, listed by the next snapshot.
func (f *forger) list(role string, data []byte) {
	f.t.Helper()
	version := f.version(role) + 1
	f.put(trust.FileName(role, version), data)
	f.snapshot.Signed.Meta[role+".json"] = metadata.MetaFile(version)
	f.online()
}

// online signs the next snapshot and timestamp with the stolen keys.
func (f *forger) online() {
	f.t.Helper()
	f.snapshot.Signed.Version++
	f.put(trust.FileName(trust.RoleSnapshot, f.snapshot.Signed.Version), trusttest.Sign(f.t, f.snapshot, f.keys.Snapshot))
	f.timestamp.Signed.Meta["snapshot.json"].Version = f.snapshot.Signed.Version
	f.stamp()
}

// stamp signs the next timestamp.
func (f *forger) stamp() {
	f.t.Helper()
	f.timestamp.Signed.Version++
	f.put("timestamp.json", trusttest.Sign(f.t, f.timestamp, f.keys.Timestamp))
}

func (f *forger) put(name string, data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files[name] = data
}

// serve starts the hostile service: its own metadata, all else from the honest one.
func (f *forger) serve() string {
	f.t.Helper()
	to, err := url.Parse(f.w.env("UPLEVEL_SERVICE"))
	f.must(err)
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.Transport = insecure().Transport
	proxy.ModifyResponse = func(r *http.Response) error {
		if f.objects == nil || !strings.HasPrefix(r.Request.URL.Path, "/objects/") {
			return nil
		}
		body, err := io.ReadAll(r.Body)
		body = f.objects(body)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		r.Header.Set("Content-Length", fmt.Sprint(len(body)))
		return err
	}
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if f.answer != nil && f.answer(rw, r) {
			return
		}
		name, isMetadata := strings.CutPrefix(r.URL.Path, "/tuf/")
		f.mu.Lock()
		data := f.files[name]
		f.mu.Unlock()
		switch {
		case !isMetadata:
			proxy.ServeHTTP(rw, r)
		case data == nil:
			http.NotFound(rw, r)
		default:
			_, _ = rw.Write(data)
		}
	}))
	f.t.Cleanup(s.Close)
	return s.URL
}

// custom is a level's listing as custom metadata.
func custom(t *testing.T, l release.Listing) *json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	return (*json.RawMessage)(&raw)
}
