package install

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"uplevel/internal/digest"
	"uplevel/internal/durable"
	"uplevel/internal/manifest"
	"uplevel/internal/object"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// The bounds of what is remembered of conflicts.
const (
	maxDecisions = 500
	maxDecided   = 64 << 20 // bytes of one result; larger ones are not remembered
)

// Decision is what an operator decided about one conflict: of these three contents, that
// one. It is taken again wherever the same three meet.
type Decision struct {
	Path   string        `json:"path"` // where it was decided; the contents alone count
	Base   digest.Digest `json:"base,omitzero"`
	Mine   digest.Digest `json:"mine"`
	Theirs digest.Digest `json:"theirs"`
	Result release.Ref   `json:"result"` // lies in the store
	Time   time.Time     `json:"time"`
	User   string        `json:"user,omitempty"`
}

// about reports whether both are about the same three contents.
func (d Decision) about(o Decision) bool {
	return d.Base == o.Base && d.Mine == o.Mine && d.Theirs == o.Theirs
}

// decisions is updates/decisions.json.
type decisions struct {
	Format    int        `json:"format"` // 1
	Decisions []Decision `json:"decisions"`
}

// Decided returns what was decided before, the newest first.
func (h *Home) Decided() ([]Decision, error) {
	data, err := h.readSmall(decisionsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var d decisions
	if err == nil {
		err = json.Unmarshal(data, &d)
	}
	if err == nil && d.Format != 1 {
		err = fmt.Errorf("format %d is unknown", d.Format)
	}
	if err != nil {
		return nil, problem.New(problem.Refused, "Move it away to decide anew, or bring it back from a backup.",
			"updates/decisions.json cannot be used: %w", err)
	}
	return d.Decisions, nil
}

// remembered returns decisions with newer ones in front, each triple once, bounded.
func remembered(newer, older []Decision) []Decision {
	all := slices.Clone(newer)
	for _, d := range older {
		if !slices.ContainsFunc(newer, d.about) {
			all = append(all, d)
		}
	}
	return all[:min(len(all), maxDecisions)]
}

// decisionBytes is decisions.json for a list.
func decisionBytes(list []Decision) ([]byte, error) {
	return json.MarshalIndent(decisions{Format: 1, Decisions: list}, "", " ")
}

// remember notes the decisions of this commit and keeps their results in the store, so
// that they can be taken again.
func (c *committer) remember(outcomes []plan.Outcome) error {
	var made []Decision
	for i, o := range c.pending.Plan.Outcomes {
		result := outcomes[i].Result
		if o.Action != plan.Conflict || !isFile(o.Disk) || !isFile(o.Want) || !isFile(result) || result.Size > maxDecided {
			continue
		}
		d := Decision{
			Path: o.Path, Mine: o.Disk.Sum, Theirs: o.Want.Sum, Result: release.Ref{Sum: result.Sum, Size: result.Size},
			Time: c.home.opts.Now().UTC().Truncate(time.Second), User: c.pending.User,
		}
		if o.Base != nil {
			d.Base = o.Base.Sum
		}
		if err := c.keepResult(outcomes[i]); err != nil {
			return err
		}
		made = append(made, d)
	}
	older, err := c.home.Decided()
	if err != nil {
		return err
	}
	c.decided = remembered(made, older)
	if len(made) == 0 {
		return nil
	}
	data, err := decisionBytes(c.decided)
	if err != nil {
		return err
	}
	return c.own(decisionsFile, data)
}

// keepResult puts what a decided conflict results in into the store.
func (c *committer) keepResult(o plan.Outcome) error {
	from := o.Path
	if o.Action.Changes() {
		from = c.pending.Staged[o.Path].New
	}
	f, err := c.home.root.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return c.home.keepCopy(c.pending, release.Ref{Sum: o.Result.Sum, Size: o.Result.Size}, info.Mode(), f)
}

// Import takes over decisions that were made elsewhere; content opens their results.
// Those that are known here already win. The home must be locked.
func (h *Home) Import(made []Decision, content func(release.Ref) (io.ReadCloser, error)) error {
	known, err := h.Decided()
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(h.abs(storeDir), 0o755); err != nil {
		return err
	}
	for _, d := range made {
		if err := h.importResult(d.Result, content); err != nil {
			return fmt.Errorf("result for %s: %w", d.Path, err)
		}
	}
	data, err := decisionBytes(remembered(known, made))
	if err != nil {
		return err
	}
	return durable.WriteFile(h.abs(decisionsFile), data, 0o644)
}

func (h *Home) importResult(ref release.Ref, content func(release.Ref) (io.ReadCloser, error)) error {
	if h.HasObject(ref) {
		return nil
	}
	r, err := content(ref)
	if err != nil {
		return err
	}
	defer r.Close()
	f, err := durable.Create(h.abs(storeDir+"/"+ref.Sum.String()), 0o600) // whose file it will be is not known
	if err != nil {
		return err
	}
	defer f.Discard()
	sum, size, err := object.Encode(f, r)
	if err == nil && (sum != ref.Sum || size != ref.Size) {
		err = digest.ErrMismatch
	}
	if err != nil {
		return err
	}
	return f.Commit()
}

func isFile(e *manifest.Entry) bool { return e != nil && e.Kind == manifest.File }
