package trust

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/digest"
	"uplevel/internal/release"
)

// ToolStep returns the step to the role that lists programs of the update tool; false when
// the vendor publishes none. A delegation that does not lead to them is refused, as that of
// a line is.
func (v *Verifier) ToolStep() (Step, bool, error) {
	targets := v.role(RoleTargets)
	if targets == nil {
		return Step{}, false, nil
	}
	some := release.ToolPath("0", release.ToolSystems()[0])
	delegated, err := leadsTo(targets, RoleTool, some)
	if err != nil {
		return Step{}, false, Refuse(CacheName(RoleTargets), err)
	}
	if _, _, err := v.Listed(RoleTool); err != nil || !delegated {
		return Step{}, false, nil //nolint:nilerr // a role that was never published has no file
	}
	return Step{Role: RoleTool, Parent: RoleTargets}, true, nil
}

// WithoutTools goes on without the programs of the update tool, which is what views say
// then: they expired, did not come along, or somebody else signed them. An update of the product
// does not need them.
func (v *Verifier) WithoutTools(why error) {
	delete(v.set.Targets, RoleTool)
	v.noTools = why
}

// Tools returns the programs of the update tool that the vendor's release key lists, the
// oldest first. There may be none because none is published, or because of
// [View.ToolsUnknown].
func (v *View) Tools() []release.Tool { return slices.Clone(v.tools) }

// ToolsUnknown returns why it is not known which programs of the update tool there are; nil
// when it is.
func (v *View) ToolsUnknown() error { return v.noTools }

// addTools puts the programs into a view.
func (v *Verifier) addTools(view *View) error {
	view.noTools = v.noTools
	if view.noTools == nil {
		return v.addPublished(view)
	}
	return nil
}

func (v *Verifier) addPublished(view *View) error {
	_, published, err := v.ToolStep()
	if err != nil || !published {
		return err
	}
	signed := v.role(RoleTool)
	if signed == nil {
		view.noTools = errors.New("the file that lists them is not there")
		return nil
	}
	if view.tools, err = toolsOf(signed); err != nil {
		return Refuse(CacheName(RoleTool), err)
	}
	return nil
}

// ToolPrograms returns the programs that the tool role's file lists, the oldest first,
// without judging signatures: for a file that was verified otherwise, as the service does.
func ToolPrograms(data []byte) ([]release.Tool, error) {
	if err := checkShape(RoleTool, data); err != nil {
		return nil, Refuse(CacheName(RoleTool), err)
	}
	var parsed metadata.Metadata[metadata.TargetsType]
	if _, err := parsed.FromBytes(data); err != nil {
		return nil, Refuse(CacheName(RoleTool), err)
	}
	tools, err := toolsOf(&parsed.Signed)
	if err != nil {
		return nil, Refuse(CacheName(RoleTool), err)
	}
	return tools, nil
}

// toolsOf reads the targets of the tool's role: every one must be a program of the tool.
func toolsOf(signed *metadata.TargetsType) ([]release.Tool, error) {
	tools := make([]release.Tool, 0, len(signed.Targets))
	for _, name := range slices.Sorted(maps.Keys(signed.Targets)) {
		tool, err := toolOf(name, signed.Targets[name])
		if err != nil {
			return nil, fmt.Errorf("it lists %.200q: %w", name, err)
		}
		tools = append(tools, tool)
	}
	slices.SortFunc(tools, func(a, b release.Tool) int {
		return cmp.Or(release.CompareTools(a.Version, b.Version), strings.Compare(a.Version, b.Version), strings.Compare(a.System, b.System))
	})
	return tools, nil
}

func toolOf(name string, target *metadata.TargetFiles) (release.Tool, error) {
	hash := target.Hashes["sha256"]
	switch {
	case len(hash) != digest.Size:
		return release.Tool{}, errors.New("it has no SHA-256")
	case target.Custom == nil:
		return release.Tool{}, errors.New("it does not say which version it is")
	}
	listing, err := release.ParseToolListing(*target.Custom, name)
	if err != nil {
		return release.Tool{}, err
	}
	t := release.Tool{ToolListing: listing, Program: release.Ref{Sum: digest.Digest(hash), Size: target.Length}}
	return t, t.Check()
}
