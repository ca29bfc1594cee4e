package refresh_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/trusttest"
)

// attack is one way to make a client trust what the vendor's release keys did not
// sign, or to keep it from what they did. The client trusts levels 0 and 1 before.
type attack struct {
	name string
	do   func(*home)
	text string // in the refusal
}

var attacks = []attack{
	{"arbitrary software: the line signed by a stranger", func(h *home) {
		h.repo.Keys[is.Role()] = []ed25519.PrivateKey{trusttest.Key("stranger")}
		h.repo.AddLevel(is, 99)
		h.repo.PublishOnline()
	}, "line.wso2is-7.1.0.full.json: it is not signed by enough"},
	{"arbitrary software: one byte of the line flipped on the way", func(h *home) {
		h.repo.AddLevel(is, 99)
		h.repo.PublishOnline()
		data := bytes.Replace(h.repo.Current(is.Role()), []byte(`"level":1,`), []byte(`"level":7,`), 1)
		h.repo.Put(trust.FileName(is.Role(), h.repo.Roles[is.Role()].Signed.Version), data)
	}, "line.wso2is-7.1.0.full.json: it is not signed by enough"},
	{"stolen online keys sign a level", func(h *home) {
		h.repo.Keys[is.Role()] = []ed25519.PrivateKey{h.repo.Keys["snapshot"][0], h.repo.Keys["timestamp"][0]}
		h.repo.AddLevel(is, 99)
		h.repo.PublishOnline()
	}, "line.wso2is-7.1.0.full.json: it is not signed by enough"},
	{"stolen online keys sign a product", func(h *home) {
		h.repo.Keys["product.wso2is"] = h.repo.Keys["snapshot"]
		h.repo.PublishRole("product.wso2is")
		h.repo.PublishOnline()
	}, "product.wso2is.json: it is not signed by enough"},
	{"stolen online keys sign targets", func(h *home) {
		h.repo.Keys["targets"] = h.repo.Keys["timestamp"]
		h.repo.PublishRole("targets")
		h.repo.PublishOnline()
	}, "targets.json: it is not signed by enough"},
	{"the key of another product signs the line", func(h *home) {
		h.repo.AddLevel(am, 0)
		h.repo.Keys[is.Role()] = h.repo.Keys[am.Role()]
		h.repo.AddLevel(is, 99)
		h.repo.PublishOnline()
	}, "line.wso2is-7.1.0.full.json: it is not signed by enough"},

	{"rollback of the timestamp", func(h *home) {
		old := h.repo.Current("timestamp")
		h.repo.PublishTimestamp()
		h.refresh(is)
		h.repo.Put("timestamp.json", old)
	}, "timestamp.json: it is of another version than it must be, or older"},
	{"rollback of the snapshot with a stolen timestamp key", func(h *home) {
		h.repo.Snapshot.Signed.Version = 1
		h.repo.PublishTimestamp()
	}, "timestamp.json: it is of another version than it must be, or older"},
	{"rollback of a line with stolen online keys", func(h *home) {
		h.repo.Snapshot.Signed.Meta[is.Role()+".json"].Version = 1
		h.repo.Snapshot.Signed.Version++
		h.repo.PutSnapshot()
		h.repo.PublishTimestamp()
	}, "snapshot.json: it is of another version than it must be, or older"},
	{"rollback of targets with stolen online keys", func(h *home) {
		h.repo.Snapshot.Signed.Meta["targets.json"].Version = 1
		h.repo.Snapshot.Signed.Version++
		h.repo.PutSnapshot()
		h.repo.PublishTimestamp()
	}, "snapshot.json: it is of another version than it must be, or older"},
	{"a line vanishes from the snapshot", func(h *home) {
		delete(h.repo.Snapshot.Signed.Meta, is.Role()+".json")
		h.repo.Snapshot.Signed.Version++
		h.repo.PutSnapshot()
		h.repo.PublishTimestamp()
	}, "snapshot.json: repository error: new snapshot is missing info for line"},
	{"an older root is served as the next one", func(h *home) {
		h.repo.Put("2.root.json", h.repo.File("1.root.json"))
	}, "2.root.json: it is of another version"},
	{"a root version is skipped", func(h *home) {
		h.repo.PublishRoot()
		h.repo.PublishRoot()
		h.repo.Put("2.root.json", h.repo.File("3.root.json"))
	}, "2.root.json: it is of another version"},
	{"a line's version is skipped", func(h *home) {
		h.repo.AddLevel(is, 2)
		h.repo.AddLevel(is, 3)
		h.repo.PublishOnline()
		version := h.repo.Roles[is.Role()].Signed.Version
		h.repo.Put(trust.FileName(is.Role(), version), h.repo.File(trust.FileName(is.Role(), version-1)))
	}, "line.wso2is-7.1.0.full.json: it is of another version"},

	{"freeze: the timestamp ran out", func(h *home) { h.now = day0.Add(3 * day) }, "timestamp.json is expired"},
	{"freeze: the snapshot ran out", func(h *home) {
		h.now = day0.Add(14 * day)
		h.repo.Now = h.now
		h.repo.PublishTimestamp()
	}, "snapshot.json"},
	{"freeze: the line ran out and stolen online keys sign on", func(h *home) {
		h.now = day0.Add(120 * day)
		h.repo.Now = h.now
		h.repo.PublishOnline()
	}, "product.wso2is is expired"},
	{"freeze: the root ran out", func(h *home) { h.now = day0.Add(731 * day) }, "final root.json is expired"},

	{"endless data: timestamp", func(h *home) { h.repo.Put("timestamp.json", endless(trust.MaxTimestamp)) }, "timestamp.json: it is longer than 16384 bytes"},
	{"endless data: root", func(h *home) { h.repo.Put("2.root.json", endless(trust.MaxRoot)) }, "2.root.json: it is longer than 524288 bytes"},
	{"endless data: snapshot", func(h *home) {
		h.repo.PublishOnline()
		h.repo.Put("3.snapshot.json", endless(trust.MaxSnapshot))
	}, "3.snapshot.json: it is longer than 2097152 bytes"},
	{"endless data: line", func(h *home) {
		h.repo.AddLevel(is, 2)
		h.repo.PublishOnline()
		h.repo.Put("3.line.wso2is-7.1.0.full.json", endless(trust.MaxLine))
	}, "3.line.wso2is-7.1.0.full.json: it is longer than 8388608 bytes"},
	{"deep nesting", func(h *home) {
		h.repo.Put("timestamp.json", []byte(strings.Repeat("[", trust.MaxTimestamp)))
	}, "timestamp.json: it is no TUF metadata"},

	{"mix-and-match: an older snapshot under the new name", func(h *home) {
		h.repo.AddLevel(is, 2)
		h.repo.PublishOnline()
		h.repo.Put("3.snapshot.json", h.repo.File("2.snapshot.json"))
	}, "snapshot.json: it is of another version"},
	{"mix-and-match: another role's file under the line's name", func(h *home) {
		h.repo.AddLevel(is, 2)
		h.repo.PublishOnline()
		h.repo.Put("3.line.wso2is-7.1.0.full.json", h.repo.Current("product.wso2is"))
	}, "line.wso2is-7.1.0.full.json: it is of another version"},
	{"mix-and-match: the product's file of the line's next version as the line's", as(is.Role(), "product.wso2is"), "line.wso2is-7.1.0.full.json: it is no file of a line: it delegates"},
	{"mix-and-match: the line's file of the product's next version as the product's", as("product.wso2is", is.Role()), "product.wso2is.json: it is no file of a product: it lists targets"},
	{"mix-and-match: the file of a product without lines as the line's", func(h *home) {
		h.repo.Roles["product.wso2is"].Signed.Delegations = nil
		as(is.Role(), "product.wso2is")(h)
	}, "line.wso2is-7.1.0.full.json: it is no file of a line: it lists no level"},
	{"mix-and-match: the timestamp as a snapshot", func(h *home) {
		h.repo.PublishOnline()
		h.repo.Put("3.snapshot.json", h.repo.Current("timestamp"))
	}, "snapshot.json: its type is \"timestamp\""},

	{"wrong product", listed(am, 2, am.TargetPath(2)), "which is no level of wso2is-7.1.0"},
	{"wrong product under the line's own path", listed(am, 2, is.TargetPath(2)), "listing is of wso2am-3.2.0 level 2"},
	{"wrong version", listed(release.Line{Product: "wso2is", Version: "7.2.0", Channel: "full"}, 2, is.TargetPath(2)), "listing is of wso2is-7.2.0"},
	{"wrong channel", listed(release.Line{Product: "wso2is", Version: "7.1.0", Channel: "security"}, 2, is.TargetPath(2)), "listing is of wso2is-7.1.0 (security)"},
	{"wrong level", listed(is, 3, is.TargetPath(2)), "level 3, want wso2is-7.1.0 level 2"},
	{"no number of a level", listed(is, 2, "wso2is/7.1.0/full/02.json"), "which is no level of"},
	{"a level outside the delegated paths", listed(is, 2, "wso2is/7.1.0/full/x/2.json"), "which is no level of"},
	{"a state that is unknown", func(h *home) {
		h.repo.AddLevel(is, 2, func(l *release.Listing) { l.State = "golden" })
		h.repo.PublishOnline()
	}, "state \"golden\""},
	{"a level without hash", target(func(f *metadata.TargetFiles) { f.Hashes = metadata.Hashes{"md5": {1}} }), "without a SHA-256"},
	{"a record without end", target(func(f *metadata.TargetFiles) { f.Length = 1 << 40 }), "1099511627776 bytes"},
	{"a level without listing", target(func(f *metadata.TargetFiles) { f.Custom = nil }), "without saying of what level"},

	{"key compromise below threshold: one root key of three", func(h *home) {
		h.repo.Keys["root"] = []ed25519.PrivateKey{trusttest.Key("root-1"), trusttest.Key("stranger-1"), trusttest.Key("stranger-2")}
		h.repo.PublishRoot()
	}, "2.root.json: it is not signed by enough"},
	{"key compromise below threshold: one key twice", func(h *home) {
		key := trusttest.Key("root-1")
		h.repo.PublishRoot()
		h.repo.Put("2.root.json", trusttest.Sign(h.t, h.repo.Root, key))
	}, "2.root.json: it is not signed by enough"},
	{"targets delegates the line's paths to a stranger first", func(h *home) {
		h.repo.AddDelegation("targets", "product.other", []string{"*/*/*/*"}, trusttest.Key("stranger"))
		roles := h.repo.Roles["targets"].Signed.Delegations.Roles
		roles[0], roles[1] = roles[1], roles[0]
		h.repo.PublishRole("product.other")
		h.repo.PublishRole("targets")
		h.repo.PublishOnline()
	}, "targets.json: it delegates wso2is/7.1.0/full/0.json to \"product.other\" before product.wso2is"},
	{"the product's delegation does not cover the line", func(h *home) {
		h.repo.Roles["product.wso2is"].Signed.Delegations.Roles[0].Paths = []string{"wso2is/7.2.0/full/*"}
		h.repo.PublishRole("product.wso2is")
		h.repo.PublishOnline()
	}, "does not cover wso2is/7.1.0/full/0.json"},

	{"nothing where something must be: timestamp", func(h *home) {
		h.repo.Timestamp.Signed.Meta = map[string]*metadata.MetaFiles{}
		h.repo.Timestamp.Signed.Version++
		h.repo.PutTimestamp()
	}, "it does not list snapshot.json"},
	{"nothing where something must be: snapshot", func(h *home) {
		h.repo.Snapshot.Signed.Meta["targets.json"] = nil
		h.repo.Snapshot.Signed.Version++
		h.repo.PutSnapshot()
		h.repo.PublishTimestamp()
	}, "lists \"targets.json\" without a version"},
	{"nothing where something must be: root", edited("2.root.json", `{"signed":{"_type":"root","spec_version":"1.0.34","version":2,"roles":{"root":null}},"signatures":[]}`), "names no keys for root"},
	{"no key where one must be", edited("2.root.json", `{"signed":{"_type":"root","spec_version":"1.0.34","version":2,"roles":{"root":{},"timestamp":{},"snapshot":{},"targets":{}},"keys":{"a":{"keytype":"ed25519","keyval":{"public":"00"}}}},"signatures":[]}`), "no Ed25519 key"},
	{"metadata of a future specification", edited("timestamp.json", `{"signed":{"_type":"timestamp","spec_version":"2.0","version":9},"signatures":[]}`), "follows TUF \"2.0\""},
	{"no metadata at all", edited("timestamp.json", "<html>Please log in</html>"), "it is no TUF metadata"},
}

func TestAttacksAreRefused(t *testing.T) {
	t.Parallel()
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.refresh(is)
			line := h.cached(is.Role())
			a.do(h)
			for range 2 { // again: what the first try kept must not help the second
				view, err := h.client().Refresh(context.Background(), is)
				refused(t, err, problem.Verification, a.text)
				if view != nil {
					t.Error("a refusal came with a view")
				}
			}
			if !bytes.Equal(line, h.cached(is.Role())) {
				t.Error("the trusted line changed")
			}
			if view, err := h.client().Trusted(is); err == nil {
				want(t, "trusted levels", levels(t, view, is), []int{0, 1})
			} else {
				refused(t, err, problem.Verification, "")
			}
			noLeftovers(t, h)
		})
	}
}

func TestANewClientIsNotDeceivedEither(t *testing.T) {
	t.Parallel()
	for _, a := range attacks {
		if strings.HasPrefix(a.name, "rollback") || strings.HasPrefix(a.name, "a line vanishes") {
			continue // what a client never saw it cannot miss
		}
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			a.do(h)
			_, err := h.client().Refresh(context.Background(), is)
			refused(t, err, problem.Verification, "")
			noLeftovers(t, h)
		})
	}
}

func TestAWithdrawalOnceSeenStays(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.refresh(is)
	before := h.repo.Roles[is.Role()].Signed.Version
	h.repo.Change(is, 1, func(l *release.Listing) { l.State, l.Reason = release.Withdrawn, "It breaks reports." })
	h.repo.PublishOnline()
	if l, err := h.refresh(is).Level(is, 1); err != nil || l.State != release.Withdrawn {
		t.Fatalf("%+v, %v", l, err)
	}
	// The service and its online keys are stolen: they list the line as it was before.
	h.repo.Snapshot.Signed.Meta[is.Role()+".json"].Version = before
	h.repo.Snapshot.Signed.Version++
	h.repo.PutSnapshot()
	h.repo.PublishTimestamp()
	_, err := h.client().Refresh(context.Background(), is)
	refused(t, err, problem.Verification, "snapshot.json")
}

func TestADelegatedRoleCannotTakeTheNameOfRoot(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.repo.AddDelegation("targets", "root", []string{"*"}, trusttest.Key("stranger"))
	h.repo.SetTarget("root", "x", []byte("x"), nil)
	h.repo.PublishRole("targets")
	h.repo.Roles["root"].Signed.Version = 1000
	h.repo.PublishRole("root")
	h.repo.PublishOnline()
	_, err := h.client().Find(context.Background(), "x")
	refused(t, err, problem.Verification, "root's to name")
	if !bytes.Equal(h.cached("root"), h.repo.File("1.root.json")) {
		t.Error("the trusted root was overwritten")
	}
}

// as serves the file that one key signed as other's under the name of role, of its next version.
func as(role, other string) func(*home) {
	return func(h *home) {
		signed := *h.repo.Roles[other]
		h.repo.Roles[role].Signed.Version++
		signed.Signed.Version = h.repo.Roles[role].Signed.Version
		signed.Signed.Expires = h.repo.Roles[role].Signed.Expires
		h.repo.Put(trust.FileName(role, signed.Signed.Version), trusttest.Sign(h.t, &signed, h.repo.Keys[role]...))
		h.repo.PublishOnline()
	}
}

func endless(limit int) []byte { return bytes.Repeat([]byte(" "), limit+10_000) }

func edited(file, content string) func(*home) {
	return func(h *home) { h.repo.Put(file, []byte(content)) }
}

// listed lists, signed by the right key, a level of one line under some path.
func listed(line release.Line, level int, path string) func(*home) {
	return func(h *home) {
		listing := release.Listing{Product: line.Product, Version: line.Version, Channel: line.Channel, Level: level, State: release.Live}
		h.repo.SetTarget(is.Role(), path, fmt.Appendf(nil, "record %d", level), listing)
		h.repo.PublishRole(is.Role())
		h.repo.PublishOnline()
	}
}

// target changes a level's target, signed by the right key.
func target(change func(*metadata.TargetFiles)) func(*home) {
	return func(h *home) {
		change(h.repo.Roles[is.Role()].Signed.Targets[is.TargetPath(1)])
		h.repo.PublishRole(is.Role())
		h.repo.PublishOnline()
	}
}

// noLeftovers checks that every file that is kept is whole.
func noLeftovers(t *testing.T, h *home) {
	t.Helper()
	for _, role := range []string{"root", "timestamp", "snapshot", "targets", "product.wso2is", is.Role()} {
		if data := h.cached(role); data != nil && !json.Valid(data) {
			t.Errorf("%s is damaged", role)
		}
	}
	if h.cached("lock") != nil {
		t.Error("the lock is left")
	}
}

func FuzzTimestamp(f *testing.F) {
	repo := trusttest.New(f, day0)
	f.Add(repo.Current("timestamp"))
	f.Add(repo.Current("snapshot"))
	f.Add([]byte(`{"signed":{"_type":"timestamp","version":1,"spec_version":"1.0","meta":{"snapshot.json":null}}}`))
	root := repo.File("1.root.json")
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := trust.NewVerifier(root, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if fresh, err := v.Timestamp(data); err == nil && !fresh {
			t.Fatal("neither taken nor refused")
		}
		_ = v.Snapshot(data, false)
		_, _ = v.Root(data)
	})
}
