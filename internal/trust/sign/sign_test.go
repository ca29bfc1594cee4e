package sign

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/digest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

const passphrase = "correct horse $battery"

func cheap() Cost { return Cost{MemoryKiB: 8, Time: 1, Threads: 1} }

func folder(t *testing.T) *Folder {
	t.Helper()
	return &Folder{
		Dir: filepath.Join(t.TempDir(), "keys"), Cost: cheap(), Random: rand.Reader,
		Passphrase: func(bool) (string, error) { return passphrase, nil },
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestKeyFileOpensWithItsPassphraseOnly(t *testing.T) {
	t.Parallel()
	key := must(NewKey("product.shop", rand.Reader))(t)
	data := must(key.Seal(passphrase, cheap(), rand.Reader))(t)
	if strings.Contains(fmt.Sprintf("%v %+v %#v", key, key, key), fmt.Sprintf("%x", key.private.Seed())) {
		t.Error("printing a key shows it")
	}
	opened := must(OpenKey(data, passphrase))(t)
	if !opened.private.Equal(key.private) || opened.Role != key.Role {
		t.Error("another key came out")
	}
	for _, wrong := range []string{"", passphrase + " ", strings.ToUpper(passphrase)} {
		if _, err := OpenKey(data, wrong); !errors.Is(err, ErrPassphrase) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func TestKeyFileIsAuthenticated(t *testing.T) {
	t.Parallel()
	key := must(NewKey("targets", rand.Reader))(t)
	data := must(key.Seal(passphrase, cheap(), rand.Reader))(t)
	other := must(NewKey("targets", rand.Reader))(t)
	public := must(other.Public())(t)
	for field, value := range map[string]any{
		"role": "root", "public": public.Value.PublicKey, "cost": Cost{MemoryKiB: 16, Time: 1, Threads: 1},
		"salt": bytes.Repeat([]byte{1}, 16), "nonce": bytes.Repeat([]byte{1}, 24), "secret": []byte("x"),
		"format": "uplevel-key/2", "kdf": "none", "cipher": "none",
	} {
		var f map[string]any
		if err := json.Unmarshal(data, &f); err != nil {
			t.Fatal(err)
		}
		f[field] = value
		changed := must(json.Marshal(f))(t)
		if _, err := OpenKey(changed, passphrase); err == nil {
			t.Errorf("accepted with another %s", field)
		}
	}
}

func TestKeyFileCannotMakeUsSpend(t *testing.T) {
	t.Parallel()
	key := must(NewKey("targets", rand.Reader))(t)
	data := must(key.Seal(passphrase, cheap(), rand.Reader))(t)
	huge := bytes.Replace(data, []byte(`"memory_kib": 8`), []byte(`"memory_kib": 4194304`), 1)
	if bytes.Equal(huge, data) {
		t.Fatal("the file has another form")
	}
	if _, err := OpenKey(huge, passphrase); err == nil || errors.Is(err, ErrPassphrase) {
		t.Errorf("4 GiB accepted: %v", err)
	}
	if _, err := OpenKey(bytes.Repeat([]byte{' '}, MaxKeyFile+1), passphrase); err == nil {
		t.Error("an endless file was accepted")
	}
}

func TestFolderMakesEachKeyOnce(t *testing.T) {
	t.Parallel()
	f := folder(t)
	first := must(f.Make(trust.RoleRoot, 3))(t)
	again := must(f.Make(trust.RoleRoot, 3))(t)
	if len(first) != 3 || len(again) != 3 {
		t.Fatalf("%d and %d keys", len(first), len(again))
	}
	for i := range first {
		if !first[i].private.Equal(again[i].private) {
			t.Error("a key was replaced")
		}
	}
	names := must(f.Files(trust.RoleRoot))(t)
	if d := cmp.Diff([]string{"root.1.key", "root.2.key", "root.3.key"}, names); d != "" {
		t.Error(d)
	}
	info := must(os.Stat(filepath.Join(f.Dir, names[0])))(t)
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
}

// Another publisher on the same folder makes the key between the look and the making: the
// first one's counts, for both.
func TestTwoPublishersMakeOneKey(t *testing.T) {
	t.Parallel()
	f := folder(t)
	var other []Key
	f.Passphrase = func(making bool) (string, error) {
		if making {
			second := *f
			second.Passphrase = func(bool) (string, error) { return passphrase, nil }
			other = must(second.Make("product.shop", 1))(t)
		}
		return passphrase, nil
	}
	mine := must(f.Make("product.shop", 1))(t)
	if len(other) != 1 || !mine[0].private.Equal(other[0].private) {
		t.Error("the key that the other one signs with is lost")
	}
}

func TestFolderTellsKeysOfLikeNamedProductsApart(t *testing.T) {
	t.Parallel()
	f := folder(t)
	must(f.Make("product.a", 1))(t)
	must(f.Make("product.a-1", 2))(t)
	must(f.Make("product.a1", 1))(t)
	if names := must(f.Files("product.a"))(t); !slices.Equal(names, []string{"product.a.key"}) {
		t.Errorf("%q", names)
	}
	if names := must(f.Files("product.a-1"))(t); len(names) != 2 {
		t.Errorf("%q", names)
	}
	if _, err := f.Files("../x"); err == nil {
		t.Error("a role that is a path was accepted")
	}
}

func TestFolderRefusals(t *testing.T) {
	t.Parallel()
	f := folder(t)
	if _, err := f.Keys(trust.RoleTargets); problem.KindOf(err) != problem.Refused || !strings.Contains(err.Error(), "targets.key") {
		t.Errorf("no key: %v", err)
	}
	must(f.Make(trust.RoleTargets, 1))(t)
	f.Passphrase = func(bool) (string, error) { return "another one", nil }
	if _, err := f.Keys(trust.RoleTargets); problem.KindOf(err) != problem.Credentials {
		t.Errorf("wrong passphrase: %v", err)
	}
	f.Passphrase = func(bool) (string, error) { return "short", nil }
	if _, err := f.Make(trust.RoleTool, 1); problem.KindOf(err) != problem.Usage {
		t.Errorf("short passphrase: %v", err)
	}
	name := filepath.Join(f.Dir, "targets.key")
	if err := os.Rename(name, filepath.Join(f.Dir, "root.key")); err != nil {
		t.Fatal(err)
	}
	f.Passphrase = func(bool) (string, error) { return passphrase, nil }
	if _, err := f.Keys(trust.RoleRoot); err == nil {
		t.Error("the key of targets passed as root's")
	}
	if _, err := f.Document(trust.RoleRoot); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing document: %v", err)
	}
}

// vendor makes root, targets and one product with a level, as a publisher would.
func vendor(t *testing.T) (keys map[string]Key, docs map[string][]byte) {
	t.Helper()
	keys, docs = map[string]Key{}, map[string][]byte{}
	public := map[string]*metadata.Key{}
	line := release.Line{Product: "shop", Version: "1.0", Channel: release.DefaultChannel}
	for _, role := range []string{"root", "targets", "tool", "hotfix", "product.shop", "snapshot", "timestamp"} {
		keys[role] = must(NewKey(role, rand.Reader))(t)
		public[role] = must(keys[role].Public())(t)
	}
	docs["root"] = must(NewRoot(RootSpec{
		Threshold: 1, Root: []*metadata.Key{public["root"]}, Targets: []*metadata.Key{public["targets"]},
		Snapshot: public["snapshot"], Timestamp: public["timestamp"],
	}, now, []Key{keys["root"]}))(t)
	targets := must(NewTargets(public["tool"], public["hotfix"], now, []Key{keys["targets"]}))(t)
	docs["targets"] = must(AddDelegation("targets", targets, "product.shop", Alone(public["product.shop"]), now, []Key{keys["targets"]}))(t)
	docs["product.shop"] = must(NewProduct(line, now, keys["product.shop"]))(t)
	docs[line.Role()] = must(PutLevels(nil, line, []release.Listed{listed(line, 0)}, now, []Key{keys["product.shop"]}))(t)
	return keys, docs
}

func listed(line release.Line, level int) release.Listed {
	return release.Listed{
		Listing: release.Listing{Product: line.Product, Version: line.Version, Channel: line.Channel, Level: level, State: release.Live, Type: release.Regular, Published: now},
		Record:  release.Ref{Sum: digest.Of([]byte{byte(level)}), Size: 100},
	}
}

func TestDocumentsAreSignedByTheirParentsKeys(t *testing.T) {
	t.Parallel()
	keys, docs := vendor(t)
	line := release.Line{Product: "shop", Version: "1.0", Channel: release.DefaultChannel}
	for role, parent := range map[string]string{"root": "root", "targets": "root", "product.shop": "targets", line.Role(): "product.shop"} {
		if err := Verify(parent, docs[parent], role, docs[role]); err != nil {
			t.Errorf("%s: %v", role, err)
		}
	}
	forged := must(PutLevels(docs[line.Role()], line, []release.Listed{listed(line, 1)}, now, []Key{keys["targets"]}))(t)
	if Verify("product.shop", docs["product.shop"], line.Role(), forged) == nil {
		t.Error("a line signed by another key was accepted")
	}
	if _, err := AddDelegation("targets", docs["targets"], line.Role(), Holders{}, now, nil); err == nil {
		t.Error("targets delegated a line")
	}
}

func TestLevelsAreAddedAndReplaced(t *testing.T) {
	t.Parallel()
	keys, docs := vendor(t)
	line := release.Line{Product: "shop", Version: "1.0", Channel: release.DefaultChannel}
	signer := []Key{keys["product.shop"]}
	two := must(PutLevels(docs[line.Role()], line, []release.Listed{listed(line, 1)}, now.Add(time.Hour), signer))(t)
	gone := listed(line, 1)
	gone.State, gone.Reason = release.Withdrawn, "breaks reports"
	three := must(PutLevels(two, line, []release.Listed{gone}, now.Add(2*time.Hour), signer))(t)
	levels := must(trust.LineLevels(three, line))(t)
	if d := cmp.Diff([]release.Listed{listed(line, 0), gone}, levels); d != "" {
		t.Error(d)
	}
	facts := must(FactsOf(three))(t)
	if facts.Version != 3 || !facts.Expires.Equal(now.Add(2*time.Hour+120*24*time.Hour)) {
		t.Errorf("%+v", facts)
	}
	other := line
	other.Channel = "hot"
	if _, err := PutLevels(three, line, []release.Listed{listed(other, 2)}, now, signer); err == nil {
		t.Error("a level of another line was listed")
	}
}

func TestRenewKeepsContent(t *testing.T) {
	t.Parallel()
	keys, docs := vendor(t)
	later := now.Add(300 * 24 * time.Hour)
	for _, role := range []string{"root", "targets", "product.shop"} {
		data := must(Renew(role, docs[role], later, []Key{keys[role]}))(t)
		before, after := must(FactsOf(docs[role]))(t), must(FactsOf(data))(t)
		if after.Version != before.Version+1 || !after.Expires.Equal(later.Add(trust.Lifetime(role))) {
			t.Errorf("%s: %+v after %+v", role, after, before)
		}
		if d := cmp.Diff(before.Delegated, after.Delegated); d != "" {
			t.Errorf("%s: %s", role, d)
		}
	}
	renewed := must(Renew("root", docs["root"], later, []Key{keys["root"]}))(t)
	was, is := must(trust.Fingerprint(docs["root"]))(t), must(trust.Fingerprint(renewed))(t)
	if was != is {
		t.Error("renewing changed the fingerprint")
	}
}

func TestWarningsAt60And30And7Days(t *testing.T) {
	t.Parallel()
	for left, want := range map[time.Duration]int{
		61 * 24 * time.Hour: 0, 60 * 24 * time.Hour: 0, 60*24*time.Hour - 1: 60, 30*24*time.Hour - 1: 30, 7*24*time.Hour - 1: 7, 0: 7, -time.Hour: 7,
	} {
		if s := Judge(Status{Expires: now.Add(left)}, now); s.Warn != want || s.Left < 0 {
			t.Errorf("%s: %+v", left, s)
		}
	}
}

func FuzzOpenKey(f *testing.F) {
	// The same key in every process that fuzzes.
	fixed := bytes.NewReader(bytes.Repeat([]byte("seed"), 64))
	key, err := NewKey("targets", fixed)
	if err != nil {
		f.Fatal(err)
	}
	data, err := key.Seal(passphrase, cheap(), fixed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if f, err := parseKeyFile(data); err == nil && f.Cost.MemoryKiB > 64 {
			return // allowed, and slow
		}
		if k, err := OpenKey(data, passphrase); err == nil && !k.private.Equal(key.private) {
			t.Fatal("another key came out of a changed file")
		}
	})
}
