package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"uplevel/internal/fsck"
	"uplevel/internal/problem"
	"uplevel/internal/sqlstore"
	"uplevel/internal/trust/online"
)

func (p *program) checkCommand() *cobra.Command {
	var deep bool
	cmd := &cobra.Command{Use: "check", Short: "Can the service run; --deep: is all it holds sound (14 if not)", Args: exactly()}
	cmd.Flags().BoolVar(&deep, "deep", false, "judge database, objects and metadata with code of its own, byte by byte")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := p.checkShallow(cmd.Context()); err != nil || !deep {
			return err
		}
		return p.checkDeep(cmd.Context())
	}
	return cmd
}

// checkShallow looks whether database, object store and keys can be had. It changes nothing.
func (p *program) checkShallow(ctx context.Context) error {
	if err := p.refuseEmptied(ctx); err != nil {
		return err
	}
	if path, ok := strings.CutPrefix(p.databaseURL(), "sqlite:"); ok {
		if _, err := os.Stat(path); err != nil {
			return problem.New(problem.Refused, "name the folder with --data, or run upleveld serve or migrate", "there is no database: %w", err)
		}
	}
	if err := p.checkClosed(); err != nil {
		return err
	}
	db, err := sqlstore.Open(ctx, sqlstore.Options{URL: p.databaseURL(), Now: p.now})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Ready(ctx); err != nil {
		return err
	}
	dir, err := p.objectsDir()
	if err != nil {
		return err
	}
	if _, err := os.ReadDir(dir); err != nil && !isNotExist(err) {
		return problem.New(problem.Refused, "mount it or correct --objects", "object store: %w", err)
	}
	sealed, err := allSealed(ctx, db)
	if err != nil {
		return err
	}
	if len(sealed) == 0 {
		return p.checkNoKeys(ctx, db)
	}
	if err := p.canUnseal(sealed); err != nil {
		return err
	}
	p.done("database, object store and online keys answer")
	return nil
}

// checkClosed refuses an embedded database that everybody on the machine can read: it holds
// password hashes.
func (p *program) checkClosed() error {
	path, embedded := strings.CutPrefix(p.databaseURL(), "sqlite:")
	if !embedded || runtime.GOOS == "windows" {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // that is told when it is opened
	case err != nil:
		return err
	case info.Mode().Perm()&0o007 == 0:
		return nil
	}
	return problem.New(problem.Refused, "chmod 600 "+path, "database %s can be read by others (mode %04o)", path, info.Mode().Perm())
}

// checkNoKeys tells a service that never ran from one whose online keys are lost.
func (p *program) checkNoKeys(ctx context.Context, db *sqlstore.DB) error {
	if err := p.refuseNoKeys(ctx, db); err != nil {
		return err
	}
	p.done("database and object store answer; there are no online keys yet (serve makes them)")
	return nil
}

// canUnseal refuses a secret file that is missing or does not open the newest online keys.
func (p *program) canUnseal(sealed [][]byte) error {
	const next = "put back the secret file that belongs to this database; if no copy is left: upleveld admin online-keys replace --lost-secret"
	if _, err := os.Stat(p.secretFile()); err != nil {
		return problem.New(problem.Refused, next, "the secret file is missing: %w", err)
	}
	secret, err := p.secret()
	if err != nil {
		return err
	}
	if _, err := online.Unseal(secret, sealed[len(sealed)-1]); err != nil {
		return problem.New(problem.Refused, next, "%s: %w", p.secretFile(), err)
	}
	return nil
}

// checkDeep has the store judged by code that shares nothing with what wrote it: it
// opens database and folder by itself.
func (p *program) checkDeep(ctx context.Context) error {
	dir, err := p.objectsDir()
	if err != nil {
		return err
	}
	path := strings.TrimPrefix(p.databaseURL(), "sqlite:")
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: filepath.ToSlash(abs)}).EscapedPath()+"?_pragma=busy_timeout(10000)&_pragma=query_only(1)")
	if err != nil {
		return err
	}
	defer db.Close()
	report, err := p.judge(ctx, db, folder(dir))
	if err != nil {
		return sqlstore.Told(err)
	}
	for _, f := range report.Findings {
		p.done("%s", f)
	}
	if err := p.tellLitter(ctx, dir); err != nil {
		return err
	}
	p.done("%d roles, %d levels, hotfixes: %d, %d objects (%d bytes), %d programs of the update tool judged",
		report.Roles, report.Levels, report.Hotfixes, report.Objects, report.Bytes, report.Tools)
	if report.Damaged() {
		return problem.New(problem.Verification, "restore what is named above from a backup; without one remove damaged objects and publish first release and newest level again",
			"the store is damaged").Standing("nothing was changed")
	}
	return nil
}

// judge judges the database as of one instant, so that what is published meanwhile does
// not look like damage.
func (p *program) judge(ctx context.Context, db *sql.DB, blobs folder) (fsck.StoreReport, error) {
	instant, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fsck.StoreReport{}, fmt.Errorf("reading the database: %w", err)
	}
	report, err := fsck.Store{Rows: instant, Blobs: blobs, Now: p.now(), Later: db, Wait: pause}.Judge(ctx)
	return report, errors.Join(err, instant.Rollback())
}

// pause waits as long as the service may take from the database to the copy.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(100 * time.Millisecond):
		return nil
	}
}

// folder reads an object store in a folder for the judge.
type folder string

// Open opens one blob. What is no file is no blob to the service either.
func (d folder) Open(_ context.Context, name string) (io.ReadCloser, error) {
	file := filepath.Join(string(d), filepath.FromSlash(name))
	info, err := os.Lstat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file: %w", file, fs.ErrNotExist)
	}
	return os.Open(file)
}

// Names walks the blobs below a prefix; files whose name begins with a dot are being
// written.
func (d folder) Names(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		err := filepath.WalkDir(filepath.Join(string(d), filepath.FromSlash(prefix)), func(path string, e fs.DirEntry, err error) error {
			if err := errors.Join(err, ctx.Err()); err != nil {
				return err
			}
			if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") {
				return nil
			}
			name, err := filepath.Rel(string(d), path)
			if err == nil && !yield(filepath.ToSlash(name), nil) {
				return fs.SkipAll
			}
			return err
		})
		if err != nil && !isNotExist(err) {
			yield("", fmt.Errorf("reading %s: %w", string(d), err))
		}
	}
}
