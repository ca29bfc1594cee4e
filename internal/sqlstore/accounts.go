package sqlstore

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"uplevel/internal/entitlement"
)

// AddOrganisation stores a new organisation. A name that is taken is fs.ErrExist.
func (db *DB) AddOrganisation(ctx context.Context, by entitlement.Actor, name string) (entitlement.Organisation, error) {
	o := entitlement.Organisation{ID: newID("org"), Name: strings.TrimSpace(name), Created: instant(micros(db.now()))}
	if o.Name == "" || len(o.Name) > 200 {
		return o, fmt.Errorf("organisation name of %d bytes: want 1 to 200", len(o.Name))
	}
	return o, db.change(ctx, entry{by, "organisation.add", o.ID, nil, o}, func(tx *sql.Tx) error {
		return insert(ctx, tx, "organisation "+o.Name, `INSERT INTO organisations (id, name, created, revoked)
			VALUES ($1, $2, $3, 0) ON CONFLICT DO NOTHING`, o.ID, o.Name, micros(o.Created))
	})
}

// OrganisationByName finds an organisation.
func (db *DB) OrganisationByName(ctx context.Context, name string) (entitlement.Organisation, error) {
	o := entitlement.Organisation{Name: strings.TrimSpace(name)}
	var created, revoked int64
	err := db.sql.QueryRowContext(ctx, `SELECT id, created, revoked FROM organisations WHERE name = $1`, o.Name).
		Scan(&o.ID, &created, &revoked)
	o.Created, o.Revoked = instant(created), instant(revoked)
	return o, missing("organisation "+o.Name, err)
}

// RevokeOrganisation ends the access of an organisation; what was revoked stays so.
func (db *DB) RevokeOrganisation(ctx context.Context, by entitlement.Actor, id string, at time.Time) error {
	return db.revoke(ctx, by, "organisation", id, at,
		`UPDATE organisations SET revoked = $1 WHERE id = $2 AND (revoked = 0 OR revoked > $1)`, `SELECT 1 FROM organisations WHERE id = $1`)
}

// revoke sets the instant of a revocation. Done again it changes nothing and is no error.
func (db *DB) revoke(ctx context.Context, by entitlement.Actor, what, id string, at time.Time, set, exists string) error {
	e := entry{by, what + ".revoke", id, nil, map[string]any{"revoked": at.UTC()}}
	return db.inTx(ctx, func(tx *sql.Tx) error {
		err := update(ctx, tx, what+" "+id, set, micros(at), id)
		if errors.Is(err, fs.ErrNotExist) {
			var one int
			return missing(what+" "+id, tx.QueryRowContext(ctx, exists, id).Scan(&one))
		}
		if err != nil {
			return err
		}
		return writeAudit(ctx, tx, db.now(), e)
	})
}

// AddUser stores a new user with a password hash, which may be empty: then no password
// logs in. It sets ID and Created. An address that is taken is fs.ErrExist.
func (db *DB) AddUser(ctx context.Context, by entitlement.Actor, u entitlement.User, passwordHash string) (entitlement.User, error) {
	email, err := entitlement.CheckEmail(u.Email)
	if err != nil {
		return u, err
	}
	if err := entitlement.CheckRole(u.Role, u.Organisation != ""); err != nil {
		return u, err
	}
	u.ID, u.Email, u.Created = newID("usr"), email, instant(micros(db.now()))
	return u, db.change(ctx, entry{by, "user.add", u.ID, nil, u}, func(tx *sql.Tx) error {
		return insert(ctx, tx, "user "+email, `INSERT INTO users (id, organisation, email, role, password, created, revoked)
			VALUES ($1, $2, $3, $4, $5, $6, 0) ON CONFLICT DO NOTHING`,
			u.ID, orNull(u.Organisation), email, string(u.Role), passwordHash, micros(u.Created))
	})
}

func orNull(text string) sql.NullString { return sql.NullString{String: text, Valid: text != ""} }

// SetPassword replaces a user's password hash and revokes the user's tokens.
func (db *DB) SetPassword(ctx context.Context, by entitlement.Actor, user, passwordHash string) error {
	return db.change(ctx, entry{by, "user.password", user, nil, nil}, func(tx *sql.Tx) error {
		if err := update(ctx, tx, "user "+user, `UPDATE users SET password = $1 WHERE id = $2`, passwordHash, user); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE tokens SET revoked = $1 WHERE user_id = $2 AND revoked = 0`, micros(db.now()), user)
		return err
	})
}

// RevokeUser ends the access of a user.
func (db *DB) RevokeUser(ctx context.Context, by entitlement.Actor, id string, at time.Time) error {
	return db.revoke(ctx, by, "user", id, at,
		`UPDATE users SET revoked = $1 WHERE id = $2 AND (revoked = 0 OR revoked > $1)`, `SELECT 1 FROM users WHERE id = $1`)
}

// UserByEmail finds a user, revoked or not, and the password hash.
func (db *DB) UserByEmail(ctx context.Context, email string) (entitlement.User, string, error) {
	var u entitlement.User
	var organisation sql.NullString
	var role, hash string
	var created, revoked int64
	err := db.sql.QueryRowContext(ctx, `SELECT id, organisation, email, role, password, created, revoked FROM users WHERE email = $1`,
		strings.ToLower(strings.TrimSpace(email))).Scan(&u.ID, &organisation, &u.Email, &role, &hash, &created, &revoked)
	u.Organisation, u.Role = organisation.String, entitlement.Role(role)
	u.Created, u.Revoked = instant(created), instant(revoked)
	return u, hash, missing("user", err)
}

// AddToken stores a token by the hash of its secret. It sets ID and Created. Tokens
// that ended more than 30 days ago are removed on the way.
func (db *DB) AddToken(ctx context.Context, by entitlement.Actor, t entitlement.Token, hash [32]byte) (entitlement.Token, error) {
	return db.addToken(ctx, by, t, hash, func(*sql.Tx) error { return nil })
}

// AddLogin stores a token of a user whose password hash is still the one given, or returns
// an error that is fs.ErrNotExist.
func (db *DB) AddLogin(ctx context.Context, by entitlement.Actor, t entitlement.Token, hash [32]byte, password string) (entitlement.Token, error) {
	return db.addToken(ctx, by, t, hash, func(tx *sql.Tx) error {
		// An UPDATE, so that an engine with row locks lets a new password wait as well: it
		// then ends this token with the others.
		return update(ctx, tx, "user "+t.User, `UPDATE users SET password = password WHERE id = $1 AND password = $2`, t.User, password)
	})
}

func (db *DB) addToken(ctx context.Context, by entitlement.Actor, t entitlement.Token, hash [32]byte, may func(*sql.Tx) error) (entitlement.Token, error) {
	for _, scope := range t.Scopes {
		if err := entitlement.CheckScope(scope); err != nil {
			return t, err
		}
	}
	now := db.now()
	t.ID, t.Created = newID("tok"), instant(micros(now))
	return t, db.change(ctx, entry{by, "token.add", t.ID, nil, t}, func(tx *sql.Tx) error {
		if err := may(tx); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM tokens WHERE expires > 0 AND expires < $1`, micros(now.AddDate(0, 0, -30))); err != nil {
			return fmt.Errorf("removing old tokens: %w", err)
		}
		return insert(ctx, tx, "token", `INSERT INTO tokens (id, user_id, name, hash, scopes, created, expires, last_use, revoked)
			VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0) ON CONFLICT DO NOTHING`,
			t.ID, t.User, t.Name, hex.EncodeToString(hash[:]), joined(t.Scopes), micros(t.Created), micros(t.Expires))
	})
}

// PrincipalByToken finds who a token speaks for, revoked or not, by the hash of its
// secret, and returns the hash as stored.
func (db *DB) PrincipalByToken(ctx context.Context, hash [32]byte) (entitlement.Principal, [32]byte, error) {
	var p entitlement.Principal
	var organisation, name sql.NullString
	var scopes, role, stored string
	var at [8]int64
	err := db.sql.QueryRowContext(ctx, `SELECT t.id, t.user_id, t.name, t.hash, t.scopes, t.created, t.expires, t.last_use, t.revoked,
			u.email, u.role, u.organisation, u.created, u.revoked, o.name, COALESCE(o.created, 0), COALESCE(o.revoked, 0)
		FROM tokens t JOIN users u ON u.id = t.user_id LEFT JOIN organisations o ON o.id = u.organisation
		WHERE t.hash = $1`, hex.EncodeToString(hash[:])).
		Scan(&p.Token.ID, &p.Token.User, &p.Token.Name, &stored, &scopes, &at[0], &at[1], &at[2], &at[3],
			&p.User.Email, &role, &organisation, &at[4], &at[5], &name, &at[6], &at[7])
	if err != nil {
		return p, [32]byte{}, missing("token", err)
	}
	p.Token.Scopes = split(scopes)
	p.Token.Created, p.Token.Expires, p.Token.LastUse, p.Token.Revoked = instant(at[0]), instant(at[1]), instant(at[2]), instant(at[3])
	p.User.ID, p.User.Role, p.User.Organisation = p.Token.User, entitlement.Role(role), organisation.String
	p.User.Created, p.User.Revoked = instant(at[4]), instant(at[5])
	p.Organisation = entitlement.Organisation{ID: organisation.String, Name: name.String, Created: instant(at[6]), Revoked: instant(at[7])}
	var sum [32]byte
	if _, err := hex.Decode(sum[:], []byte(stored)); err != nil {
		return p, sum, fmt.Errorf("token %s: %w", p.Token.ID, err)
	}
	return p, sum, nil
}

// TokenUsed notes the last use of a token.
func (db *DB) TokenUsed(ctx context.Context, id string, at time.Time) error {
	_, err := db.sql.ExecContext(ctx, `UPDATE tokens SET last_use = $1 WHERE id = $2 AND last_use < $1`, micros(at), id)
	if err != nil {
		return fmt.Errorf("noting the use of token %s: %w", id, err)
	}
	return nil
}

// RevokeToken ends a token.
func (db *DB) RevokeToken(ctx context.Context, by entitlement.Actor, id string, at time.Time) error {
	return db.revoke(ctx, by, "token", id, at,
		`UPDATE tokens SET revoked = $1 WHERE id = $2 AND (revoked = 0 OR revoked > $1)`, `SELECT 1 FROM tokens WHERE id = $1`)
}

// UserTokens returns a user's tokens, revoked or not, oldest first.
func (db *DB) UserTokens(ctx context.Context, user string) ([]entitlement.Token, error) {
	return list(ctx, db.sql, "tokens", func(rows *sql.Rows) (entitlement.Token, error) {
		t := entitlement.Token{User: user}
		var scopes string
		var at [4]int64
		err := rows.Scan(&t.ID, &t.Name, &scopes, &at[0], &at[1], &at[2], &at[3])
		t.Scopes, t.Created, t.Expires, t.LastUse, t.Revoked = split(scopes), instant(at[0]), instant(at[1]), instant(at[2]), instant(at[3])
		return t, err
	}, `SELECT id, name, scopes, created, expires, last_use, revoked FROM tokens WHERE user_id = $1 ORDER BY created, id`, user)
}
