package attacks

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/bundle"
	"uplevel/internal/digest"
	"uplevel/internal/trust"
	"uplevel/internal/trust/online"
)

// member is one member of a zip.
type member struct {
	name string
	data []byte
}

func (w *world) members(file string) []member {
	w.t.Helper()
	r, err := zip.OpenReader(file)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	var all []member
	for _, f := range r.File {
		in, err := f.Open()
		if err != nil {
			w.t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, member{f.Name, data})
	}
	return all
}

// write makes a zip as the vendor's would be, its index listing what it holds.
func (w *world) write(name string, all []member) string {
	w.t.Helper()
	if all[0].name == "index.json" {
		var x bundle.Index
		w.check(json.Unmarshal(all[0].data, &x))
		x.Members = nil
		for _, m := range all[1:] {
			x.Members = append(x.Members, bundle.Member{Name: m.name, Size: int64(len(m.data)), Sum: digest.Of(m.data)})
		}
		data, err := json.Marshal(x)
		w.check(err)
		all[0].data = data
	}
	var b bytes.Buffer
	out := zip.NewWriter(&b)
	for _, m := range all {
		h := &zip.FileHeader{Name: m.name, Method: zip.Store, ReaderVersion: 20, CRC32: crc32.ChecksumIEEE(m.data), CompressedSize64: uint64(len(m.data)), UncompressedSize64: uint64(len(m.data))}
		h.SetMode(0o644)
		into, err := out.CreateRaw(h)
		w.check(err)
		_, err = into.Write(m.data)
		w.check(err)
	}
	w.check(out.Close())
	file := filepath.Join(w.t.TempDir(), name)
	w.check(os.WriteFile(file, b.Bytes(), 0o644))
	return file
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// carrying replaces the metadata of a zip by those of a forger: the same roles.
func (w *world) carrying(from string, f *forger) string {
	w.t.Helper()
	all := w.members(from)
	for i, m := range all {
		name, ok := strings.CutPrefix(m.name, "metadata/")
		if !ok || strings.HasSuffix(name, ".root.json") {
			continue
		}
		role := strings.TrimSuffix(name, ".json")
		if role != trust.RoleTimestamp {
			_, role, _ = strings.Cut(role, ".")
		}
		now := trust.FileName(role, f.version(role))
		all[i] = member{"metadata/" + now, f.files[now]}
	}
	return w.write(filepath.Base(from), all)
}

// zips are the attacks by way of an offline update.
func (w *world) zips(t *testing.T, keys online.Keys) {
	for _, a := range []struct {
		name  string
		level string // at which the product stands
		make  func(f *forger) string
		words string
	}{
		{"a level signed by stolen online keys", "0", func(f *forger) string {
			signedBy(shop.Role(), evil, thieves)(f)
			return w.carrying(w.zip, f)
		}, "line.shop-1.full.json: it is not signed by enough"},
		{"the same, at its own level", "2", func(f *forger) string {
			signedBy(shop.Role(), nil, thieves)(f)
			return w.carrying(w.zip, f)
		}, "line.shop-1.full.json: it is not signed by enough"},
		{"another vendor's root", "0", func(f *forger) string {
			all := w.members(w.zip)
			for i, m := range all {
				if m.name == "metadata/timestamp.json" {
					f.keys = online.Keys{Snapshot: stranger(1), Timestamp: stranger(2)}
					f.stamp()
					all[i].data = f.files["timestamp.json"]
				}
			}
			return w.write("x.zip", all)
		}, "timestamp.json: it is not signed by enough"},
		{"mix-and-match: an early line", "0", func(*forger) string {
			all := w.members(w.zip)
			for i, m := range all {
				if name, ok := strings.CutPrefix(m.name, "metadata/"); ok && strings.HasSuffix(name, shop.Role()+".json") {
					for early, data := range w.early {
						if strings.HasSuffix(early, shop.Role()+".json") {
							all[i].data = data
						}
					}
				}
			}
			return w.write("x.zip", all)
		}, "line.shop-1.full.json: it is of another version"},
		{"freeze: the line ran out before the timestamp", "0", func(f *forger) string {
			expired(shop.Role(), "product.shop.key")(f)
			return w.carrying(w.zip, f)
		}, "line.shop-1.full is expired"},
		{"arbitrary software: another content", "0", func(*forger) string {
			all := w.members(w.zip)
			for i := range all {
				if strings.HasPrefix(all[i].name, "objects/") {
					all[i].data = all[len(all)-1].data
				}
			}
			return w.write("x.zip", all)
		}, ""},
	} {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			at := *w
			at.t = t
			home := at.home()
			if a.level != "0" {
				if code, said := at.tool(home, at.forger(t, keys).serve(), "update"); code != 0 {
					t.Fatalf("exit %d: %s", code, said)
				}
			}
			tree := at.tree(home)
			f := at.forger(t, keys)
			file := a.make(f)
			code, said := at.offline(home, "apply-update", file)
			if code != 14 || !strings.Contains(said, a.words) {
				t.Errorf("exit %d, want 14 and %q: %s", code, a.words, said)
			}
			if at.tree(home) != tree {
				t.Error("the installation changed")
			}
			at.honest(home, "check")
			at.offlineMust(home, "apply-update", w.zip)
		})
	}
	t.Run("rollback: a level that was withdrawn since", func(t *testing.T) {
		at := *w
		at.t = t
		home := at.home()
		f := at.forger(t, keys)
		m := f.targets(shop.Role(), func(x *metadata.TargetsType) {
			one := x.Targets[shop.TargetPath(2)]
			one.Custom = ptr(bytes.Replace(*one.Custom, []byte(`"state":"live"`), []byte(`"state":"withdrawn","reason":"It burns."`), 1))
		})
		f.list(shop.Role(), f.publisher(shop.Role(), m, "product.shop.key"))
		if code, said := at.tool(home, f.serve(), "check"); code != 0 {
			t.Fatalf("exit %d: %s", code, said)
		}
		tree := at.tree(home)
		code, said := at.offline(home, "apply-update", w.zip)
		if code != 14 || !strings.Contains(said, "was withdrawn: It burns.") || at.tree(home) != tree {
			t.Errorf("exit %d: %s", code, said)
		}
	})
}

// offline runs the tool without credentials.
func (w *world) offline(home string, args ...string) (int, string) {
	return w.run(home, []string{"UPDATE_TOOL_USERNAME=", "UPDATE_TOOL_PASSWORD=", "UPLEVEL_TOKEN_FILE="}, args...)
}

func (w *world) offlineMust(home string, args ...string) {
	w.t.Helper()
	if code, said := w.offline(home, args...); code != 0 {
		w.t.Errorf("%q: exit %d: %s", args, code, said)
	}
}

// hotfixes are the attacks by way of a hotfix's zip.
func (w *world) hotfixes(t *testing.T, keys online.Keys) {
	envelope := func(sign func(record []byte) map[string][]byte) func(*forger) string {
		return func(*forger) string {
			all := w.members(w.hotfix)
			var e struct {
				Payload []byte `json:"payload"`
			}
			w.check(json.Unmarshal(all[0].data, &e))
			data, err := trust.NewEnvelope(e.Payload, sign(e.Payload))
			w.check(err)
			all[0].data = data
			return w.write(filepath.Base(w.hotfix), all)
		}
	}
	signedWith := func(private ed25519.PrivateKey) func([]byte) map[string][]byte {
		return func(record []byte) map[string][]byte {
			key, err := metadata.KeyFromPublicKey(private.Public())
			w.check(err)
			id, err := key.ID()
			w.check(err)
			return map[string][]byte{id: ed25519.Sign(private, trust.SignedBytes(trust.HotfixType, record))}
		}
	}
	for name, make := range map[string]func(*forger) string{
		"signed by stolen online keys": envelope(signedWith(keys.Snapshot)),
		"signed by a stranger":         envelope(signedWith(stranger(1))),
		"signed by nobody":             envelope(func([]byte) map[string][]byte { return map[string][]byte{"00": make64()} }),
		"targets by a thief name his key": func(f *forger) string {
			signedBy("targets", func(x *metadata.TargetsType) {
				key, err := metadata.KeyFromPublicKey(stranger(1).Public())
				f.must(err)
				id, err := key.ID()
				f.must(err)
				x.Delegations.Keys[id] = key
				for i := range x.Delegations.Roles {
					if x.Delegations.Roles[i].Name == trust.RoleHotfix {
						x.Delegations.Roles[i].KeyIDs = []string{id}
					}
				}
			}, thieves)(f)
			return w.carrying(w.hotfix, f)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := *w
			at.t = t
			home := at.home()
			tree := at.tree(home)
			f := at.forger(t, keys)
			code, said := at.offline(home, "apply-hotfix", make(f), "--for", "Lab")
			if code != 14 || !strings.Contains(said, "sign") || at.tree(home) != tree {
				t.Errorf("exit %d, want 14: %s", code, said)
			}
			at.offlineMust(home, "apply-hotfix", w.hotfix, "--for", "Lab")
		})
	}
}

func make64() []byte { return bytes.Repeat([]byte{7}, ed25519.SignatureSize) }
