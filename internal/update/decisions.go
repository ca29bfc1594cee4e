package update

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"uplevel/internal/digest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// MaxDecisionFile bounds a file of exported decisions, in bytes.
const MaxDecisionFile = 256 << 20

// decisionFile is what resolve --export writes: decisions with their results, for the
// next environment.
type decisionFile struct {
	Format    int               `json:"format"` // 1
	Product   string            `json:"product"`
	Version   string            `json:"version"`
	Decisions []decisionContent `json:"decisions"`
}

type decisionContent struct {
	Path    string        `json:"path"`
	Base    digest.Digest `json:"base,omitzero"`
	Mine    digest.Digest `json:"mine"`
	Theirs  digest.Digest `json:"theirs"`
	Time    time.Time     `json:"time"`
	User    string        `json:"user,omitempty"`
	Content []byte        `json:"content"` // base64 in JSON
}

// DecisionInfo is one remembered decision.
type DecisionInfo struct {
	Path string    `json:"path"`
	Time time.Time `json:"time"`
	User string    `json:"user,omitempty"`
}

// DecisionsResult lists what is remembered, or was taken over.
type DecisionsResult struct {
	Product   string         `json:"product"`
	Version   string         `json:"version"`
	Decisions []DecisionInfo `json:"decisions"`
	File      string         `json:"file,omitempty"` // that was written or read
}

// ExportDecisions returns what was decided about conflicts here, with the results, for
// [Updater.ImportDecisions] in another installation.
func (u *Updater) ExportDecisions(ctx context.Context) ([]byte, DecisionsResult, error) {
	state := u.Home.State()
	res := DecisionsResult{Product: state.Product, Version: state.Version, Decisions: []DecisionInfo{}}
	if err := u.ready(ctx); err != nil {
		return nil, res, err
	}
	decided, err := u.Home.Decided()
	if err != nil {
		return nil, res, err
	}
	file := decisionFile{Format: 1, Product: state.Product, Version: state.Version, Decisions: []decisionContent{}}
	var total int64
	for _, d := range decided {
		if total += d.Result.Size; total > MaxDecisionFile/2 {
			return nil, res, problem.New(problem.Refused, "Decide these files anew in the other installation.",
				"The decisions hold more than %d bytes", int64(MaxDecisionFile/2))
		}
		data, err := u.stored(d.Result)
		if err != nil {
			u.Log.Warn("a decision is left out: its result cannot be had", "path", d.Path, "error", err)
			continue
		}
		file.Decisions = append(file.Decisions, decisionContent{
			Path: d.Path, Base: d.Base, Mine: d.Mine, Theirs: d.Theirs, Time: d.Time, User: d.User, Content: data,
		})
		res.Decisions = append(res.Decisions, DecisionInfo{Path: d.Path, Time: d.Time, User: d.User})
	}
	data, err := json.MarshalIndent(file, "", " ")
	return append(data, '\n'), res, err
}

// ImportDecisions takes over decisions that were exported elsewhere. Each is taken again
// wherever the same three contents meet.
func (u *Updater) ImportDecisions(ctx context.Context, data []byte) (DecisionsResult, error) {
	state := u.Home.State()
	res := DecisionsResult{Product: state.Product, Version: state.Version, Decisions: []DecisionInfo{}}
	var file decisionFile
	err := json.Unmarshal(data, &file)
	if err == nil && file.Format != 1 {
		err = fmt.Errorf("format %d is unknown", file.Format)
	}
	if err != nil {
		return res, problem.New(problem.Failed, "Give a file that resolve --export wrote.", "These are no decisions: %w", err)
	}
	if file.Product != state.Product {
		return res, problem.New(problem.Refused, "Give a file that was exported from an installation of the same product.",
			"The decisions are about %.64q, this is %s", file.Product, state.Product)
	}
	results := map[release.Ref][]byte{}
	var made []Decision
	for _, d := range file.Decisions {
		ref := release.Ref{Sum: digest.Of(d.Content), Size: int64(len(d.Content))}
		results[ref] = d.Content
		made = append(made, Decision{Path: d.Path, Base: d.Base, Mine: d.Mine, Theirs: d.Theirs, Result: ref, Time: d.Time, User: d.User})
		res.Decisions = append(res.Decisions, DecisionInfo{Path: d.Path, Time: d.Time, User: d.User})
	}
	return res, u.exclusive(ctx, false, func() error {
		return u.Home.Import(made, func(ref release.Ref) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(results[ref])), nil
		})
	})
}
