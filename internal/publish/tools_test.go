package publish

import (
	"os"
	"path/filepath"
	"testing"

	"uplevel/internal/digest"
	"uplevel/internal/problem"
	"uplevel/internal/publish/toolset"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// toolset1 is a set of one program.
func toolset1(t *testing.T, version, system, content string) toolset.Set {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tool")
	if err := os.WriteFile(file, []byte(content), 0o700); err != nil {
		t.Fatal(err)
	}
	return toolset.Set{Version: version, Programs: []toolset.Program{{
		System: system, File: file, Ref: release.Ref{Sum: digest.Of([]byte(content)), Size: int64(len(content))},
	}}}
}

func TestToolsArePublished(t *testing.T) {
	t.Parallel()
	d := ready(t)
	first := ToolsRequest{Set: toolset1(t, "1.0", "linux/amd64", "one"), Minimum: "0.5"}
	out, err := d.Tools(t.Context(), first)
	if err != nil || out.Already || out.Stored != 1 || out.Sent == 0 {
		t.Fatalf("%+v, %v", out, err)
	}
	d.tick()
	if out, err = d.Tools(t.Context(), first); err != nil || !out.Already || out.Stored != 0 {
		t.Errorf("again: %+v, %v", out, err)
	}
	if out, err = d.Tools(t.Context(), ToolsRequest{Set: toolset1(t, "1.0", "linux/arm64", "one for arm")}); err != nil || out.Already {
		t.Errorf("another system: %+v, %v", out, err)
	}
	if out, err = d.Tools(t.Context(), ToolsRequest{Set: toolset1(t, "1.1", "linux/amd64", "next")}); err != nil || out.Already {
		t.Errorf("next: %+v, %v", out, err)
	}
	view, err := d.Signer.Refresh(t.Context())
	if err != nil || len(view.Tools()) != 3 || release.MinimumTool(view.Tools()) != "0.5" {
		t.Fatalf("%v, %v", view.Tools(), err)
	}
	if newest, _ := release.NewestTool(view.Tools(), "linux/amd64"); newest.Version != "1.1" || newest.Minimum != "0.5" {
		t.Errorf("the demand is forgotten: %+v", newest)
	}
	for what, req := range map[string]ToolsRequest{
		"lower":         {Set: toolset1(t, "1.0", "darwin/arm64", "late")},
		"another":       {Set: toolset1(t, "1.1", "linux/amd64", "other bytes")},
		"same number":   {Set: toolset1(t, "1.1.0", "linux/amd64", "next")},
		"demands more":  {Set: toolset1(t, "1.2", "linux/amd64", "x"), Minimum: "1.3"},
		"wrong minimum": {Set: toolset1(t, "1.2", "linux/amd64", "x"), Minimum: "new"},
	} {
		if out, err := d.Tools(t.Context(), req); problem.KindOf(err) != problem.Refused && problem.KindOf(err) != problem.Usage || len(out.Tools) > 0 {
			t.Errorf("%s: %+v, %v", what, out, err)
		}
	}
}

func TestToolsNeedOnlyTheirKey(t *testing.T) {
	t.Parallel()
	d := ready(t)
	away := func(role string) {
		if err := os.Rename(filepath.Join(d.Signer.Folder.Dir, role+".key"), filepath.Join(d.Signer.Folder.Dir, role+".away")); err != nil {
			t.Fatal(err)
		}
	}
	for _, role := range []string{"root", "targets", "hotfix"} {
		away(role)
	}
	if _, err := d.Tools(t.Context(), ToolsRequest{Set: toolset1(t, "1.0", "linux/amd64", "one")}); err != nil {
		t.Fatal(err)
	}
	away("tool")
	_, err := d.Tools(t.Context(), ToolsRequest{Set: toolset1(t, "1.1", "linux/amd64", "two")})
	wantKind(t, err, problem.Refused, "tool.key")
}

// TestToolRoleIsRenewed long after it expired, too.
func TestToolRoleIsRenewed(t *testing.T) {
	t.Parallel()
	d := ready(t)
	add(t, d, release0())
	req := ToolsRequest{Set: toolset1(t, "1.0", "linux/amd64", "one")}
	if _, err := d.Tools(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	d.clock = d.clock.Add(130 * 24 * 3600e9)
	d.service.renew(t)
	if _, err := d.Tools(t.Context(), req); problem.KindOf(err) != problem.Verification {
		t.Fatalf("tools that expired were trusted: %v", err)
	}
	all, _, err := d.Signer.Status(t.Context())
	if err != nil || all[2].Role != trust.RoleTool || all[2].Left != 0 {
		t.Fatalf("%+v, %v", all, err)
	}
	renewed, _, err := d.Signer.Renew(t.Context(), false)
	if err != nil || renewed[0].Role != trust.RoleTool || renewed[0].Version != 2 {
		t.Fatalf("%+v, %v", renewed, err)
	}
	if out, err := d.Tools(t.Context(), req); err != nil || !out.Already {
		t.Errorf("%+v, %v", out, err)
	}
}

// TestToolThatIsLostIsUploadedAgain: what the service lost comes back by the same command.
func TestToolThatIsLostIsUploadedAgain(t *testing.T) {
	t.Parallel()
	d := ready(t)
	req := ToolsRequest{Set: toolset1(t, "1.0", "linux/amd64", "one")}
	if _, err := d.Tools(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	delete(d.service.objects, digest.Of([]byte("one")))
	if out, err := d.Tools(t.Context(), req); err != nil || !out.Already || out.Stored != 1 {
		t.Errorf("%+v, %v", out, err)
	}
}
