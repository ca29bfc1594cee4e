// Package sqlstore keeps every Store of the service in an SQL database through
// database/sql. There is one SQL text for all engines: $n, ON CONFLICT, RETURNING,
// times as BIGINT microseconds of Unix time (0: not set), identifiers made by the
// program. Today it runs on the embedded SQLite; PostgreSQL will run the same text.
// Every change writes its audit entry in the same transaction. Described in
// docs/design/service.md.
//
// What is not there is [fs.ErrNotExist]; a name that is taken is [fs.ErrExist]. Methods
// of *DB, by group; consumers define the small interface that they need:
//
//	Accounts      AddOrganisation(ctx, by entitlement.Actor, name string) (entitlement.Organisation, error)
//	              OrganisationByName(ctx, name string) (entitlement.Organisation, error)
//	              RevokeOrganisation(ctx, by, id string, at time.Time) error
//	              AddUser(ctx, by, u entitlement.User, passwordHash string) (entitlement.User, error) // ID and Created are set
//	              SetPassword(ctx, by, user, passwordHash string) error
//	              RevokeUser(ctx, by, id string, at time.Time) error
//	              UserByEmail(ctx, email string) (entitlement.User, passwordHash string, error)
//	              LoginFailures, LoginFailed, LoginSucceeded // slow-down: access.Accounts
//	Tokens        AddToken(ctx, by, t entitlement.Token, hash [32]byte) (entitlement.Token, error) // ID and Created are set
//	              AddLogin(ctx, by, t entitlement.Token, hash [32]byte, password string) (entitlement.Token, error)
//	              PrincipalByToken(ctx, hash [32]byte) (entitlement.Principal, stored [32]byte, error)
//	              UserTokens(ctx, user string) ([]entitlement.Token, error)
//	              TokenUsed(ctx, id string, at time.Time) error
//	              RevokeToken(ctx, by, id string, at time.Time) error
//	Subscriptions AddSubscription(ctx, by, s entitlement.Subscription) (entitlement.Subscription, error)
//	              RevokeSubscription(ctx, by, id string, at time.Time) error
//	              Subscriptions(ctx, organisation string) ([]entitlement.Subscription, error)
//	EULA          AddEULA(ctx, by, e entitlement.EULA) error
//	              EULAs(ctx) ([]entitlement.EULA, error)
//	              Acceptances(ctx, organisation string) ([]entitlement.Acceptance, error)
//	              AcceptEULA(ctx, by, a entitlement.Acceptance) error
//	              (Subscriptions, EULAs, Acceptances and AcceptEULA are entitlement.Store)
//	Metadata      MetadataFile(ctx, file string) ([]byte, error) // "timestamp.json", "3.root.json"; current files, and every root
//	              MetadataFiles(ctx) ([]string, error)           // names that MetadataFile knows, sorted
//	              ChangeMetadata(ctx, fn func(repo online.Repository) error) error // one transaction; renews the catalogue too
//	Catalogue     Products(ctx) ([]string, error)
//	              Lines(ctx, product string) ([]release.Line, error)
//	              Levels(ctx, line release.Line) ([]release.Published, error) // ascending, every state
//	              Level(ctx, line release.Line, level int) (release.Published, error)
//	Hotfixes      OrganisationByID(ctx, id string) (entitlement.Organisation, error)
//	              AddHotfix(ctx, by, h hotfix.Published) error // a name that is taken: fs.ErrExist
//	              Hotfix(ctx, product, version, name string) (hotfix.Published, error)
//	              Hotfixes(ctx, line release.Line, organisation string) ([]hotfix.Published, error) // "": of all
//	Reports       AddReports(ctx, organisation string, reports []fleet.Told) ([]fleet.Fate, error)
//	              Installations(ctx, q fleet.Query) ([]fleet.Installation, error) // fleet.Store
//	Settings      Vendor(ctx) (api.Vendor, error)
//	              SetVendor(ctx, by, v api.Vendor) error
//	              Sealed(ctx, name string) ([]byte, error)
//	              PutSealed(ctx, name string, sealed []byte) ([]byte, error) // keeps the first; returns what is kept
//	Audit         Changes(ctx, after int64, limit int) ([]entitlement.Change, error)
//	Life          Open(ctx, Options) (*DB, error), Migrate(ctx) error, Ready(ctx) error, Close() error
//
// Logging in and tokens are in entitlement/access, over this store:
//
//	access.Door.Login(ctx, email, password, address string) (secret string, t entitlement.Token, err error) // *problem.Error Credentials
//	access.Door.Principal(ctx, secret string) (entitlement.Principal, error)                                // *problem.Error Credentials
//
// and what a principal may do is asked of entitlement: Principal.May, Rules.For,
// Grant.Level, Rules.EULA, Rules.Accept.
package sqlstore
