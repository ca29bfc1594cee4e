package crashservice

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // to damage rows
)

// damage is one that a test inflicts, and what the program must say of it.
type damage struct {
	name    string
	inflict func(t *testing.T, dir string)
	words   string // in what it prints
	exit    int
	next    string // in the next step; where the exit is not 0
}

// TestEveryDamageOfTheServiceIsNamed: the real upleveld check --deep names each damage, with
// its exit code and the next step, and changes nothing.
func TestEveryDamageOfTheServiceIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.more(t)
	s := w.fresh(t, "", false)
	t.Cleanup(func() { s.remove(t) })
	if out := s.must(t, "upleveld", "check", "--deep"); strings.Contains(out, "DAMAGE") {
		t.Fatal(out)
	}
	for _, d := range serviceDamages() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := w.fresh(t, "", false)
			defer s.remove(t)
			d.inflict(t, s.data)
			r := s.run(t.Context(), "upleveld", "check", "--deep")
			d.judge(t, r)
		})
	}
}

// more adds what the sweep's world has not: a hotfix, a report and a licence.
func (w *world) more(t *testing.T) {
	t.Helper()
	s := &site{world: w, dir: w.base, data: filepath.Join(w.base, "data"), keys: filepath.Join(w.base, "keys")}
	s.start(t)
	write(t, w.Path("eula.txt"), "Be good.")
	s.must(t, "upleveld", "admin", "eula", "add", w.Path("eula.txt"), "--version", "1")
	s.must(t, "upleveld", "admin", "subscription", "add", "--organisation", "Bank", "--product", "spare", "--kind", "paid", "--eula-accepted-by", "Kim")
	s.must(t, publishHotfix(s)...)
	s.must(t, "uplevel", "--dir", s.path("home"), "report")
	s.end(t)
}

func (d damage) judge(t *testing.T, r ran) {
	t.Helper()
	said := r.out + r.err
	if r.exit != d.exit || !strings.Contains(said, d.words) {
		t.Errorf("exit %d, want %d and the words %q:\n%s", r.exit, d.exit, d.words, said)
	}
	if d.exit != 0 && (d.next == "" || !strings.Contains(strings.ToLower(said), "next: ") || !strings.Contains(said, d.next)) {
		t.Errorf("the next step is not %q:\n%s", d.next, said)
	}
}

const (
	fromBackup = "restore what is named above from a backup"
	database   = "restore the database from a backup"
	putBack    = "put back the secret file"
)

func serviceDamages() []damage {
	deep := func(name, words string, inflict func(*testing.T, string)) damage {
		return damage{name, inflict, words, 14, fromBackup}
	}
	row := func(name, words string, statements ...string) damage { return deep(name, words, rows(statements...)) }
	return []damage{
		deep("object missing", "it is missing; needed by level shop/1/full/1.json", func(t *testing.T, dir string) { ok(t, os.Remove(stored(t, dir, "shop 1"))) }),
		deep("bit flipped in an object", "DAMAGE object ", func(t *testing.T, dir string) { flip(t, stored(t, dir, "shop 1")) }),
		deep("bit flipped in a manifest", "DAMAGE object ", func(t *testing.T, dir string) { flip(t, stored(t, dir, "uplevel-manifest/")) }),
		deep("bit flipped in a record", "DAMAGE object ", func(t *testing.T, dir string) { flip(t, stored(t, dir, `"level":1`)) }),
		deep("object cut short", "its bytes are damaged", func(t *testing.T, dir string) { ok(t, os.Truncate(stored(t, dir, "shop 1"), 9)) }),
		deep("object empty", "DAMAGE object ", func(t *testing.T, dir string) { ok(t, os.Truncate(stored(t, dir, "shop 1"), 0)) }),
		deep("objects swapped", "its content has digest", func(t *testing.T, dir string) { swap(t, stored(t, dir, "shop 0"), stored(t, dir, "shop 1")) }),
		deep("folder in place of an object", "it is missing; needed by", func(t *testing.T, dir string) {
			name := stored(t, dir, "shop 1")
			ok(t, os.Remove(name))
			ok(t, os.Mkdir(name, 0o755))
		}),
		deep("stranger among the objects", "this is no object's name", func(t *testing.T, dir string) { write(t, filepath.Join(dir, "objects/objects/README"), "hello") }),
		{"object of no level", func(t *testing.T, dir string) { orphan(t, dir) }, "note objects: 1 are not needed by any level", 0, ""},
		deep("metadata copy cut short", "the copy differs from the database", func(t *testing.T, dir string) {
			ok(t, os.Truncate(filepath.Join(dir, "objects/metadata/1.root.json"), 100))
		}),
		deep("metadata copy missing", "the copy is missing", func(t *testing.T, dir string) { ok(t, os.Remove(filepath.Join(dir, "objects/metadata/1.root.json"))) }),
		deep("bit flipped in a hotfix", "DAMAGE hotfix", func(t *testing.T, dir string) { flip(t, one(t, filepath.Join(dir, "objects/hotfixes/*/*"))) }),
		deep("hotfix missing", "DAMAGE hotfix", func(t *testing.T, dir string) { ok(t, os.Remove(one(t, filepath.Join(dir, "objects/hotfixes/*/*")))) }),
		row("metadata cut short", "it cannot be read", `UPDATE metadata SET body = substr(body, 1, 100) WHERE role = 'targets' AND current = 1`),
		row("bit flipped in metadata", "0 good signatures", `UPDATE metadata SET body = CAST(replace(CAST(body AS TEXT), '"state":"live"', '"state":"live "') AS BLOB) WHERE role LIKE 'line.shop%' AND current = 1`),
		row("metadata row missing", "which is missing", `DELETE FROM metadata WHERE role LIKE 'line.shop%'`),
		row("wrong state of a level", "its listing is not the signed one", `UPDATE levels SET state = 'withdrawn' WHERE level = 1`),
		row("level lost from the catalogue", "it is signed but not in the catalogue", `DELETE FROM levels WHERE level = 1`),
		row("wrong digest of a manifest", "its manifest is not the signed one", `UPDATE levels SET manifest_sum = notes_sum WHERE level = 1`),
		row("hotfix of another place", "DAMAGE hotfix", `UPDATE hotfixes SET sequence = 7`),
		row("user of nobody", "user of no organisation", `UPDATE users SET organisation = 'org_x' WHERE organisation IS NOT NULL`),
		row("token of nobody", "token of no user", `UPDATE tokens SET user_id = 'usr_x' WHERE name = 'tool'`),
		row("subscription of nobody", "subscription of no organisation", `UPDATE subscriptions SET organisation = 'org_x'`),
		row("acceptance of nobody", "acceptance of no organisation", `UPDATE eula_acceptances SET organisation = 'org_x'`),
		row("acceptance of nothing", "acceptance of no EULA", `DELETE FROM eulas`),
		row("report of nobody", "report of no organisation", `UPDATE reports SET organisation = 'org_x'`),
		row("installation of nobody", "installation of no organisation", `UPDATE installations SET organisation = 'org_x'`),
		row("reports lost", "installation without a report", `DELETE FROM reports`),
		row("report cut short", "report that cannot be read", `UPDATE reports SET report = substr(report, 1, 20)`),
		row("audit entry changed", "entry 2 was changed", `UPDATE audit SET subject = 'someone else' WHERE number = 2`),
		row("audit entry removed", "entry 2 is missing", `DELETE FROM audit WHERE number = 2`),
		{"sealed keys lost", rows(`DELETE FROM sealed`), "the online keys are missing from the database", 14, database},
		{"sealed keys damaged", rows(`UPDATE sealed SET value = CAST('x' || substr(value, 2) AS BLOB)`), "secret: ", 15, putBack},
		{"secret of another service", func(t *testing.T, dir string) { secret(t, dir, strings.Repeat("0", 64), 0o600) }, "secret: ", 15, putBack},
		{"secret cut short", func(t *testing.T, dir string) { secret(t, dir, "00", 0o600) }, "is damaged: want 64 hexadecimal digits", 15, putBack},
		{"secret missing", func(t *testing.T, dir string) { ok(t, os.Remove(filepath.Join(dir, "secret"))) }, "the secret file is missing", 15, putBack},
		{"secret for all to read", func(t *testing.T, dir string) { ok(t, os.Chmod(filepath.Join(dir, "secret"), 0o644)) }, "can be read by others (mode 0644)", 15, "chmod 600"},
		{"database for all to read", func(t *testing.T, dir string) { ok(t, os.Chmod(filepath.Join(dir, "uplevel.db"), 0o644)) }, "can be read by others (mode 0644)", 15, "chmod 600"},
		{"database missing", func(t *testing.T, dir string) { ok(t, os.Remove(filepath.Join(dir, "uplevel.db"))) }, "the database, or part of it, was lost", 14, database},
		{"database empty", func(t *testing.T, dir string) { ok(t, os.Truncate(filepath.Join(dir, "uplevel.db"), 0)) }, "the database, or part of it, was lost", 14, database},
		{"database cut short", func(t *testing.T, dir string) { ok(t, os.Truncate(filepath.Join(dir, "uplevel.db"), 20_000)) }, "the database is damaged", 14, database},
		{"database no database", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "uplevel.db"), strings.Repeat("no database ", 1000))
		}, "the database is damaged", 14, database},
		{"pages of the database flipped", pages, "database", 14, "from a backup"},
		{"no data folder", func(t *testing.T, dir string) { ok(t, os.RemoveAll(dir)) }, "there is no database", 15, "name the folder with --data"},
		deep("object store lost", "it is missing; needed by", func(t *testing.T, dir string) { ok(t, os.RemoveAll(filepath.Join(dir, "objects"))) }),
	}
}

// TestALostDatabaseIsNoNewService: a service does not make keys for a vendor who had some.
func TestALostDatabaseIsNoNewService(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.fresh(t, "", false)
	defer s.remove(t)
	ok(t, os.Remove(filepath.Join(s.data, "uplevel.db")))
	up, err := s.begin(s.serve()...)
	if up || err != nil {
		t.Fatalf("it comes up: %v", err)
	}
	damage{words: "the database, or part of it, was lost", exit: 14, next: database}.judge(t, ran{exit: s.service.cmd.ProcessState.ExitCode(), err: s.service.log.String()})
	if lacks, err := os.ReadFile(filepath.Join(s.data, "objects/metadata/1.root.json")); err != nil || len(lacks) == 0 {
		t.Errorf("what is left to restore from is gone: %v", err)
	}
}

// TestPublishingAgainHealsDamagedObjects: what is stored and damaged is sent again by the
// publisher who has it, as what is missing is.
func TestPublishingAgainHealsDamagedObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.fresh(t, "", false)
	defer s.remove(t)
	flip(t, stored(t, s.data, "shop 1"))
	ok(t, os.Truncate(stored(t, s.data, "a=1"), 0))
	swap(t, stored(t, s.data, "uplevel-manifest/"), stored(t, s.data, `"level":1`))
	if r := s.run(t.Context(), "upleveld", "check", "--deep"); r.exit != 14 {
		t.Fatalf("exit %d: %s", r.exit, r.out)
	}
	s.start(t)
	s.must(t, "uplevel-publish", "level", "shop", "1", "--dist", w.Path("shop 1"), "--notes", w.Path("notes.yaml"))
	s.must(t, "uplevel-publish", "product", "add", "shop", "1", "--platform", "unix", "--dist", w.Path("shop 0"))
	s.must(t, "uplevel-publish", "product", "add", "spare", "1", "--platform", "unix", "--dist", w.Path("spare 0"))
	if out := s.must(t, "upleveld", "check", "--deep"); strings.Contains(out, "DAMAGE") {
		t.Error(out)
	}
	s.must(t, "uplevel", "--dir", s.path("home"), "update", "--yes")
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// stored finds the object with a text in its content: they are small, so that zstd tells
// it by decoding all.
func stored(t *testing.T, dir, text string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "objects/objects/*/*"))
	ok(t, err)
	for _, name := range names {
		if content, err := decode(name); err == nil && bytes.Contains(content, []byte(text)) {
			return name
		}
	}
	t.Fatalf("no object holds %q", text)
	return ""
}

func one(t *testing.T, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) != 1 {
		t.Fatalf("%s: %v, %v", pattern, names, err)
	}
	return names[0]
}

// flip changes one bit in the middle of a file.
func flip(t *testing.T, name string) {
	t.Helper()
	data, err := os.ReadFile(name)
	ok(t, err)
	data[len(data)/2] ^= 1
	ok(t, os.WriteFile(name, data, 0o640))
}

func swap(t *testing.T, a, b string) {
	t.Helper()
	ok(t, errors.Join(os.Rename(a, a+"x"), os.Rename(b, a), os.Rename(a+"x", b)))
}

func secret(t *testing.T, dir, text string, mode os.FileMode) {
	t.Helper()
	ok(t, os.WriteFile(filepath.Join(dir, "secret"), []byte(text), mode))
}

// orphan stores a sound object that nothing needs.
func orphan(t *testing.T, dir string) {
	t.Helper()
	name, data := encode(t, "left over from a publication that was cut")
	write(t, filepath.Join(dir, "objects/objects", name[:2], name), string(data))
}

// pages flips a byte in every page of the database from the fifth on.
func pages(t *testing.T, dir string) {
	t.Helper()
	name := filepath.Join(dir, "uplevel.db")
	data, err := os.ReadFile(name)
	ok(t, err)
	for i := 5 * 4096; i < len(data); i += 4096 {
		data[i] ^= 0xff
	}
	ok(t, os.WriteFile(name, data, 0o600))
}

// rows changes the database behind the service's back.
func rows(statements ...string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "uplevel.db"))
		ok(t, err)
		for _, text := range statements {
			result, err := db.ExecContext(t.Context(), text)
			ok(t, err)
			if n, err := result.RowsAffected(); err != nil || n == 0 {
				t.Fatalf("%s: %d rows, %v", text, n, err)
			}
		}
		ok(t, db.Close())
	}
}

// copied copies a folder.
func copied(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("%w: %s", err, out))
	}
}
