package toml

import (
	"fmt"

	"github.com/pelletier/go-toml/v2/unstable"
)

// definition is what a key was defined as.
type definition string

const (
	value    definition = "value"           // cannot be extended
	dotted   definition = "dotted table"    // by keys such as a.b = 1; extended by such only
	implied  definition = "implied table"   // by the header of a table in it
	explicit definition = "table"           // by its own header
	tables   definition = "array of tables" // the last table is meant
)

// defined is a key with the keys in it.
type defined struct {
	as  definition
	has map[string]*defined
}

func (d *defined) get(name string) *defined { return d.has[name] }

func (d *defined) set(name string, as definition) *defined {
	if d.has == nil {
		d.has = map[string]*defined{}
	}
	d.has[name] = &defined{as: as}
	return d.has[name]
}

// definitions are the keys of a document so far. go-toml looks through a list for each,
// which takes too long for a hostile text.
type definitions struct{ root, table *defined }

func newDefinitions() *definitions {
	root := &defined{as: explicit}
	return &definitions{root, root}
}

// add defines the key of a statement.
func (d *definitions) add(e *unstable.Node) error {
	if e.Kind == unstable.KeyValue {
		return define(d.table, e)
	}
	at := d.root
	for it := e.Key(); it.Next(); {
		name := string(it.Node().Data)
		next := at.get(name)
		if it.IsLast() {
			table, err := header(at, next, name, e.Kind)
			d.table = table
			return err
		}
		switch {
		case next == nil:
			next = at.set(name, implied)
		case next.as == value:
			return fmt.Errorf("%s is a value, and a table too", name)
		}
		at = next
	}
	return nil
}

// header defines a table, or the next table of an array.
func header(in, known *defined, name string, kind unstable.Kind) (*defined, error) {
	as := explicit
	if kind == unstable.ArrayTable {
		as = tables
	}
	switch {
	case known == nil:
		return in.set(name, as), nil
	case as == tables && known.as == tables:
		known.has = nil
		return known, nil
	case as == explicit && known.as == implied:
		known.as = explicit
		return known, nil
	}
	return nil, fmt.Errorf("%s is defined as a %s, and again as a %s", name, known.as, as)
}

// define defines the key of an entry, and those in its value.
func define(in *defined, entry *unstable.Node) error {
	for it := entry.Key(); it.Next(); {
		name := string(it.Node().Data)
		known := in.get(name)
		switch {
		case it.IsLast() && known == nil:
			in.set(name, value)
		case known == nil:
			in = in.set(name, dotted)
		case it.IsLast() || known.as != dotted:
			return fmt.Errorf("%s is defined twice", name)
		default:
			in = known
		}
	}
	return inside(entry.Value())
}

// inside looks into a value for tables. The parser bounds the depth.
func inside(v *unstable.Node) error {
	if v.Kind != unstable.Array && v.Kind != unstable.InlineTable {
		return nil
	}
	table := &defined{as: explicit}
	for it := v.Children(); it.Next(); {
		var err error
		if v.Kind == unstable.Array {
			err = inside(it.Node())
		} else {
			err = define(table, it.Node())
		}
		if err != nil {
			return err
		}
	}
	return nil
}
