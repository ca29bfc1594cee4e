package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"uplevel/internal/entitlement"
	"uplevel/internal/entitlement/access"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/sqlstore"
	"uplevel/internal/trust"
)

// tokenDays is how long a token lives unless set otherwise.
const tokenDays = 365

func (p *program) adminCommand() *cobra.Command {
	return group("admin", "Organisations, users, subscriptions, tokens, EULA, keys, vendor",
		group("organisation", "Customers", p.organisationAdd(), p.organisationRevoke()),
		group("user", "People and service accounts", p.userAdd(), p.userRevoke()),
		group("subscription", "What an organisation may have", p.subscriptionAdd(), p.subscriptionRevoke()),
		group("token", "Access for programs", p.tokenAdd(), p.tokenRevoke()),
		group("installation", "What installations reported", p.installationList()),
		group("eula", "Licence text", p.eulaAdd()),
		group("online-keys", "Keys that the service signs snapshot and timestamp with", p.onlineKeysReplace()),
		group("vendor", "What the service says of its vendor", p.vendorSet()),
	)
}

// onDatabase makes the body of a command that works on the database of a service, which may
// run or not.
func (p *program) onDatabase(body func(ctx context.Context, db *sqlstore.DB, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		db, err := p.openDatabase(cmd.Context())
		if err != nil {
			return err
		}
		return errors.Join(body(cmd.Context(), db, args), db.Close())
	}
}

func (p *program) done(format string, args ...any) {
	fmt.Fprintf(p.stdout, format+"\n", args...)
}

func (p *program) organisationAdd() *cobra.Command {
	return &cobra.Command{
		Use: "add NAME", Short: "Add a customer", Args: exactly("NAME"),
		RunE: p.onDatabase(func(ctx context.Context, db *sqlstore.DB, args []string) error {
			o, err := db.AddOrganisation(ctx, p.actor(), args[0])
			if err != nil {
				return err
			}
			p.done("organisation %s is %s", o.Name, o.ID)
			return nil
		}),
	}
}

func (p *program) organisationRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME", Short: "End a customer's access at once", Args: exactly("NAME"),
		RunE: p.onDatabase(func(ctx context.Context, db *sqlstore.DB, args []string) error {
			o, err := db.OrganisationByName(ctx, args[0])
			if err != nil {
				return err
			}
			if err := db.RevokeOrganisation(ctx, p.actor(), o.ID, p.now()); err != nil {
				return err
			}
			p.done("organisation %s is revoked", o.Name)
			return nil
		}),
	}
}

func (p *program) userAdd() *cobra.Command {
	var organisation, role string
	var fromStdin bool
	cmd := &cobra.Command{Use: "add EMAIL", Short: "Add a user; without --organisation one of the vendor's staff", Args: exactly("EMAIL")}
	cmd.Flags().StringVar(&organisation, "organisation", "", "the customer the user belongs to")
	cmd.Flags().StringVar(&role, "role", "", "operator, security, organisation-admin; release-engineer, subscription-manager, support, administrator")
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password from standard input; without it the user has tokens only")
	cmd.RunE = p.onDatabase(func(ctx context.Context, db *sqlstore.DB, args []string) error {
		if err := needs(cmd, "role"); err != nil {
			return err
		}
		u := entitlement.User{Email: args[0], Role: entitlement.Role(role)}
		if organisation != "" {
			o, err := db.OrganisationByName(ctx, organisation)
			if err != nil {
				return err
			}
			u.Organisation = o.ID
		}
		return p.addUser(ctx, db, u, fromStdin)
	})
	return cmd
}

func (p *program) addUser(ctx context.Context, db *sqlstore.DB, u entitlement.User, fromStdin bool) error {
	email, err := entitlement.CheckEmail(u.Email)
	if err != nil {
		return usage(err)
	}
	if err := entitlement.CheckRole(u.Role, u.Organisation != ""); err != nil {
		return usage(err)
	}
	hash := ""
	if fromStdin {
		password, err := p.readPassword()
		if err != nil {
			return err
		}
		if hash, err = hashPassword(ctx, email, password); err != nil {
			return err
		}
	}
	if u, err = db.AddUser(ctx, p.actor(), u, hash); err != nil {
		return err
	}
	p.done("user %s is %s", u.Email, u.ID)
	return nil
}

func hashPassword(ctx context.Context, email, password string) (string, error) {
	if err := access.CheckPassword(email, password); err != nil {
		return "", usage(err)
	}
	return access.NewHasher(1).Hash(ctx, password)
}

// readPassword reads standard input and drops exactly one line end.
func (p *program) readPassword() (string, error) {
	data, err := io.ReadAll(io.LimitReader(p.stdin, access.MaxPassword+3))
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	text, cut := strings.CutSuffix(string(data), "\n")
	if cut {
		text = strings.TrimSuffix(text, "\r")
	}
	return text, nil
}

func usage(err error) error {
	return problem.New(problem.Usage, "correct it and run the command again", "%w", err)
}

func (p *program) userRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke EMAIL", Short: "End a user's access at once", Args: exactly("EMAIL"),
		RunE: p.onDatabase(func(ctx context.Context, db *sqlstore.DB, args []string) error {
			u, err := p.user(ctx, db, args[0])
			if err != nil {
				return err
			}
			if err := db.RevokeUser(ctx, p.actor(), u.ID, p.now()); err != nil {
				return err
			}
			p.done("user %s is revoked", u.Email)
			return nil
		}),
	}
}

func (p *program) user(ctx context.Context, db *sqlstore.DB, email string) (entitlement.User, error) {
	u, _, err := db.UserByEmail(ctx, email)
	if isNotExist(err) {
		return u, problem.New(problem.Failed, "upleveld admin user add", "there is no user %.80q", email)
	}
	return u, err
}

func (p *program) tokenAdd() *cobra.Command {
	var email, name, until string
	var scopes []string
	cmd := &cobra.Command{Use: "add", Short: "Make a token; prints it, nothing else, once", Args: exactly()}
	cmd.Flags().StringVar(&email, "user", "", "whose token it is")
	cmd.Flags().StringVar(&name, "name", "", "what it is for")
	cmd.Flags().StringArrayVar(&scopes, "scope", nil, "update, report or publish; without it all that the user's role has")
	cmd.Flags().StringVar(&until, "until", "", "last day, YYYY-MM-DD (default: in 365 days)")
	cmd.RunE = p.onDatabase(func(ctx context.Context, db *sqlstore.DB, _ []string) error {
		if err := needs(cmd, "user", "name"); err != nil {
			return err
		}
		u, err := p.user(ctx, db, email)
		if err != nil {
			return err
		}
		t := entitlement.Token{User: u.ID, Name: name, Scopes: scopes, Expires: p.now().AddDate(0, 0, tokenDays)}
		if until != "" {
			if t.Expires, err = entitlement.EndOfDay(until); err != nil {
				return usage(err)
			}
		}
		for _, scope := range scopes {
			if err := entitlement.CheckScope(scope); err != nil {
				return usage(err)
			}
		}
		secret, _, err := p.door(db, nil).NewToken(ctx, p.actor(), t)
		if err != nil {
			return err
		}
		p.done("%s", secret)
		return nil
	})
	return cmd
}

func (p *program) tokenRevoke() *cobra.Command {
	var email, name string
	cmd := &cobra.Command{Use: "revoke", Short: "End a user's tokens of that name at once", Args: exactly()}
	cmd.Flags().StringVar(&email, "user", "", "whose token it is")
	cmd.Flags().StringVar(&name, "name", "", "the token's name")
	cmd.RunE = p.onDatabase(func(ctx context.Context, db *sqlstore.DB, _ []string) error {
		if err := needs(cmd, "user", "name"); err != nil {
			return err
		}
		u, err := p.user(ctx, db, email)
		if err != nil {
			return err
		}
		tokens, err := db.UserTokens(ctx, u.ID)
		if err != nil {
			return err
		}
		n := 0
		for _, t := range tokens {
			if t.Name == name && t.Revoked.IsZero() {
				n++
				if err := db.RevokeToken(ctx, p.actor(), t.ID, p.now()); err != nil {
					return err
				}
			}
		}
		if n == 0 {
			return problem.New(problem.Failed, "look at the name", "%s has no token named %.80q", u.Email, name)
		}
		p.done("%d revoked", n)
		return nil
	})
	return cmd
}

func (p *program) eulaAdd() *cobra.Command {
	var version, from string
	cmd := &cobra.Command{Use: "add FILE", Short: "Put a licence text in force", Args: exactly("FILE")}
	cmd.Flags().StringVar(&version, "version", "", "the text's version")
	cmd.Flags().StringVar(&from, "required-from", "", "day from which it must be accepted, YYYY-MM-DD (default: it reminds only)")
	cmd.RunE = p.onDatabase(func(ctx context.Context, db *sqlstore.DB, args []string) error {
		if err := needs(cmd, "version"); err != nil {
			return err
		}
		text, err := readBounded(args[0], 1<<20)
		if err != nil {
			return err
		}
		e := entitlement.EULA{Version: version, Text: string(text)}
		if from != "" {
			if e.RequiredFrom, err = time.Parse(time.DateOnly, from); err != nil {
				return usage(fmt.Errorf("--required-from %.40q: want YYYY-MM-DD", from))
			}
		}
		if err := db.AddEULA(ctx, p.actor(), e); err != nil {
			return err
		}
		p.done("EULA %s is in force", version)
		return nil
	})
	return cmd
}

func (p *program) vendorSet() *cobra.Command {
	cmd := &cobra.Command{Use: "set", Short: "Change what the service says of its vendor", Args: exactly()}
	for name, says := range map[string]string{
		"name": "the vendor's name", "support-url": "where customers get help",
		"security-contact": "where weaknesses are reported", "portal-url": "the Updates Portal",
		"minimum-tool": "oldest version of the update tool that may go on, such as 1.4.0; an empty one ends the demand",
	} {
		cmd.Flags().String(name, "", says)
	}
	cmd.RunE = p.onDatabase(func(ctx context.Context, db *sqlstore.DB, _ []string) error {
		v, err := db.Vendor(ctx)
		if err != nil {
			return err
		}
		n := 0
		for name, field := range map[string]*string{
			"name": &v.Name, "support-url": &v.SupportURL,
			"security-contact": &v.SecurityContact, "portal-url": &v.PortalURL, "minimum-tool": &v.MinimumTool,
		} {
			if f := cmd.Flags().Lookup(name); f.Changed {
				n++
				*field = f.Value.String()
			}
		}
		if n == 0 {
			return usage(errors.New("vendor set wants --name, --support-url, --security-contact, --portal-url or --minimum-tool"))
		}
		if err := mayDemand(ctx, db, v.MinimumTool); err != nil {
			return err
		}
		if err := db.SetVendor(ctx, p.actor(), v); err != nil {
			return err
		}
		p.done("vendor set")
		return nil
	})
	return cmd
}

// mayDemand refuses a version of the update tool that nobody can have: every tool would
// refuse to go on, and none could renew itself.
func mayDemand(ctx context.Context, db *sqlstore.DB, minimum string) error {
	if minimum == "" {
		return nil
	}
	if err := release.CheckToolVersion(minimum); err != nil {
		return usage(err)
	}
	data, err := db.CurrentMetadata(ctx, trust.RoleTool)
	if err != nil && !isNotExist(err) {
		return err
	}
	var tools []release.Tool
	if err == nil {
		if tools, err = trust.ToolPrograms(data); err != nil {
			return err
		}
	}
	for _, t := range tools {
		if release.CompareTools(t.Version, minimum) >= 0 {
			return nil
		}
	}
	return problem.New(problem.Refused, "publish it first: uplevel-publish tools --publish", "no update tool %s or newer is published", minimum)
}

func (p *program) migrateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "migrate", Short: "Bring the database to the schema of this program", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			db, err := p.makeDatabase(cmd.Context(), nil)
			if err != nil {
				return err
			}
			schema, err := db.Schema(cmd.Context())
			if err == nil {
				p.done("the database has schema %d", schema)
			}
			return errors.Join(err, db.Close())
		},
	}
}
