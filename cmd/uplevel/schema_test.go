package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"uplevel/internal/doctor"
	"uplevel/internal/statefile"
	"uplevel/internal/update"
	"uplevel/test/lab"
)

const schemaDir = "../../docs/schema"

// schemas are the results that --output json prints, by the name of their schema.
func schemas() map[string]reflect.Type {
	return map[string]reflect.Type{
		"change":         reflect.TypeFor[update.Result](),
		"check":          reflect.TypeFor[update.CheckResult](),
		"current-state":  reflect.TypeFor[update.StateResult](),
		"verify-report":  reflect.TypeFor[update.Audit](),
		"verify":         reflect.TypeFor[update.VerifyResult](),
		"history":        reflect.TypeFor[update.HistoryResult](),
		"history-show":   reflect.TypeFor[update.ChangeInfo](),
		"conflicts":      reflect.TypeFor[update.ConflictsResult](),
		"gc":             reflect.TypeFor[update.FreeResult](),
		"decisions":      reflect.TypeFor[update.DecisionsResult](),
		"recover":        reflect.TypeFor[update.RecoverResult](),
		"create-update":  reflect.TypeFor[created](),
		"state-file":     reflect.TypeFor[statefile.State](),
		"report":         reflect.TypeFor[reportResult](),
		"whoami":         reflect.TypeFor[whoami](),
		"version":        reflect.TypeFor[versionInfo](),
		"support-bundle": reflect.TypeFor[supportResult](),
		"bundle-show":    reflect.TypeFor[shownBundle](),
		"doctor":         reflect.TypeFor[doctor.Report](),
		"between":        reflect.TypeFor[update.BetweenResult](),
		"self-update":    reflect.TypeFor[selfUpdateResult](),
	}
}

// schemaOf writes the JSON schema of a result: its fields, or an error, or both. Fields
// may be added at any time; none goes and none changes its meaning.
func schemaOf(t *testing.T, name string, result reflect.Type) []byte {
	t.Helper()
	registry := huma.NewMapRegistry("#/$defs/", huma.DefaultSchemaNamer)
	main := registry.Schema(result, true, name)
	failed := registry.Schema(reflect.TypeFor[failure](), true, "failure")
	text, err := json.Marshal(map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "uplevel --output json: " + name,
		"type": "object", "properties": map[string]any{"error": failed},
		"anyOf": []any{main, map[string]any{"required": []string{"error"}}}, "$defs": registry.Map(),
	})
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	open(tree)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(tree); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// open lets every object have further fields.
func open(tree any) {
	switch v := tree.(type) {
	case map[string]any:
		if v["additionalProperties"] == false {
			delete(v, "additionalProperties")
		}
		for _, inner := range v {
			open(inner)
		}
	case []any:
		for _, inner := range v {
			open(inner)
		}
	}
}

func TestSchemasArePublished(t *testing.T) {
	t.Parallel()
	for name, result := range schemas() {
		file := filepath.Join(schemaDir, name+".json")
		want := schemaOf(t, name, result)
		if *rewrite {
			if err := os.MkdirAll(schemaDir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs from the program: run go test ./cmd/uplevel -update (%v)", file, err)
		}
	}
}

// TestRealOutputFollowsItsSchema runs every command with --output json on a real
// installation and judges what it prints.
func TestRealOutputFollowsItsSchema(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.New(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	for level, content := range []string{"a=0\n", "a=1\n"} {
		dir := l.Path("dist", string(rune('0'+level)), "conf")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"app.properties", "other.properties"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	home, _, err := l.PublishTwo(t.Context(), "shop", l.Path("dist", "0"), l.Path("dist", "1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "conf/app.properties"), []byte("a=mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.Path("dist/0/conf/hot"), []byte("fixed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Do(t.Context(), l.Dir, "uplevel-publish", "hotfix", "shop", "1", "--for", "Lab", "--level", "0", "--dist", l.Path("dist/0"),
		"--notes", l.Path("notes.yaml"), "--out", l.Path("hotfixes")); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		schema, line string
		exit         int
	}{
		{"current-state", "current-state", 0},
		{"check", "check", 0},
		{"change", "plan", 0},
		{"change", "update --dry-run", 3},
		{"change", "update", 3},
		{"check", "check", 0},
		{"current-state", "current-state", 0},
		{"conflicts", "conflicts", 0},
		{"change", "--continue", 3},
		{"conflicts", "resolve conf/app.properties --mine", 0},
		{"change", "--continue", 0},
		{"verify", "verify", 0},
		{"verify", "verify --strict", 14},
		{"between", "get-summary 0 1", 0},
		{"between", "changelog 0 0", 0},
		{"between", "changelog 1 7", 1},
		{"verify", "verify --repair --dry-run", 0},
		{"history", "history", 0},
		{"history-show", "history show 1", 0},
		{"history-show", "history show 9", 1},
		{"change", "update", 0},
		{"change", "update --level 7", 1},
		{"change", "--revert", 4},
		{"check", "check", 0},
		{"change", "apply-hotfix Lab-hf1 --dry-run", 0},
		{"change", "apply-hotfix ../hotfixes/shop-1-Lab-hf1.zip", 0},
		{"change", "apply-hotfix ../hotfixes/shop-1-Lab-hf1.zip", 0},
		{"change", "apply-hotfix ../hotfixes/hotfix.zip", 1},
		{"change", "update", 15},
		{"check", "check", 0},
		{"current-state", "current-state", 0},
		{"verify", "verify", 0},
		{"history-show", "history show 3", 0},
		{"change", "revert-hotfix", 0},
		{"create-update", "create-update --out ..", 0},
		{"create-update", "create-update --start-level 1 --out ..", 0},
		{"create-update", "create-update", 15},
		{"change", "apply-update ../shop-1.0-1.1.zip --dry-run", 0},
		{"change", "apply-update ../nothing.zip", 1},
		{"current-state", "current-state --out ../state.json", 0},
		{"recover", "recover", 0},
		{"report", "report", 0},
		{"report", "report --out ../report.json", 0},
		{"report", "report --upload ../report.json", 0},
		{"report", "report --upload ../notes.yaml", 1},
		{"report", "report --service https://127.0.0.1:1", 13},
		{"whoami", "whoami", 0},
		{"support-bundle", "support-bundle --dry-run", 0},
		{"support-bundle", "support-bundle -o ../ticket.zip", 0},
		{"bundle-show", "bundle show ../ticket.zip", 0},
		{"bundle-show", "bundle show ../ticket.zip state.txt", 1},
		{"bundle-show", "bundle show ../ticket.zip home/updates/state.json", 0},
		{"doctor", "doctor", 0},
		{"doctor", "doctor --offline", 0},
		{"doctor", "doctor --service https://127.0.0.1:1", 13},
		{"version", "version", 0},
		{"change", "update --no-such-flag", 10},
		{"check", "check --service https://127.0.0.1:1", 13},
	} {
		args := append(strings.Fields(row.line), "--output", "json", "--progress", "none")
		r, _ := l.Do(t.Context(), home, "uplevel", args...)
		if r.Exit != row.exit {
			t.Errorf("%s: exit %d, want %d\n%s", row.line, r.Exit, row.exit, r.Output)
			continue
		}
		if row.exit == 10 {
			continue // the options were not understood, so neither was the one for JSON
		}
		follows(t, row.line, row.schema, r.Output)
	}
	state, err := os.ReadFile(l.Path("state.json"))
	if err != nil {
		t.Fatal(err)
	}
	follows(t, "the state file", "state-file", string(state))
}

func follows(t *testing.T, line, schema, output string) {
	t.Helper()
	compiled, err := jsonschema.NewCompiler().Compile(filepath.Join(schemaDir, schema+".json"))
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(output))
	if err != nil {
		t.Errorf("%s prints no JSON: %v\n%s", line, err, output)
		return
	}
	if err := compiled.Validate(value); err != nil {
		t.Errorf("%s: %v\n%s", line, err, output)
	}
}
