package update

import (
	"context"
	"io"
	"time"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/release"
)

// Home is the installation on disk as the updater uses it; package install is behind it.
type Home interface {
	Installation
	Contents
	Readable
	Keeper
	Changer
}

// Inspection is what stands in the home, and what is wrong with it in itself.
type Inspection struct {
	Tree       manifest.Tree            // a file that cannot be read has no digest
	Unreadable map[string]error         // files whose content the disk does not give
	Recorded   map[string]digest.Digest // content under the same stat record when it was last looked at
}

// Belonging is whose an installation is.
type Belonging interface {
	// Organisation returns it; zero while it is not known.
	Organisation() (Organisation, error)
	// Learn keeps it. The home must be locked.
	Learn(o Organisation) error
}

// Organisation is whose an installation is, as the service told it.
type Organisation struct {
	ID   string `json:"id"`             // opaque
	Name string `json:"name,omitempty"` // as it stands in names of hotfixes; empty: not known
}

// Readable gives what files hold.
type Readable interface {
	// Moved reports whether another tool changes the installation, or did since it was read.
	Moved() bool
	// OpenFile opens the plain file at path; a link is not followed out of the home.
	OpenFile(path string) (io.ReadCloser, error)
	// OpenChoice opens what a choice on a conflict of the prepared change would put there:
	// the operator's or, with theirs, the vendor's side, with all that could be merged.
	OpenChoice(path string, theirs bool) (io.ReadCloser, error)
	// Inspect returns what stands at paths, hashing every file, and goes on where the disk
	// does not give a file's content; with remember it keeps the stat records.
	Inspect(ctx context.Context, paths []string, remember bool) (Inspection, error)
}

// Keeper keeps what serves later: decisions, what was replaced, whose the product is.
type Keeper interface {
	Belonging
	// Decided returns what was decided before about conflicts, the newest first.
	Decided() ([]Decision, error)
	// Import takes over decisions made elsewhere; content opens their results.
	Import(made []Decision, content func(release.Ref) (io.ReadCloser, error)) error
	// Free removes what is kept for going back over more than keep levels, and returns
	// the bytes; with look it only counts.
	Free(keep int, look bool) (int64, error)
	// CheckRecords returns which of the history and config.json is not as the state says.
	CheckRecords() []Damage
}

// Installation is what an installation is and was.
type Installation interface {
	Dir() string // absolute path of the product home
	State() State
	History() ([]Change, error)
	// Lock keeps other tools away, or is refused naming the holder.
	Lock() (unlock func() error, err error)
	// Recover completes or undoes an open commit. The home must be locked.
	Recover(context.Context) (Recovery, error)
}

// Contents is what lies in the home.
type Contents interface {
	// Look returns what stands at paths; nothing is followed out of the home. With
	// remember, hashes of unchanged files are taken from the scan cache and kept there.
	Look(ctx context.Context, paths []string, remember bool) (manifest.Tree, error)
	// OpenObject returns verified content of the store, or an fs.ErrNotExist.
	OpenObject(ref release.Ref) (io.ReadCloser, error)
	// Store says how much is kept for going back.
	Store() (Store, error)
	// CheckStore returns which of the things that the tool keeps are damaged.
	CheckStore(context.Context) ([]Damage, error)
	// Open reports whether a commit was cut and needs recovering.
	CommitOpen() bool
}

// Changer changes the home.
type Changer interface {
	// DiskNeed returns the bytes that must be free for a plan, and how it is computed.
	DiskNeed(p *plan.Plan, x Extra) (bytes int64, formula string, err error)
	// Check refuses, as Prepare would, without writing.
	Check(p *plan.Plan, x Extra) error
	Prepare(ctx context.Context, p *plan.Plan, src Source, x Extra) error
	Commit(context.Context) (Committed, error)
	Waiting
}

// Waiting is the prepared change, if there is one.
type Waiting interface {
	// Pending returns it, or an error that is fs.ErrNotExist.
	Pending() (Pending, error)
	Resolve(path string, choice Resolution) error
	Discard() error
}

// Source gives verified content.
type Source interface {
	Open(ref release.Ref) (io.ReadCloser, error)
}

// State is what is installed.
type State struct {
	Product, Version, Channel string
	Level                     int
	Record                    release.Ref    // zero when taken over from a tool that kept none
	Pack                      string         // id of the pack
	Hotfixes                  []plan.Applied // in order
	Others                    []string       // that another tool applied: names, nothing more is known
	Copy                      string         // of the whole product, that another tool made; empty: none is known
}

// Line returns the installed line.
func (s State) Line() release.Line {
	return release.Line{Product: s.Product, Version: s.Version, Channel: s.Channel}
}

// point returns where the installation stands.
func (s State) point() plan.Point {
	return plan.Point{Channel: s.Channel, Level: s.Level, Record: s.Record, Hotfixes: s.Hotfixes}
}

// Extra is what comes with a plan into the same commit.
type Extra struct {
	Record    []byte            // release record of the wanted level; its manifest and notes are stored too
	Manifest  []byte            // canonical text
	Notes     []byte            // canonical JSON; nil: none, or what there is already
	Former    [][]byte          // record and manifest of the level gone from, where the home keeps none yet
	Hotfixes  [][]byte          // payloads of the hotfixes on it, in order
	Rules     release.Rules     // of the wanted level
	Documents map[string][]byte // Markdown beside the state, by file name
	User      string            // for the history
	Keep      int               // levels to keep for going back
	NoBackup  bool              // keep no pristine content that is replaced
	Backup    string            // folder for a full copy; "" is none
	Hold      bool              // keep the prepared change for a later command
	Damaged   []string          // paths of objects in the store that go, or come anew
	Renew     []release.Ref     // of those: what the source has
}

// Pending is a prepared change.
type Pending struct {
	Plan      *plan.Plan
	Resolved  map[string]string // path → mine, theirs, file or final
	Documents []string          // names of documents that come with it
}

// Committed says what a commit did beyond its plan.
type Committed struct {
	ID          int // of the history entry
	Rescued     []string
	Store       Store
	Backup      string
	BackupBytes int64
	Duration    time.Duration
}

// Recovery says what a recovery found.
type Recovery struct {
	Outcome string // clean, completed or undone
	Rescued []string
}

// Change is one entry of the history.
type Change struct {
	ID       int
	Kind     plan.Kind
	RevertTo int // a revert: the oldest change that it took back
	Time     time.Time
	From, To plan.Point
	User     string
	Outcome  string
	Files    []FileChange
}

// Decision is what was decided once about one conflict: of these contents, that one.
type Decision struct {
	Path               string
	Base, Mine, Theirs digest.Digest // Base is zero where both sides added the file
	Result             release.Ref
	Time               time.Time
	User               string
}

// FileChange is what a change did at one path.
type FileChange struct {
	Path          string
	Before, After *manifest.Entry
	Customised    bool
	Why           string // merged, resolved, renamed, … as the plan said
}
