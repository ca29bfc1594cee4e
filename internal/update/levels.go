package update

import (
	"errors"
	"slices"

	"uplevel/internal/api"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// wish is the level that options ask for, as far as signed metadata alone decide it.
type wish struct {
	line   release.Line // wanted
	levels []release.Listed
	at     plan.Point // installed
	number int        // 0: the latest
	states []release.State
}

// makeWish reads the options and refuses what the signed metadata rule out: no such
// level, a lower one, a withdrawn one, one in a state that was not asked for.
func makeWish(line release.Line, levels []release.Listed, at plan.Point, opts Options) (wish, error) {
	number, err := line.ParseLevel(opts.Level)
	if err != nil {
		return wish{}, problem.New(problem.Failed, "Run check to see the levels there are.", "%w", err)
	}
	w := wish{line: line, levels: levels, at: at, number: number, states: opts.States}
	if number == 0 {
		return w, nil
	}
	listed, ok := w.find(number)
	switch {
	case !ok:
		return wish{}, problem.New(problem.Failed, "Run check to see the levels there are.",
			"%w %s: %s has no such level", release.ErrLevel, line.LevelName(number), line)
	case at.Channel == line.Channel && number < at.Level:
		return wish{}, problem.New(problem.Failed, "To go back to it, run revert --to "+line.LevelName(number)+".",
			"%w %s: it is lower than the installed %s", release.ErrLevel, line.LevelName(number), line.LevelName(at.Level))
	case at.Channel == line.Channel && number == at.Level:
		return w, nil
	}
	return w, w.refuseState(listed)
}

func (w wish) find(level int) (release.Listed, bool) {
	for _, l := range w.levels {
		if l.Level == level {
			return l, true
		}
	}
	return release.Listed{}, false
}

func (w wish) refuseState(l release.Listed) error {
	switch {
	case l.State == release.Withdrawn:
		return withdrawn(w.line, l)
	case l.State != release.Live && !slices.Contains(w.states, l.State):
		return problem.New(problem.Refused,
			"Wait until it is live, or ask for the state with WSO2_UPDATES_UPDATE_LEVEL_STATE.",
			"Level %s is in state %s, which was not asked for", w.line.LevelName(l.Level), l.State)
	}
	return nil
}

func withdrawn(line release.Line, l release.Listed) error {
	reason := l.Reason
	if reason == "" {
		reason = "no reason is given"
	}
	return problem.New(problem.Refused, "Run check to see the levels there are.",
		"Level %s was withdrawn: %s", line.LevelName(l.Level), reason)
}

// grant decides the level with what the service says the caller may have. The second
// value is false when there is nothing above the installed level.
func (w wish) grant(may api.CheckAnswer) (release.Listed, bool, error) {
	if w.number == 0 {
		l, ok := w.latest(may)
		return l, ok, nil
	}
	l, ok := w.find(w.number)
	switch {
	case !ok:
		return release.Listed{}, false, errors.New("the level was found before and is gone")
	case l.State != release.Live && l.State != release.Withdrawn && !slices.Contains(may.States, string(l.State)):
		return release.Listed{}, false, problem.New(problem.NotEntitled,
			"Ask the vendor for access to levels in that state, or choose a live one.",
			"Your organisation may not have level %s, which is in state %s", w.line.LevelName(l.Level), l.State)
	case may.MaxLevel != nil && l.Level > *may.MaxLevel:
		return release.Listed{}, false, problem.New(problem.NotEntitled,
			"Renew the subscription, or choose a level up to "+w.line.LevelName(*may.MaxLevel)+".",
			"Your subscription ended before level %s was released", w.line.LevelName(l.Level))
	}
	return l, w.above(l), nil
}

// above reports whether going to l is a change at all.
func (w wish) above(l release.Listed) bool {
	return w.at.Channel != w.line.Channel || l.Level > w.at.Level
}

// offered returns the levels that the caller could be given, ascending.
func (w wish) offered(may api.CheckAnswer) []release.Listed {
	var out []release.Listed
	for _, l := range w.levels {
		state := l.State == release.Live ||
			slices.Contains(w.states, l.State) && slices.Contains(may.States, string(l.State))
		if state && (may.MaxLevel == nil || l.Level <= *may.MaxLevel) && w.above(l) {
			out = append(out, l)
		}
	}
	return out
}

func (w wish) latest(may api.CheckAnswer) (release.Listed, bool) {
	offered := w.offered(may)
	if len(offered) == 0 {
		return release.Listed{}, false
	}
	return offered[len(offered)-1], true
}

// between returns the levels that going to `to` gains, ascending; withdrawn ones give
// nothing. Levels of another channel do not compare: then all up to `to` count.
func (w wish) between(to int) []release.Listed {
	above := 0
	if w.at.Channel == w.line.Channel {
		above = w.at.Level
	}
	var out []release.Listed
	for _, l := range w.levels {
		if l.Level > above && l.Level <= to && l.State != release.Withdrawn {
			out = append(out, l)
		}
	}
	return out
}

func floors(levels []release.Listed) []plan.Floor {
	var out []plan.Floor
	for _, l := range levels {
		if l.Floor != "" {
			out = append(out, plan.Floor{Level: l.Level, Reason: l.Floor})
		}
	}
	return out
}

func counts(levels []release.Listed) (regular, security int) {
	for _, l := range levels {
		regular += l.RegularN
		security += l.SecurityN
	}
	return regular, security
}

// firstFloor returns the first floor before `to` that the caller could stop at.
func (w wish) firstFloor(to int, may api.CheckAnswer) (release.Listed, bool) {
	for _, l := range w.offered(may) {
		if l.Floor != "" && l.Level < to {
			return l, true
		}
	}
	return release.Listed{}, false
}
