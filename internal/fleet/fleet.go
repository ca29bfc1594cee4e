// Package fleet holds what installations tell of themselves after a change, and the
// store that keeps it. An installation is named by a keyed hash that it computes anew
// at each report; nothing here is ever stored on the installation.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"uplevel/internal/release"
)

// Bounds of a report's texts, in bytes.
const (
	maxInstallation = 64
	maxHost         = 255
	maxWord         = 40
	maxHotfixes     = 100
)

// Report is what an installation tells. Its fields are those of the report that
// crosses the network.
type Report struct {
	Installation string // keyed hash
	Host         string // only when the operator asked for it
	Product      string
	Version      string
	Channel      string
	Level        int
	Hotfixes     []string
	Customised   int    // files that the operator changed
	Missing      int    // files that are missing
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
	case len(r.Hotfixes) > maxHotfixes:
		return fmt.Errorf("report: %d hotfixes, the limit is %d", len(r.Hotfixes), maxHotfixes)
	case r.Operation == "" || r.Outcome == "":
		return errors.New("report: operation or outcome is missing")
	}
	for _, text := range append([]string{r.Operation, r.Outcome, r.Tool, r.OS}, r.Hotfixes...) {
		if len(text) > maxWord || !printable(text) {
			return fmt.Errorf("report: text %.60q is too long or not printable", text)
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

// Installation is what is known of one installation: its last report.
type Installation struct {
	Report
	Organisation string
	First, Last  time.Time // of its reports
	Reports      int       // how many came
}

// Store keeps reports by organisation. A report acknowledged is kept.
type Store interface {
	// AddReport stores a report and makes it the installation's last, unless a later
	// one is there already.
	AddReport(ctx context.Context, organisation string, at time.Time, r Report) error
	// Installations returns an organisation's installations by product, version and id.
	Installations(ctx context.Context, organisation string) ([]Installation, error)
}
