package online_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/online"
	"uplevel/internal/trust/trusttest"
)

var other = release.Line{Product: "shop", Version: "2.0", Channel: "full"}

// restored is a world whose database is one of before all that was published since: levels, a
// product, and other keys of every kind. The copies are whole; a client saw all of it.
type restored struct {
	*world
	copies map[string][]byte
	dir    string
}

func aBackup(t *testing.T) *restored {
	t.Helper()
	w := started(t)
	backup := w.store.clone()
	publishedSince(t, w)
	r := &restored{w, maps.Clone(w.store.files), t.TempDir()}
	_, err := w.refresh(r.dir, is, other)
	must(t, err)
	w.store, w.now = backup, w.now.Add(time.Minute)
	return r
}

// publishedSince publishes what cannot be published again version by version: keys change, and
// what lies between ran out.
func publishedSince(t *testing.T, w *world) {
	t.Helper()
	w.now = w.now.Add(time.Minute)
	w.repo.AddLevel(is, 2)
	w.submitted(is.Role())
	w.repo.Delegate(other)
	w.repo.AddLevel(other, 0)
	w.submitted("targets", "product.shop", other.Role())
	w.repo.Keys["targets"] = []ed25519.PrivateKey{trusttest.Key("targets, another")}
	w.repo.PublishRoot()
	w.repo.PublishRole("targets")
	w.submitted("root", "targets")
	w.now = w.now.Add(100 * day)
	w.repo.Now = w.now
	w.repo.PublishRole("product.wso2is")
	w.repo.PublishRole(is.Role())
	w.submitted("product.wso2is", is.Role())
	w.repo.AddLevel(other, 1)
	w.submitted(other.Role())
	w.now = w.now.Add(60 * day) // what was renewed is in force, what lies between is not
	w.repo.Now = w.now
	w.repo.PublishRole("product.shop")
	w.repo.PublishRole(other.Role())
	w.submitted("product.shop", other.Role())
	older, err := online.NewKeys(rand.Reader)
	must(t, err)
	w.service.Keys, w.service.Older = older, []online.Keys{w.service.Keys}
	w.repo.Keys["snapshot"], w.repo.Keys["timestamp"] = []ed25519.PrivateKey{older.Snapshot}, []ed25519.PrivateKey{older.Timestamp}
	w.repo.PublishRoot()
	w.submitted("root")
	w.repo.AddLevel(is, 3)
	w.submitted(is.Role())
}

// catchUp is what a start of the service does.
func (r *restored) catchUp() ([]online.File, error) {
	tx := r.store.clone()
	files, err := r.service.CatchUp(context.Background(), tx, online.Copies{
		Names: slices.Sorted(maps.Keys(r.copies)),
		Read: func(_ context.Context, file string) ([]byte, error) {
			if data, ok := r.copies[file]; ok {
				return data, nil
			}
			return nil, fmt.Errorf("%s: %w", file, fs.ErrNotExist)
		},
	})
	if err == nil {
		r.store = tx
	}
	return files, err
}

// TestARestoredBackupCatchesUp: what was published after the backup is taken from the copies of
// the metadata, past new keys and what ran out, and clients that saw all of it go on at once.
func TestARestoredBackupCatchesUp(t *testing.T) {
	t.Parallel()
	r := aBackup(t)
	r.copies["x.json"], r.copies["9.line.x.json"], r.copies["07.root.json"] = nil, nil, nil // somebody else's
	_, err := r.catchUp()
	must(t, err)
	if again, err := r.catchUp(); err != nil || len(again) != 0 {
		t.Errorf("there is more: %d files, %v", len(again), err)
	}
	_, err = r.service.Restart(t.Context(), r.store)
	must(t, err)
	view, err := r.refresh(r.dir, is, other)
	must(t, err)
	one, err := view.Levels(is)
	must(t, err)
	two, err := view.Levels(other)
	must(t, err)
	if len(one) != 4 || len(two) != 2 || view.RootVersion() != 3 {
		t.Errorf("%d and %d levels, root %d", len(one), len(two), view.RootVersion())
	}
	if _, err := r.refresh(t.TempDir(), is, other); err != nil {
		t.Error("a new client:", err)
	}
	r.repo.AddLevel(is, 4)
	r.submitted(is.Role())
}

// TestABackupOfBeforeTheKeysGoesOn: online keys that were made after it are lost with what came
// after; what they signed is taken, and the next root names others.
func TestABackupOfBeforeTheKeysGoesOn(t *testing.T) {
	t.Parallel()
	r := aBackup(t)
	r.service.Keys, r.service.Older = r.service.Older[0], nil
	_, err := r.catchUp()
	must(t, err)
	if _, err := r.service.Restart(t.Context(), r.store); problem.KindOf(err) != problem.Refused {
		t.Errorf("it signs with keys that nobody trusts: %v", err)
	}
	_, err = r.refresh(r.dir, is, other)
	must(t, err)
	keys, err := online.NewKeys(rand.Reader)
	must(t, err)
	r.service.Keys, r.service.Older = keys, []online.Keys{r.service.Keys}
	r.repo.Keys["snapshot"], r.repo.Keys["timestamp"] = []ed25519.PrivateKey{keys.Snapshot}, []ed25519.PrivateKey{keys.Timestamp}
	r.repo.PublishRoot()
	r.submitted("root")
	_, err = r.refresh(r.dir, is, other)
	must(t, err)
}

// TestABackupIsNotBehindAClockThatWasAhead: the versions that were signed last come from the
// copies, too.
func TestABackupIsNotBehindAClockThatWasAhead(t *testing.T) {
	t.Parallel()
	w := started(t)
	backup, dir := w.store.clone(), t.TempDir()
	w.now = day0.AddDate(1, 0, 0)
	_, err := w.service.Restart(t.Context(), w.store)
	must(t, err)
	w.now = day0.Add(time.Hour)
	_, err = w.refresh(dir, is)
	must(t, err)
	r := &restored{w, maps.Clone(w.store.files), dir}
	w.store = backup
	_, err = r.catchUp()
	must(t, err)
	_, err = w.service.Restart(t.Context(), w.store)
	must(t, err)
	if _, err := w.refresh(dir, is); err != nil {
		t.Error("customers are turned away:", err)
	}
}

// TestWhatCannotBeCaughtUpIsTold: a copy that is missing or damaged stops all, and is named.
func TestWhatCannotBeCaughtUpIsTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*restored)
		text  string
	}{
		"a root missing":         {func(r *restored) { delete(r.copies, "2.root.json") }, "2.root.json is missing"},
		"the last root missing":  {func(r *restored) { delete(r.copies, "3.root.json") }, "3.root.json is missing"},
		"a root damaged":         {func(r *restored) { r.flip("3.root.json") }, "3.root.json is damaged"},
		"the last line missing":  {func(r *restored) { delete(r.copies, r.last(is.Role())) }, "5.line.wso2is-7.1.0.full.json is missing"},
		"a line damaged":         {func(r *restored) { r.flip(r.last(is.Role())) }, "5.line.wso2is-7.1.0.full.json is damaged"},
		"a line of another time": {func(r *restored) { r.copies[r.last(is.Role())] = r.copies["3."+is.Role()+".json"] }, "it says version 3"},
		"a new line missing": {func(r *restored) {
			maps.DeleteFunc(r.copies, func(file string, _ []byte) bool { return strings.Contains(file, other.Role()) })
		}, other.Role() + ".json is missing"},
		"the new targets missing": {func(r *restored) { delete(r.copies, r.last("targets")) }, "targets.json is damaged, or a later one"},
		"a stranger's line": {func(r *restored) {
			r.repo.Keys[is.Role()] = []ed25519.PrivateKey{trusttest.Key("stranger")}
			r.repo.AddLevel(is, 9)
			r.copies[r.last(is.Role())] = r.repo.Current(is.Role())
		}, "not signed by enough"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := aBackup(t)
			before := r.store
			c.spoil(r)
			_, err := r.catchUp()
			if problem.KindOf(err) != problem.Verification || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v: want %s", err, c.text)
			}
			if r.store != before {
				t.Error("something was taken")
			}
		})
	}
}

// TestCopiesInBetweenAreNotNeeded, but those of roots.
func TestCopiesInBetweenAreNotNeeded(t *testing.T) {
	t.Parallel()
	r := aBackup(t)
	for file := range r.copies {
		role := strings.TrimSuffix(file[strings.IndexByte(file, '.')+1:], ".json")
		if role != trust.RoleRoot && file != "timestamp.json" && role != trust.RoleSnapshot && file != r.last(role) {
			delete(r.copies, file)
		}
	}
	_, err := r.catchUp()
	must(t, err)
}

// last is the name of the newest copy of a role.
func (r *restored) last(role string) string {
	return trust.FileName(role, r.repo.Roles[role].Signed.Version)
}

func (r *restored) flip(file string) {
	r.copies[file] = []byte(strings.Replace(string(r.copies[file]), `"expires":"20`, `"expires":"21`, 1))
}
