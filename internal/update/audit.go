package update

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/release"
)

// AuditFormat is the version of the form of an [Audit].
const AuditFormat = 1

// Standing is what a comparison found, for a report.
type Standing struct {
	Record, Manifest release.Ref
	Hotfixes         []plan.Applied
	Files            int // listed by the level and its hotfixes, folders left out
	Differences      []Difference
	Before           *Standing // before a repair; nil: none was made
}

func (r *VerifyResult) stand(c comparison) {
	if c.at.ref.Sum.IsZero() {
		return
	}
	p := c.at.point()
	s := &Standing{Record: p.Record, Manifest: p.Manifest, Hotfixes: p.Hotfixes, Differences: c.all}
	for _, e := range c.at.tree.Entries() {
		if e.Kind != manifest.Dir {
			s.Files++
		}
	}
	r.Standing = s
}

// Audit is what a comparison of an installation with what the vendor signed found, for
// people who have to prove it. It holds no credentials, and no host unless asked for.
type Audit struct {
	Format     int         `json:"format"` // 1
	Made       time.Time   `json:"made"`
	Tool       string      `json:"tool"`
	System     string      `json:"system"`
	Host       string      `json:"host,omitempty"`
	User       string      `json:"user,omitempty"` // who ran it
	Home       string      `json:"home"`
	Product    string      `json:"product"`
	Version    string      `json:"version"`
	At         Place       `json:"at"`
	Signed     AuditBasis  `json:"signed"` // what the files were compared with
	Counts     AuditCounts `json:"counts"`
	Verdict    string      `json:"verdict"` // whole, customised, damaged or incomplete
	Conclusion string      `json:"conclusion"`

	Differences []AuditDifference `json:"differences"` // as it stands now
	Before      []AuditDifference `json:"before"`      // as it stood before the repair, where one was made
	Kept        []Damage          `json:"kept"`        // what of the tool's own is damaged
	Repair      *RepairInfo       `json:"repair,omitempty"`
	Foreign     []string          `json:"foreign"` // paths that no manifest lists
	Error       string            `json:"error,omitempty"`
}

// AuditBasis is the signed state that was compared with.
type AuditBasis struct {
	Record   release.Ref    `json:"record"`
	Manifest release.Ref    `json:"manifest"`
	Hotfixes []plan.Applied `json:"hotfixes"` // on the level, in order, each with its signed record's digest
	Root     string         `json:"root_fingerprint,omitempty"`
	Listed   bool           `json:"listed"` // trusted metadata list the level with this record
	Metadata *Freshness     `json:"metadata,omitempty"`
}

// AuditCounts are the numbers of paths.
type AuditCounts struct {
	Listed     int `json:"listed"`
	AsSigned   int `json:"as_signed"`
	Hotfixed   int `json:"hotfixed"` // of those as signed: by a hotfix
	Customised int `json:"customised"`
	Merged     int `json:"merged"`
	Generated  int `json:"generated"` // left to the product by the vendor's rules
	Missing    int `json:"missing"`
	Damaged    int `json:"damaged"`
	Modes      int `json:"modes"` // of those as signed, and of folders: other permissions that hurt nobody
	Foreign    int `json:"foreign"`
	Restored   int `json:"restored"`
}

// AuditDifference is one path with what stands there and what is signed.
type AuditDifference struct {
	Path   string          `json:"path"`
	State  string          `json:"state"`
	Why    string          `json:"why,omitempty"`
	Stands *manifest.Entry `json:"stands,omitempty"` // absent: nothing
	Signed manifest.Entry  `json:"signed"`
}

// Audit makes the report of a comparison that ended with err, or without.
func (u *Updater) Audit(res VerifyResult, err error) Audit {
	a := Audit{
		Format: AuditFormat, Made: u.Now().UTC().Truncate(time.Second), Tool: u.Tool, System: u.System, Host: u.Host, User: u.User,
		Home: res.Home, Product: res.Product, Version: res.Version, At: res.At,
		Differences: []AuditDifference{}, Before: []AuditDifference{}, Kept: res.Damaged, Repair: res.Repair, Foreign: res.Foreign,
		Signed: AuditBasis{Hotfixes: []plan.Applied{}, Metadata: res.Freshness},
	}
	if err != nil {
		a.Error = err.Error()
	}
	if view, _ := u.trusted(u.Home.State().Line()); view != nil {
		a.Signed.Root = view.RootFingerprint()
		listed, err := view.Level(u.Home.State().Line(), res.At.Level)
		a.Signed.Listed = err == nil && res.Standing != nil && listed.Record == res.Standing.Record
	}
	a.fill(res)
	a.conclude(res)
	return a
}

func (a *Audit) fill(res VerifyResult) {
	s := res.Standing
	if s == nil {
		return
	}
	a.Signed.Record, a.Signed.Manifest = s.Record, s.Manifest
	a.Signed.Hotfixes = append(a.Signed.Hotfixes, s.Hotfixes...)
	a.Differences = append(a.Differences, differences(s)...)
	if s.Before != nil {
		a.Before = append(a.Before, differences(s.Before)...)
	}
	a.Counts = AuditCounts{
		Listed: s.Files, AsSigned: res.Pristine + len(res.Hotfixed), Hotfixed: len(res.Hotfixed), Customised: len(res.Customised),
		Merged: len(res.Merged), Generated: len(res.Generated), Missing: len(res.Missing), Damaged: len(res.Faults), Foreign: len(res.Foreign),
	}
	for _, d := range s.Differences {
		if d.State == IsMode {
			a.Counts.Modes++
		}
	}
	if res.Repair != nil && res.Repair.Outcome == Done {
		a.Counts.Restored = len(res.Repair.Restored)
	}
}

func differences(s *Standing) []AuditDifference {
	var out []AuditDifference
	for _, d := range s.Differences {
		out = append(out, AuditDifference{Path: d.Path, State: d.State, Why: d.Why, Stands: d.Have, Signed: d.Want})
	}
	return out
}

// The verdicts.
const (
	VerdictWhole      = "whole"
	VerdictCustomised = "customised"
	VerdictDamaged    = "damaged"
	VerdictIncomplete = "incomplete"
)

// conclude says in words what was found.
func (a *Audit) conclude(res VerifyResult) {
	c := a.Counts
	level := fmt.Sprintf("%s-%s, level %s", a.Product, a.Version, a.At.Name)
	switch {
	case res.Standing == nil:
		a.Verdict = VerdictIncomplete
		a.Conclusion = "The installation could not be compared with what the vendor signed. Nothing can be said of it."
		return
	case c.Damaged+len(a.Kept) > 0 || res.Repair != nil && len(res.Repair.Unrestored) > 0:
		a.Verdict = VerdictDamaged
		a.Conclusion = fmt.Sprintf("The installation is not what the vendor signed as %s: %d files are damaged, and %d of the things that the tool keeps.", level, c.Damaged, len(a.Kept))
	case c.Customised+c.Merged+c.Missing+c.Generated+c.Modes > 0:
		a.Verdict = VerdictCustomised
		a.Conclusion = fmt.Sprintf("Nothing is damaged. %d of %d files are exactly what the vendor signed as %s; %d were changed here, %d are missing, all others are listed.",
			c.AsSigned, c.Listed, level, c.Customised+c.Merged, c.Missing)
	default:
		a.Verdict = VerdictWhole
		a.Conclusion = fmt.Sprintf("Every one of the %d files is exactly what the vendor signed as %s.", c.Listed, level)
	}
	if c.Restored > 0 {
		a.Conclusion += fmt.Sprintf(" A repair brought back %d things; it is change #%d of the history.", c.Restored, res.Repair.History)
	}
	if !a.Signed.Listed {
		a.Conclusion += " No trusted metadata confirm that the vendor lists this level with this record."
	}
	if f := a.Signed.Metadata; f != nil && f.Expired {
		a.Conclusion += " The trusted metadata had expired."
	}
}

// Text is the report for people.
func (a Audit) Text() []byte {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-18s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "VERIFICATION OF AN INSTALLATION\n\n%s\n\n", a.Conclusion)
	line("Verdict", "%s", a.Verdict)
	line("Made", "%s by uplevel %s on %s", a.Made.Format(time.RFC3339), a.Tool, a.System)
	line("Run by", "%s", strings.TrimSpace(a.User+map[bool]string{true: " on " + a.Host}[a.Host != ""]))
	line("Installation", "%s", onOneLine(a.Home))
	line("Product", "%s-%s, level %s, channel %s", a.Product, a.Version, a.At.Name, a.At.Channel)
	line("Signed record", "sha256:%s", a.Signed.Record.Sum)
	line("Signed manifest", "sha256:%s", a.Signed.Manifest.Sum)
	for _, h := range a.Signed.Hotfixes {
		line("Hotfix", "%s, signed record sha256:%s", h.Name, h.Record.Sum)
	}
	line("Trusted root", "%s", orElse(a.Signed.Root, "(none)"))
	if f := a.Signed.Metadata; f != nil {
		line("Metadata", "%s, judged at %s, good until %s%s", f.Mode, f.Reference.UTC().Format(time.RFC3339), f.Expires.UTC().Format(time.RFC3339), map[bool]string{true: ", EXPIRED"}[f.Expired])
	}
	c := a.Counts
	line("Files", "%d listed: %d as signed (%d by hotfixes), %d customised, %d merged, %d left to the product, %d missing, %d damaged, %d with other permissions",
		c.Listed, c.AsSigned, c.Hotfixed, c.Customised, c.Merged, c.Generated, c.Missing, c.Damaged, c.Modes)
	line("Not the vendor's", "%d paths", c.Foreign)
	a.lists(&b)
	return []byte(b.String())
}

func (a Audit) lists(b *strings.Builder) {
	differing := func(title string, all []AuditDifference) {
		if len(all) > 0 {
			fmt.Fprintf(b, "\n%s\n", title)
		}
		for _, d := range all {
			fmt.Fprintf(b, "  %s: %s%s\n    stands  %s\n    signed  %s\n", onOneLine(d.Path), d.State, map[bool]string{true: " (" + onOneLine(d.Why) + ")"}[d.Why != ""], described(d.Stands), described(&d.Signed))
		}
	}
	differing("Stood before the repair:", a.Before)
	if r := a.Repair; r != nil {
		fmt.Fprintf(b, "\nRepair: %s\n", r.Outcome)
		for _, x := range r.Restored {
			fmt.Fprintf(b, "  %s: was %s, from %s\n", onOneLine(x.What), x.Was, orElse(x.From, "nothing to fetch"))
		}
		for _, x := range r.Unrestored {
			fmt.Fprintf(b, "  NOT RESTORED %s: %s\n", onOneLine(x.What), onOneLine(x.Why))
		}
	}
	differing("Differs from what is signed:", a.Differences)
	for _, d := range a.Kept {
		fmt.Fprintf(b, "\nDamaged: %s: %s\n", onOneLine(d.What), onOneLine(d.Why))
	}
	if len(a.Foreign) > 0 {
		b.WriteString("\nNot the vendor's:\n")
	}
	for _, p := range a.Foreign {
		fmt.Fprintf(b, "  %s\n", onOneLine(p))
	}
	if a.Error != "" {
		fmt.Fprintf(b, "\nThe comparison ended with: %s\n", onOneLine(a.Error))
	}
}

// onOneLine quotes what would end a line or steer a terminal: names are chosen by whoever
// may write the folder, and must not write lines of the report.
func onOneLine(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(name)
	}
	return name
}

func described(e *manifest.Entry) string {
	switch {
	case e == nil:
		return "nothing"
	case e.Kind == manifest.File && e.Sum.IsZero():
		return fmt.Sprintf("file %04o, %d bytes, not readable", e.Mode, e.Size)
	case e.Kind == manifest.File:
		return fmt.Sprintf("file %04o, %d bytes, sha256:%s", e.Mode, e.Size, e.Sum)
	case e.Kind == manifest.Link:
		return "link to " + onOneLine(e.Target)
	}
	return fmt.Sprintf("%s %04o", e.Kind, e.Mode)
}
