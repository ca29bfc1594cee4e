package publish

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"uplevel/internal/api"
	"uplevel/internal/problem"
	"uplevel/internal/publish/toolset"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/sign"
)

// ToolsRequest asks for a version of the update tool to be published.
type ToolsRequest struct {
	Set     toolset.Set
	Minimum string // oldest version that may go on without it; empty: what was demanded before
}

// ToolsOutcome is what publishing the update tool did.
type ToolsOutcome struct {
	Tools   []release.Tool // of the version that was asked for, as they are published
	Already bool           // all of them were there before
	Stored  int            // programs uploaded
	Sent    int64          // bytes uploaded, in stored form
}

// Tools publishes the programs of a set. A version is higher than all before; programs for
// more systems may be added to the newest one. Only the tool's key is needed.
func (p *Publisher) Tools(ctx context.Context, req ToolsRequest) (ToolsOutcome, error) {
	view, err := p.Signer.Refresh(ctx)
	if err != nil {
		return ToolsOutcome{}, err
	}
	if err := view.ToolsUnknown(); err != nil {
		return ToolsOutcome{}, problem.New(problem.Verification, "Run keys renew.", "It is not known which update tools are published: %w", err)
	}
	published := view.Tools()
	wanted, err := p.wantedTools(req, published)
	if err != nil {
		return ToolsOutcome{}, err
	}
	out := ToolsOutcome{Tools: wanted, Already: true}
	for _, t := range wanted {
		out.Already = out.Already && slices.Contains(published, t)
	}
	return out, p.publishTools(ctx, req.Set, &out)
}

// wantedTools returns how the programs will be listed; what is listed already stays.
func (p *Publisher) wantedTools(req ToolsRequest, published []release.Tool) ([]release.Tool, error) {
	released := req.Set.Released
	if released.IsZero() {
		released = p.Now().UTC().Truncate(time.Second)
	}
	minimum := req.Minimum
	if minimum == "" {
		minimum = release.MinimumTool(published)
	}
	var wanted []release.Tool
	for _, t := range req.Set.Listed(minimum) {
		t.Released = released
		i := slices.IndexFunc(published, func(o release.Tool) bool { return o.Version == t.Version && o.System == t.System })
		if i >= 0 {
			if published[i].Program != t.Program {
				return nil, problem.New(problem.Refused, "Build it as the next version: make tools-all VERSION=…",
					"Version %s for %s is published already, and is another program", t.Version, t.System)
			}
			t.Released = published[i].Released
		}
		if err := t.Check(); err != nil {
			return nil, problem.New(problem.Usage, "Correct --minimum, or build the tool with another version.", "Version %s can not be published: %w", t.Version, err)
		}
		wanted = append(wanted, t)
	}
	if n := len(published); n > 0 && published[n-1].Version != req.Set.Version && release.CompareTools(req.Set.Version, published[n-1].Version) <= 0 {
		return nil, problem.New(problem.Refused, "Build it as a higher version: make tools-all VERSION=…",
			"Version %s is not higher than %s, which is published", req.Set.Version, published[n-1].Version)
	}
	return wanted, nil
}

// publishTools uploads what the service lacks, then lists it.
func (p *Publisher) publishTools(ctx context.Context, set toolset.Set, out *ToolsOutcome) error {
	var doc []byte
	if !out.Already {
		var err error
		if doc, err = p.signTools(out.Tools); err != nil { // a wrong passphrase is told before anything travels
			return err
		}
	}
	uploads := make([]upload, 0, len(set.Programs))
	for _, program := range set.Programs {
		uploads = append(uploads, upload{Ref: program.Ref, open: program.Open})
	}
	var sent Outcome
	err := p.store(ctx, uploads, &sent)
	out.Stored, out.Sent = sent.Stored, sent.Sent
	if err != nil || out.Already {
		return err
	}
	return p.Signer.Submit(ctx, []api.RoleMetadata{{Role: trust.RoleTool, Data: doc}})
}

// signTools returns the tool role's next document.
func (p *Publisher) signTools(tools []release.Tool) ([]byte, error) {
	before, err := p.Signer.Folder.Document(trust.RoleTool)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	keys, err := p.Signer.Folder.Signers(trust.RoleTool)
	if err != nil {
		return nil, err
	}
	return sign.PutTools(before, tools, p.Now(), keys)
}
