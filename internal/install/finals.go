package install

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
)

// An operator decides a conflict at F by writing F.final. One that lay there before the
// conflict is from another time, and decides nothing until it is written anew; so does
// one that was there when the conflict was decided in another way.

// Unresolved returns the conflicts without a decision: no resolution recorded and no
// F.final written for them.
func (h *Home) Unresolved(p *Pending) ([]string, error) {
	var open []string
	for _, path := range p.Plan.Conflicts() {
		final, err := h.HasFinal(p, path)
		if err != nil {
			return nil, err
		}
		if _, ok := p.Resolved[path]; !ok && !final {
			open = append(open, path)
		}
	}
	return open, nil
}

// Waits tells of the prepared change where it leads and which of its conflicts are open,
// without holding the rest of a plan that may be large. None is fs.ErrNotExist.
func (h *Home) Waits() (to State, open []string, err error) {
	data, err := h.read(pendingFile, 2048*manifest.MaxEntries)
	if err != nil {
		return to, nil, err
	}
	var p struct {
		Pending

		Plan struct {
			Outcomes []struct {
				Path   string      `json:"path"`
				Action plan.Action `json:"action"`
			} `json:"outcomes"`
		} `json:"plan"`
	}
	if err := json.Unmarshal(data, &p); err != nil {
		return to, nil, fmt.Errorf("the prepared change is damaged: %w", err)
	}
	p.Pending.Plan = &plan.Plan{}
	for _, o := range p.Plan.Outcomes {
		if o.Action == plan.Conflict {
			p.Pending.Plan.Outcomes = append(p.Pending.Plan.Outcomes, plan.Outcome{Path: o.Path, Action: o.Action})
		}
	}
	open, err = h.Unresolved(&p.Pending)
	return p.State, open, err
}

// unresolved names what is still open.
func (h *Home) unresolved(p *Pending, open []string) error {
	var next strings.Builder
	next.WriteString("Write FILE.final beside each, or decide with resolve FILE --mine, --theirs or --file F; then run --continue.")
	for _, path := range open {
		if info, err := h.lstat(path + ".final"); err == nil && !info.Mode().IsRegular() {
			next.WriteString(" " + path + ".final is no file: move it away.")
			break
		}
		if _, aside := p.Earlier[path]; aside {
			next.WriteString(" " + path + ".final is from before this conflict: write it anew, or take it with resolve " + path + " --file " + path + ".final.")
			break
		}
	}
	return problem.New(problem.Conflicts, next.String(),
		"Not resolved yet: %s", strings.Join(open, ", ")).
		Standing("The product is wholly at its old level and can run; every .final is kept.")
}

// HasFinal reports whether the operator wrote F.final, or a link to it, for the conflict at
// F of a prepared change. Of anything else, such as a folder or a pipe, nothing is read.
func (h *Home) HasFinal(p *Pending, path string) (bool, error) {
	info, err := h.lstat(path + ".final")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() && info.Mode().Type() != fs.ModeSymlink {
		return false, nil
	}
	if to, err := h.root.Stat(path + ".final"); err == nil && !to.Mode().IsRegular() {
		return false, nil // a link to no file
	}
	earlier, known := p.Earlier[path]
	return !known || !earlier.is(identityOf(info)), nil
}

// setFinalAside notes the F.final that lies at a conflict now as one that decides nothing.
func (h *Home) setFinalAside(p *Pending, path string) error {
	info, err := h.lstat(path + ".final")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if p.Earlier == nil {
		p.Earlier = map[string]identity{}
	}
	p.Earlier[path] = identityOf(info)
	return nil
}

// inheritFinals sets every F.final aside that was not written for the same conflict of
// the change that was prepared before.
func (h *Home) inheritFinals(p, before *Pending) error {
	for _, o := range p.Plan.Outcomes {
		if o.Action != plan.Conflict {
			continue
		}
		if before != nil {
			same, ok := before.conflict(o.Path)
			if earlier, aside := before.Earlier[o.Path]; ok && sameSides(o, same) {
				if aside {
					p.Earlier[o.Path] = earlier
				}
				continue
			}
		}
		if err := h.setFinalAside(p, o.Path); err != nil {
			return err
		}
	}
	return nil
}

// sameSides reports whether two conflicts are about the same vendor's contents.
func sameSides(a, b plan.Outcome) bool {
	return a.Want != nil && b.Want != nil && a.Want.SameContent(*b.Want) || a.Want == nil && b.Want == nil
}
