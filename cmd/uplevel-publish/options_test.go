package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/problem"
	"uplevel/internal/publish"
	"uplevel/internal/publish/pack"
	"uplevel/internal/publish/validate"
	"uplevel/internal/release"
	"uplevel/internal/trust/sign"
)

func TestWhereThePassphraseComesFrom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "passphrase")
	if err := os.WriteFile(file, []byte(" a $\"b' ü\n\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var asked int
	typed := func(answers ...string) func(context.Context, string) (string, error) {
		return func(context.Context, string) (string, error) {
			asked++
			return answers[asked-1], nil
		}
	}
	for what, c := range map[string]struct {
		file, env, fileEnv string
		typed              []string
		making             bool
		want               string
		kind               problem.Kind
		asked              int
	}{
		"file, one line end dropped": {file: file, want: " a $\"b' ü\n"},
		"environment":                {env: "from env", want: "from env"},
		"option before environment":  {file: file, env: "from env", want: " a $\"b' ü\n"},
		"passphrase before its file": {file: file, fileEnv: file, env: "from env", want: "from env"},
		"prompt":                     {typed: []string{"typed"}, want: "typed", asked: 1},
		"prompt twice for a new key": {typed: []string{"typed", "typed"}, making: true, want: "typed", asked: 2},
		"prompt, not the same":       {typed: []string{"typed", "tped"}, making: true, kind: problem.Usage, asked: 2},
		"nothing typed":              {typed: []string{""}, kind: problem.Usage, asked: 1},
		"a file that cannot be read": {file: dir + "/nowhere", kind: problem.Usage},
	} {
		asked = 0
		p := &program{passphraseFile: c.file, prompt: typed(c.typed...), getenv: func(name string) string {
			return map[string]string{"UPLEVEL_KEY_PASSPHRASE": c.env, "UPLEVEL_PASSPHRASE_FILE": c.fileEnv}[name]
		}}
		got, err := p.keyPassphrase(t.Context(), c.making)
		if c.kind != 0 {
			if problem.KindOf(err) != c.kind {
				t.Errorf("%s: %v", what, err)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v", what, got, err)
		}
		if again, err := p.keyPassphrase(t.Context(), true); err != nil || again != got || asked != c.asked {
			t.Errorf("%s: asked %d times, %v", what, asked, err)
		}
	}
}

func TestToolsOfAPack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, n := range []string{"uplevel", "uplevel-linux-amd64", "uplevel-linux-arm64", "uplevel-windows-amd64.exe", "other"} {
		if err := os.WriteFile(filepath.Join(dir, n), []byte(n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := &program{executable: func() (string, error) { return filepath.Join(dir, "uplevel-publish"), nil }}
	at := func(name, file string) pack.Tool { return pack.Tool{Name: name, File: filepath.Join(dir, file)} }
	other := filepath.Join(dir, "other")
	for what, c := range map[string]struct {
		o    packOptions
		want []pack.Tool
	}{
		"beside":     {packOptions{}, []pack.Tool{at("uplevel", "uplevel")}},
		"renamed":    {packOptions{toolName: "wso2update"}, []pack.Tool{at("wso2update", "uplevel")}},
		"given":      {packOptions{tools: []string{other}}, []pack.Tool{at("other", "other")}},
		"given name": {packOptions{tools: []string{"a=" + other, "b=" + other}}, []pack.Tool{at("a", "other"), at("b", "other")}},
		"both":       {packOptions{tools: []string{other}, toolName: "up"}, []pack.Tool{at("up", "other")}},
		"systems": {packOptions{systems: "linux,linux/arm64,windows", toolName: "wso2update"}, []pack.Tool{
			at("wso2update_linux", "uplevel-linux-amd64"), at("wso2update_linux_arm64", "uplevel-linux-arm64"),
			at("wso2update_windows.exe", "uplevel-windows-amd64.exe"),
		}},
	} {
		got, err := p.tools(c.o)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", what, d)
		}
	}
	for what, o := range map[string]packOptions{
		"not there": {systems: "all"}, "same name": {tools: []string{other, other}}, "path": {tools: []string{"a/b=" + other}},
	} {
		if got, err := p.tools(o); err == nil {
			t.Errorf("%s: %v", what, got)
		}
	}
}

func TestWhatIsTold(t *testing.T) {
	t.Parallel()
	line := release.Line{Product: "shop", Version: "1.0", Channel: release.DefaultChannel}
	out := publish.Outcome{Line: line, Level: 1, State: release.Live, Stored: 5, Sent: 12_345, Report: publish.Report{
		Line: line, Level: 1,
		Changes:  release.Changes{Added: []string{"a"}, Modified: []string{"b"}, Removed: []string{"c"}},
		Notes:    release.Notes{Attribution: map[string]int{"a": 7}},
		Findings: []validate.Finding{{Rule: "missing-license", Severity: validate.Warning, Text: "none"}},
	}}
	var said bytes.Buffer
	p := &program{stdout: &said}
	if err := p.told(out, nil); err != nil {
		t.Fatal(err)
	}
	want := "Level 1.0.1 of shop-1.0: 1 files added, 1 modified, 1 removed\n  + a (7)\n  ~ b\n  - c\nwarning missing-license: none\n" +
		"Published level 1.0.1 of shop-1.0, live: 5 objects, 12 kB sent.\n"
	if d := cmp.Diff(want, said.String()); d != "" {
		t.Error(d)
	}
	said.Reset()
	out.Already = true
	if err := p.told(out, nil); err != nil || said.String() != "Level 1.0.1 of shop-1.0 is published already, and live.\n" {
		t.Errorf("%q, %v", said.String(), err)
	}
}

func TestStatusWarns(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	var said bytes.Buffer
	p := &program{stdout: &said}
	var all []sign.Status
	for _, days := range []int{700, 20, -1} {
		all = append(all, sign.Judge(sign.Status{Role: "root", Version: 1, Expires: now.AddDate(0, 0, days)}, now))
	}
	all[0].Keys = []string{"root.key"}
	if err := p.printStatus(all); err != nil {
		t.Fatal(err)
	}
	want := "ROLE  VERSION  EXPIRES     DAYS LEFT  KEY       \n" +
		"root  1        2028-10-01  700        here      \n" +
		"root  1        2026-11-21  20         not here  WARNING: less than 30 days left, run keys renew\n" +
		"root  1        2026-10-31  0          not here  EXPIRED: run keys renew\n"
	if d := cmp.Diff(want, said.String()); d != "" {
		t.Error(d)
	}
}
