// Package statefile is what an installation tells of itself in a file that is carried out
// of a locked network, so that create-update can make an offline update that fits it. It
// holds digests and no contents, and names neither host nor address. Described in
// docs/design/offline.md.
package statefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// Limits of a state file.
const (
	MaxBytes    = 64 << 20
	MaxFiles    = 100_000 // a tool holds them in memory
	maxHotfixes = 10_000
)

// Missing is the kind of a path at which nothing stands.
const Missing manifest.Kind = "missing"

// File is one thing of an installation, or of what should be there.
type File struct {
	Path string        `json:"path"` // relative to the home, slashes
	Kind manifest.Kind `json:"kind"` // file, link, dir, other or missing
	Sum  digest.Digest `json:"sum,omitzero"`
}

// State is a state file.
type State struct {
	Format   int          `json:"format"` // 1
	Product  string       `json:"product"`
	Version  string       `json:"version"`
	Channel  string       `json:"channel"`
	Level    int          `json:"level"`
	Record   *release.Ref `json:"record,omitempty"` // absent where another tool kept none
	Hotfixes []string     `json:"hotfixes"`         // names, in order
	System   string       `json:"system"`           // linux/amd64
	// Compared: what the level must hold is known there, and Files are where the
	// installation differs from it. Otherwise Files are all that stands in it.
	Compared bool   `json:"compared"`
	Files    []File `json:"files"` // by path
}

// Line returns the line of the installed level.
func (s State) Line() release.Line {
	return release.Line{Product: s.Product, Version: s.Version, Channel: s.Channel}
}

// Bytes is the file's text.
func (s State) Bytes() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("state file: %w", err)
	}
	data, err := json.MarshalIndent(s, "", " ")
	if err == nil && len(data) >= MaxBytes {
		err = fmt.Errorf("state file: it would be longer than %d bytes", MaxBytes)
	}
	return append(data, '\n'), err
}

// Read reads a state file, of [MaxBytes] at most. Every refusal is of kind
// [problem.Refused].
func Read(r io.Reader) (State, error) {
	s, err := read(r)
	if err != nil {
		return State{}, problem.New(problem.Refused, "Make it again on the installation, with current-state --out FILE.", "It is no usable state file: %w", err)
	}
	return s, nil
}

func read(r io.Reader) (State, error) {
	in := &paced{r: io.LimitReader(r, MaxBytes+1)}
	d := json.NewDecoder(in)
	s, err := decode(d, in)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows its end")
		}
	}
	switch {
	case in.read > MaxBytes:
		return State{}, fmt.Errorf("it is longer than %d bytes", MaxBytes)
	case err != nil:
		return State{}, err
	}
	return s, s.check()
}

// decode takes one value after the other, so that what no state file can hold is refused
// where it begins and not after all of it was read.
func decode(d *json.Decoder, in *paced) (s State, err error) {
	one := map[string]any{
		"format": &s.Format, "product": &s.Product, "version": &s.Version, "channel": &s.Channel, "level": &s.Level,
		"record": &s.Record, "system": &s.System, "compared": &s.Compared,
	}
	err = each(d, '{', func() error {
		name, err := d.Token()
		if err != nil {
			return err
		}
		in.taken()
		key, _ := name.(string)
		switch key {
		case "hotfixes":
			return list(d, in, &s.Hotfixes, maxHotfixes)
		case "files":
			return list(d, in, &s.Files, MaxFiles)
		}
		into, known := one[key]
		if !known {
			into = new(any)
		}
		return d.Decode(into)
	})
	return s, err
}

// list appends the values of an array, of most at most.
func list[T any](d *json.Decoder, in *paced, to *[]T, most int) error {
	return each(d, '[', func() error {
		if len(*to) >= most {
			return errors.New("it lists too much")
		}
		var one T
		err := d.Decode(&one)
		*to = append(*to, one)
		in.taken()
		return err
	})
}

// each calls do for what stands between a bracket and its end; null holds nothing.
func each(d *json.Decoder, bracket json.Delim, do func() error) error {
	switch begin, err := d.Token(); {
	case err != nil:
		return err
	case begin == nil:
		return nil
	case begin != bracket:
		return fmt.Errorf("%v stands where %v begins", begin, bracket)
	}
	for d.More() {
		if err := do(); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// maxValue is how long one value of the file may be, in bytes: a path is the longest.
const maxValue = 64 << 10

// paced ends a read that goes on and on without a value that was taken.
type paced struct {
	r           io.Reader
	read, since int
}

func (p *paced) Read(b []byte) (int, error) {
	if p.since > maxValue {
		return 0, fmt.Errorf("a value in it is longer than %d bytes", maxValue)
	}
	n, err := p.r.Read(b)
	p.read, p.since = p.read+n, p.since+n
	return n, err
}

func (p *paced) taken() { p.since = 0 }

var (
	systemName = regexp.MustCompile(`^[a-z0-9]{1,20}/[a-z0-9]{1,20}$`)
	hotfixName = regexp.MustCompile(`^[0-9A-Za-z._-]{1,200}$`)
)

func (s State) check() error {
	if s.Format != 1 {
		return fmt.Errorf("it has format %d, this tool knows 1", s.Format)
	}
	if err := s.Line().Check(); err != nil {
		return err
	}
	switch {
	case s.Level < 0 || s.Level > release.MaxLevel:
		return fmt.Errorf("level %d is out of bounds", s.Level)
	case s.Record != nil && (s.Record.Sum.IsZero() || s.Record.Size < 1 || s.Record.Size > release.MaxRecord):
		return errors.New("its record is out of bounds")
	case !systemName.MatchString(s.System):
		return fmt.Errorf("system %.40q: want one such as linux/amd64", s.System)
	case len(s.Files) > MaxFiles || len(s.Hotfixes) > maxHotfixes:
		return errors.New("it lists too much")
	}
	for _, name := range s.Hotfixes {
		if !hotfixName.MatchString(name) {
			return fmt.Errorf("hotfix %.80q is none", name)
		}
	}
	for i, f := range s.Files {
		if err := f.check(); err != nil {
			return fmt.Errorf("%.200q: %w", f.Path, err)
		}
		if i > 0 && s.Files[i-1].Path >= f.Path {
			return fmt.Errorf("%.200q is not in order", f.Path)
		}
	}
	return nil
}

func (f File) check() error {
	switch f.Kind {
	case manifest.File, manifest.Link, manifest.Dir, manifest.Other, Missing:
	default:
		return fmt.Errorf("kind %.40q is unknown", f.Kind)
	}
	return manifest.CheckPath(f.Path)
}

// Differs returns the paths of tree, as the vendor published the level, at which the
// installation has something else or nothing.
func (s State) Differs(tree manifest.Tree) []string {
	there := make(map[string]File, len(s.Files))
	for _, f := range s.Files {
		there[f.Path] = f
	}
	var paths []string
	for _, e := range tree.Entries() {
		have, listed := there[e.Path]
		switch {
		case s.Compared && !listed, e.Kind == manifest.Dir && !s.Compared:
		case !s.Compared && have.Kind == e.Kind && have.Sum == e.Sum:
		default:
			paths = append(paths, e.Path)
		}
	}
	return paths
}
