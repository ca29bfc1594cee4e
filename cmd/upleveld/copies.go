package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"uplevel/internal/blob"
	"uplevel/internal/sqlstore"
	"uplevel/internal/trust"
	"uplevel/internal/trust/online"
)

// copyTimeout bounds the copying of what one change made current.
const copyTimeout = time.Minute

// published is the metadata with their copies in the object store: what a transaction
// made current is copied after it committed.
type published struct {
	*sqlstore.DB
	blobs blob.Store
	log   *slog.Logger
	stuck *atomic.Pointer[error] // why the database cannot catch up with what was published
}

// behind returns why the database is older than what was published and cannot catch up; nil
// when it is not.
func (m published) behind() error {
	if m.stuck == nil {
		return nil
	}
	if err := m.stuck.Load(); err != nil {
		return *err
	}
	return nil
}

// Ready fails while the database cannot be asked, or is behind what was published.
func (m published) Ready(ctx context.Context) error {
	return errors.Join(m.DB.Ready(ctx), m.behind())
}

// ChangeMetadata runs fn in a transaction of the database and then copies what it put. It
// refuses while the database is behind: what was signed now would be older than what customers
// have seen.
func (m published) ChangeMetadata(ctx context.Context, fn func(repo online.Repository) error) error {
	if err := m.behind(); err != nil {
		return err
	}
	return m.change(ctx, fn)
}

// change is ChangeMetadata whatever the state. A copy that fails is no failure of the change:
// renew makes it, and the next start.
func (m published) change(ctx context.Context, fn func(repo online.Repository) error) error {
	var put []online.File
	err := m.DB.ChangeMetadata(ctx, func(repo online.Repository) error {
		put = put[:0]
		return fn(&noting{Repository: repo, put: &put})
	})
	if err != nil {
		return err
	}
	// Whoever asked for the change may be gone; it stands, and wants its copies.
	copying, stop := context.WithTimeout(context.WithoutCancel(ctx), copyTimeout)
	defer stop()
	for _, f := range put {
		if err := m.copyCurrent(copying, f.Name()); err != nil {
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

// copyCurrent copies a file as the database holds it now: another change may have made a newer
// timestamp current meanwhile.
func (m published) copyCurrent(ctx context.Context, file string) error {
	data, err := m.MetadataFile(ctx, file)
	if err == nil {
		err = m.copyFile(ctx, file, data)
	}
	return err
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

// repair makes the copies right: those that a crash left out, and those that are damaged.
func (m published) repair(ctx context.Context) error {
	return m.copyAll(ctx, func(string) bool { return true })
}

// complete makes the copies that failed since the start, of this process or another one.
func (m published) complete(ctx context.Context) error {
	names, err := m.copyNames(ctx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, name := range names {
		there[name] = name != trust.CacheName(trust.RoleTimestamp) // that one may be an old one
	}
	return m.copyAll(ctx, func(file string) bool { return !there[file] })
}

// copyAll copies the files of the database that are wanted. None while the database is behind:
// the copies tell what it lacks.
func (m published) copyAll(ctx context.Context, wanted func(file string) bool) error {
	files, err := m.MetadataFiles(ctx)
	if err != nil {
		return err
	}
	for _, file := range files {
		if m.behind() != nil || !wanted(file) {
			continue
		}
		if err := m.copyCurrent(ctx, file); err != nil {
			return fmt.Errorf("copying metadata %s: %w", file, err)
		}
	}
	return nil
}

func (m published) copyNames(ctx context.Context) ([]string, error) {
	var names []string
	for info, err := range m.blobs.List(ctx, blob.MetadataName("")) {
		if err != nil {
			return nil, fmt.Errorf("listing the copies of metadata: %w", err)
		}
		names = append(names, strings.TrimPrefix(info.Name, blob.MetadataName("")))
	}
	return names, nil
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

// restart makes a database that was restored from a backup catch up with what was published
// since, and signs snapshot and timestamp again, so that no client finds them older than what
// it has seen. Where it cannot catch up nothing is signed, and the process is not ready.
func (m published) restart(ctx context.Context, signer *online.Service) {
	err := m.catchUp(ctx, signer)
	m.setBehind(err)
	if err != nil {
		m.log.ErrorContext(ctx, "the database is behind what was published and cannot catch up; nothing is signed", slog.Any("error", err))
		return
	}
	err = m.change(ctx, func(repo online.Repository) error {
		_, err := signer.Restart(ctx, repo)
		return err
	})
	if err != nil {
		m.log.ErrorContext(ctx, "signing again failed", slog.Any("error", err))
	}
}

func (m published) setBehind(err error) {
	if m.stuck == nil {
		return
	}
	m.stuck.Store(nil)
	if err != nil {
		m.stuck.Store(&err)
	}
}

func (m published) catchUp(ctx context.Context, signer *online.Service) error {
	// Before the transaction: what is copied meanwhile must not look as if it were missing.
	names, err := m.copyNames(ctx)
	if err != nil {
		return err
	}
	var taken []online.File
	err = m.change(ctx, func(repo online.Repository) error {
		taken, err = signer.CatchUp(ctx, repo, online.Copies{Names: names, Read: m.copyOf})
		return err
	})
	if err != nil {
		return err
	}
	for _, file := range taken {
		m.log.WarnContext(ctx, "the database was behind; taken from the object store", slog.String("file", file.Name()))
	}
	return nil
}
