// Package hotfix is a small signed overlay on a level, for one organisation: the record
// and its rules. Records and rules only; no I/O. Described in docs/design/hotfix.md.
package hotfix

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"uplevel/internal/bounded"
	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/release"
)

// Format is the version of the record that this program knows.
const Format = 1

// Limits of one record; what is beyond them is refused.
const (
	MaxBytes = 4 << 20 // of the canonical JSON
	MaxFiles = 10_000
	maxNeeds = 1000

	// maxValues bounds what a record is made into: a file has 23 at most.
	maxValues = 23*MaxFiles + 50_000
)

// Record is what the vendor signs. The embedded update says what it is for; its own list
// of globs is empty.
type Record struct {
	Format       int      `json:"format"` // 1
	Name         string   `json:"name"`   // ORG-hfN
	Product      string   `json:"product"`
	Version      string   `json:"version"`
	Channel      string   `json:"channel"`
	Levels       []int    `json:"levels"`          // ascending, at least one
	Sequence     int      `json:"sequence"`        // N, from 1
	Needs        []string `json:"needs,omitempty"` // names, in the order they are applied
	Organisation string   `json:"organisation"`    // opaque id
	For          string   `json:"for"`             // ORG, the name people know
	Files        []File   `json:"files"`           // by path, at least one
	release.Update
	Restart  *bool             `json:"restart,omitempty"`  // needed afterwards; absent: yes
	Accepted map[string]string `json:"accepted,omitempty"` // validation rule → reason given
	Created  time.Time         `json:"created"`            // UTC, whole seconds
}

// File is one path: what must stand there before and what stands there after.
type File struct {
	Path string `json:"path"`
	Base *Entry `json:"base,omitempty"` // of the level under the hotfixes needed; absent: added
	Want *Entry `json:"want,omitempty"` // absent: removed
}

// Entry is a manifest's entry without its path.
type Entry struct {
	Kind   manifest.Kind `json:"kind"`
	Mode   uint32        `json:"mode,omitempty"`
	Size   int64         `json:"size,omitempty"`
	Sum    digest.Digest `json:"sum,omitzero"`
	Target string        `json:"target,omitempty"`
}

// EntryOf returns a manifest's entry without its path.
func EntryOf(e manifest.Entry) Entry {
	return Entry{Kind: e.Kind, Mode: e.Mode, Size: e.Size, Sum: e.Sum, Target: e.Target}
}

// At returns the entry as a manifest lists it at path.
func (e Entry) At(path string) manifest.Entry {
	return manifest.Entry{Path: path, Kind: e.Kind, Mode: e.Mode, Size: e.Size, Sum: e.Sum, Target: e.Target}
}

// Line returns the line whose levels the hotfix fits.
func (r Record) Line() release.Line {
	return release.Line{Product: r.Product, Version: r.Version, Channel: r.Channel}
}

// FileName returns the name of the hotfix's zip: wso2is-7.1.0-ACME-hf1.zip.
func (r Record) FileName() string { return FileName(r.Line(), r.For, r.Sequence) }

// StateName returns a level with this hotfix on it as people read it: 7.1.0.2-ACME-hf1.
func (r Record) StateName(level int) string { return r.Line().LevelName(level) + "-" + r.Name }

// Contents returns the contents of the wanted files and, apart from them, of the base
// files, each once, by digest.
func (r Record) Contents() (want, base []release.Ref) {
	seen := map[digest.Digest]bool{}
	take := func(into *[]release.Ref, e *Entry) {
		if e != nil && e.Kind == manifest.File && !seen[e.Sum] {
			seen[e.Sum] = true
			*into = append(*into, release.Ref{Sum: e.Sum, Size: e.Size})
		}
	}
	for _, f := range r.Files {
		take(&want, f.Want)
	}
	for _, f := range r.Files {
		take(&base, f.Base)
	}
	order := func(a, b release.Ref) int { return a.Sum.Compare(b.Sum) }
	slices.SortFunc(want, order)
	slices.SortFunc(base, order)
	return want, base
}

// Check refuses a record that is incomplete, contradicts itself or is out of bounds.
func (r Record) Check() error {
	if r.Format != Format {
		return fmt.Errorf("hotfix has format %d, this program knows %d", r.Format, Format)
	}
	if err := r.Line().Check(); err != nil {
		return fmt.Errorf("hotfix: %w", err)
	}
	if err := CheckOrganisation(r.For); err != nil {
		return fmt.Errorf("hotfix: %w", err)
	}
	switch {
	case r.Sequence < 1 || r.Sequence > MaxSequence:
		return fmt.Errorf("hotfix: sequence %d is out of bounds", r.Sequence)
	case r.Name != Name(r.For, r.Sequence):
		return fmt.Errorf("hotfix is called %.80q, want %q", r.Name, Name(r.For, r.Sequence))
	case !idPattern.MatchString(r.Organisation):
		return fmt.Errorf("hotfix: organisation %.80q is no id", r.Organisation)
	case len(r.Levels) == 0 || r.Levels[0] < 0 || r.Levels[len(r.Levels)-1] > release.MaxLevel || !ascending(r.Levels):
		return errors.New("hotfix: levels are missing, out of bounds or not ascending")
	case r.Created.IsZero() || r.Created.Location() != time.UTC || r.Created.Nanosecond() != 0:
		return errors.New("hotfix: created is no time in UTC and whole seconds")
	case len(r.Update.Files) > 0:
		return errors.New("hotfix: its update lists globs")
	}
	if err := (release.Notes{Updates: []release.Update{r.Update}}).Check(); err != nil {
		return fmt.Errorf("hotfix: %w", err)
	}
	if err := r.checkNeeds(); err != nil {
		return err
	}
	return r.checkFiles()
}

func ascending(levels []int) bool {
	for i := 1; i < len(levels); i++ {
		if levels[i] <= levels[i-1] {
			return false
		}
	}
	return true
}

// checkNeeds wants hotfixes of the same organisation that come earlier in the sequence.
func (r Record) checkNeeds() error {
	last := 0
	for _, need := range r.Needs {
		_, n, ok := splitName(need)
		if !ok || need != Name(r.For, n) || n <= last || n >= r.Sequence {
			return fmt.Errorf("hotfix %s needs %.80q, which can not come before it", r.Name, need)
		}
		last = n
	}
	if len(r.Needs) > maxNeeds {
		return fmt.Errorf("hotfix %s needs %d others, the limit is %d", r.Name, len(r.Needs), maxNeeds)
	}
	return nil
}

func (r Record) checkFiles() error {
	if len(r.Files) == 0 || len(r.Files) > MaxFiles {
		return fmt.Errorf("hotfix changes %d files, want 1 to %d", len(r.Files), MaxFiles)
	}
	sizes := map[digest.Digest]int64{}
	for i, f := range r.Files {
		if i > 0 && f.Path <= r.Files[i-1].Path {
			return fmt.Errorf("hotfix: path %q is not in order", f.Path)
		}
		if f.Base == nil && f.Want == nil || f.Base != nil && f.Want != nil && *f.Base == *f.Want {
			return fmt.Errorf("hotfix: nothing changes at %q", f.Path)
		}
		for _, e := range []*Entry{f.Base, f.Want} {
			if e == nil {
				continue
			}
			if err := checkEntry(e.At(f.Path)); err != nil {
				return fmt.Errorf("hotfix: %q: %w", f.Path, err)
			}
			if size, known := sizes[e.Sum]; known && size != e.Size && e.Kind == manifest.File {
				return fmt.Errorf("hotfix: %q: content %s has two sizes", f.Path, e.Sum)
			}
			sizes[e.Sum] = e.Size
		}
	}
	return nil
}

// checkEntry refuses also what an entry's kind does not have: Bytes would carry it.
func checkEntry(e manifest.Entry) error {
	plain := manifest.Entry{Path: e.Path, Kind: e.Kind}
	switch e.Kind {
	case manifest.File:
		plain.Mode, plain.Size, plain.Sum = e.Mode, e.Size, e.Sum
	case manifest.Dir:
		plain.Mode = e.Mode
	case manifest.Link:
		plain.Target = e.Target
	case manifest.Other:
	}
	if plain != e {
		return fmt.Errorf("a %s with more than a %s has", e.Kind, e.Kind)
	}
	return e.Check()
}

// Bytes returns the canonical JSON. Equal records have equal bytes.
func (r Record) Bytes() ([]byte, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(r)
	if err == nil && len(data) > MaxBytes {
		err = fmt.Errorf("hotfix of %d bytes, the limit is %d", len(data), MaxBytes)
	}
	return data, err
}

// Parse reads what [Record.Bytes] wrote and nothing else: a text that parses prints back
// to the same bytes.
func Parse(data []byte) (Record, error) {
	if len(data) > MaxBytes {
		return Record{}, fmt.Errorf("hotfix of %d bytes, the limit is %d", len(data), MaxBytes)
	}
	var r Record
	if err := bounded.JSON(data, maxValues, &r); err != nil {
		return Record{}, fmt.Errorf("hotfix: %w", err)
	}
	text, err := r.Bytes()
	if err != nil {
		return Record{}, err
	}
	if !bytes.Equal(text, data) {
		return Record{}, errors.New("hotfix is not in canonical form")
	}
	return r, nil
}

// Same reports whether two records are equal but for the time they were made at.
func (r Record) Same(other Record) bool {
	other.Created = r.Created
	a, errA := r.Bytes()
	b, errB := other.Bytes()
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

// NeedsRestart reports whether the product must be started again afterwards.
func (r Record) NeedsRestart() bool { return r.Restart == nil || *r.Restart }

// Published is a hotfix as the service registered it: what its record says, without the
// files, and its zip.
type Published struct {
	Record
	Zip release.Ref // of the zip itself
}

// ShortName makes of an organisation's name what stands in names of hotfixes: each run of
// other characters than letters, digits, dot and underscore becomes one underscore.
func ShortName(name string) string {
	var b strings.Builder
	gap := false
	for _, c := range strings.TrimSpace(name) {
		if c < 0x80 && organisationPattern.MatchString(string(c)) {
			if gap && b.Len() > 0 {
				b.WriteByte('_')
			}
			b.WriteRune(c)
			gap = false
			continue
		}
		gap = true
	}
	return b.String()
}
