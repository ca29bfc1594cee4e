package attacks

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/sign"
	"uplevel/internal/trust/trusttest"
)

// attack is one way to bring software in that the release keys did not sign, or to keep
// fixes out. Its customer refreshed before, and stands at level 0.
type attack struct {
	name  string
	do    func(f *forger)
	exit  int // 0: 14
	words string
	again bool // tried twice: what the first try kept must not help the second
	later bool // level 1 was not withdrawn and no more: that it is shown is the point
}

func stranger(n int) ed25519.PrivateKey { return trusttest.Key(fmt.Sprint("stranger ", n)) }

// evil lists one more level.
func evil(t *metadata.TargetsType) {
	one := *t.Targets[shop.TargetPath(2)]
	one.Custom = ptr([]byte(strings.Replace(string(*one.Custom), `"level":2`, `"level":3`, 1)))
	t.Targets[shop.TargetPath(3)] = &one
}

func ptr(raw []byte) *json.RawMessage { return (*json.RawMessage)(&raw) }

// swapped lists a listing of something else under the shop's path of level 2, signed by the
// shop's own key.
func swapped(change func(*release.Listing)) func(*forger) {
	return func(f *forger) {
		m := f.targets(shop.Role(), func(t *metadata.TargetsType) {
			l := release.Listing{Product: "shop", Version: "1", Channel: "full", Level: 2, State: release.Live, Type: release.Regular, Published: time.Now()}
			change(&l)
			t.Targets[shop.TargetPath(2)].Custom = custom(f.t, l)
		})
		f.list(shop.Role(), f.publisher(shop.Role(), m, "product.shop.key"))
	}
}

// expired serves what the right keys signed so long ago that it ran out.
func expired(role string, keys ...string) func(*forger) {
	return func(f *forger) {
		m := f.targets(role, func(t *metadata.TargetsType) { t.Expires = time.Now().Add(-time.Minute) })
		f.list(role, f.publisher(role, m, keys...))
	}
}

// signedBy serves the next version of a role with signatures of strangers or thieves.
func signedBy(role string, change func(*metadata.TargetsType), keys func(*forger) []ed25519.PrivateKey) func(*forger) {
	return func(f *forger) { f.list(role, f.by(f.targets(role, change), keys(f)...)) }
}

func strangers(*forger) []ed25519.PrivateKey { return []ed25519.PrivateKey{stranger(1)} }

func thieves(f *forger) []ed25519.PrivateKey {
	return []ed25519.PrivateKey{f.keys.Snapshot, f.keys.Timestamp}
}

// rolledBack lists an older version of a role.
func rolledBack(role string) func(*forger) {
	return func(f *forger) {
		f.snapshot.Signed.Meta[role+".json"].Version--
		f.online()
	}
}

// endless serves a file without end.
func endless(name func(*forger) string) func(*forger) {
	return func(f *forger) {
		file := name(f)
		f.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/tuf/"+file {
				return false
			}
			for chunk := bytes.Repeat([]byte(" "), 64<<10); r.Context().Err() == nil; {
				if _, err := rw.Write(chunk); err != nil {
					break
				}
			}
			return true
		}
	}
}

// next is the file that a new version of a role would be, listed.
func next(role string) func(*forger) string {
	return func(f *forger) string {
		if role == trust.RoleRoot {
			return trust.FileName(role, f.version(role)+1)
		}
		if role == trust.RoleSnapshot {
			f.online()
			return trust.FileName(role, f.snapshot.Signed.Version)
		}
		f.list(role, nil)
		return trust.FileName(role, f.version(role))
	}
}

// root serves a next root, changed and signed with these files of keys and strangers.
func nextRoot(change func(*metadata.RootType), files []string, others ...ed25519.PrivateKey) func(*forger) {
	return func(f *forger) {
		m, err := new(metadata.Metadata[metadata.RootType]).FromBytes(f.current(trust.RoleRoot))
		f.must(err)
		m.Signed.Version++
		change(&m.Signed)
		data, err := sign.AddSignatures(trust.RoleRoot, trusttest.Sign(f.t, m, others...), f.w.release(files...))
		f.must(err)
		f.files[trust.FileName(trust.RoleRoot, m.Signed.Version)] = data
	}
}

// takenOver names strangers for everything.
func takenOver(r *metadata.RootType) {
	for role, signs := range r.Roles {
		signs.KeyIDs, signs.Threshold = nil, 1
		key, err := metadata.KeyFromPublicKey(stranger(1).Public())
		if err == nil {
			err = r.AddKey(key, role)
		}
		if err != nil {
			panic(err)
		}
	}
}

var attacks = []attack{
	{name: "arbitrary software: a level signed by a stranger", again: true, do: signedBy(shop.Role(), evil, strangers), words: "line.shop-1.full.json: it is not signed by enough"},
	{name: "arbitrary software: a level signed by stolen online keys", do: signedBy(shop.Role(), evil, thieves), words: "line.shop-1.full.json: it is not signed by enough"},
	{name: "arbitrary software: a product signed by stolen online keys", do: signedBy("product.shop", nil, thieves), words: "product.shop.json: it is not signed by enough"},
	{name: "arbitrary software: targets signed by stolen online keys", do: signedBy("targets", nil, thieves), words: "targets.json: it is not signed by enough"},
	{name: "arbitrary software: a level signed by the hotfix key", do: func(f *forger) {
		f.list(shop.Role(), f.publisher(shop.Role(), f.targets(shop.Role(), evil), "hotfix.key"))
	}, words: "line.shop-1.full.json: it is not signed by enough"},
	{name: "stolen CDN: other content under the right names", again: true, do: func(f *forger) {
		f.objects = func(b []byte) []byte { return bytes.Repeat([]byte("x"), len(b)) }
	}, words: "signed"},
	{name: "stolen CDN: one byte of the level's listing changed", do: func(f *forger) {
		name := trust.FileName(shop.Role(), f.version(shop.Role()))
		f.list(shop.Role(), bytes.Replace(f.files[name], []byte(`"state":"live"`), []byte(`"state":"beta"`), 1))
	}, words: "line.shop-1.full.json: it is"},

	{name: "rollback: timestamp", do: func(f *forger) { f.files["timestamp.json"] = f.w.early["timestamp.json"] }, words: "timestamp.json: it is of another version than it must be, or older"},
	{name: "rollback: snapshot, by a stolen timestamp key", do: func(f *forger) {
		f.timestamp.Signed.Meta["snapshot.json"].Version--
		f.stamp()
	}, words: "timestamp.json: it is of another version than it must be, or older"},
	{name: "rollback: targets, by stolen online keys", do: rolledBack("targets"), words: "snapshot.json: it is of another version than it must be, or older"},
	{name: "rollback: line, by stolen online keys", again: true, do: rolledBack(shop.Role()), words: "snapshot.json: it is of another version than it must be, or older"},
	{name: "rollback: a line vanishes", do: func(f *forger) {
		delete(f.snapshot.Signed.Meta, shop.Role()+".json")
		f.online()
	}, words: "snapshot.json: repository error: new snapshot is missing info"},
	{name: "rollback: a product vanishes", do: func(f *forger) {
		delete(f.snapshot.Signed.Meta, "product.shop.json")
		f.online()
	}, words: "snapshot.json: repository error: new snapshot is missing info"},
	{name: "rollback: an older root as the next", do: func(f *forger) { f.files["3.root.json"] = f.files["2.root.json"] }, words: "3.root.json: it is of another version"},

	{name: "freeze: timestamp", do: func(f *forger) {
		f.timestamp.Signed.Expires = time.Now().Add(-time.Minute)
		f.stamp()
	}, words: "timestamp.json is expired"},
	{name: "freeze: snapshot", do: func(f *forger) {
		f.snapshot.Signed.Expires = time.Now().Add(-time.Minute)
		f.online()
	}, words: "snapshot.json is expired"},
	{name: "freeze: targets", do: expired("targets", "targets.key"), words: "targets is expired"},
	{name: "freeze: product", do: expired("product.shop", "product.shop.key"), words: "product.shop is expired"},
	{name: "freeze: line", again: true, do: expired(shop.Role(), "product.shop.key"), words: "line.shop-1.full is expired"},

	{name: "endless data: root", do: endless(next("root")), words: "3.root.json: it is longer than 524288 bytes"},
	{name: "endless data: timestamp", do: endless(func(*forger) string { return "timestamp.json" }), words: "timestamp.json: it is longer than 16384 bytes"},
	{name: "endless data: snapshot", do: endless(next("snapshot")), words: "snapshot.json: it is longer than 2097152 bytes"},
	{name: "endless data: targets", do: endless(next("targets")), words: "targets.json: it is longer than 4194304 bytes"},
	{name: "endless data: line", do: endless(next(shop.Role())), words: "line.shop-1.full.json: it is longer than 8388608 bytes"},
	{name: "slow retrieval", do: func(f *forger) {
		f.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/tuf/timestamp.json" {
				return false
			}
			rw.Header().Set("Content-Length", fmt.Sprint(len(f.files["timestamp.json"])))
			for tick := time.NewTicker(time.Second); ; {
				if _, err := rw.Write([]byte(" ")); err != nil {
					return true
				}
				_ = http.NewResponseController(rw).Flush()
				select {
				case <-tick.C:
				case <-r.Context().Done():
					return true
				}
			}
		}
	}, exit: 13, words: "too slow"},

	{name: "extraneous dependencies: another product's level in the line", do: func(f *forger) {
		f.list(shop.Role(), f.publisher(shop.Role(), f.targets(shop.Role(), func(t *metadata.TargetsType) {
			t.Targets["bank/1/full/0.json"] = t.Targets[shop.TargetPath(2)]
		}), "product.shop.key"))
	}, words: "which is no level of shop-1"},
	{name: "extraneous dependencies: a line that a stranger's role comes before", do: func(f *forger) {
		f.list("targets", f.publisher("targets", f.targets("targets", func(t *metadata.TargetsType) {
			key, err := metadata.KeyFromPublicKey(stranger(1).Public())
			f.must(err)
			id, err := key.ID()
			f.must(err)
			t.Delegations.Keys[id] = key
			t.Delegations.Roles = append([]metadata.DelegatedRole{{Name: "product.any", KeyIDs: []string{id}, Threshold: 1, Terminating: true, Paths: []string{"*/*/*/*"}}}, t.Delegations.Roles...)
		}), "targets.key"))
	}, words: `before product.shop`},

	{name: "mix-and-match: an older snapshot under the new name", again: true, do: func(f *forger) {
		old := f.current(trust.RoleSnapshot)
		f.online()
		f.files[trust.FileName(trust.RoleSnapshot, f.snapshot.Signed.Version)] = old
	}, words: "snapshot.json: it is of another version"},
	{name: "mix-and-match: the product's file as that of its line", do: func(f *forger) { f.list(shop.Role(), f.current("product.shop")) }, words: "line.shop-1.full.json: it is of another version"},
	{name: "mix-and-match: a product's file of the line's next version as that of its line", again: true, do: func(f *forger) {
		product := f.targets("product.shop", func(t *metadata.TargetsType) { t.Version = f.version(shop.Role()) + 1 })
		f.list(shop.Role(), f.publisher("product.shop", product, "product.shop.key"))
	}, words: "line.shop-1.full.json: it is no file of a line: it delegates"},
	{name: "mix-and-match: a line's file of the product's next version as that of its product", do: func(f *forger) {
		line := f.targets(shop.Role(), func(t *metadata.TargetsType) { t.Version = f.version("product.shop") + 1 })
		f.list("product.shop", f.publisher(shop.Role(), line, "product.shop.key"))
	}, words: "product.shop.json: it is no file of a product: it lists targets"},
	{name: "mix-and-match: the timestamp as a snapshot", do: func(f *forger) {
		f.online()
		f.files[trust.FileName(trust.RoleSnapshot, f.snapshot.Signed.Version)] = f.files["timestamp.json"]
	}, words: `snapshot.json: its type is "timestamp"`},

	{name: "wrong software: product", do: swapped(func(l *release.Listing) { l.Product = "bank" }), words: "listing is of bank-1"},
	{name: "wrong software: version", do: swapped(func(l *release.Listing) { l.Version = "2" }), words: "listing is of shop-2"},
	{name: "wrong software: channel", do: swapped(func(l *release.Listing) { l.Channel = "security" }), words: "listing is of shop-1 (security)"},
	{name: "wrong software: level", do: swapped(func(l *release.Listing) { l.Level = 1 }), words: "listing is of shop-1 level 1"},
	{name: "wrong software: state", do: swapped(func(l *release.Listing) { l.State = "golden" }), words: `state "golden"`},
	{name: "wrong software: a record of another level", do: func(f *forger) {
		f.list(shop.Role(), f.publisher(shop.Role(), f.targets(shop.Role(), func(t *metadata.TargetsType) {
			one, two := t.Targets[shop.TargetPath(1)], t.Targets[shop.TargetPath(2)]
			two.Hashes, two.Length = one.Hashes, one.Length
		}), "product.shop.key"))
		f.answer = func(_ http.ResponseWriter, r *http.Request) bool { // the honest service gives it as level 1's only
			if strings.HasSuffix(r.URL.Path, "/deliveries") {
				body, err := io.ReadAll(r.Body)
				f.must(err)
				body = bytes.Replace(body, []byte(`"level":2`), []byte(`"level":1`), 1)
				r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			}
			return false
		}
	}, words: "level 1"},
	{name: "wrong software: withdrawn and shown as live", do: func(f *forger) {
		m := f.targets(shop.Role(), func(t *metadata.TargetsType) {
			one := t.Targets[shop.TargetPath(2)]
			one.Custom = ptr(bytes.Replace(*one.Custom, []byte(`"state":"live"`), []byte(`"state":"withdrawn","reason":"It burns."`), 1))
		})
		signed := f.publisher(shop.Role(), m, "product.shop.key")
		f.list(shop.Role(), bytes.Replace(signed, []byte(`withdrawn`), []byte(`live`), 1))
	}, words: "line.shop-1.full.json: it is not signed by enough"},

	{name: "malicious mirror: everything as it was early", do: func(f *forger) { f.files = f.w.early }, words: "If you use a mirror, bring it up to date."},
	{name: "malicious mirror: new timestamp, early rest", again: true, do: func(f *forger) {
		timestamp := f.files["timestamp.json"]
		f.online()
		for _, role := range roles {
			name := trust.FileName(role, f.version(role))
			if early := f.w.early[trust.FileName(role, f.version(role)-1)]; early != nil {
				f.files[name] = early
			}
		}
		_ = timestamp
		for name, data := range f.w.early {
			if strings.HasSuffix(name, ".snapshot.json") {
				f.files[trust.FileName(trust.RoleSnapshot, f.snapshot.Signed.Version)] = data
			}
		}
	}, words: "snapshot.json: it is of another version"},

	{name: "key compromise below the threshold: one root key of three", again: true, do: nextRoot(takenOver, []string{"root.key"}, stranger(1)), words: "3.root.json: it is not signed by enough"},
	{name: "key compromise below the threshold: one root key, twice", do: func(f *forger) {
		nextRoot(takenOver, []string{"root.key"}, stranger(1))(f)
		f.files["3.root.json"] = bytes.Replace(f.files["3.root.json"], []byte(`"signatures":[`), append([]byte(`"signatures":[`), firstSignature(f.files["3.root.json"])...), 1)
	}, words: "3.root.json: value error: multiple signatures found"},
	{name: "key compromise below the threshold: old keys without the new", do: nextRoot(takenOver, []string{"root.key", "root.2.key"}), words: "3.root.json: it is not signed by enough"},
	{name: "freeze: root", do: nextRoot(func(r *metadata.RootType) { r.Expires = time.Now().Add(-time.Minute) }, []string{"root.key", "root.3.key"}), words: "root.json is expired", later: true},
}

// firstSignature is the last signature of a file again, to stand before the others.
func firstSignature(data []byte) []byte {
	m, err := new(metadata.Metadata[metadata.RootType]).FromBytes(data)
	if err != nil {
		panic(err)
	}
	last := m.Signatures[len(m.Signatures)-1]
	return fmt.Appendf(nil, `{"keyid":%q,"sig":%q},`, last.KeyID, last.Signature.String())
}

// TestAttacks: each is refused by the built tool with its code and words, the installation is
// as it was, and the honest service is trusted as before.
func TestAttacks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	keys := w.stolen()
	w.seen = w.home() // by a customer who refreshed: what customers saw
	if code, said := w.tool(w.seen, w.forger(t, keys).serve(), "check"); code != 0 || !strings.Contains(said, "1.2") {
		t.Fatalf("before: exit %d: %s", code, said)
	}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			at := *w
			at.t = t
			at.attacked(a, at.forger(t, keys))
		})
	}
	t.Run("stolen service: what it can do", func(t *testing.T) { t.Parallel(); at := *w; at.t = t; at.withheld(keys) })
	t.Run("apply-update", func(t *testing.T) { at := *w; at.t = t; at.zips(t, keys) })
	t.Run("a malicious publisher", func(t *testing.T) { at := *w; at.t = t; at.malicious(t, keys) })
	t.Run("apply-hotfix", func(t *testing.T) { at := *w; at.t = t; at.hotfixes(t, keys) })
}

func (w *world) attacked(a attack, f *forger) {
	w.t.Helper()
	home := w.copyOf(w.seen)
	tree := w.tree(home)
	a.do(f)
	service := f.serve()
	want := a.exit
	if want == 0 {
		want = 14
	}
	tries := 1
	if a.again {
		tries = 2
	}
	for range tries {
		code, said := w.tool(home, service, "update")
		if code != want || !strings.Contains(said, a.words) {
			w.t.Errorf("exit %d, want %d and %q:\n%s", code, want, a.words, said)
		}
	}
	if w.tree(home) != tree {
		w.t.Error("the installation changed")
	}
	if a.later {
		return // the vendor's own keys signed what no honest service of today can take back
	}
	if said := w.honest(home, "check"); !strings.Contains(said, "1.2") {
		w.t.Errorf("the honest service afterwards: %s", said)
	}
}
