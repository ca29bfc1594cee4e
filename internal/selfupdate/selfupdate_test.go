package selfupdate

import (
	"context"
	"errors"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"uplevel/internal/digest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

func system() string { return runtime.GOOS + "/" + runtime.GOARCH }

// tool is a signed tool of this content.
func tool(version, system, minimum, content string) release.Tool {
	return release.Tool{
		ToolListing: release.ToolListing{Version: version, System: system, Released: time.Unix(1, 0), Minimum: minimum},
		Program:     release.Ref{Sum: digest.Of([]byte(content)), Size: int64(len(content))},
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	const here, there = "linux/amd64", "windows/arm64"
	tools := []release.Tool{
		tool("1.0", here, "", "a"), tool("1.2", here, "1.1", "b"), tool("1.1", here, "", "c"), tool("3.0", there, "2.5", "d"),
	}
	for what, c := range map[string]struct {
		facts   Facts
		newer   string
		minimum string
		below   bool
		says    string
	}{
		"nothing published":       {Facts{Own: "1.0"}, "", "", false, ""},
		"the newest":              {Facts{Own: "1.2", Tools: tools}, "", "1.1", false, ""},
		"newer than all":          {Facts{Own: "1.3", Tools: tools}, "", "1.1", false, ""},
		"a newer one":             {Facts{Own: "1.1.5", Tools: tools}, "1.2", "1.1", false, ""},
		"below the signed":        {Facts{Own: "1.0", Tools: tools}, "1.2", "1.1", true, "Run self-update"},
		"below the demanded":      {Facts{Own: "1.1", Tools: tools, Demanded: "1.2"}, "1.2", "1.2", true, "Run self-update"},
		"lower demand":            {Facts{Own: "1.1", Tools: tools, Demanded: "0.9"}, "1.2", "1.1", false, ""},
		"demand without a tool":   {Facts{Own: "1.2", Tools: tools, Demanded: "2.0"}, "", "2.0", true, "Ask the vendor"},
		"demand beyond the newer": {Facts{Own: "1.1", Tools: tools, Demanded: "2.0"}, "1.2", "2.0", true, "Ask the vendor"},
		"demand of nonsense":      {Facts{Own: "1.2", Tools: tools, Demanded: "\x1b[2J9"}, "", "1.1", false, ""},
		"nonsense alone":          {Facts{Own: "1.2", Demanded: "\x1b[2J9"}, "", "", false, ""},
		"a development build":     {Facts{Own: "1.2-dev", Tools: tools}, "1.2", "1.1", false, ""},
		"no version at all":       {Facts{Own: "odd", Tools: tools}, "1.2", "1.1", true, "Run self-update"},
	} {
		c.facts.System = here
		v := Judge(c.facts)
		newer := ""
		if v.Newer != nil {
			newer = v.Newer.Version
		}
		err := v.Refusal(c.facts.Own, here)
		p, _ := errors.AsType[*problem.Error](err)
		if newer != c.newer || v.Minimum != c.minimum || v.Below != c.below || (err != nil) != c.below ||
			err != nil && (p.Kind != problem.Refused || !strings.Contains(p.Next, c.says)) {
			t.Errorf("%s: %+v, newer %q, %v", what, v, newer, err)
		}
	}
}

// answers is a system with package managers that answer so.
func answers(said map[string]string, exits map[string]int, fails map[string]error) Packages {
	return Packages{
		Find: func(program string) (string, error) {
			if _, ok := said[program]; ok {
				return program, nil
			}
			return "", exec.ErrNotFound
		},
		Run: func(_ context.Context, program string, args ...string) (string, int, error) {
			if len(args) == 0 || !strings.HasPrefix(args[len(args)-1], "/") {
				return "", 0, errors.New("asked without a path")
			}
			return said[program], exits[program], fails[program]
		},
	}
}

func TestPackagesOwnTools(t *testing.T) {
	t.Parallel()
	p := Program{file: "/usr/bin/uplevel"}
	none := map[string]string{
		"dpkg-query": "dpkg-query: no path found matching pattern /usr/bin/uplevel\n",
		"rpm":        "file /usr/bin/uplevel is not owned by any package\n",
		"apk":        "ERROR: /usr/bin/uplevel: Could not find owner package\n",
	}
	exit1 := map[string]int{"dpkg-query": 1, "rpm": 1, "apk": 1}
	for what, c := range map[string]struct {
		packages Packages
		file     string
		want     string // in text or next step; empty: nobody owns it
	}{
		"no package manager": {packages: answers(nil, nil, nil)},
		"owned by none":      {packages: answers(none, exit1, nil)},
		"dpkg":               {packages: answers(map[string]string{"dpkg-query": "uplevel: /usr/bin/uplevel\n"}, nil, nil), want: "apt-get install --only-upgrade uplevel"},
		"dpkg, architecture": {packages: answers(map[string]string{"dpkg-query": "uplevel:amd64, other: /usr/bin/uplevel\n"}, nil, nil), want: "only-upgrade uplevel"},
		"rpm and dnf":        {packages: answers(map[string]string{"rpm": "uplevel\n", "dnf": ""}, nil, nil), want: "dnf upgrade uplevel"},
		"rpm and zypper":     {packages: answers(map[string]string{"rpm": "uplevel\n", "zypper": ""}, nil, nil), want: "zypper update uplevel"},
		"dpkg none, rpm":     {packages: answers(map[string]string{"dpkg-query": none["dpkg-query"], "rpm": "uplevel\n"}, map[string]int{"dpkg-query": 1}, nil), want: "dnf upgrade uplevel"},
		"apk":                {packages: answers(map[string]string{"apk": "/usr/bin/uplevel is owned by update-level-1.0.0-r0\n"}, nil, nil), want: "apk upgrade update-level"},
		"brew":               {packages: answers(nil, nil, nil), file: "/opt/homebrew/Cellar/uplevel/1.0/bin/uplevel", want: "brew upgrade uplevel"},
		"broken database":    {packages: answers(map[string]string{"rpm": "error: cannot open Packages database\n"}, exit1, nil), want: "It is not known whether a package owns"},
		"no answer":          {packages: answers(map[string]string{"dpkg-query": ""}, nil, map[string]error{"dpkg-query": context.DeadlineExceeded}), want: "It is not known"},
		"an empty answer":    {packages: answers(map[string]string{"dpkg-query": ""}, nil, nil), want: "It is not known"},
	} {
		program := p
		if c.file != "" {
			program.file = c.file
		}
		err := c.packages.Owned(t.Context(), program)
		refusal, _ := errors.AsType[*problem.Error](err)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", what, err)
		case c.want != "" && (refusal == nil || refusal.Kind != problem.Refused || !strings.Contains(refusal.Text+" "+refusal.Next, c.want)):
			t.Errorf("%s: %+v, want %q", what, refusal, c.want)
		}
	}
}

// TestRealPackageManager asks the one that is there, if any, about its own program.
func TestRealPackageManager(t *testing.T) {
	t.Parallel()
	m := SystemPackages()
	if err := m.Owned(t.Context(), Program{file: t.TempDir() + "/nobody"}); err != nil {
		t.Errorf("a file of nobody: %v", err)
	}
	for _, name := range []string{"/usr/bin/dpkg*", "/usr/bin/[d]pkg", "/usr/bin/dpk?", `/usr/bin/dp\kg`} {
		if err := m.Owned(t.Context(), Program{file: name}); err != nil {
			t.Errorf("%s, which nobody owns: %v", name, err)
		}
	}
	if file, err := exec.LookPath("dpkg-query"); err == nil {
		if err := m.Owned(t.Context(), Program{file: file}); err == nil || !strings.Contains(err.Error(), "belongs to the package dpkg") {
			t.Errorf("%s: %v", file, err)
		}
	}
}
