// Package selfupdate renews the update tool by itself: it decides whether there is a newer
// one among those that the vendor signed, and puts its program into the place of the old
// one, whole or not at all. What can be cut and what is left then is described in
// docs/design/selfupdate.md.
package selfupdate

import (
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// Facts are what is known of the tool that runs.
type Facts struct {
	Own      string         // its version
	System   string         // OS/ARCH
	Tools    []release.Tool // that the vendor signed, from a verified view
	Demanded string         // oldest version that the service lets go on; empty, or no version: any
}

// Verdict is what follows from them.
type Verdict struct {
	Newer   *release.Tool // the newest for this system, when it is newer than the one that runs
	Minimum string        // oldest version that may go on; empty: any
	Below   bool          // the one that runs is older than that
}

// Judge decides whether the tool is to be renewed. Only what is signed for this system can
// take its place; what the vendor signed and what the service demands count alike.
func Judge(f Facts) Verdict {
	var own []release.Tool
	for _, t := range f.Tools {
		if t.System == f.System {
			own = append(own, t)
		}
	}
	v := Verdict{Minimum: release.MinimumTool(own)}
	if release.CheckToolVersion(f.Demanded) == nil && (v.Minimum == "" || release.CompareTools(f.Demanded, v.Minimum) > 0) {
		v.Minimum = f.Demanded
	}
	if newest, ok := release.NewestTool(own, f.System); ok && release.CompareTools(newest.Version, f.Own) > 0 {
		v.Newer = &newest
	}
	v.Below = v.Minimum != "" && release.CompareTools(f.Own, v.Minimum) < 0
	return v
}

// Refusal is the error of a tool that is too old to go on; nil for one that is not.
func (v Verdict) Refusal(own, system string) error {
	switch {
	case !v.Below:
		return nil
	case v.Newer == nil || release.CompareTools(v.Newer.Version, v.Minimum) < 0:
		return problem.New(problem.Refused, "Ask the vendor for the update tool "+v.Minimum+" or newer for "+system+", and put it in the place of this one.",
			"This update tool, version %s, is older than %s, the oldest that may go on, and the vendor lists no such tool for %s", own, v.Minimum, system)
	}
	return problem.New(problem.Refused, "Run self-update, then the command again.",
		"This update tool, version %s, is older than %s, the oldest that may go on", own, v.Minimum)
}
