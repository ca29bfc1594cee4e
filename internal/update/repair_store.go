package update

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/release"
)

// keptThings are damaged objects of the store, and what comes in their place.
type keptThings struct {
	damaged []string                 // paths
	wanted  []wanted                 // what is put in place of some of them
	records map[digest.Digest]string // of the level: where they come from with every change
	disk    map[digest.Digest]string // what files of the product hold
	lost    []digest.Digest          // what nobody has
}

// wanted is content for the store.
type wanted struct {
	ref  release.Ref
	from string
}

// damagedThings finds what of the store is damaged, and what it held. The damaged ones go
// in any case: they count as missing everywhere.
func (u *Updater) damagedThings(ctx context.Context, c comparison) (keptThings, error) {
	k := keptThings{disk: map[digest.Digest]string{}}
	found, err := u.Home.CheckStore(ctx)
	if err != nil || len(found) == 0 {
		return k, err
	}
	for _, e := range c.seen.Tree.Entries() {
		if e.Kind == manifest.File && !e.Sum.IsZero() {
			k.disk[e.Sum] = e.Path
		}
	}
	known, err := u.namedByTheStore(c.at)
	if err != nil {
		return k, err
	}
	k.records = map[digest.Digest]string{}
	for _, ref := range []release.Ref{c.at.ref, c.at.record.Manifest} {
		k.records[ref.Sum] = u.near(ref)
	}
	for _, d := range found {
		k.damaged = append(k.damaged, d.What)
		sum, err := digest.Parse(path.Base(d.What))
		ref, needed := known[sum]
		if err != nil || !needed || k.records[sum] != "" {
			continue
		}
		w := wanted{ref: ref}
		if k.disk[sum] != "" {
			w.from = fromProduct
		}
		k.wanted = append(k.wanted, w)
	}
	return k, nil
}

// namedByTheStore returns what the store may be asked for: by the level, its hotfixes, the
// history and the decisions.
func (u *Updater) namedByTheStore(at level) (map[digest.Digest]release.Ref, error) {
	known := map[digest.Digest]release.Ref{}
	add := func(refs ...release.Ref) {
		for _, r := range refs {
			known[r.Sum] = r
		}
	}
	files := func(entries ...manifest.Entry) {
		for _, e := range entries {
			if e.Kind == manifest.File && !e.Sum.IsZero() {
				add(release.Ref{Sum: e.Sum, Size: e.Size})
			}
		}
	}
	add(at.ref, at.record.Manifest, at.record.Notes)
	files(at.published.Entries()...)
	for _, h := range at.hotfixes {
		want, base := h.record.Contents()
		add(append(append(want, base...), h.Record)...)
	}
	history, err := u.Home.History()
	if err != nil {
		return nil, err
	}
	for _, c := range history {
		add(c.From.Record, c.From.Manifest)
		for _, f := range c.Files {
			for _, e := range []*manifest.Entry{f.Before, f.After} {
				if e != nil {
					files(*e)
				}
			}
		}
	}
	decided, err := u.Home.Decided()
	for _, d := range decided {
		add(d.Result)
	}
	return known, err
}

// levelsFor returns levels that may hold refs: the installed one and, where that does not
// hold all of them, those of the history.
func (u *Updater) levelsFor(ctx context.Context, at level, refs []release.Ref) []level {
	levels := []level{at}
	if !slices.ContainsFunc(refs, func(r release.Ref) bool { return !at.holds(r) }) {
		return levels
	}
	history, err := u.Home.History()
	if err != nil {
		return levels
	}
	for _, c := range slices.Backward(history) {
		if slices.ContainsFunc(levels, func(l level) bool { return l.ref == c.From.Record }) {
			continue
		}
		line := u.Home.State().Line()
		line.Channel = c.From.Channel
		if l, err := u.level(ctx, line, c.From.Level, c.From.Record); err == nil {
			levels = append(levels, l)
		}
	}
	return levels
}

// holds reports whether a level as published has that content.
func (l level) holds(ref release.Ref) bool {
	if slices.Contains([]release.Ref{l.ref, l.record.Manifest, l.record.Notes}, ref) {
		return true
	}
	return slices.ContainsFunc(l.published.Entries(), func(e manifest.Entry) bool {
		return e.Kind == manifest.File && e.Sum == ref.Sum
	})
}

// told lists what becomes of the damaged ones.
func (k *keptThings) told() []Restored {
	var out []Restored
	for _, name := range k.damaged {
		r := Restored{What: name, Was: "damaged", From: wasRemoved}
		if sum, err := digest.Parse(path.Base(name)); err == nil {
			if slices.Contains(k.lost, sum) {
				continue // told as such
			}
			r.From = orElse(k.records[sum], r.From)
		}
		if i := slices.IndexFunc(k.wanted, func(w wanted) bool { return path.Base(name) == w.ref.Sum.String() }); i >= 0 {
			r.From = k.wanted[i].from
		}
		out = append(out, r)
	}
	return out
}

// source opens content for a repair: of the product itself, carried in, kept, or fetched.
func (k *keptThings) source(u *Updater) Source { return repairSource{u, k.disk, k.wanted} }

type repairSource struct {
	u      *Updater
	disk   map[digest.Digest]string
	wanted []wanted
}

// Open returns verified content, or an error that is fs.ErrNotExist.
func (s repairSource) Open(ref release.Ref) (io.ReadCloser, error) {
	if i := slices.IndexFunc(s.wanted, func(w wanted) bool { return w.ref == ref && w.from == fromProduct }); i >= 0 {
		f, err := s.u.Home.OpenFile(s.disk[ref.Sum])
		if err != nil {
			return nil, err
		}
		return verified{digest.NewReader(f, ref.Sum, ref.Size), f}, nil
	}
	if s.u.near(ref) == fromStore { // before the cache of downloads, which may be damaged, too
		return s.u.Home.OpenObject(ref)
	}
	return bytesOf{s.u}.Open(ref)
}

type verified struct {
	io.Reader
	io.Closer
}

// noMetadata is why there is no view where none were ever fetched.
const noMetadata = "none were fetched"

// CarriedHotfix is the zip of a hotfix as content for a repair: its files, and its record
// for the one in the store.
func CarriedHotfix(zip Carried, payload []byte) Carried {
	return carriedHotfix{zip, payload}
}

type carriedHotfix struct {
	Carried

	payload []byte
}

func (c carriedHotfix) Has(sum digest.Digest) bool {
	return sum == digest.Of(c.payload) || c.Carried.Has(sum)
}

func (c carriedHotfix) Open(ref release.Ref) (io.ReadCloser, error) {
	if ref.Sum == digest.Of(c.payload) {
		return io.NopCloser(digest.NewReader(bytes.NewReader(c.payload), ref.Sum, ref.Size)), nil
	}
	if !c.Carried.Has(ref.Sum) {
		return nil, errors.Join(fmt.Errorf("content %s", ref.Sum), fs.ErrNotExist)
	}
	return c.Carried.Open(ref)
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
