package update

import (
	"time"

	"uplevel/internal/api"
	"uplevel/internal/plan"
	"uplevel/internal/release"
)

// Outcome says in one word how an operation ended.
type Outcome string

// The outcomes of operations that end without an error, and of those that end with
// conflicts.
const (
	Done      Outcome = "done"      // committed
	Nothing   Outcome = "nothing"   // there was nothing to do
	Planned   Outcome = "planned"   // only looked
	Prepared  Outcome = "prepared"  // everything but the commit
	Conflicts Outcome = "conflicts" // prepared; the operator must decide first
	Dropped   Outcome = "dropped"   // a pending change was dropped
	Failed    Outcome = "failed"    // see the error
)

// Place is one level of a product version as people see it.
type Place struct {
	Channel string        `json:"channel"`
	Level   int           `json:"level"`
	Name    string        `json:"name"`            // 7.1.0.8, or 7.1.0.8-ACME-hf1 with hotfixes on it
	State   release.State `json:"state,omitempty"` // as the newest trusted metadata say; empty: not listed
	Reason  string        `json:"reason,omitempty"`

	Hotfixes []string `json:"hotfixes,omitempty"` // on the level, in order
}

// UpdateNote is one update gained on the way.
type UpdateNote struct {
	Level          int               `json:"level"`
	ID             int               `json:"id"`
	Type           release.Type      `json:"type"`
	Headline       string            `json:"headline"`
	Description    string            `json:"description,omitempty"`
	Implementation string            `json:"implementation,omitempty"`
	Impact         string            `json:"impact,omitempty"`
	Instructions   string            `json:"instructions,omitempty"`
	BugFixes       map[string]string `json:"bug_fixes,omitempty"`
	Advisories     []string          `json:"advisories,omitempty"`
}

// Freshness says how recent the metadata are that a result rests on.
type Freshness struct {
	Mode      string    `json:"mode"`        // online, carried, or trusted (what was stored before)
	Reference time.Time `json:"reference"`   // the instant the metadata were judged at
	Age       int64     `json:"age_seconds"` // since then; 0 where the clock is behind it
	Role      string    `json:"role"`        // the role that expires first
	Expires   time.Time `json:"expires"`
	Expired   bool      `json:"expired"` // new levels are refused until it is renewed
	Why       string    `json:"why,omitempty"`
}

// Fate says what an update does with the hotfixes that are applied.
type Fate struct {
	Absorbed []string `json:"absorbed"` // a level on the way contains them
	Kept     []string `json:"kept"`     // carried over: they stay on the new level
	Blocking []string `json:"blocking"` // neither: the update is refused
}

// Gain is what lies between two levels.
type Gain struct {
	Security int          `json:"security"` // security updates gained
	Regular  int          `json:"regular"`  // regular updates gained
	Updates  []UpdateNote `json:"updates"`
	Floors   []plan.Floor `json:"floors"`            // passed or reached, each with its reason
	Absorbed []string     `json:"hotfixes_absorbed"` // hotfixes that the levels contain
	Restart  bool         `json:"restart"`           // the product must be restarted
}

// Files are the paths of a change, relative to the product home, sorted. Directories
// are not listed.
type Files struct {
	Added      []string `json:"added"`
	Modified   []string `json:"modified"`
	Removed    []string `json:"removed"`
	Merged     []string `json:"merged"`     // of the added and modified: hold the operator's and the vendor's changes
	Resolved   []string `json:"resolved"`   // of the modified: decided as the same contents were once before
	Conflicts  []string `json:"conflicts"`  // changed by both; not decided
	Decided    []string `json:"decided"`    // were conflicts, and are committed as decided
	Kept       []string `json:"kept"`       // left as it is against the vendor's list
	Absent     []string `json:"absent"`     // removed by the operator, stays removed
	Adopted    []string `json:"adopted"`    // stood there already as wanted
	Hotfixed   []string `json:"hotfixed"`   // of all these: what a hotfix has there, before or after
	Customised []string `json:"customised"` // kept because the operator changed them
	Rescued    []string `json:"rescued"`    // put aside because they appeared during a commit
}

// MergeInfo tells how one file that both sides changed is merged, or could be.
type MergeInfo struct {
	Path        string         `json:"path"`
	How         string         `json:"how"` // "by key (TOML)", "by line", "member by member", "as resolved on 2026-11-24"
	RenamedFrom string         `json:"renamed_from,omitempty"`
	Disputes    []plan.Dispute `json:"disputes,omitempty"` // what could not be merged
	Diff        string         `json:"diff,omitempty"`     // from what is there to what would be; only if asked for
}

// Store is what the installation keeps for going back.
type Store struct {
	Bytes  int64 `json:"bytes"`
	Levels int   `json:"levels"`
}

// Result is what a change did, would do, or waits for.
type Result struct {
	Operation    string        `json:"operation"` // update, plan, prepare, apply, continue, revert
	Outcome      Outcome       `json:"outcome"`
	DryRun       bool          `json:"dry_run,omitempty"`
	Home         string        `json:"home"`
	Product      string        `json:"product"`
	Version      string        `json:"version"`
	From         Place         `json:"from"`
	To           Place         `json:"to"`
	Files        Files         `json:"files"`
	Merges       []MergeInfo   `json:"merges"` // how files that both sides changed are, or could be, merged
	Gain         Gain          `json:"gain"`
	Hotfixes     Fate          `json:"hotfixes"`         // what becomes of those applied
	Hotfix       *HotfixInfo   `json:"hotfix,omitempty"` // that is applied, or taken back
	StoppedAt    *plan.Floor   `json:"stopped_at_floor,omitempty"`
	Download     int64         `json:"download"`  // bytes to fetch, as stored
	DiskNeed     int64         `json:"disk_need"` // bytes that must be free
	DiskFormula  string        `json:"disk_formula,omitempty"`
	Freshness    *Freshness    `json:"freshness,omitempty"` // absent: no metadata were needed
	Messages     []api.Message `json:"messages"`
	History      int           `json:"history,omitempty"` // id of the change, for revert --to
	Back         string        `json:"back,omitempty"`    // command, without the program's name, that goes back
	Store        Store         `json:"store"`
	Backup       string        `json:"backup,omitempty"`
	BackupBytes  int64         `json:"backup_bytes,omitempty"`
	Changelog    string        `json:"changelog,omitempty"`
	Summary      string        `json:"summary,omitempty"`
	CommitMillis int64         `json:"commit_ms,omitempty"`
	Reported     bool          `json:"reported"`
	ReportError  string        `json:"report_error,omitempty"`

	Plan *plan.Plan `json:"-"` // the plan as a value; nil when nothing was planned

	drift bool // customised and absent files were looked for
}

// TemplateData is what --template prints from, as U2 names it.
type TemplateData struct{ Added, Modified, Removed, Conflicts []string }

// Template returns the data for --template.
func (r *Result) Template() TemplateData {
	return TemplateData{
		Added: r.Files.Added, Modified: r.Files.Modified,
		Removed: r.Files.Removed, Conflicts: r.Files.Conflicts,
	}
}

// LevelInfo is one level that could be gone to.
type LevelInfo struct {
	Level     int           `json:"level"`
	Name      string        `json:"name"`
	State     release.State `json:"state"`
	Type      release.Type  `json:"type"`
	Title     string        `json:"title,omitempty"`
	Security  int           `json:"security"`
	Regular   int           `json:"regular"`
	Floor     string        `json:"floor,omitempty"` // reason
	Tested    string        `json:"tested,omitempty"`
	Published time.Time     `json:"published"`
}

// CheckResult says what could be gone to.
type CheckResult struct {
	Home      string        `json:"home"`
	Product   string        `json:"product"`
	Version   string        `json:"version"`
	From      Place         `json:"from"`
	Latest    Place         `json:"latest"`
	Levels    []LevelInfo   `json:"levels"`   // above the installed one, ascending
	Security  int           `json:"security"` // updates gained by going to the latest
	Regular   int           `json:"regular"`
	Floors    []plan.Floor  `json:"floors"`
	Absorbed  []string      `json:"hotfixes_absorbed"`
	Hotfixes  Fate          `json:"hotfixes"`  // what going to the latest does with those applied
	Available []HotfixInfo  `json:"available"` // hotfixes for the organisation that fit here and are not applied
	Download  int64         `json:"download"`  // bytes to fetch for the latest, as stored
	Withdrawn *plan.Floor   `json:"installed_withdrawn,omitempty"`
	Tool      ToolInfo      `json:"tool"`
	Pending   *PendingInfo  `json:"pending,omitempty"`
	Freshness Freshness     `json:"freshness"`
	Messages  []api.Message `json:"messages"`
}

// PendingInfo is a prepared change that waits.
type PendingInfo struct {
	Operation  string   `json:"operation"`
	To         Place    `json:"to"`
	Conflicts  []string `json:"conflicts"`
	Unresolved []string `json:"unresolved"`
}

// ConflictInfo is one conflict of a pending change.
type ConflictInfo struct {
	Path     string         `json:"path"`
	Why      string         `json:"why"`
	Resolved string         `json:"resolved,omitempty"` // mine, theirs, file or final; empty: not yet
	Original string         `json:"original,omitempty"` // side files, relative to the home
	New      string         `json:"new,omitempty"`
	Final    string         `json:"final"`              // what the operator may write
	How      string         `json:"how,omitempty"`      // how all else in the file is merged; empty: the file is taken as a whole
	Disputes []plan.Dispute `json:"disputes,omitempty"` // what is asked for; empty: the file as a whole
	Diff     string         `json:"diff,omitempty"`     // the vendor's change; only if asked for
}

// ConflictsResult lists the conflicts of the pending change.
type ConflictsResult struct {
	Product    string         `json:"product"`
	Version    string         `json:"version"`
	From       Place          `json:"from"`
	To         Place          `json:"to"`
	Conflicts  []ConflictInfo `json:"conflicts"`
	Unresolved int            `json:"unresolved"`
}

// ModeDifference is a path whose permission bits are not the listed ones.
type ModeDifference struct {
	Path string `json:"path"`
	Have string `json:"have"` // octal
	Want string `json:"want"`
}

// Damage is something the tool itself keeps that is not as it must be.
type Damage struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// VerifyResult is every file against the signed manifest.
type VerifyResult struct {
	Home       string           `json:"home"`
	Product    string           `json:"product"`
	Version    string           `json:"version"`
	At         Place            `json:"at"`
	Pristine   int              `json:"pristine"`
	Hotfixed   []string         `json:"hotfixed"` // as an applied hotfix has them
	Customised []string         `json:"customised"`
	Merged     []string         `json:"merged"` // as the tool merged them from the vendor's and the operator's changes
	Missing    []string         `json:"missing"`
	Generated  []string         `json:"generated"` // differ or lack by the vendor's rule
	Foreign    []string         `json:"foreign"`
	Modes      []ModeDifference `json:"modes"`
	Faults     []Fault          `json:"faults"`  // damaged rather than changed by someone
	Damaged    []Damage         `json:"damaged"` // of what the tool itself keeps
	records    []Damage         // of them those that no repair fetches
	Repair     *RepairInfo      `json:"repair,omitempty"`
	Pending    *PendingInfo     `json:"pending,omitempty"`
	Freshness  *Freshness       `json:"freshness,omitempty"`
	Messages   []api.Message    `json:"messages"`

	Standing *Standing `json:"-"` // for the report; nil: the comparison did not come to its end
}

// StateResult is what is installed.
type StateResult struct {
	Home     string   `json:"home"`
	Product  string   `json:"product"`
	Version  string   `json:"version"`
	At       Place    `json:"at"`
	Hotfixes []string `json:"hotfixes"` // applied, in order

	Organisation *Organisation `json:"organisation,omitempty"` // whose the installation is; absent: not known
	Messages     []api.Message `json:"messages"`

	Pending    *PendingInfo `json:"pending,omitempty"`
	LastUpdate *ChangeInfo  `json:"last_update,omitempty"`
	Store      Store        `json:"store"`
	Freshness  *Freshness   `json:"freshness,omitempty"`
}

// ChangeInfo is one entry of the history.
type ChangeInfo struct {
	ID       int       `json:"id"`
	Kind     string    `json:"kind"`
	Time     time.Time `json:"time"`
	From     Place     `json:"from"`
	To       Place     `json:"to"`
	User     string    `json:"user"`
	Outcome  string    `json:"outcome"`
	Added    int       `json:"added"`
	Modified int       `json:"modified"`
	Removed  int       `json:"removed"`
	Files    *Files    `json:"files,omitempty"` // only when one entry is shown
}

// HistoryResult is every change, the oldest first.
type HistoryResult struct {
	Home    string       `json:"home"`
	Product string       `json:"product"`
	Version string       `json:"version"`
	Changes []ChangeInfo `json:"changes"`
}

// RecoverResult says what was found and done.
type RecoverResult struct {
	Home    string   `json:"home"`
	Outcome string   `json:"outcome"` // clean, completed, undone
	At      Place    `json:"at"`
	Rescued []string `json:"rescued"`
}
