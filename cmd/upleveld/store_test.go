package main

import (
	"database/sql"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"uplevel/internal/problem"
)

// TestAdminNeitherMakesNorMigrates: the folder may be mistyped, and the schema that of a
// service that runs.
func TestAdminNeitherMakesNorMigrates(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	var said strings.Builder
	p.stderr = &said
	admin := func() int {
		return p.execute(t.Context(), []string{"admin", "organisation", "add", "Bank", "--data", p.data})
	}
	if got := admin(); got != problem.Refused.ExitCode() || !strings.Contains(said.String(), p.data) || !strings.Contains(said.String(), "next: ") {
		t.Errorf("no folder: %d %s", got, said.String())
	}
	if _, err := os.Stat(p.data); err == nil {
		t.Error("a folder was made")
	}
	if got := p.execute(t.Context(), []string{"migrate", "--data", p.data}); got != 0 {
		t.Fatal(said.String())
	}
	name := filepath.Join(p.data, "uplevel.db")
	db, err := sql.Open("sqlite", name)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const newest = `SELECT max(version_id) FROM goose_db_version`
	if _, err := db.ExecContext(t.Context(), `DELETE FROM goose_db_version WHERE version_id = (`+newest+`)`); err != nil {
		t.Fatal(err)
	}
	schema := func() (n int) {
		if err := db.QueryRowContext(t.Context(), newest).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := schema()
	said.Reset()
	if got := admin(); got != problem.Refused.ExitCode() || !strings.Contains(said.String(), "upleveld migrate") || schema() != before {
		t.Errorf("an older schema: %d %s", got, said.String())
	}
	if err := os.Truncate(name, 0); err != nil {
		t.Fatal(err)
	}
	if got := admin(); got != problem.Refused.ExitCode() {
		t.Errorf("an empty file: %d", got)
	}
}

// TestAStartSweepsWhatAKillLeft: half-written objects that are old go, and `check --deep`
// told of them before.
func TestAStartSweepsWhatAKillLeft(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	var said, log strings.Builder
	p.stdout = &said
	folder := filepath.Join(p.data, "objects")
	file := filepath.Join(folder, "objects/ab", ".abcd.partial-7")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, testNow, testNow.Add(-25*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := p.tellLitter(t.Context(), folder); err != nil || !strings.HasPrefix(said.String(), "note object store: files that a kill left half written: 1") {
		t.Errorf("%q, %v", said.String(), err)
	}
	svc := &service{p: p, log: slog.New(slog.NewTextHandler(&log, nil))}
	svc.sweep(t.Context())
	if _, err := os.Stat(file); err == nil || !strings.Contains(log.String(), "files=1") {
		t.Errorf("%v: %s", err, log.String())
	}
	said.Reset()
	if err := p.tellLitter(t.Context(), folder); err != nil || said.String() != "" {
		t.Errorf("%q, %v", said.String(), err)
	}
}
