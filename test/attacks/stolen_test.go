package attacks

import (
	"errors"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/trust"
	"uplevel/internal/trust/online"
)

// withheld shows all that whoever stole service, database and secret can do: sign on what
// there was, so that a customer who has not seen level 2 does not learn of it, until the line
// runs out. Nothing is forged, and what was seen is not unseen.
func (w *world) withheld(keys online.Keys) {
	w.t.Helper()
	f := w.forger(w.t, keys)
	f.files = maps.Clone(w.early)
	f.read()
	f.online()
	service := f.serve()
	home := w.home()
	for range 2 { // again and again
		code, said := w.tool(home, service, "check")
		if code != 0 || !strings.Contains(said, "1.1") || strings.Contains(said, "1.2") {
			w.t.Errorf("withheld: exit %d: %s", code, said)
		}
		f.online()
	}
	if code, said := w.tool(home, service, "update", "--level", "2"); code != 1 || !strings.Contains(said, "Invalid update level") {
		w.t.Errorf("a level that is withheld: exit %d: %s", code, said)
	}
	// Who saw level 2 does not unsee it.
	other := w.home()
	if code, said := w.tool(other, w.forger(w.t, keys).serve(), "check"); code != 0 || !strings.Contains(said, "1.2") {
		w.t.Fatalf("exit %d: %s", code, said)
	}
	if code, said := w.tool(other, service, "update"); code != 14 || !strings.Contains(said, "older than what is already trusted") {
		w.t.Errorf("unseen: exit %d: %s", code, said)
	}
	w.honest(other, "check")
	// To the end of the line's days, and no longer: the release key is needed then.
	m := f.targets(shop.Role(), func(t *metadata.TargetsType) { t.Expires = t.Expires.AddDate(0, 0, -121) })
	f.list(shop.Role(), f.publisher(shop.Role(), m, "product.shop.key"))
	for range 2 {
		f.online()
		code, said := w.tool(home, service, "update")
		if code != 14 || !strings.Contains(said, "line.shop-1.full is expired") {
			w.t.Errorf("past its end: exit %d: %s", code, said)
		}
	}
}

// TestFastForwardRecovery: a thief of the online keys signed versions that no honest service
// will ever reach. New online keys in a new root bring every customer back.
func TestFastForwardRecovery(t *testing.T) {
	t.Parallel()
	w := newLab(t)
	var err error
	if w.pack, _, err = w.PublishTwo(t.Context(), "shop", w.dist(0), w.dist(1)); err != nil {
		t.Fatal(err)
	}
	w.old = w.published()
	keys := w.stolen()
	f := w.forger(t, keys)
	f.snapshot.Signed.Version = 1 << 40
	f.timestamp.Signed.Version = 1 << 50
	f.online()
	hostile := f.serve()
	home := w.home()
	if code, said := w.tool(home, hostile, "check"); code != 0 {
		t.Fatalf("exit %d: %s", code, said)
	}
	tree := w.tree(home)
	if code, said := w.tool(home, "", "update"); code != 14 || !strings.Contains(said, "older than what is already trusted") {
		t.Errorf("an honest service cannot be told from a rollback: exit %d: %s", code, said)
	}
	if w.tree(home) != tree {
		t.Error("the installation changed")
	}

	w.must("upleveld", "admin", "online-keys", "replace")
	if err := w.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.must("uplevel-publish", "keys", "status") // the keys before sign on
	if said := w.must("uplevel-publish", "keys", "rotate", "online"); !strings.Contains(said, "snapshot: 1 of 1 keys must sign") {
		t.Error(said)
	}
	if said := w.honest(home, "check"); !strings.Contains(said, "1.1") {
		t.Error(said)
	}
	w.honest(home, "update")
	w.honest(home, "check")
	w.must("uplevel-publish", "level", "shop", "1", "--dist", w.dist(2), "--notes", w.Path("notes.yaml"))
	w.must("upleveld", "check")
	if err := w.Restart(t.Context()); err != nil { // it signs with those that the root names
		t.Fatal(err)
	}
	w.honest(home, "check")

	// The stolen keys count no more, for whoever saw the new root.
	f.timestamp.Signed.Version++
	f.put(trust.FileName(trust.RoleRoot, 2), w.published()["2.root.json"])
	f.online()
	code, said := w.tool(home, hostile, "check")
	if code != 14 || !strings.Contains(said, "timestamp.json: it is not signed by enough") {
		t.Errorf("exit %d: %s", code, said)
	}
}

// TestALostSecretIsNotTheEnd: without the secret file the online keys are closed for good. The
// service says so, makes others, and a root that names them brings every customer along.
func TestALostSecretIsNotTheEnd(t *testing.T) {
	t.Parallel()
	w := newLab(t)
	var err error
	if w.pack, _, err = w.PublishTwo(t.Context(), "shop", w.dist(0), w.dist(1)); err != nil {
		t.Fatal(err)
	}
	home := w.home()
	w.honest(home, "check")
	if err := os.Remove(w.Path("service/secret")); err != nil {
		t.Fatal(err)
	}
	refused := func(args ...string) {
		t.Helper()
		run, _ := w.Do(t.Context(), w.Dir, "upleveld", args...)
		if run.Exit != 15 || !strings.Contains(run.Output, "admin online-keys replace --lost-secret") {
			t.Errorf("%q: exit %d: %s", args, run.Exit, run.Output)
		}
	}
	refused("check")
	refused("serve", "--listen", "127.0.0.1:0")
	refused("admin", "online-keys", "replace")
	w.must("upleveld", "admin", "online-keys", "replace", "--lost-secret")
	if err := w.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.honest(home, "check") // by what was signed before
	w.must("uplevel-publish", "keys", "rotate", "online")
	if said := w.honest(home, "check"); !strings.Contains(said, "1.1") {
		t.Error(said)
	}
	w.honest(home, "update")
	w.must("uplevel-publish", "level", "shop", "1", "--dist", w.dist(2), "--notes", w.Path("notes.yaml"))
	w.must("upleveld", "check", "--deep")
	if said := w.honest(home, "check"); !strings.Contains(said, "1.2") {
		t.Error(said)
	}
}

// TestARestoredBackupGoesOn: database files of before keys were replaced, on the object store of
// now. Who saw all of it goes on.
func TestARestoredBackupGoesOn(t *testing.T) {
	t.Parallel()
	w := newLab(t)
	var err error
	if w.pack, _, err = w.PublishTwo(t.Context(), "shop", w.dist(0), w.dist(1)); err != nil {
		t.Fatal(err)
	}
	db, backup := w.Path("service/uplevel.db"), w.Path("backup.db")
	copied := func(from, to string) func() error {
		return func() error {
			data, err := os.ReadFile(from)
			return errors.Join(err, os.WriteFile(to, data, 0o600))
		}
	}
	if err := w.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.honest(w.home(), "check") // it is up
	if err := w.RestartAfter(t.Context(), copied(db, backup)); err != nil {
		t.Fatal(err)
	}
	w.must("uplevel-publish", "level", "shop", "1", "--dist", w.dist(2), "--notes", w.Path("notes.yaml"))
	w.must("uplevel-publish", "keys", "rotate", "targets")
	w.must("uplevel-publish", "keys", "rotate", "product.shop")
	w.must("uplevel-publish", "level", "shop", "1", "--dist", w.dist(3), "--notes", w.Path("notes.yaml"))
	home := w.home()
	if said := w.honest(home, "check"); !strings.Contains(said, "1.3") {
		t.Fatal(said)
	}
	err = w.RestartAfter(t.Context(), func() error {
		err := copied(backup, db)()
		run, _ := w.Do(t.Context(), w.Dir, "upleveld", "check", "--deep")
		if run.Exit != 14 || !strings.Contains(run.Output, "root.json: it was published and is not in the database") {
			t.Errorf("exit %d: %s", run.Exit, run.Output)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.must("upleveld", "check", "--deep")
	w.honest(home, "update")
	if said := w.honest(w.home(), "check"); !strings.Contains(said, "1.3") {
		t.Error(said)
	}
	w.must("uplevel-publish", "level", "shop", "1", "--dist", w.dist(4), "--notes", w.Path("notes.yaml"))
	if said := w.honest(home, "check"); !strings.Contains(said, "1.4") {
		t.Error(said)
	}
}
