package install

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// What a cut left is acted on only when a commit can have written all of it: half a
// recovery by a torn file loses what a whole one could still bring back.

// check refuses a journal that no commit writes.
func (j journal) check() error {
	if j.Format != 1 {
		return fmt.Errorf("format %d is unknown", j.Format)
	}
	if j.Direction != forward && j.Direction != undo {
		return fmt.Errorf("direction %.40q is unknown", j.Direction)
	}
	for _, o := range j.Operations {
		if err := o.check(); err != nil {
			return fmt.Errorf("%.40q of %.100q: %w", o.Kind, o.Path, err)
		}
	}
	return nil
}

func (o operation) check() error {
	if !filepath.IsLocal(o.Path) || (o.New != "" && !staging(o.New)) || (o.Old != "" && !staging(o.Old)) {
		return errors.New("it leads elsewhere")
	}
	switch o.Kind {
	case place:
		if o.New == "" || (o.Old != "") != (o.Was != nil) {
			return errors.New("it does not say what comes, or what stood there")
		}
	case remove:
		if (o.Old != "") != (o.Was != nil) {
			return errors.New("it does not say what stood there")
		}
	case rmdir:
		if o.Old == "" {
			return errors.New("it has no twin")
		}
	case chmod:
	default:
		return errors.New("there is no such operation")
	}
	return nil
}

// staging reports whether name lies in a folder in which changes are prepared.
func staging(name string) bool {
	return filepath.IsLocal(name) && path.Clean(name) == name &&
		(strings.HasPrefix(name, stagingDir+"/") || strings.Contains("/"+path.Dir(name), "/"+mountStaging))
}

// check refuses a prepared change that no preparation writes.
func (p *Pending) check() error {
	if p.Format != 1 || p.Plan == nil {
		return fmt.Errorf("format %d is unknown, or it has no plan", p.Format)
	}
	if err := p.Plan.Check(); err != nil {
		return err
	}
	for _, f := range p.Staging {
		if !staging(f + "/x") {
			return fmt.Errorf("%.100q is no folder of a preparation's", f)
		}
	}
	for _, side := range p.Sides {
		of := strings.TrimSuffix(strings.TrimSuffix(side, ".original"), ".new")
		if _, ok := p.conflict(of); !ok || of == side {
			return fmt.Errorf("%.100q is no side of a conflict", side)
		}
	}
	for name := range p.Documents {
		if name != path.Base(name) {
			return fmt.Errorf("%.100q is no document", name)
		}
	}
	return p.checkStaged()
}

// checkStaged refuses what does not lie where a preparation puts it, and choices on what
// is no conflict with two sides.
func (p *Pending) checkStaged() error {
	for _, all := range []map[string]staged{p.Staged, p.Mine, p.Theirs} {
		for of, s := range all {
			if s.New != "" && !staging(s.New) {
				return fmt.Errorf("what is ready for %.100q lies elsewhere", of)
			}
		}
	}
	for of := range p.Mine {
		if o, ok := p.conflict(of); !ok || o.Disk == nil || o.Inside == nil {
			return fmt.Errorf("%.100q has no side of the operator's", of)
		}
	}
	for of, r := range p.Resolved {
		if o, ok := p.conflict(of); !ok || !slices.Contains([]string{Mine, Theirs, Given}, r.Choice) ||
			(r.Choice == Given && !staging(r.New)) || (r.Choice == Mine && o.Disk == nil && p.Mine[of].New != "") {
			return fmt.Errorf("the decision on %.100q is none", of)
		}
	}
	return nil
}
