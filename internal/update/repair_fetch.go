package update

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"uplevel/internal/digest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// Where restored content comes from.
const (
	fromStore   = "store"
	fromZip     = "zip"
	fromProduct = "product" // a file of the product that has it
	fromService = "service"
	wasRemoved  = "removed" // a damaged object that nothing needs, or nobody has
)

// find tells where the content of each thing comes from, and drops what can be had nowhere.
func (m *mending) find(ctx context.Context) error {
	for i := range m.todo {
		if ref, needed := m.todo[i].ref(); needed {
			m.todo[i].from = m.u.near(ref)
		}
	}
	for i := range m.kept.wanted {
		if w := &m.kept.wanted[i]; w.from == "" {
			w.from = m.u.near(w.ref)
		}
	}
	m.far(ctx, func(l level, refs []release.Ref) error {
		if m.u.Fetch == nil {
			return errors.New("it is not kept here, and the service is not known or not to be used")
		}
		size, err := m.u.Fetch.Sizes(ctx, l.record.Line(), l.record.Level, refs)
		m.info.Download += size
		return err
	})
	return ctx.Err() // what was not asked for any more is not lost
}

// near tells where content is had without the service.
func (u *Updater) near(ref release.Ref) string {
	switch {
	case u.brought != nil && u.brought.Has(ref.Sum):
		return fromZip
	case u.whole(ref):
		return fromStore
	}
	return fromService
}

// far has do ask the service for what is nowhere near, level by level, and drops what it
// does not give. Where one object is at fault, the others are asked for by themselves.
func (m *mending) far(ctx context.Context, do func(level, []release.Ref) error) {
	asked := m.asked()
	levels := m.u.levelsFor(ctx, m.c.at, asked)
	refs := make([][]release.Ref, len(levels))
	refused := map[digest.Digest]error{}
	for _, ref := range asked {
		i := slices.IndexFunc(levels, func(l level) bool { return l.holds(ref) })
		if i < 0 {
			refused[ref.Sum] = errors.New("no level holds it, and it is not kept here")
			continue
		}
		refs[i] = append(refs[i], ref)
	}
	for i, l := range levels {
		if len(refs[i]) == 0 {
			continue
		}
		err := do(l, refs[i])
		single := err != nil && problem.KindOf(err) == problem.Verification && len(refs[i]) > 1
		for _, ref := range refs[i] {
			if single {
				err = do(l, []release.Ref{ref})
			}
			if err != nil {
				refused[ref.Sum] = err
			}
		}
	}
	m.drop(refused)
}

// asked returns what the service is asked for, each once.
func (m *mending) asked() []release.Ref {
	var refs []release.Ref
	for _, t := range m.todo {
		if ref, needed := t.ref(); needed && t.from == fromService && !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	for _, w := range m.kept.wanted {
		if w.from == fromService && !slices.Contains(refs, w.ref) {
			refs = append(refs, w.ref)
		}
	}
	return refs
}

// drop leaves out what cannot be had, with why.
func (m *mending) drop(refused map[digest.Digest]error) {
	m.todo = slices.DeleteFunc(m.todo, func(t mend) bool {
		ref, needed := t.ref()
		why := refused[ref.Sum]
		if !needed || t.from != fromService || why == nil {
			return false
		}
		m.lost(t.Path, why.Error())
		return true
	})
	m.kept.wanted = slices.DeleteFunc(m.kept.wanted, func(w wanted) bool {
		why := refused[w.ref.Sum]
		if w.from != fromService || why == nil {
			return false
		}
		m.kept.lost = append(m.kept.lost, w.ref.Sum)
		m.lost("updates/store/"+w.ref.Sum.String(),
			fmt.Sprintf("it was damaged and goes; what it held (%d bytes) cannot be had, so that going back may need the service: %v", w.ref.Size, why))
		return true
	})
}

// fetch gets what the service has to give; what it does not give is left out.
func (m *mending) fetch(ctx context.Context) error {
	m.far(ctx, func(l level, refs []release.Ref) error { return m.u.fetchPart(ctx, l, refs) })
	return ctx.Err()
}
