package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"uplevel/internal/blob"
	"uplevel/internal/sqlstore"
	"uplevel/internal/trust"
	"uplevel/internal/trust/online"
)

// renewEvery is how often the service looks whether something runs out.
const renewEvery = 10 * time.Minute

// onlineKeys opens the online keys with the secret file, and makes both at the first
// start.
func (p *program) onlineKeys(ctx context.Context, db *sqlstore.DB) (online.Keys, error) {
	sealed, err := db.Sealed(ctx, sealedKeys)
	if err == nil {
		if err := p.canUnseal(sealed); err != nil {
			return online.Keys{}, err
		}
	} else if !isNotExist(err) {
		return online.Keys{}, err
	}
	secret, err := p.secret()
	if err != nil {
		return online.Keys{}, err
	}
	if sealed == nil {
		keys, err := online.NewKeys(rand.Reader)
		if err != nil {
			return online.Keys{}, err
		}
		fresh, err := keys.Seal(secret, rand.Reader)
		if err != nil {
			return online.Keys{}, err
		}
		if sealed, err = db.PutSealed(ctx, sealedKeys, fresh); err != nil {
			return online.Keys{}, err
		}
	}
	return online.Unseal(secret, sealed)
}

// published is the metadata with their copies in the object store: what a transaction
// made current is copied after it committed.
type published struct {
	*sqlstore.DB
	blobs blob.Store
	log   *slog.Logger
}

// ChangeMetadata runs fn in a transaction of the database and then copies what it put.
// A copy that fails is no failure of the change: the next start makes it.
func (m published) ChangeMetadata(ctx context.Context, fn func(repo online.Repository) error) error {
	var put []online.File
	err := m.DB.ChangeMetadata(ctx, func(repo online.Repository) error {
		put = put[:0]
		return fn(&noting{Repository: repo, put: &put})
	})
	if err != nil {
		return err
	}
	for _, f := range put {
		// Read again: another change may have made a newer timestamp current meanwhile.
		data, err := m.MetadataFile(ctx, f.Name())
		if err == nil {
			err = m.copyFile(ctx, f.Name(), data)
		}
		if err != nil {
			m.log.ErrorContext(ctx, "copying metadata to the object store", slog.String("file", f.Name()), slog.Any("error", err))
		}
	}
	return nil
}

// noting is a repository that remembers what was put.
type noting struct {
	online.Repository
	put *[]online.File
}

// Put makes a file current and remembers it.
func (n *noting) Put(ctx context.Context, f online.File) error {
	if err := n.Repository.Put(ctx, f); err != nil {
		return err
	}
	*n.put = append(*n.put, f)
	return nil
}

// copyFile writes a copy. Only the timestamp changes under its name.
func (m published) copyFile(ctx context.Context, file string, data []byte) error {
	name := blob.MetadataName(file)
	same, err := m.holds(ctx, name, data)
	if err != nil || same {
		return err
	}
	if err := m.blobs.Delete(ctx, name); err != nil {
		return err
	}
	return m.blobs.Put(ctx, name, bytes.NewReader(data))
}

func (m published) holds(ctx context.Context, name string, data []byte) (bool, error) {
	f, err := m.blobs.Open(ctx, name)
	if isNotExist(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	old, err := io.ReadAll(io.LimitReader(f, int64(len(data))+1))
	return bytes.Equal(old, data), errors.Join(err, f.Close())
}

// repair makes the copies that a crash left out.
func (m published) repair(ctx context.Context) error {
	files, err := m.MetadataFiles(ctx)
	if err != nil {
		return err
	}
	for _, file := range files {
		data, err := m.MetadataFile(ctx, file)
		if err == nil {
			err = m.copyFile(ctx, file, data)
		}
		if err != nil {
			return fmt.Errorf("copying metadata %s: %w", file, err)
		}
	}
	return nil
}

// maxCaughtUp bounds the versions of one role that a start takes up.
const maxCaughtUp = 10_000

// restart makes a database that was restored from a backup catch up: it takes what was
// published since from the copies, as if it were submitted now, and signs snapshot and
// timestamp again, so that no client finds them older than what it has seen. What fails
// is logged: the service runs with what it has.
func (m published) restart(ctx context.Context, signer *online.Service) {
	for range maxCaughtUp {
		var docs []online.Document
		err := m.ChangeMetadata(ctx, func(repo online.Repository) error {
			var err error
			docs, err = signer.Later(ctx, repo, func(file string) ([]byte, error) { return m.copyOf(ctx, file) })
			if err == nil && len(docs) > 0 {
				_, err = signer.Submit(ctx, repo, docs)
			}
			return err
		})
		if err != nil {
			m.log.ErrorContext(ctx, "taking up what the object store holds and the database does not", slog.Any("error", err))
			break
		}
		if len(docs) == 0 {
			break
		}
		for _, doc := range docs {
			m.log.WarnContext(ctx, "the database was behind; taken from the object store", slog.String("role", doc.Role))
		}
	}
	err := m.ChangeMetadata(ctx, func(repo online.Repository) error {
		_, err := signer.Restart(ctx, repo)
		return err
	})
	if err != nil {
		m.log.ErrorContext(ctx, "signing again failed", slog.Any("error", err))
	}
}

// copyOf reads a copy, or an error that is fs.ErrNotExist.
func (m published) copyOf(ctx context.Context, file string) ([]byte, error) {
	f, err := m.blobs.Open(ctx, blob.MetadataName(file))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, trust.MaxLine+1)) // the longest of all roles
	return data, errors.Join(err, f.Close())
}

// renew signs again what runs out, now and for as long as the service runs. A failure
// is logged and tried again: days are left.
func (m published) renew(ctx context.Context, signer *online.Service) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		var result online.Result
		err := m.ChangeMetadata(ctx, func(repo online.Repository) error {
			var err error
			result, err = signer.Renew(ctx, repo)
			return err
		})
		switch {
		case err != nil && ctx.Err() == nil:
			m.log.ErrorContext(ctx, "signing again failed", slog.Any("error", err))
		case len(result.Files) > 0:
			m.log.InfoContext(ctx, "signed again", slog.Int64(trust.RoleSnapshot, result.Snapshot), slog.Int64(trust.RoleTimestamp, result.Timestamp))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
