package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"uplevel/internal/blob"
	blobdir "uplevel/internal/blob/dir"
	"uplevel/internal/digest"
	"uplevel/internal/durable"
	"uplevel/internal/entitlement"
	"uplevel/internal/entitlement/access"
	"uplevel/internal/object"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/sqlstore"
)

// hashesAtOnce bounds the password hashes at work, 19 MiB each.
const hashesAtOnce = 2

// databaseURL returns the address of the database, in the data folder unless another
// is named.
func (p *program) databaseURL() string {
	if p.database != "" {
		return p.database
	}
	return "sqlite:" + filepath.Join(p.data, "uplevel.db")
}

// objectsDir returns the folder of the object store.
func (p *program) objectsDir() (string, error) {
	if p.objects == "" {
		return filepath.Join(p.data, "objects"), nil
	}
	if dir, ok := strings.CutPrefix(p.objects, "dir:"); ok && dir != "" {
		return dir, nil
	}
	if strings.Contains(p.objects, ":") {
		return "", problem.New(problem.Usage, "give --objects dir:PATH", "object store %.200q: this program knows dir:PATH", p.objects)
	}
	return p.objects, nil
}

// objectStore opens the object store.
func (p *program) objectStore() (blob.Store, error) {
	dir, err := p.objectsDir()
	if err != nil {
		return nil, err
	}
	return p.openObjects(dir)
}

// openDatabase opens the database of a service that there is, as it is: one that another
// program's schema is in is left to serve and migrate.
func (p *program) openDatabase(ctx context.Context) (*sqlstore.DB, error) {
	if path, embedded := strings.CutPrefix(p.databaseURL(), "sqlite:"); embedded && path != "" {
		info, err := os.Stat(path)
		switch {
		case err != nil && !isNotExist(err):
			return nil, fmt.Errorf("opening the database: %w", err)
		case err != nil || info.Size() == 0:
			return nil, problem.New(problem.Refused, "name the folder of the service with --data, or make a new one with upleveld serve or migrate",
				"there is no service in %s: it has no database %s", p.data, path).Standing("nothing was changed")
		}
	}
	return sqlstore.Open(ctx, sqlstore.Options{URL: p.databaseURL(), Now: p.now})
}

// makeDatabase opens the database; an embedded one is made and migrated on the way.
func (p *program) makeDatabase(ctx context.Context, records sqlstore.Records) (*sqlstore.DB, error) {
	if err := durable.MkdirAll(p.data, 0o700); err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	if err := makePrivate(p.databaseURL()); err != nil {
		return nil, err
	}
	return sqlstore.Open(ctx, sqlstore.Options{URL: p.databaseURL(), Migrate: true, Now: p.now, Records: records})
}

// litterAge is how old a half-written file is that nobody writes to any more: what a kill
// left. No request takes that long.
const litterAge = 24 * time.Hour

// sweep removes what killed services left in the object store.
func (svc *service) sweep(ctx context.Context) {
	folder, err := svc.p.objectsDir()
	if err != nil {
		return
	}
	n, err := blobdir.Sweep(ctx, folder, svc.p.now().Add(-litterAge))
	switch {
	case err != nil && ctx.Err() == nil:
		svc.log.WarnContext(ctx, "partial files stay in the object store", slog.String("error", err.Error()))
	case n > 0:
		svc.log.InfoContext(ctx, "partial files that a kill left were removed", slog.Int("files", n))
	}
}

// tellLitter notes what the next start will remove.
func (p *program) tellLitter(ctx context.Context, folder string) error {
	n := 0
	for _, err := range blobdir.Litter(ctx, folder, p.now().Add(-litterAge)) {
		if err != nil {
			return err
		}
		n++
	}
	if n > 0 {
		p.done("note object store: files that a kill left half written: %d; the next start removes them", n)
	}
	return nil
}

// makePrivate makes the file of a new embedded database readable by its owner alone,
// wherever it lies: it holds password hashes. The engine gives its other files that mode.
func makePrivate(address string) error {
	path, embedded := strings.CutPrefix(address, "sqlite:")
	if !embedded || path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	return file.Close()
}

// door is how people and programs get in.
func (p *program) door(db *sqlstore.DB, log *slog.Logger) *access.Door {
	return &access.Door{Accounts: db, Tokens: db, Hasher: access.NewHasher(hashesAtOnce), Now: p.now, Log: log}
}

// actor names this command in the audit log.
func (p *program) actor() entitlement.Actor { return entitlement.Actor{Name: "local:" + p.account} }

// content reads small objects whole from the object store, verified.
type content struct{ blobs blob.Store }

// maxContent bounds what is read whole: the largest manifest.
const maxContent = 512 << 20

// Content returns an object's content, or an error that is fs.ErrNotExist.
func (c content) Content(ctx context.Context, ref release.Ref) ([]byte, error) {
	if ref.Size < 0 || ref.Size > maxContent {
		return nil, fmt.Errorf("object %s of %d bytes is too large", ref.Sum, ref.Size)
	}
	stored, err := c.blobs.Open(ctx, blob.ObjectName(ref.Sum))
	if err != nil {
		return nil, err
	}
	defer stored.Close()
	r, err := object.NewReader(stored, ref.Sum, ref.Size)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// Missing returns those of the objects that are not stored.
func (c content) Missing(ctx context.Context, objects []digest.Digest) ([]digest.Digest, error) {
	var missing []digest.Digest
	for _, sum := range objects {
		_, err := c.blobs.Stat(ctx, blob.ObjectName(sum))
		switch {
		case isNotExist(err):
			missing = append(missing, sum)
		case err != nil:
			return nil, err
		}
	}
	return missing, nil
}

// record reads the release record of a level.
func (c content) record(ctx context.Context, line release.Line, level int, ref release.Ref) (release.Record, error) {
	if ref.Size > release.MaxRecord {
		return release.Record{}, fmt.Errorf("release record of %d bytes is too large", ref.Size)
	}
	text, err := c.Content(ctx, ref)
	if err != nil {
		return release.Record{}, fmt.Errorf("release record: %w", err)
	}
	return release.ParseRecord(text, line, level)
}
