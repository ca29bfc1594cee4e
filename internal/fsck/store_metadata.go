package fsck

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// storeRole is a metadata file as the database holds it.
type storeRole struct {
	role    string
	version int64
	file    string
	body    []byte
	signed  storeSigned
}

// storeEnvelope is the outside of a TUF metadata file (specification 4.2).
type storeEnvelope struct {
	Signatures []struct {
		KeyID string `json:"keyid"`
		Sig   string `json:"sig"`
	} `json:"signatures"`
	Signed json.RawMessage `json:"signed"`
}

// storeSigned is the part of every role's signed portion that is judged here.
type storeSigned struct {
	Type        string                  `json:"_type"`
	Version     int64                   `json:"version"`
	Expires     time.Time               `json:"expires"`
	Keys        map[string]storeKey     `json:"keys"`
	Roles       map[string]storeSigners `json:"roles"`
	Meta        map[string]storeMeta    `json:"meta"`
	Targets     map[string]storeTarget  `json:"targets"`
	Delegations struct {
		Keys  map[string]storeKey `json:"keys"`
		Roles []struct {
			Name string `json:"name"`
			storeSigners
		} `json:"roles"`
	} `json:"delegations"`
}

type storeKey struct {
	KeyType string `json:"keytype"`
	KeyVal  struct {
		Public string `json:"public"`
	} `json:"keyval"`
}

type storeSigners struct {
	KeyIDs    []string `json:"keyids"`
	Threshold int      `json:"threshold"`
}

type storeMeta struct {
	Version int64 `json:"version"`
}

type storeTarget struct {
	Length int64             `json:"length"`
	Hashes map[string]string `json:"hashes"`
	Custom json.RawMessage   `json:"custom"`
}

// audit recomputes the chain of the audit log.
func (j *storeJudge) audit(ctx context.Context) error {
	last, number := "", int64(0)
	return j.each(ctx, func(rows *sql.Rows) error {
		var n, at int64
		var actor, address, action, subject, before, after, hash string
		if err := rows.Scan(&n, &at, &actor, &address, &action, &subject, &before, &after, &hash); err != nil {
			return err
		}
		number++
		if n != number {
			j.damage("audit", "entry %d is missing", number)
			number = n
		}
		text, err := json.Marshal([]any{last, n, at, actor, address, action, subject, before, after})
		if err != nil {
			return err
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != hash {
			j.damage("audit", "entry %d was changed, or one before it", n)
		}
		last = hash
		return nil
	}, `SELECT number, at, actor, address, action, subject, before, after, hash FROM audit ORDER BY number`)
}

// metadata judges every kept metadata file, and whether those that are current are
// signed by who must sign them and agree with one another.
func (j *storeJudge) metadata(ctx context.Context) error {
	var roots, kept []storeRole
	err := j.each(ctx, func(rows *sql.Rows) error {
		var role string
		var r storeRole
		var current bool
		if err := rows.Scan(&role, &r.version, &r.file, &r.body, &current); err != nil {
			return err
		}
		if !j.envelope(role, &r) {
			return nil
		}
		r.role = role
		kept = append(kept, r)
		if role == "root" {
			roots = append(roots, r)
		}
		if role == "targets" {
			j.noteHotfixKeys(r.signed, current)
		}
		if current {
			j.roles[role] = r
		}
		return nil
	}, `SELECT role, version, file, body, current FROM metadata ORDER BY role, version`)
	if err != nil {
		return err
	}
	j.report.Roles = len(j.roles)
	if len(roots) == 0 {
		if len(j.roles) > 0 {
			j.damage("metadata", "there is no root")
		}
		return j.orphaned(ctx)
	}
	root := roots[len(roots)-1].signed
	j.rootChain(roots)
	j.signatures(root)
	j.versions()
	return j.copies(ctx, kept, root)
}

// envelope parses a file and checks that it is what its row says.
func (j *storeJudge) envelope(role string, r *storeRole) bool {
	want := fmt.Sprintf("%d.%s.json", r.version, role)
	if role == "timestamp" {
		want = "timestamp.json"
	}
	var env storeEnvelope
	err := json.Unmarshal(r.body, &env)
	if err == nil {
		err = json.Unmarshal(env.Signed, &r.signed)
	}
	switch {
	case err != nil:
		j.damage("metadata "+want, "it cannot be read: %v", err)
		return false
	case r.file != want:
		j.damage("metadata "+want, "it is stored as %q", r.file)
	case r.signed.Version != r.version:
		j.damage("metadata "+want, "it says version %d", r.signed.Version)
	}
	return true
}

// rootChain checks that each root is signed by its own keys and by the root's before.
func (j *storeJudge) rootChain(roots []storeRole) {
	for i, root := range roots {
		if root.version != int64(i+1) {
			j.damage("metadata root", "version %d is missing", i+1)
			return
		}
		for _, by := range roots[max(i-1, 0) : i+1] {
			j.signedBy(root.file, root.body, by.signed.Keys, by.signed.Roles["root"])
		}
	}
}

// signatures checks the current files against the keys that the roles above name.
func (j *storeJudge) signatures(root storeSigned) {
	checked := map[string]bool{"root": true}
	for _, role := range []string{"timestamp", "snapshot", "targets"} {
		r, ok := j.roles[role]
		if !ok {
			j.damage("metadata "+role, "it is missing")
			continue
		}
		checked[role] = true
		j.signedBy(r.file, r.body, root.Keys, root.Roles[role])
	}
	// Parents sort before their children here: targets, then product.*, then line.*.
	queue := []string{"targets"}
	for len(queue) > 0 {
		parent := j.roles[queue[0]].signed.Delegations
		queue = queue[1:]
		for _, d := range parent.Roles {
			r, ok := j.roles[d.Name]
			if !ok || checked[d.Name] {
				continue
			}
			checked[d.Name] = true
			j.signedBy(r.file, r.body, parent.Keys, d.storeSigners)
			queue = append(queue, d.Name)
		}
	}
	for _, role := range slices.Sorted(maps.Keys(j.roles)) {
		if !checked[role] {
			j.damage("metadata "+role, "no role delegates to it")
		}
		if expires := j.roles[role].signed.Expires; !expires.After(j.Now) {
			j.note("metadata "+role, "it expired on %s", expires.UTC().Format(time.DateTime))
		}
	}
}

// signedBy checks that a file carries good signatures of enough of the keys.
func (j *storeJudge) signedBy(file string, body []byte, keys map[string]storeKey, by storeSigners) {
	if good := goodSignatures(body, keys, by); good < max(by.Threshold, 1) {
		j.damage("metadata "+file, "%d good signatures, want %d", good, max(by.Threshold, 1))
	}
}

// goodSignatures counts the keys that signed a file; none of what cannot be read.
func goodSignatures(body []byte, keys map[string]storeKey, by storeSigners) int {
	var env storeEnvelope
	if err := json.Unmarshal(body, &env); err != nil {
		return 0
	}
	message, err := canonicalJSON(env.Signed)
	if err != nil {
		return 0
	}
	good := map[string]bool{}
	for _, s := range env.Signatures {
		public, err1 := hex.DecodeString(keys[s.KeyID].KeyVal.Public)
		sig, err2 := hex.DecodeString(s.Sig)
		if slices.Contains(by.KeyIDs, s.KeyID) && keys[s.KeyID].KeyType == "ed25519" && err1 == nil && err2 == nil &&
			len(public) == ed25519.PublicKeySize && ed25519.Verify(public, message, sig) {
			good[s.KeyID] = true
		}
	}
	return len(good)
}

// versions checks that timestamp names the snapshot and the snapshot every other role.
func (j *storeJudge) versions() {
	snapshot := j.roles["snapshot"]
	if named := j.roles["timestamp"].signed.Meta["snapshot.json"].Version; named != snapshot.version {
		j.damage("metadata timestamp", "it names snapshot %d, current is %d", named, snapshot.version)
	}
	for _, role := range slices.Sorted(maps.Keys(j.roles)) {
		named, ok := snapshot.signed.Meta[role+".json"]
		switch {
		case role == "root" || role == "snapshot" || role == "timestamp":
		case !ok:
			j.damage("metadata snapshot", "it does not name %s", role)
		case named.Version != j.roles[role].version:
			j.damage("metadata snapshot", "it names %s %d, current is %d", role, named.Version, j.roles[role].version)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(snapshot.signed.Meta)) {
		if _, ok := j.roles[strings.TrimSuffix(name, ".json")]; !ok {
			j.damage("metadata snapshot", "it names %s, which is missing", name)
		}
	}
}

// canonicalJSON writes a JSON value as TUF signs it: keys sorted, no white space, only
// quote and backslash escaped, integers only.
func canonicalJSON(text []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := writeCanonical(&b, value); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func writeCanonical(w *bytes.Buffer, value any) error {
	switch v := value.(type) {
	case nil:
		w.WriteString("null")
	case bool:
		fmt.Fprintf(w, "%t", v)
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return fmt.Errorf("number %s is no integer", v)
		}
		w.WriteString(v.String())
	case string:
		_, err := io.WriteString(w, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v)+`"`)
		return err
	case []any:
		w.WriteByte('[')
		for i, one := range v {
			if i > 0 {
				w.WriteByte(',')
			}
			if err := writeCanonical(w, one); err != nil {
				return err
			}
		}
		w.WriteByte(']')
	case map[string]any:
		w.WriteByte('{')
		for i, key := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				w.WriteByte(',')
			}
			if err := errors.Join(writeCanonical(w, key), w.WriteByte(':'), writeCanonical(w, v[key])); err != nil {
				return err
			}
		}
		w.WriteByte('}')
	}
	return nil
}
