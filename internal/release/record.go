package release

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
)

// MaxRecord bounds the bytes of a release record.
const MaxRecord = 256 << 10

// Ref names an object that a record binds: digest and uncompressed size.
type Ref struct {
	Sum  digest.Digest `json:"sum"`
	Size int64         `json:"size"`
}

// Rules are what the vendor says about files, as globs over paths in the home.
// In a glob `*` and `?` stop at a slash and `**` does not.
type Rules struct {
	Generated    []string `json:"generated,omitempty" yaml:"generated"`         // written by the product at start: left as they are
	Data         []string `json:"data,omitempty" yaml:"data"`                   // shipped once, then the operator's
	KeepPristine []string `json:"keep_pristine,omitempty" yaml:"keep_pristine"` // pristine copies to keep; empty: text up to 1 MB
}

// Record is the signed target of one level: immutable, it binds product, version,
// channel and level to the digests of manifest and notes.
type Record struct {
	Format   int       `json:"format"` // 1
	Product  string    `json:"product"`
	Version  string    `json:"version"`
	Channel  string    `json:"channel"`
	Level    int       `json:"level"`
	Manifest Ref       `json:"manifest"`
	Notes    Ref       `json:"notes"`
	Rules    Rules     `json:"rules"`
	Platform string    `json:"platform,omitempty"` // [Unix]: names that Windows cannot have are allowed; empty: any
	Created  time.Time `json:"created"`
}

// Unix is the platform of products whose file names need not be usable on Windows.
const Unix = "unix"

// Line returns the line the record belongs to.
func (r Record) Line() Line { return Line{Product: r.Product, Version: r.Version, Channel: r.Channel} }

// Bytes returns the record's canonical JSON.
func (r Record) Bytes() ([]byte, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	return json.Marshal(r)
}

// Check refuses a record that is incomplete or out of bounds.
func (r Record) Check() error {
	if r.Format != 1 {
		return fmt.Errorf("release record has format %d, this tool knows 1", r.Format)
	}
	if err := r.Line().Check(); err != nil {
		return fmt.Errorf("release record: %w", err)
	}
	switch {
	case r.Platform != "" && r.Platform != Unix:
		return fmt.Errorf("release record: unknown platform %.40q", r.Platform)
	case r.Level < 0 || r.Level > MaxLevel:
		return fmt.Errorf("release record: level %d is out of bounds", r.Level)
	case r.Manifest.Sum.IsZero() || r.Manifest.Size <= 0 || r.Manifest.Size > manifest.MaxBytes:
		return errors.New("release record: manifest is missing or too large")
	case r.Notes.Sum.IsZero() || r.Notes.Size <= 0 || r.Notes.Size > MaxNotes:
		return errors.New("release record: notes are missing or too large")
	}
	return nil
}

// ParseRecord reads a record and checks that it is the one of line and level.
func ParseRecord(data []byte, line Line, level int) (Record, error) {
	var r Record
	if err := strictJSON(data, &r); err != nil {
		return Record{}, fmt.Errorf("release record: %w", err)
	}
	if err := r.Check(); err != nil {
		return Record{}, err
	}
	if r.Line() != line || r.Level != level {
		return Record{}, fmt.Errorf("release record is of %s level %d, want %s level %d", r.Line(), r.Level, line, level)
	}
	return r, nil
}

// State tells who may have a level.
type State string

// The states of a level. Customers see live only, unless entitled.
const (
	Testing   State = "testing"
	Verifying State = "verifying"
	Live      State = "live"
	Withdrawn State = "withdrawn"
)

// ParseState reads a state's name.
func ParseState(text string) (State, error) {
	s := State(text)
	if !slices.Contains([]State{Testing, Verifying, Live, Withdrawn}, s) {
		return "", fmt.Errorf("state %.40q: want testing, verifying, live or withdrawn", text)
	}
	return s, nil
}

// CanBecome reports whether a level may change from this state to next: upwards from testing
// to live, or to withdrawn, for good. Customers keep what was given to them once, and what was
// withdrawn for a reason does not come back by a command that is run again.
func (s State) CanBecome(next State) bool {
	order := []State{Testing, Verifying, Live, Withdrawn}
	return slices.Index(order, next) >= slices.Index(order, s)
}

// Type tells what kinds of update a level holds.
type Type string

// The types of a level.
const (
	Regular  Type = "regular"
	Security Type = "security"
	Mixed    Type = "mixed"
)

// Listing is what the signed role says of one level, as the target's custom metadata:
// the things that may change after publishing, and the counts that `check` shows.
type Listing struct {
	Product     string    `json:"product"`
	Version     string    `json:"version"`
	Channel     string    `json:"channel"`
	Level       int       `json:"level"`
	State       State     `json:"state"`
	Reason      string    `json:"reason,omitempty"` // of a withdrawal
	Floor       string    `json:"floor,omitempty"`  // reason; empty: no floor
	Type        Type      `json:"type"`
	RegularN    int       `json:"regular,omitempty"`  // updates of that type
	SecurityN   int       `json:"security,omitempty"` // updates of that type
	Title       string    `json:"title,omitempty"`
	Tested      string    `json:"tested,omitempty"`
	Published   time.Time `json:"published"`
	SupportEnds string    `json:"support_ends,omitempty"` // of the product version, YYYY-MM-DD
}

// Line returns the line the listing belongs to.
func (l Listing) Line() Line { return Line{Product: l.Product, Version: l.Version, Channel: l.Channel} }

// Listed is a level as the verified role lists it.
type Listed struct {
	Listing
	Record Ref `json:"record"` // the release record
}

// ParseListing reads custom metadata and checks that it is of line and level.
func ParseListing(data []byte, line Line, level int) (Listing, error) {
	var l Listing
	if err := json.Unmarshal(data, &l); err != nil {
		return Listing{}, fmt.Errorf("listing of level %d: %w", level, err)
	}
	if l.Line() != line || l.Level != level {
		return Listing{}, fmt.Errorf("listing is of %s level %d, want %s level %d", l.Line(), l.Level, line, level)
	}
	if _, err := ParseState(string(l.State)); err != nil {
		return Listing{}, fmt.Errorf("listing of level %d: %w", level, err)
	}
	return l, nil
}

// strictJSON decodes exactly one JSON value without unknown fields.
func strictJSON(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one JSON value")
	}
	return nil
}
