package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"uplevel/internal/template"
)

// version and released are set when a release is built: -ldflags "-X main.version=1.0.0".
//
//nolint:gochecknoglobals // the linker writes nothing else
var (
	version  = "0.1.0-dev"
	released = ""
)

func toolVersion() string { return version }

// versionInfo is what --template of version prints from, as U2 names it.
type versionInfo struct {
	UpdateVersion string `json:"version"`
	ReleaseDate   string `json:"released"`
	OS            string `json:"os"`
	Architecture  string `json:"architecture"`
	GoVersion     string `json:"go"`
}

func (t *tool) versionInfo() versionInfo {
	v := versionInfo{UpdateVersion: version, ReleaseDate: released, OS: runtime.GOOS, Architecture: runtime.GOARCH, GoVersion: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok && v.ReleaseDate == "" {
		for _, s := range info.Settings {
			if s.Key == "vcs.time" {
				v.ReleaseDate = s.Value
			}
		}
	}
	return v
}

func (t *tool) versionCommand() *cobra.Command {
	return t.command("version", "Print the tool's version", cobra.NoArgs, func(context.Context, []string) error { return t.tellVersion() })
}

func (t *tool) tellVersion() error {
	v := t.versionInfo()
	switch {
	case t.options.template != "":
		return t.printTemplate(v)
	case t.options.output == outputJSON:
		return t.printJSON(v, nil)
	}
	t.sayf("%s %s (%s/%s, %s)\n", t.name(), v.UpdateVersion, v.OS, v.Architecture, v.GoVersion)
	return nil
}

// checkTemplate refuses a template that cannot be printed before anything is done: after
// an update it would be too late. The sample is of the kind that will be printed.
func (t *tool) checkTemplate(sample any) error {
	if err := t.fillTemplate(io.Discard, sample); err != nil {
		return usage("Correct --template.", "%w", err)
	}
	return nil
}

// printTemplate prints data through the operator's own template, whole or not at all.
func (t *tool) printTemplate(data any) error {
	var text strings.Builder
	if err := t.fillTemplate(&text, data); err != nil {
		return err
	}
	text.WriteByte('\n')
	if t.terminal() {
		t.sayf("%s", text.String())
		return nil
	}
	_, err := io.WriteString(t.stdout, text.String()) // a script gets what its template says
	return err
}

func (t *tool) fillTemplate(w io.Writer, data any) error {
	tpl, err := template.Parse(t.options.template)
	if err == nil {
		err = tpl.Execute(w, data)
	}
	if err != nil {
		return fmt.Errorf("--template: %w", err)
	}
	return nil
}
