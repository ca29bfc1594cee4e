package offline

import (
	"slices"

	"uplevel/internal/api"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// choose returns the level that is asked for, as signed metadata and what the caller may
// have allow it: the latest, where none is named.
func choose(line release.Line, levels []release.Listed, opts Options, may api.CheckAnswer) (release.Listed, error) {
	number, err := line.ParseLevel(opts.End)
	if err != nil {
		return release.Listed{}, problem.New(problem.Failed, "Name a level such as "+line.LevelName(8)+" with --end-level.", "%w", err)
	}
	if number == 0 {
		return latest(line, levels, opts, may)
	}
	i := slices.IndexFunc(levels, func(l release.Listed) bool { return l.Level == number })
	if i < 0 {
		return release.Listed{}, problem.New(problem.Failed, "Name another level with --end-level, or none for the latest.",
			"%w %s: %s has no such level", release.ErrLevel, line.LevelName(number), line)
	}
	l := levels[i]
	switch name := line.LevelName(number); {
	case l.State == release.Withdrawn:
		return l, problem.New(problem.Refused, "Name another level with --end-level, or none for the latest.", "Level %s was withdrawn: %s", name, l.Reason)
	case !asked(l, opts):
		return l, problem.New(problem.Refused, "Wait until it is live, or ask for the state with WSO2_UPDATES_UPDATE_LEVEL_STATE.",
			"Level %s is in state %s, which was not asked for", name, l.State)
	case !granted(l, may):
		return l, problem.New(problem.NotEntitled, "Ask the vendor for access to it, or choose another level.", "Your organisation may not have level %s", name)
	}
	return l, nil
}

func latest(line release.Line, levels []release.Listed, opts Options, may api.CheckAnswer) (release.Listed, error) {
	for _, l := range slices.Backward(levels) {
		if l.State != release.Withdrawn && asked(l, opts) && granted(l, may) {
			return l, nil
		}
	}
	return release.Listed{}, problem.New(problem.Failed, "Look at the levels in the Updates Portal.", "There is no level of %s that your organisation may have", line)
}

func asked(l release.Listed, opts Options) bool {
	return l.State == release.Live || slices.Contains(opts.AskedFor, l.State)
}

func granted(l release.Listed, may api.CheckAnswer) bool {
	return (may.MaxLevel == nil || l.Level <= *may.MaxLevel) && (l.State == release.Live || slices.Contains(may.States, string(l.State)))
}
