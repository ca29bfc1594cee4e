package plan

import (
	"slices"

	"uplevel/internal/release"
)

// Applied is a hotfix that is applied.
type Applied struct {
	Name   string      `json:"name"`   // ORG-hfN
	Record release.Ref `json:"record"` // what the vendor signed; it lies in the store
}

// Same reports whether two points are the same state.
func (p Point) Same(o Point) bool {
	return p.Channel == o.Channel && p.Level == o.Level && p.Record == o.Record && p.Manifest == o.Manifest &&
		slices.Equal(p.Hotfixes, o.Hotfixes)
}

// HotfixNames returns the names of the hotfixes, in the order they were applied.
func (p Point) HotfixNames() []string { return Names(p.Hotfixes) }

// Name returns a point as people read it: 7.1.0.2, or 7.1.0.2-ACME-hf1 with hotfixes on it,
// which is named by the last.
func (p Point) Name(line release.Line) string {
	name := line.LevelName(p.Level)
	if n := len(p.Hotfixes); n > 0 {
		name += "-" + p.Hotfixes[n-1].Name
	}
	return name
}

// Names returns the names of applied hotfixes, in their order.
func Names(applied []Applied) []string {
	names := make([]string, 0, len(applied))
	for _, a := range applied {
		names = append(names, a.Name)
	}
	return names
}
