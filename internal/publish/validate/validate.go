// Package validate holds the rules that a level is judged by before it is published,
// each with a name, a severity and a way to accept it in writing. Pure: contents are
// read through functions handed in.
package validate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"uplevel/internal/manifest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// Severity tells whether a finding refuses publishing.
type Severity string

// The severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// The rules.
const (
	WindowsName        = "windows-name"        // a name that Windows cannot have; not with platform unix
	CaseCollision      = "case-collision"      // names equal but for case or Unicode form; not with platform unix
	LinkOutside        = "link-outside"        // a link that leaves the product; accepted: it is left out
	SetUserID          = "set-user-id"         // a set-user-id or set-group-id file; accepted: published without
	MissingDescription = "missing-description" // an update, or a level, that says nothing

	DefaultDescription = "default-description" // a description that is a placeholder
	UnexplainedFiles   = "unexplained-files"   // changed files that no update explains
	DuplicateLibrary   = "duplicate-library"   // two versions of one library
	BundleList         = "bundle-list"         // bundles.info that disagrees with the bundles
	WorldWritable      = "world-writable"      // files that everybody may write
	MissingLicense     = "missing-license"     // no LICENSE at the top
	ContentReturns     = "content-returns"     // a file returns to an older content
	ConfigKeysRemoved  = "config-keys-removed" // keys that a configuration file no longer has
	OversizedFile      = "oversized-file"      // a file beyond [MaxFile]
)

// MaxFile is the size in bytes from which a file is oversized: 256 MiB.
const MaxFile = 256 << 20

// maxShown bounds how many paths one finding names.
const maxShown = 5

// Rule is one rule's name and severity.
type Rule struct {
	Name     string
	Severity Severity
}

// Rules returns every rule, errors first.
func Rules() []Rule {
	var rules []Rule
	for _, name := range []string{WindowsName, CaseCollision, LinkOutside, SetUserID, MissingDescription} {
		rules = append(rules, Rule{name, Error})
	}
	for _, name := range []string{
		DefaultDescription, UnexplainedFiles, DuplicateLibrary, BundleList,
		WorldWritable, MissingLicense, ContentReturns, ConfigKeysRemoved, OversizedFile,
	} {
		rules = append(rules, Rule{name, Warning})
	}
	return rules
}

// Finding is what one rule found.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	Text     string   `json:"text"`
	Paths    []string `json:"paths,omitempty"`
	Accepted string   `json:"accepted,omitempty"` // reason given; empty: not accepted
}

// Line returns the finding as one line.
func (f Finding) Line() string {
	text := fmt.Sprintf("%s %s: %s", f.Severity, f.Rule, f.Text)
	if len(f.Paths) > 0 {
		shown := f.Paths[:min(len(f.Paths), maxShown)]
		text += ": " + strings.Join(shown, ", ")
		if more := len(f.Paths) - len(shown); more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
	}
	if f.Accepted != "" {
		text += " (accepted: " + f.Accepted + ")"
	}
	return text
}

// Input is what the rules look at.
type Input struct {
	Tree     manifest.Tree
	Outward  []manifest.Entry // links that leave the product
	SetID    []string
	Former   manifest.Tree // of the level before; empty for level 0
	Older    []Older       // trees of the levels before that, latest first
	First    bool          // level 0, which has no notes of its own
	Platform string        // release.Unix or empty
	Notes    release.Notes // with changes and attribution filled in

	// New and Old read a file of Tree and of Former; only small files are asked for.
	New, Old func(manifest.Entry) ([]byte, error)
}

// Older is an earlier level.
type Older struct {
	Level int
	Tree  manifest.Tree
}

// Check returns what the rules find, errors first, then by rule. An error is one of
// reading, not of the level.
func Check(in Input) ([]Finding, error) {
	var found []Finding
	add := func(rule, text string, paths ...string) {
		if len(paths) > 0 {
			slices.Sort(paths)
			found = append(found, Finding{Rule: rule, Text: text, Paths: slices.Compact(paths)})
		}
	}
	checkNames(in, add)
	checkFiles(in, add)
	checkLibraries(in, add)
	checkReturns(in, add)
	found = append(found, checkNotes(in)...)
	if err := checkBundles(in, add); err != nil {
		return nil, err
	}
	if err := checkKeys(in, add); err != nil {
		return nil, err
	}
	order := map[string]int{}
	for i, r := range Rules() {
		order[r.Name] = i
		for n := range found {
			if found[n].Rule == r.Name {
				found[n].Severity = r.Severity
			}
		}
	}
	slices.SortStableFunc(found, func(a, b Finding) int { return cmp.Compare(order[a.Rule], order[b.Rule]) })
	return found, nil
}

// add appends a finding unless paths is empty.
type add func(rule, text string, paths ...string)

// ParseAccept reads RULE=REASON options.
func ParseAccept(options []string) (map[string]string, error) {
	accepted := map[string]string{}
	for _, option := range options {
		rule, reason, ok := strings.Cut(option, "=")
		reason = strings.TrimSpace(reason)
		if !ok || reason == "" {
			return nil, problem.New(problem.Usage, "Write --accept RULE=REASON.", "--accept %q gives no reason", option)
		}
		if !slices.ContainsFunc(Rules(), func(r Rule) bool { return r.Name == rule }) {
			return nil, problem.New(problem.Usage, "The rules are "+names()+".", "--accept: there is no rule %q", rule)
		}
		accepted[rule] = reason
	}
	return accepted, nil
}

func names() string {
	var all []string
	for _, r := range Rules() {
		all = append(all, r.Name)
	}
	return strings.Join(all, ", ")
}

// Judge marks findings that were accepted and returns those that refuse publishing,
// and the acceptances that were used: these go into the notes.
func Judge(found []Finding, accepted map[string]string, strict bool) (refusing []Finding, used map[string]string) {
	used = map[string]string{}
	for i := range found {
		f := &found[i]
		if strict {
			f.Severity = Error
		}
		if reason, ok := accepted[f.Rule]; ok {
			f.Accepted, used[f.Rule] = reason, reason
			continue
		}
		if f.Severity == Error {
			refusing = append(refusing, *f)
		}
	}
	return refusing, used
}
