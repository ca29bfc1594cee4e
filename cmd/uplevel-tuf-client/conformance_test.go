package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/trust"
	"uplevel/internal/trust/trusttest"
)

// version of a role that is trusted; 0: none.
func (s *suite) version(role string) int64 {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.metadata, role+".json"))
	if err != nil {
		return 0
	}
	m, err := new(trusttest.Targets).FromBytes(bytes.Replace(data, []byte(`"_type":"`+role), []byte(`"_type":"targets`), 1))
	if err != nil {
		s.t.Fatal(err)
	}
	return m.Signed.Version
}

func (s *suite) trusts(root, timestamp, snapshot, targets int64) {
	s.t.Helper()
	got := [4]int64{s.version("root"), s.version("timestamp"), s.version("snapshot"), s.version("targets")}
	if want := [4]int64{root, timestamp, snapshot, targets}; got != want {
		s.t.Errorf("trusted are versions %v of root, timestamp, snapshot, targets; want %v", got, want)
	}
}

func (s *suite) refused() {
	s.t.Helper()
	if s.refresh() == nil {
		s.t.Error("accepted")
	}
}

func (s *suite) accepted() {
	s.t.Helper()
	if err := s.refresh(); err != nil {
		s.t.Error(err)
	}
}

// TestRotationRollbackAndFreezeByHand runs the built program as the suite does, exit codes,
// folder and clock included.
func TestRotationRollbackAndFreezeByHand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "uplevel-tuf-client")
	if said, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	s := newSuite(t)
	now := s.repo.Now
	at := func(later time.Duration, want int, args ...string) {
		t.Helper()
		date := fmt.Sprintf("#!/bin/sh\n[ \"$*\" = +%%s ] && echo %d\n", now.Add(later).Unix())
		if err := os.WriteFile(filepath.Join(dir, "date"), []byte(date), 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), program, append([]string{"--metadata-dir", filepath.Join(dir, "m")}, args...)...)
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
		said, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("%q: exit %d, want %d: %s", args, got, want, said)
		}
	}
	s.metadata = filepath.Join(dir, "m")
	root := filepath.Join(dir, "root.json")
	if err := os.WriteFile(root, s.repo.File("1.root.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	url := []string{"--metadata-url", s.url + "/metadata", "refresh"}
	at(0, 1, url...) // before init
	at(0, 0, "init", root)
	at(0, 0, url...)
	s.trusts(1, 1, 1, 1)
	early := s.repo.Current("timestamp")

	old := s.repo.Keys["root"]
	s.repo.Keys["root"] = []ed25519.PrivateKey{trusttest.Key("new-1"), trusttest.Key("new-2"), old[0]}
	s.repo.PublishRoot(old...)
	s.repo.PublishTimestamp()
	at(0, 0, url...)
	s.trusts(2, 2, 1, 1)

	s.repo.Put("timestamp.json", early)
	at(0, 1, url...)
	s.trusts(2, 2, 1, 1)
	s.repo.PublishTimestamp()
	at(0, 0, url...)
	s.trusts(2, 3, 1, 1)

	at(4*24*time.Hour, 1, url...)
	s.trusts(2, 3, 1, 1)
	s.repo.Now = now.Add(4 * 24 * time.Hour)
	s.repo.PublishTimestamp()
	at(4*24*time.Hour, 0, url...)
	s.trusts(2, 4, 1, 1)
}

// TestSequencesOfRoots takes roots one after the other, each as its row says.
func TestSequencesOfRoots(t *testing.T) {
	t.Parallel()
	type step struct {
		keys, signers string // a letter a key
		threshold     int
		ok            bool
	}
	for name, steps := range map[string][]step{
		"one key replaced, signed by both":       {{"b", "ab", 1, true}, {"b", "b", 1, true}},
		"signed by the new key alone":            {{"b", "b", 1, false}},
		"signed by the old key alone":            {{"b", "a", 1, false}},
		"signatures of strangers beside":         {{"a", "xay", 1, true}},
		"threshold raised and met":               {{"abc", "ab", 2, true}, {"abc", "bc", 2, true}},
		"threshold raised and not met":           {{"abc", "a", 2, false}},
		"threshold lowered by the old threshold": {{"abc", "abc", 3, true}, {"a", "abc", 1, true}, {"a", "a", 1, true}},
		"threshold lowered by one key":           {{"abc", "ab", 2, true}, {"abc", "a", 1, false}},
		"one key of two exchanged":               {{"ab", "ab", 2, true}, {"bc", "abc", 2, true}, {"bc", "bc", 2, true}},
		"the same key given twice":               {{"ab", "ab", 2, true}, {"ab", "aa", 2, false}},
		"more needed than there are":             {{"ab", "ab", 3, false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			last := s.roots("a", "", 1) // the suite's own root is of three keys
			must(t, os.WriteFile(filepath.Join(s.metadata, "root.json"), last, 0o600))
			for i, step := range steps {
				before := s.version("root")
				s.roots(step.keys, step.signers, step.threshold)
				err := s.refresh()
				if step.ok != (err == nil) {
					t.Fatalf("step %d: %v", i+1, err)
				}
				if got := s.version("root"); step.ok && got != before+1 || !step.ok && got != before {
					t.Errorf("step %d: root %d after %d", i+1, got, before)
				}
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// roots publishes the next root with these keys; one without signers is the first of all.
func (s *suite) roots(keys, signers string, threshold int) []byte {
	s.t.Helper()
	root := &s.repo.Root.Signed
	role := root.Roles["root"]
	role.KeyIDs, role.Threshold = nil, threshold
	for _, k := range keys {
		must(s.t, root.AddKey(s.repo.Public(trusttest.Key(string(k))), "root"))
	}
	if signers == "" {
		signers = keys
	} else {
		root.Version++
	}
	var by []ed25519.PrivateKey
	for _, k := range signers {
		by = append(by, trusttest.Key(string(k)))
	}
	data := trusttest.Sign(s.t, s.repo.Root, by...)
	s.repo.Put(trust.FileName("root", root.Version), data)
	return data
}

// TestThresholdsOfSnapshot: keys that are named and did not sign, or not held, or one key under
// many names, are no signatures.
func TestThresholdsOfSnapshot(t *testing.T) {
	t.Parallel()
	key := func(n int) ed25519.PrivateKey { return trusttest.Key(fmt.Sprint("snapshot ", n)) }
	for name, c := range map[string]struct {
		signers   int
		threshold int
		change    func(s *suite, r *metadata.RootType)
		ok        bool
	}{
		"five of five":    {5, 5, nil, true},
		"three of five":   {3, 3, nil, true},
		"four where five": {4, 5, nil, false},
		"six of five":     {5, 6, nil, false},
		"a key not held": {5, 6, func(_ *suite, r *metadata.RootType) {
			r.Roles["snapshot"].KeyIDs = append(r.Roles["snapshot"].KeyIDs, strings.Repeat("ab", 32))
		}, false},
		"unknown key fields": {5, 5, func(_ *suite, r *metadata.RootType) {
			r.Keys[r.Roles["timestamp"].KeyIDs[0]].UnrecognizedFields = map[string]any{"keyid_hash_algorithms": []string{"md5"}}
		}, true},
		"one key, ten names": {1, 6, func(s *suite, r *metadata.RootType) {
			for n := range 9 {
				id := fmt.Sprintf("%064x", n)
				r.Keys[id] = s.repo.Public(key(0))
				r.Roles["snapshot"].KeyIDs = append(r.Roles["snapshot"].KeyIDs, id)
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			s.accepted()
			r := &s.repo.Root.Signed
			r.Roles["snapshot"].KeyIDs, r.Roles["snapshot"].Threshold = nil, c.threshold
			var by []ed25519.PrivateKey
			for n := range 5 {
				if name == "one key, ten names" && n > 0 {
					break
				}
				must(t, r.AddKey(s.repo.Public(key(n)), "snapshot"))
			}
			for n := range c.signers {
				by = append(by, key(n))
			}
			if c.change != nil {
				c.change(s, r)
			}
			r.Version++
			s.repo.Put("2.root.json", trusttest.Sign(t, s.repo.Root, s.repo.Keys["root"]...))
			s.repo.Keys["snapshot"] = by
			s.repo.PublishOnline()
			data := s.repo.Current("snapshot")
			if name == "one key, ten names" {
				m, err := new(metadata.Metadata[metadata.SnapshotType]).FromBytes(data)
				must(t, err)
				for n := range 9 {
					m.Signatures = append(m.Signatures, metadata.Signature{KeyID: fmt.Sprintf("%064x", n), Signature: m.Signatures[0].Signature})
				}
				data, err = m.ToBytes(false)
				must(t, err)
				s.repo.Put("2.snapshot.json", data)
			}
			if err := s.refresh(); c.ok != (err == nil) {
				t.Fatal(err)
			}
			if c.ok {
				s.trusts(2, 2, 2, 1)
			} else {
				s.trusts(2, 2, 0, 1) // the rotated snapshot is forgotten, what was before it stays
			}
		})
	}
}

// TestFieldsNobodyKnowsAreKept byte for byte, and are part of what is signed.
func TestFieldsNobodyKnowsAreKept(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.accepted()
	r := &s.repo.Root.Signed
	r.UnrecognizedFields = map[string]any{"custom-field": "välue", "n": 1}
	r.Roles["root"].UnrecognizedFields = map[string]any{"another": []any{true, nil}}
	s.repo.Timestamp.Signed.UnrecognizedFields = map[string]any{"more": map[string]any{"a": "b"}}
	r.Version++
	s.repo.Put("2.root.json", append(trusttest.Sign(t, s.repo.Root, s.repo.Keys["root"]...), "  \n"...))
	s.repo.PublishTimestamp()
	s.accepted()
	for _, role := range []string{"root", "timestamp"} {
		got, err := os.ReadFile(filepath.Join(s.metadata, role+".json"))
		if err != nil || !bytes.Equal(got, s.repo.Current(role)) {
			t.Errorf("%s differs: %v", role, err)
		}
	}
	// Without the field it is another content, which nobody signed.
	s.repo.PublishTimestamp()
	s.repo.Put("timestamp.json", bytes.Replace(s.repo.Current("timestamp"), []byte(`"more":{"a":"b"},`), nil, 1))
	s.refused()
}

// TestKeyIDsAreNamesOnly: the specification lets a repository name its keys as it likes.
func TestKeyIDsAreNamesOnly(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	root := trusttest.Sign(t, s.repo.Root, s.repo.Keys["root"]...)
	for _, id := range s.repo.Root.Signed.Roles["root"].KeyIDs {
		sum := sha256.Sum256([]byte(id))
		root = bytes.ReplaceAll(root, []byte(id), fmt.Appendf(nil, "%x", sum))
	}
	m, err := new(metadata.Metadata[metadata.RootType]).FromBytes(root)
	must(t, err)
	s.repo.Root = m
	names := m.Signed.Roles["root"].KeyIDs
	signed := trusttest.Sign(t, m, s.repo.Keys["root"]...)
	for i, key := range s.repo.Keys["root"] {
		id, err := s.repo.Public(key).ID()
		must(t, err)
		signed = bytes.ReplaceAll(signed, []byte(id), []byte(names[i]))
	}
	must(t, os.WriteFile(filepath.Join(s.metadata, "root.json"), signed, 0o600))
	s.accepted()
}

// TestSameVersionOtherContent: what is trusted of that version stays.
func TestSameVersionOtherContent(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.accepted()
	before := s.repo.Current("timestamp")
	s.repo.Timestamp.Signed.Meta["snapshot.json"].Version = 100
	s.repo.PutTimestamp()
	_ = s.refresh()
	got, err := os.ReadFile(filepath.Join(s.metadata, "timestamp.json"))
	if err != nil || !bytes.Equal(got, before) {
		t.Errorf("another timestamp is kept: %v", err)
	}
}

// TestHashesAndLengthsOfMetadata are optional, and hold where they are listed.
func TestHashesAndLengthsOfMetadata(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(m *metadata.MetaFiles){
		"right":        nil,
		"wrong hash":   func(m *metadata.MetaFiles) { m.Hashes["sha256"][0] ^= 1 },
		"wrong length": func(m *metadata.MetaFiles) { m.Length-- },
		"too long":     func(m *metadata.MetaFiles) { m.Length++ },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			s.accepted()
			s.repo.PublishRole("targets")
			data := s.repo.Current("targets")
			sum := sha256.Sum256(data)
			m := &metadata.MetaFiles{Version: 2, Length: int64(len(data)), Hashes: metadata.Hashes{"sha256": sum[:]}}
			if change != nil {
				change(m)
			}
			s.repo.Snapshot.Signed.Meta["targets.json"] = m
			s.repo.Snapshot.Signed.Version++
			s.repo.PutSnapshot()
			s.repo.PublishTimestamp()
			if err := s.refresh(); (change == nil) != (err == nil) {
				t.Fatal(err)
			}
			if change == nil {
				s.trusts(1, 2, 2, 2)
			} else {
				s.trusts(1, 2, 2, 1)
			}
		})
	}
}

// TestVersionsThatDoNotAgree: a file of another version than is listed, and what was verified
// before it is kept.
func TestVersionsThatDoNotAgree(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.repo.Snapshot.Signed.Version = 2
	s.repo.PutSnapshot()
	s.repo.Put("1.snapshot.json", s.repo.File("2.snapshot.json"))
	s.refused()
	s.trusts(1, 1, 0, 0)

	// A snapshot that lists no targets.
	delete(s.repo.Snapshot.Signed.Meta, "targets.json")
	s.repo.Snapshot.Signed.Version = 3
	s.repo.PutSnapshot()
	s.repo.PublishTimestamp()
	s.refused()
	if s.version("targets") != 0 {
		t.Error("targets that nobody lists")
	}
}

// TestWithoutConsistentSnapshots file names carry no versions, and targets no hash.
func TestWithoutConsistentSnapshots(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.repo.Root.Signed.ConsistentSnapshot = false
	s.repo.PublishRoot()
	content := []byte("content")
	s.repo.SetTarget("targets", "dir/file.txt", content, nil)
	s.repo.PublishRole("targets")
	s.repo.PublishOnline()
	for _, role := range []string{"snapshot", "targets"} {
		s.repo.Put(role+".json", s.repo.Current(role))
	}
	s.targetServed["dir/file.txt"] = content
	s.repo.Requests()
	must(t, s.download("dir/file.txt"))
	want := "2.root.json 3.root.json timestamp.json snapshot.json targets.json"
	if got := strings.Join(s.repo.Requests(), " "); got != want {
		t.Errorf("asked for %s, want %s", got, want)
	}
	got, err := os.ReadFile(filepath.Join(s.targets, "target-dir%2Ffile.txt"))
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%q, %v", got, err)
	}
	s.trusts(2, 2, 2, 2)
}

// TestInitialRootsThatAreNone ask for nothing.
func TestInitialRootsThatAreNone(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(s *suite, data []byte) []byte{
		"no version": func(_ *suite, d []byte) []byte { return bytes.Replace(d, []byte(`,"version":1`), nil, 1) },
		"another content": func(_ *suite, d []byte) []byte {
			return bytes.Replace(d, []byte(`"threshold":2`), []byte(`"threshold":1`), 1)
		},
		"one signature": func(s *suite, _ []byte) []byte { return trusttest.Sign(s.t, s.repo.Root, s.repo.Keys["root"][0]) },
		"a signature twice": func(s *suite, _ []byte) []byte {
			return trusttest.Sign(s.t, s.repo.Root, s.repo.Keys["root"][0], s.repo.Keys["root"][0])
		},
		"of another role": func(s *suite, _ []byte) []byte { return s.repo.Current("targets") },
		"empty":           func(*suite, []byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			must(t, os.WriteFile(filepath.Join(s.metadata, "root.json"), spoil(s, s.repo.File("1.root.json")), 0o600))
			s.repo.Requests()
			s.refused()
			if asked := s.repo.Requests(); len(asked) > 0 {
				t.Errorf("asked for %q", asked)
			}
		})
	}
}

// TestDelegatedRolesExpireToo, each for those targets alone that it is on the way to.
func TestDelegatedRolesExpireToo(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	now := s.repo.Now
	record, err := s.repo.AddLevel(line, 0).Bytes()
	must(t, err)
	s.repo.SetTarget("targets", "near.txt", []byte("near"), nil)
	s.repo.PublishRole("targets")
	s.repo.Now = now.Add(-200 * 24 * time.Hour)
	s.repo.PublishRole(line.Role())
	s.repo.Now = now
	s.repo.PublishOnline()
	s.targetServed["wso2is/7.1.0/full/"+s.repo.Store(record).Sum.String()+".0.json"] = record
	s.targetServed[s.repo.Store([]byte("near")).Sum.String()+".near.txt"] = []byte("near")
	if s.download(line.TargetPath(0)) == nil {
		t.Error("a target of a role that expired")
	}
	must(t, s.download("near.txt"))
	s.repo.PublishRole(line.Role())
	s.repo.PublishOnline()
	must(t, s.download(line.TargetPath(0)))
}

// TestOnlineKeysReplacedForgetVersions: fast-forward of each online role is undone by a root
// that replaces its key, and by nothing else.
func TestOnlineKeysReplacedForgetVersions(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"timestamp", "snapshot"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			s.repo.Snapshot.Signed.Version, s.repo.Timestamp.Signed.Version = 1000, 1000
			s.repo.PublishOnline()
			s.accepted()
			s.trusts(1, 1001, 1001, 1)
			s.repo.Snapshot.Signed.Version, s.repo.Timestamp.Signed.Version = 4, 4
			s.repo.PublishOnline()
			s.refused()
			s.repo.PublishRoot() // the same keys
			s.refused()
			s.repo.Keys[role] = []ed25519.PrivateKey{trusttest.Key("another")}
			s.repo.PublishRoot()
			s.repo.PublishOnline()
			s.accepted()
			s.trusts(3, 6, 6, 1)
		})
	}
}
