// Package fleet holds what installations tell of themselves, what is known of each from
// that, and the store that keeps it: docs/design/report.md. An installation is named by a keyed hash that it computes anew
// at each report; nothing here is ever stored on the installation.
package fleet

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"uplevel/internal/release"
)

// Bounds of a report: of its texts, in bytes, and of its list.
const (
	maxInstallation = 64
	maxHost         = 255
	maxWord         = 40
	MaxHotfix       = 200
	MaxHotfixes     = 100
)

// Report is what an installation tells. Its fields are those of the report that
// crosses the network.
type Report struct {
	Made         time.Time // by the installation's clock; zero: not told
	Installation string    // keyed hash
	Host         string    // only when the operator asked for it
	Product      string
	Version      string
	Channel      string
	Level        int
	Hotfixes     []string
	Customised   int    // files that the operator changed
	Missing      int    // files that are missing
	DriftUnknown bool   // the two counts were not taken
	Operation    string // update, revert, report, …
	Outcome      string // problem kind, or ok
	FromLevel    int
	Tool         string // version of the tool
	OS           string
}

// Line returns the line the installation is on.
func (r Report) Line() release.Line {
	return release.Line{Product: r.Product, Version: r.Version, Channel: r.Channel}
}

// Check refuses a report that is malformed or out of bounds.
func (r Report) Check() error {
	if err := r.Line().Check(); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	switch {
	case len(r.Installation) < 16 || len(r.Installation) > maxInstallation || !printable(r.Installation):
		return fmt.Errorf("report: installation id of %d bytes, want 16 to %d", len(r.Installation), maxInstallation)
	case r.Level < 0 || r.Level > release.MaxLevel || r.FromLevel < 0 || r.FromLevel > release.MaxLevel:
		return errors.New("report: level is out of bounds")
	case r.Customised < 0 || r.Missing < 0:
		return errors.New("report: counts below zero")
	case len(r.Hotfixes) > MaxHotfixes:
		return fmt.Errorf("report: %d hotfixes, the limit is %d", len(r.Hotfixes), MaxHotfixes)
	case r.Operation == "" || r.Outcome == "":
		return errors.New("report: operation or outcome is missing")
	}
	for _, text := range []string{r.Operation, r.Outcome, r.Tool, r.OS} {
		if len(text) > maxWord || !printable(text) {
			return fmt.Errorf("report: text %.60q is too long or not printable", text)
		}
	}
	for _, name := range r.Hotfixes {
		if len(name) > MaxHotfix || !printable(name) {
			return fmt.Errorf("report: hotfix %.60q is too long or not printable", name)
		}
	}
	if len(r.Host) > maxHost || !printable(r.Host) {
		return fmt.Errorf("report: host name %.60q is too long or not printable", r.Host)
	}
	return nil
}

func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}
