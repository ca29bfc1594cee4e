package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"uplevel/internal/release"
	"uplevel/internal/trust/trusttest"
)

var line = release.Line{Product: "wso2is", Version: "7.1.0", Channel: "full"}

// suite plays the conformance suite: a repository behind HTTP and the client's folders.
type suite struct {
	t            *testing.T
	repo         *trusttest.Repo
	url          string
	metadata     string
	targets      string
	targetServed map[string][]byte // escaped path → content
	downloads    atomic.Int32
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	now, err := systemTime(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := &suite{t: t, repo: trusttest.New(t, now), metadata: filepath.Join(dir, "metadata"), targets: filepath.Join(dir, "targets"), targetServed: map[string][]byte{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.EscapedPath()
		if name, ok := strings.CutPrefix(path, "/targets/"); ok && s.targetServed[name] != nil {
			s.downloads.Add(1)
			_, _ = w.Write(s.targetServed[name])
			return
		}
		data, err := s.repo.Metadata(r.Context(), strings.TrimPrefix(path, "/metadata/"), 64<<20)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	root := filepath.Join(dir, "initial_root.json")
	if err := os.WriteFile(root, s.repo.File("1.root.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.ok("--metadata-dir", s.metadata, "init", root)
	return s
}

func (s *suite) run(args ...string) error {
	return run(context.Background(), args, io.Discard)
}

func (s *suite) ok(args ...string) {
	s.t.Helper()
	if err := s.run(args...); err != nil {
		s.t.Fatalf("%q: %v", args, err)
	}
}

func (s *suite) refresh() error {
	return s.run("--metadata-dir", s.metadata, "--metadata-url", s.url+"/metadata/", "refresh")
}

func (s *suite) download(name string) error {
	return s.run("--metadata-dir", s.metadata, "--metadata-url", s.url+"/metadata", "--target-name", name,
		"--target-base-url", s.url+"/targets", "--target-dir", s.targets, "download")
}

func TestRefreshKeepsFilesByteForByte(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.repo.PublishRoot()
	if err := s.refresh(); err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
		got, err := os.ReadFile(filepath.Join(s.metadata, role+".json"))
		if err != nil || !bytes.Equal(got, s.repo.Current(role)) {
			t.Errorf("%s: %v", role, err)
		}
	}
	entries, err := os.ReadDir(s.metadata)
	if err != nil || len(entries) != 4 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestRefreshFailsOnExpiryAndRollback(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	old := s.repo.Current("timestamp")
	s.repo.PublishTimestamp()
	if err := s.refresh(); err != nil {
		t.Fatal(err)
	}
	s.repo.Put("timestamp.json", old)
	if err := s.refresh(); err == nil {
		t.Error("an older timestamp is accepted")
	}
	s.repo.Now = s.repo.Now.Add(-4 * 24 * time.Hour)
	s.repo.PublishTimestamp()
	if err := s.refresh(); err == nil {
		t.Error("an expired timestamp is accepted")
	}
}

func TestDownloadFollowsDelegationsAndKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	record, err := s.repo.AddLevel(line, 0).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	s.repo.PublishOnline()
	name := line.TargetPath(0)
	sum := s.repo.Store(record).Sum.String()
	served := "wso2is/7.1.0/full/" + sum + ".0.json"
	s.targetServed[served] = []byte("something else")
	if err := s.download(name); err == nil {
		t.Fatal("wrong content is accepted")
	}
	if _, err := os.Stat(s.targets); err == nil {
		if entries, _ := os.ReadDir(s.targets); len(entries) != 0 {
			t.Errorf("left after a refusal: %v", entries)
		}
	}
	s.targetServed[served] = record
	before := s.downloads.Load()
	for range 2 {
		if err := s.download(name); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.downloads.Load() - before; got != 1 {
		t.Errorf("downloaded %d times", got)
	}
	got, err := os.ReadFile(filepath.Join(s.targets, "target-wso2is%2F7.1.0%2Ffull%2F0.json"))
	if err != nil || !bytes.Equal(got, record) {
		t.Errorf("%q, %v", got, err)
	}
	if err := s.download("nonexistent target"); err == nil {
		t.Error("a target that no role lists is found")
	}
}

func TestUnusualRoleNamesAreEscaped(t *testing.T) {
	t.Parallel()
	for role, file := range map[string]string{
		"?": "%3F", "#": "%23", "/delegatedrole": "%2Fdelegatedrole", "../delegatedrole": "..%2Fdelegatedrole", "a b+c": "a%20b%2Bc", "..": "..",
	} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			s.repo.AddDelegation("targets", role, []string{"*"}, trusttest.Key("role"))
			s.repo.PublishRole(role)
			s.repo.PublishRole("targets")
			s.repo.PublishOnline()
			s.repo.Requests()
			if err := s.download("nonexistent"); err == nil {
				t.Error("found")
			}
			asked := s.repo.Requests()
			if got := asked[len(asked)-1]; got != "1."+file+".json" {
				t.Errorf("asked for %q", got)
			}
			if _, err := os.Stat(filepath.Join(s.metadata, file+".json")); err != nil {
				t.Error(err)
			}
		})
	}
}

// edge is one delegation.
type edge struct {
	from, to    string
	paths       []string
	terminating bool
}

func TestDelegationsAreSearchedDepthFirst(t *testing.T) {
	t.Parallel()
	all, python := []string{"*"}, []string{"*.py"}
	for name, c := range map[string]struct {
		edges []edge
		want  string
	}{
		"depth first":       {[]edge{{"targets", "A", all, false}, {"targets", "B", all, false}, {"A", "C", all, false}, {"C", "D", all, false}}, "A C D B"},
		"terminating":       {[]edge{{"targets", "A", all, false}, {"targets", "B", all, false}, {"A", "C", all, true}, {"A", "D", all, false}}, "A C"},
		"paths that differ": {[]edge{{"targets", "A", python, false}, {"targets", "B", all, false}, {"A", "C", all, false}}, "B"},
		"cyclic":            {[]edge{{"targets", "B", all, false}, {"B", "C", all, false}, {"C", "D", all, false}, {"D", "B", all, false}}, "B C D"},
		"hash prefixes":     {[]edge{{"targets", "A", nil, false}, {"targets", "B", nil, false}}, "B"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			for _, e := range c.edges {
				s.delegate(e)
			}
			for role := range s.repo.Roles {
				s.repo.Roles[role].Signed.Version = 0
				s.repo.PublishRole(role)
			}
			s.repo.Roles["targets"].Signed.Version = 1
			s.repo.PublishRole("targets")
			s.repo.PublishOnline()
			s.repo.Requests()
			if err := s.download("missingpath"); err == nil {
				t.Error("found")
			}
			var visited []string
			for _, file := range s.repo.Requests()[4:] {
				visited = append(visited, strings.TrimSuffix(strings.TrimPrefix(file, "1."), ".json"))
			}
			if got := strings.Join(visited, " "); got != c.want {
				t.Errorf("visited %s, want %s", got, c.want)
			}
		})
	}
}

func (s *suite) delegate(e edge) {
	s.t.Helper()
	known := s.repo.Roles[e.to]
	s.repo.AddDelegation(e.from, e.to, e.paths, trusttest.Key("role"))
	if known != nil {
		s.repo.Roles[e.to] = known
	}
	roles := s.repo.Roles[e.from].Signed.Delegations.Roles
	last := &roles[len(roles)-1]
	last.Terminating = e.terminating
	if e.paths == nil { // the SHA-256 of missingpath is becc3dd8… in hexadecimal
		last.PathHashPrefixes = []string{map[string]string{"A": "becd", "B": "becc"}[e.to]}
	}
}

func TestExitIsOneOnWrongUse(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	for _, args := range [][]string{
		nil,
		{"refresh"},
		{"--metadata-dir", s.metadata, "refresh"},
		{"--metadata-dir", s.metadata, "explode"},
		{"--metadata-dir", s.metadata, "init"},
		{"--metadata-dir", s.metadata, "init", "nowhere"},
		{"--metadata-dir", s.metadata, "--metadata-url", s.url, "download"},
		{"--unknown"},
	} {
		if s.run(args...) == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

func TestADamagedRootIsNotAccepted(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.repo.Keys["root"] = []ed25519.PrivateKey{trusttest.Key("stranger")}
	stranger := trusttest.Sign(t, s.repo.Root, trusttest.Key("stranger"))
	if err := os.WriteFile(filepath.Join(s.metadata, "root.json"), stranger, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.refresh(); err == nil {
		t.Error("accepted")
	}
	if asked := s.repo.Requests(); len(asked) != 0 {
		t.Errorf("asked for %v", asked)
	}
}
