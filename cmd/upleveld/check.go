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
	"strings"

	"github.com/spf13/cobra"

	"uplevel/internal/fsck"
	"uplevel/internal/problem"
	"uplevel/internal/sqlstore"
	"uplevel/internal/trust/online"
)

func (p *program) checkCommand() *cobra.Command {
	var deep bool
	cmd := &cobra.Command{Use: "check", Short: "Is the service able to run; --deep: is everything it holds sound (14 when not)", Args: exactly()}
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
	if path, ok := strings.CutPrefix(p.databaseURL(), "sqlite:"); ok {
		if _, err := os.Stat(path); err != nil {
			return problem.New(problem.Refused, "name the folder with --data, or run upleveld serve or migrate", "there is no database: %w", err)
		}
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
	sealed, err := db.Sealed(ctx, sealedKeys)
	if isNotExist(err) {
		return p.checkNoKeys(ctx, db)
	}
	if err != nil {
		return err
	}
	if err := p.canUnseal(sealed); err != nil {
		return err
	}
	p.done("database, object store and online keys answer")
	return nil
}

// checkNoKeys tells a service that never ran from one whose online keys are lost.
func (p *program) checkNoKeys(ctx context.Context, db *sqlstore.DB) error {
	files, err := db.MetadataFiles(ctx)
	if err != nil {
		return err
	}
	if len(files) > 0 {
		return problem.New(problem.Verification, "restore the database from a backup: other keys sign nothing that a customer trusts",
			"the online keys are missing from the database, and metadata signed with them are there").Standing("nothing was changed")
	}
	p.done("database and object store answer; there are no online keys yet (serve makes them)")
	return nil
}

func (p *program) canUnseal(sealed []byte) error {
	if _, err := os.Stat(p.secretFile()); err != nil {
		return problem.New(problem.Refused, "put back the secret file that belongs to this database", "the secret file is missing: %w", err)
	}
	secret, err := p.secret()
	if err != nil {
		return err
	}
	if _, err := online.Unseal(secret, sealed); err != nil {
		return problem.New(problem.Refused, "put back the secret file that belongs to this database", "%s: %w", p.secretFile(), err)
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
	report, err := fsck.Store{Rows: db, Blobs: folder(dir), Now: p.now()}.Judge(ctx)
	if err != nil {
		return err
	}
	for _, f := range report.Findings {
		p.done("%s", f)
	}
	p.done("%d roles, %d levels, hotfixes: %d, %d objects (%d bytes) judged", report.Roles, report.Levels, report.Hotfixes, report.Objects, report.Bytes)
	if report.Damaged() {
		return problem.New(problem.Verification, "restore what is named above from a backup; without one remove damaged objects and publish first release and newest level again",
			"the store is damaged").Standing("nothing was changed")
	}
	return nil
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
