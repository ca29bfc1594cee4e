package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"uplevel/internal/api"
	"uplevel/internal/durable"
	"uplevel/internal/problem"
	"uplevel/internal/publish"
	"uplevel/internal/publish/setup"
	"uplevel/internal/publish/toolset"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// toolsOptions are the options of tools.
type toolsOptions struct {
	out, toolName, from, minimum string
	publish                      bool
}

func (p *program) toolsCommand() *cobra.Command {
	var o toolsOptions
	cmd := &cobra.Command{
		Use: "tools", Short: "Write the update tool for every system, or publish it",
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return p.toolsFor(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "", "folder for the tools, vendor.json and the setup scripts")
	f.StringVar(&o.toolName, "tool-name", "", "beginning of the tools' file names, such as wso2update (default: uplevel)")
	f.StringVar(&o.from, "from", "", "folder of the built tools, uplevel-OS-ARCH (default: tools beside this program, else beside it)")
	f.BoolVar(&o.publish, "publish", false, "publish this version: installed tools renew themselves to it")
	f.StringVar(&o.minimum, "minimum", "", "with --publish: tools older than this version must not go on without renewing themselves")
	return cmd
}

func (p *program) toolsFor(ctx context.Context, o toolsOptions) error {
	if o.out == "" && !o.publish {
		return problem.New(problem.Usage, "Give --out DIR to write them, --publish to publish them, or both.", "--out and --publish are missing")
	}
	if o.minimum != "" && !o.publish {
		return problem.New(problem.Usage, "Add --publish.", "--minimum goes with --publish only")
	}
	stem, err := toolStem(o.toolName)
	if err != nil {
		return err
	}
	set, err := p.gatherTools(ctx, o.from)
	if err != nil {
		return err
	}
	pub, err := p.publisher(ctx)
	if err != nil {
		return err
	}
	if o.publish {
		if err := p.publishTools(ctx, pub, publish.ToolsRequest{Set: set, Minimum: o.minimum}); err != nil {
			return err
		}
	}
	if o.out != "" {
		if err := p.writeTools(ctx, pub, set, o.out, stem); err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "Wrote the update tool %s for %s into %s.\n", set.Version, systemsOf(set), o.out)
	}
	if len(set.Missing) > 0 {
		fmt.Fprintf(p.stdout, "There is none for %s.\n", strings.Join(set.Missing, ", "))
	}
	return nil
}

// publishTools publishes a version of the update tool and says so.
func (p *program) publishTools(ctx context.Context, pub *publish.Publisher, req publish.ToolsRequest) error {
	out, err := pub.Tools(ctx, req)
	p.warn(pub.Signer)
	if err != nil {
		return err
	}
	what := "The update tool " + req.Set.Version + " for " + systemsOf(req.Set)
	if out.Already {
		fmt.Fprintf(p.stdout, "%s is published already.\n", what)
	} else {
		fmt.Fprintf(p.stdout, "%s is published: %d programs, %s sent.\n", what, out.Stored, bytesText(out.Sent))
	}
	if least := release.MinimumTool(out.Tools); least != "" {
		fmt.Fprintf(p.stdout, "Tools older than %s must renew themselves.\n", least)
	}
	return nil
}

func systemsOf(set toolset.Set) string {
	var names []string
	for _, t := range set.Programs {
		names = append(names, t.System)
	}
	return strings.Join(names, ", ")
}

// gatherTools finds the built tools.
func (p *program) gatherTools(ctx context.Context, from string) (toolset.Set, error) {
	if from == "" {
		own, err := p.executable()
		if err != nil {
			return toolset.Set{}, fmt.Errorf("looking for the tool: %w", err)
		}
		from = filepath.Dir(own)
		if info, err := os.Stat(filepath.Join(from, "tools")); err == nil && info.IsDir() {
			from = filepath.Join(from, "tools")
		}
	}
	return toolset.Gather(ctx, toolset.Source{Dir: from, System: runtime.GOOS + "/" + runtime.GOARCH})
}

// writeTools writes the folder that is copied into a product's bin/.
func (p *program) writeTools(ctx context.Context, pub *publish.Publisher, set toolset.Set, out, stem string) error {
	view, err := pub.Signer.Refresh(ctx)
	if err != nil {
		return err
	}
	vendor, err := p.vendor(ctx)
	if err != nil {
		return err
	}
	if vendor.Root, err = pub.Signer.Folder.Document(trust.RoleRoot); err != nil {
		return err
	}
	data, err := vendor.Bytes()
	if err != nil {
		return err
	}
	if err := set.Write(out, stem, data); err != nil {
		return err
	}
	if err := p.writeSetup(set, out, stem); err != nil {
		return err
	}
	if !allPublished(set, view.Tools()) {
		fmt.Fprintf(p.stdout, "The setup scripts get this version once it is published: tools --publish.\n")
	}
	return nil
}

// writeSetup writes the scripts that get the tools from the service.
func (p *program) writeSetup(set toolset.Set, out, stem string) error {
	of := setup.Tools{Name: stem, Service: p.service, Version: set.Version}
	for _, t := range set.Listed("") {
		of.Files = append(of.Files, setup.File{
			System: t.System, FileName: release.ToolFileName(stem, t.System), Path: api.ToolAddress(t), SHA256: t.Program.Sum, Size: t.Program.Size,
		})
	}
	sh, ps1, err := setup.Scripts(of)
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{setup.ShellName: sh, setup.PowerShellName: ps1} {
		mode := fs.FileMode(0o644)
		if name == setup.ShellName {
			mode = 0o755
		}
		if err := durable.WriteFile(filepath.Join(out, name), text, mode); err != nil {
			return problem.New(problem.Failed, "Name a folder that can be written with --out.", "Unable to write %s: %w", name, err)
		}
	}
	return nil
}

// allPublished reports whether the service gives every program of a set.
func allPublished(set toolset.Set, published []release.Tool) bool {
	for _, t := range set.Listed("") {
		if !slices.ContainsFunc(published, func(o release.Tool) bool {
			return o.Version == t.Version && o.System == t.System && o.Program == t.Program
		}) {
			return false
		}
	}
	return true
}

// toolStem is the beginning of the tool's file names.
func toolStem(given string) (string, error) {
	if given == "" {
		return "uplevel", nil
	}
	if given != filepath.Base(given) || strings.HasPrefix(given, ".") {
		return "", problem.New(problem.Usage, "Give a file name.", "--tool-name %q is no file name", given)
	}
	return given, nil
}
