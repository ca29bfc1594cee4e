package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite" // and the driver
	sqlite3 "modernc.org/sqlite/lib"

	"uplevel/internal/problem"
	"uplevel/internal/release"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Records reads the release record of a listed level from the object store. It fails
// when the object is missing, damaged, or of another level.
type Records func(ctx context.Context, line release.Line, level int, record release.Ref) (release.Record, error)

// Options say which database to open and how.
type Options struct {
	URL     string           // sqlite:PATH
	Migrate bool             // create and migrate; without it a database that is behind is refused
	Now     func() time.Time // the clock; wanted
	Records Records          // wanted for making metadata current
	Log     *slog.Logger     // nil: nothing is said
}

// DB is an open database. It is safe for concurrent use. Close it.
type DB struct {
	sql     *sql.DB
	schema  *goose.Provider
	now     func() time.Time
	records Records
	url     string // without what may be a password
}

// Open opens the database. A database newer than this program is refused, and so is
// one that is behind unless it may be migrated.
func Open(ctx context.Context, opts Options) (*DB, error) {
	if opts.Now == nil {
		return nil, errors.New("sqlstore: Options.Now is missing")
	}
	dsn, err := dataSource(opts.URL)
	if err != nil {
		return nil, err
	}
	handle, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("opening database %s: %w", opts.URL, err)
	}
	handle.SetMaxOpenConns(8)
	db := &DB{sql: handle, now: opts.Now, records: opts.Records, url: redact(opts.URL)}
	if err := db.prepare(ctx, opts); err != nil {
		return nil, errors.Join(err, handle.Close())
	}
	return db, nil
}

// dataSource turns sqlite:PATH into what the driver wants. Writers take the lock when
// they begin, so that two of them wait for one another instead of failing half-way.
func dataSource(address string) (string, error) {
	path, ok := strings.CutPrefix(address, "sqlite:")
	if !ok || path == "" {
		return "", problem.New(problem.Usage, "give --database sqlite:PATH", "database %.200q: this program knows sqlite:PATH", redact(address))
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("database %s: %w", path, err)
	}
	options := url.Values{
		"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "foreign_keys(1)", "synchronous(FULL)"},
		"_txlock": {"immediate"},
	}
	return "file:" + (&url.URL{Path: filepath.ToSlash(abs)}).EscapedPath() + "?" + options.Encode(), nil
}

// redact drops what may be a password from a database address.
func redact(address string) string {
	if strings.HasPrefix(address, "sqlite:") {
		return address
	}
	if u, err := url.Parse(address); err == nil {
		return u.Redacted()
	}
	return strings.SplitN(address, ":", 2)[0] + ":…"
}

func (db *DB) prepare(ctx context.Context, opts Options) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	log := opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	db.schema, err = goose.NewProvider(goose.DialectSQLite3, db.sql, files,
		goose.WithDisableGlobalRegistry(true), goose.WithSlog(log))
	if err != nil {
		return fmt.Errorf("reading migrations: %w", err)
	}
	has, wants, err := db.versions(ctx)
	if err != nil {
		return Told(fmt.Errorf("database %s: %w", db.url, err))
	}
	switch {
	case has > wants:
		return problem.New(problem.Refused, "use the program that wrote it, or a newer one",
			"database %s has schema %d, this program knows %d", db.url, has, wants)
	case has < wants && !opts.Migrate:
		return problem.New(problem.Refused, "run upleveld migrate",
			"database %s has schema %d, this program wants %d", db.url, has, wants)
	case has < wants:
		return db.Migrate(ctx)
	}
	return nil
}

// Told gives an error that says that the file of the database is damaged its kind and its
// next step; another error is returned as it is.
func Told(err error) error {
	said, ok := errors.AsType[*sqlite.Error](err)
	if !ok || said.Code()&0xff != sqlite3.SQLITE_CORRUPT && said.Code()&0xff != sqlite3.SQLITE_NOTADB {
		return err
	}
	return problem.New(problem.Verification, "restore the database from a backup: the next start takes what was published since from the object store",
		"the database is damaged: %w", err)
}

// Migrate brings the schema to the one this program wants. Doing it again changes nothing.
// Where another process migrates at the same time a step fails here that it did there: as
// long as the schema comes forward, the rest is tried again.
func (db *DB) Migrate(ctx context.Context) error {
	before := int64(-1)
	for {
		_, err := db.schema.Up(ctx)
		if err == nil {
			return nil
		}
		has, wants, versionErr := db.versions(ctx)
		switch {
		case versionErr == nil && has == wants:
			return nil
		case versionErr != nil || has <= before:
			return fmt.Errorf("migrating the database: %w", err)
		}
		before = has
	}
}

// How often a database that another process just makes is asked again, and after which time.
const (
	busyTries = 100
	busyPause = 100 * time.Millisecond
)

// versions are the schema of the database and the one that is wanted. While another process
// makes the database SQLite says at once, and without its usual patience, that it is locked.
func (db *DB) versions(ctx context.Context) (has, wants int64, err error) {
	for range busyTries {
		has, wants, err = db.schema.GetVersions(ctx)
		said, ok := errors.AsType[*sqlite.Error](err)
		if !ok || said.Code()&0xff != sqlite3.SQLITE_BUSY {
			break
		}
		select {
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		case <-time.After(busyPause):
		}
	}
	return has, wants, err
}

// Schema returns the version of the schema in the database.
func (db *DB) Schema(ctx context.Context) (int64, error) { return db.schema.GetDBVersion(ctx) }

// Ready fails when the database does not answer.
func (db *DB) Ready(ctx context.Context) error {
	var one int
	if err := db.sql.QueryRowContext(ctx, `SELECT 1`).Scan(&one); err != nil {
		return fmt.Errorf("database %s: %w", db.url, err)
	}
	return nil
}

// Close closes the database.
func (db *DB) Close() error { return db.sql.Close() }
