package install

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"

	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// StateFormat is the version of state.json.
const StateFormat = 1

// State is what is installed, as updates/state.json keeps it.
type State struct {
	Format   int            `json:"format"`
	Product  string         `json:"product"`
	Version  string         `json:"version"`
	Channel  string         `json:"channel"`
	Level    int            `json:"level"`
	Record   release.Ref    `json:"record"`   // zero when taken over from a tool that kept none
	Manifest release.Ref    `json:"manifest"` // zero likewise
	Notes    release.Ref    `json:"notes"`
	Pack     string         `json:"pack"`               // random id of the pack
	Hotfixes []plan.Applied `json:"hotfixes,omitempty"` // the ledger, in order
	History  int            `json:"history"`            // id of the last change; 0: none
	Backup   string         `json:"backup,omitempty"`
	Others   []string       `json:"-"` // hotfixes that another tool applied, as config.json of a home taken over names them
	Copy     string         `json:"-"` // full copy that another tool made before its last update, as config.json names it
}

// Line returns the installed line.
func (s State) Line() release.Line {
	return release.Line{Product: s.Product, Version: s.Version, Channel: s.Channel}
}

// Point returns where the installation stands.
func (s State) Point() plan.Point {
	return plan.Point{Channel: s.Channel, Level: s.Level, Record: s.Record, Manifest: s.Manifest, Hotfixes: s.Hotfixes}
}

// readState reads product.txt and state.json; without the latter, as another tool
// leaves a home, the level comes from config.json.
func (h *Home) readState() error {
	name, err := h.readSmall(productFile)
	if err != nil {
		return problem.New(problem.Failed, "Give the product's folder with --dir.", "%s: %w", unidentified, err)
	}
	name = bytes.TrimPrefix(name, []byte(byteOrderMark))
	if isTimestamp(string(name)) {
		return ofTimestamps("updates/product.txt says %.100q", strings.TrimSpace(string(name)))
	}
	line, err := release.ParseProductVersion(string(name))
	if err != nil {
		return problem.New(problem.Failed, "Put NAME-VERSION into updates/product.txt.", "%s: updates/product.txt: %w", unidentified, err)
	}
	data, err := h.readSmall(stateFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return h.takeOver(line)
	case err != nil:
		return problem.New(problem.Refused, "Look at its permissions.", "updates/state.json cannot be read: %w", err)
	}
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return problem.New(problem.Verification, "Bring updates/state.json back from a backup.", "updates/state.json is damaged: %w", err)
	}
	if s.Format != StateFormat {
		return problem.New(problem.Refused, "Use the newer tool.", "updates/state.json has format %d, this tool knows %d", s.Format, StateFormat)
	}
	if s.Product != line.Product || s.Version != line.Version {
		return problem.New(problem.Failed, "Put "+s.Line().ProductVersion()+" back into updates/product.txt.",
			"%s: product.txt says %s, state.json %s", unidentified, line.ProductVersion(), s.Line().ProductVersion())
	}
	if err := s.Line().Check(); err != nil || s.Level < 0 {
		return problem.New(problem.Verification, "Bring updates/state.json back from a backup.", "updates/state.json is damaged: %w", err)
	}
	h.state = s
	return nil
}
