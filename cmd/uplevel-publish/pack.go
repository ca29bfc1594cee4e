package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"uplevel/internal/problem"
	"uplevel/internal/publish"
	"uplevel/internal/publish/pack"
	"uplevel/internal/release"
)

// packOptions are the options of pack.
type packOptions struct {
	level, out, channel, toolName, systems string
	tools                                  []string
}

func (p *program) packCommand() *cobra.Command {
	var o packOptions
	cmd := &cobra.Command{
		Use: "pack NAME VERSION", Short: "Make what a customer starts from: product, tool, trusted root",
		Args: exactly("NAME", "VERSION"),
		RunE: func(cmd *cobra.Command, args []string) error { return p.pack(cmd, args, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.level, "level", "", "the level to pack")
	f.StringVar(&o.out, "out", "", "X.zip for a zip, anything else becomes the product home")
	f.StringVar(&o.channel, "channel", release.DefaultChannel, "channel")
	f.StringArrayVar(&o.tools, "tool", nil, "[NAME=]FILE: an update tool to put into bin/ (default: uplevel beside this program)")
	f.StringVar(&o.toolName, "tool-name", "", "name of the tool in bin/ (default: uplevel)")
	f.StringVar(&o.systems, "os", "", "systems to take the tool for, such as linux,windows/arm64, or all: files uplevel-OS-ARCH beside this program")
	return cmd
}

func (p *program) pack(cmd *cobra.Command, args []string, o packOptions) error {
	if o.level == "" {
		return missing("level")
	}
	if o.out == "" {
		return missing("out")
	}
	line, level, err := levelOf(args, o.channel, o.level)
	if err != nil {
		return err
	}
	req := publish.PackRequest{Line: line, Level: level, Out: o.out}
	if req.Tools, err = p.tools(o); err != nil {
		return err
	}
	pub, err := p.publisher(cmd.Context())
	if err != nil {
		return err
	}
	if req.Vendor, err = p.vendor(cmd.Context()); err != nil {
		return err
	}
	out, err := pub.Pack(cmd.Context(), req)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "Packed level %s of %s into %s.\n", line.LevelName(level), line, o.out)
	if out.State != release.Live {
		fmt.Fprintf(p.stdout, "This level is %s: customers are not offered it.\n", out.State)
	}
	return nil
}

// tools returns the files that go into bin/.
func (p *program) tools(o packOptions) ([]pack.Tool, error) {
	stem, err := toolStem(o.toolName)
	if err != nil {
		return nil, err
	}
	switch {
	case len(o.tools) > 0 && o.systems != "":
		return nil, problem.New(problem.Usage, "Give one of the two.", "--tool and --os exclude one another")
	case len(o.tools) > 0:
		return givenTools(o.tools, stem, o.toolName != "")
	}
	own, err := p.executable()
	if err != nil {
		return nil, fmt.Errorf("looking for the tool: %w", err)
	}
	if o.systems != "" {
		return systemTools(filepath.Dir(own), stem, o.systems)
	}
	suffix := exeSuffix(runtime.GOOS)
	return toolsThere([]pack.Tool{{Name: stem + suffix, File: filepath.Join(filepath.Dir(own), "uplevel"+suffix)}})
}

func givenTools(given []string, stem string, named bool) ([]pack.Tool, error) {
	var tools []pack.Tool
	for _, g := range given {
		name, file, ok := strings.Cut(g, "=")
		if !ok {
			name, file = filepath.Base(g), g
			if named {
				name = stem
			}
		}
		if name == "" || file == "" || name != filepath.Base(name) {
			return nil, problem.New(problem.Usage, "Write --tool [NAME=]FILE.", "--tool %q is not understood", g)
		}
		if slices.ContainsFunc(tools, func(t pack.Tool) bool { return t.Name == name }) {
			return nil, problem.New(problem.Usage, "Give each a name: --tool NAME=FILE.", "Two tools are called %s", name)
		}
		tools = append(tools, pack.Tool{Name: name, File: file})
	}
	return toolsThere(tools)
}

// systemTools finds uplevel-OS-ARCH beside this program. In bin/ the architecture is
// named only where it is not amd64: uplevel_linux, uplevel_linux_arm64.
func systemTools(dir, stem, systems string) ([]pack.Tool, error) {
	wanted := release.ToolSystems()
	if systems != "all" {
		wanted = strings.Split(systems, ",")
	}
	var tools []pack.Tool
	for _, w := range wanted {
		system, arch, ok := strings.Cut(strings.TrimSpace(w), "/")
		if !ok {
			arch = "amd64"
		}
		if !slices.Contains(release.ToolSystems(), system+"/"+arch) {
			return nil, problem.New(problem.Usage, "The systems are "+strings.Join(release.ToolSystems(), ", ")+".", "--os: %q is not known", w)
		}
		tools = append(tools, pack.Tool{
			Name: release.ToolFileName(stem, system+"/"+arch),
			File: filepath.Join(dir, "uplevel-"+system+"-"+arch+exeSuffix(system)),
		})
	}
	return toolsThere(tools)
}

func exeSuffix(system string) string {
	if system == "windows" {
		return ".exe"
	}
	return ""
}

func toolsThere(tools []pack.Tool) ([]pack.Tool, error) {
	for _, t := range tools {
		if _, err := os.Stat(t.File); errors.Is(err, fs.ErrNotExist) {
			return nil, problem.New(problem.Failed, "Name the update tool's file with --tool.", "There is no update tool at %s", t.File)
		}
	}
	return tools, nil
}
