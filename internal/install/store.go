package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"

	"uplevel/internal/digest"
	"uplevel/internal/object"
	"uplevel/internal/plan"
	"uplevel/internal/release"
)

// Store says how much is kept for going back.
type Store struct {
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"` // on disk
}

// Damage is something the tool keeps that is not as it was written.
type Damage struct {
	What string `json:"what"` // path relative to the home
	Why  string `json:"why"`
}

// HasObject reports whether the store names content with that digest.
func (h *Home) HasObject(ref release.Ref) bool {
	return h.exists(storeDir + "/" + ref.Sum.String())
}

// kept reports whether content lies in the store undamaged, as far as p knows, or ready to
// come into it.
func (h *Home) kept(p *Pending, ref release.Ref) (bool, error) {
	for _, at := range []string{storeDir + "/" + ref.Sum.String(), stagedObject(ref.Sum.String())} {
		if slices.Contains(p.Damaged, at) {
			continue
		}
		if there, err := h.present(at); err != nil || there {
			return there, err
		}
	}
	return false, nil
}

// OpenObject returns verified content of the store, or an error that is fs.ErrNotExist.
func (h *Home) OpenObject(ref release.Ref) (io.ReadCloser, error) {
	f, err := h.root.Open(storeDir + "/" + ref.Sum.String())
	if err != nil {
		return nil, err
	}
	r, err := object.NewReader(f, ref.Sum, ref.Size)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &storeReader{ReadCloser: r, file: f}, nil
}

// objectBytes returns verified content of the store, no larger than limit.
func (h *Home) objectBytes(ref release.Ref, limit int64) ([]byte, error) {
	if ref.Size > limit {
		return nil, fmt.Errorf("%d bytes, the limit is %d", ref.Size, limit)
	}
	r, err := h.OpenObject(ref)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

type storeReader struct {
	io.ReadCloser
	file *os.File
}

func (r *storeReader) Close() error { return errors.Join(r.ReadCloser.Close(), r.file.Close()) }

// Store counts what is kept.
func (h *Home) Store() (Store, error) {
	var s Store
	err := h.eachObject(func(_ string, info fs.FileInfo) error {
		s.Objects++
		s.Bytes += info.Size()
		return nil
	})
	return s, err
}

// CheckStore reads every object of the store and names those that are damaged.
func (h *Home) CheckStore(ctx context.Context) ([]Damage, error) {
	var damaged []Damage
	err := h.eachObject(func(name string, _ fs.FileInfo) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		want, err := digest.Parse(name)
		if err != nil {
			damaged = append(damaged, Damage{What: storeDir + "/" + name, Why: "it is no object of the store"})
			return nil
		}
		f, err := h.root.Open(storeDir + "/" + name)
		if err != nil {
			return err
		}
		defer f.Close()
		if got, _, err := object.Sum(f); err != nil || got != want {
			damaged = append(damaged, Damage{What: storeDir + "/" + name, Why: "its content does not have its digest"})
		}
		return nil
	})
	return damaged, err
}

func (h *Home) eachObject(do func(name string, info fs.FileInfo) error) error {
	entries, err := fs.ReadDir(h.root.FS(), storeDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking into the store: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || (err == nil && !info.Mode().IsRegular()) {
			continue
		}
		if err != nil {
			return err
		}
		if err := do(e.Name(), info); err != nil {
			return err
		}
	}
	return nil
}

// unneeded returns the objects that nothing needs any more after a change: not the new
// level's tree and records, not what the last keep updates replaced or put there, not
// what was decided.
func (h *Home) unneeded(used []digest.Digest, decided []Decision, history []Change, keep int) ([]string, error) {
	needed := map[string]bool{}
	for _, d := range decided {
		needed[d.Result.Sum.String()] = true
	}
	for _, sum := range used {
		needed[sum.String()] = true
	}
	for _, c := range lastUpdates(history, keep) {
		for _, ref := range c.Kept {
			needed[ref.Sum.String()] = true
		}
		for _, a := range c.From.Hotfixes { // going back brings them back
			for _, sum := range h.keptOf(a.Record) {
				needed[sum.String()] = true
			}
		}
		for _, f := range c.Files {
			if f.Before != nil {
				needed[f.Before.Sum.String()] = true
			}
			if f.After != nil { // what was merged, so that a later edit of it can be told
				needed[f.After.Sum.String()] = true
			}
		}
	}
	var names []string
	err := h.eachObject(func(name string, _ fs.FileInfo) error {
		if !needed[name] {
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// lastUpdates returns the entries from the keep-th last update on that was not taken
// back: one that was is no level to go back over, and neither hotfix nor repair is one.
func lastUpdates(history []Change, keep int) []Change {
	seen, taken := 0, math.MaxInt // entries from taken on were taken back by a later revert
	for i, h := range slices.Backward(history) {
		switch {
		case h.RevertTo > 0:
			taken = min(taken, h.RevertTo)
		case h.Kind == plan.Hotfix || h.Kind == plan.RevertHotfix || h.Kind == plan.Repair:
		case h.ID < taken:
			seen++
			if seen >= keep {
				return history[i:]
			}
		}
	}
	return history
}
