package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"uplevel/internal/problem"
	"uplevel/internal/sqlstore"
	"uplevel/internal/trust"
	"uplevel/internal/trust/online"
)

// renewEvery is how often the service looks whether something runs out.
const renewEvery = 10 * time.Minute

// onlineKeys opens the online keys with the secret file, the newest first, and makes both at
// the first start. Those of a secret that was lost since are passed over.
func (p *program) onlineKeys(ctx context.Context, db *sqlstore.DB) ([]online.Keys, error) {
	sealed, err := allSealed(ctx, db)
	if err != nil {
		return nil, err
	}
	if len(sealed) > 0 {
		err = p.canUnseal(sealed)
	} else {
		err = p.refuseNoKeys(ctx, db)
	}
	if err != nil {
		return nil, err
	}
	secret, err := p.secret()
	if err != nil {
		return nil, err
	}
	if len(sealed) == 0 {
		first, err := newOnlineKeys(ctx, db, secret, sealedKeys)
		if err != nil {
			return nil, err
		}
		sealed = append(sealed, first)
	}
	var all []online.Keys
	for _, one := range slices.Backward(sealed) {
		keys, err := online.Unseal(secret, one)
		if errors.Is(err, online.ErrSealed) && len(all) > 0 {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, keys)
	}
	return all, nil
}

// allSealed are the sealed online keys, the oldest first.
func allSealed(ctx context.Context, db *sqlstore.DB) ([][]byte, error) {
	var all [][]byte
	for {
		sealed, err := db.Sealed(ctx, sealedName(len(all)+1))
		if isNotExist(err) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, sealed)
	}
}

// newOnlineKeys makes keys and stores them sealed, unless some have that name already.
func newOnlineKeys(ctx context.Context, db *sqlstore.DB, secret []byte, name string) ([]byte, error) {
	keys, err := online.NewKeys(rand.Reader)
	if err != nil {
		return nil, err
	}
	fresh, err := keys.Seal(secret, rand.Reader)
	if err != nil {
		return nil, err
	}
	return db.PutSealed(ctx, name, fresh)
}

// sealedName is where the database keeps the n-th online keys. None is ever replaced: the
// root says which sign, and a root may stay in force longer than whoever made new keys thought.
func sealedName(n int) string {
	if n == 1 {
		return sealedKeys
	}
	return fmt.Sprintf("%s-%d", sealedKeys, n)
}

// onlineKeysReplace makes the keys that the next root shall name.
func (p *program) onlineKeysReplace() *cobra.Command {
	var lost bool
	cmd := &cobra.Command{Use: "replace", Short: "Make new online keys, for a root that shall name them", Args: exactly()}
	cmd.Flags().BoolVar(&lost, "lost-secret", false, "the secret file is lost and no copy is left: make another one, and keys that it opens")
	cmd.RunE = p.onDatabase(func(ctx context.Context, db *sqlstore.DB, _ []string) error {
		sealed, err := allSealed(ctx, db)
		if err != nil {
			return err
		}
		if len(sealed) == 0 {
			return problem.New(problem.Refused, "start the service once: it makes its first keys itself", "there are no online keys yet")
		}
		if err := p.mayReplace(sealed, lost); err != nil {
			return err
		}
		secret, err := p.secret()
		if err != nil {
			return err
		}
		if _, err := newOnlineKeys(ctx, db, secret, sealedName(len(sealed)+1)); err != nil {
			return err
		}
		if lost {
			p.done("new online keys are made, and %s opens them: keep a copy of it, and give it to every upleveld", p.secretFile())
			p.done("nothing is signed until a root names them: customers keep what they have for 3 days")
		} else {
			p.done("new online keys are made; those before sign on until a root names the new ones")
		}
		p.done("next: start every upleveld again, then: uplevel-publish keys rotate online")
		return nil
	})
	return cmd
}

// mayReplace refuses to go on without the secret where it is there, and with it where it is not.
func (p *program) mayReplace(sealed [][]byte, lost bool) error {
	err := p.canUnseal(sealed)
	if !lost || err != nil && !isNotExist(err) && !errors.Is(err, online.ErrSealed) {
		return err
	}
	if err == nil {
		return problem.New(problem.Refused, "leave out --lost-secret", "the secret file %s opens the online keys: it is not lost", p.secretFile())
	}
	return nil
}

// refuseNoKeys refuses to make keys where there were some.
func (p *program) refuseNoKeys(ctx context.Context, db *sqlstore.DB) error {
	files, err := db.MetadataFiles(ctx)
	if err != nil {
		return err
	}
	return p.refuseLost(ctx, len(files))
}

// renew signs again what runs out and makes copies that failed, now and for as long as the
// service runs. A failure is logged and tried again: days are left.
func (m published) renew(ctx context.Context, signer *online.Service) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		m.tend(ctx, signer)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// tend is one look of renew.
func (m published) tend(ctx context.Context, signer *online.Service) {
	if m.behind() != nil {
		m.restart(ctx, signer) // somebody may have put the copies right
	}
	if m.behind() != nil {
		return // that is logged
	}
	var result online.Result
	err := m.ChangeMetadata(ctx, func(repo online.Repository) error {
		var err error
		result, err = signer.Renew(ctx, repo)
		return err
	})
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		m.log.ErrorContext(ctx, "signing again failed", slog.Any("error", err))
	case len(result.Files) > 0:
		m.log.InfoContext(ctx, "signed again", slog.Int64(trust.RoleSnapshot, result.Snapshot), slog.Int64(trust.RoleTimestamp, result.Timestamp))
	}
	if err := m.complete(ctx); err != nil {
		m.log.ErrorContext(ctx, "copying metadata to the object store", slog.Any("error", err))
	}
}
