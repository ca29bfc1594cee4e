package online_test

import (
	"testing"

	"uplevel/internal/digest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

const amd, arm = "linux/amd64", "linux/arm64"

// withTool is a world in which version 1.0 of the tool is published for one system.
func withTool(t *testing.T) *world {
	t.Helper()
	w := started(t)
	w.repo.AddTool("1.0", amd, []byte("one"))
	w.submitted(trust.RoleTargets, trust.RoleTool)
	return w
}

func TestToolsAreTaken(t *testing.T) {
	t.Parallel()
	w := withTool(t)
	w.repo.AddTool("1.0", arm, []byte("one for arm"))
	w.submitted(trust.RoleTool)
	w.repo.AddTool("1.1-rc1", amd, []byte("nearly"))
	w.submitted(trust.RoleTool)
	w.repo.AddTool("1.1", amd, []byte("next"))
	w.submitted(trust.RoleTool)
	w.repo.PublishRole(trust.RoleTool) // renewed
	w.submitted(trust.RoleTool)
	view, err := w.refresh(t.TempDir(), is)
	if err != nil || len(view.Tools()) != 4 {
		t.Fatalf("%v, %v", view, err)
	}
	if newest, ok := release.NewestTool(view.Tools(), amd); !ok || newest.Version != "1.1" {
		t.Errorf("%v", newest)
	}
	// What concerns levels goes on beside it, also when the tool's role has expired.
	w.now = w.now.Add(trust.Lifetime(trust.RoleTool) - day)
	w.repo.Now = w.now
	w.repo.AddLevel(is, 2)
	w.repo.PublishRole("product.wso2is")
	w.submitted("product.wso2is", is.Role())
}

func TestRefusedTools(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		spoil func(w *world)
		kind  problem.Kind
	}{
		"lower":        {func(w *world) { w.repo.AddTool("0.9", amd, []byte("old")) }, problem.Verification},
		"equal":        {func(w *world) { w.repo.AddTool("1.0.0", amd, []byte("same")) }, problem.Verification},
		"other bytes":  {func(w *world) { w.repo.AddTool("1.0", amd, []byte("two")) }, problem.Verification},
		"lower suffix": {func(w *world) { w.repo.AddTool("1.0-rc1", amd, []byte("rc")) }, problem.Verification},
		"gone": {func(w *world) {
			delete(w.repo.Roles[trust.RoleTool].Signed.Targets, release.ToolPath("1.0", amd))
			w.repo.PublishRole(trust.RoleTool)
		}, problem.Verification},
		"not stored": {func(w *world) {
			w.repo.AddTool("1.1", amd, []byte("next"))
			delete(w.repo.Objects, digest.Of([]byte("next")))
		}, problem.Refused},
		"too new a minimum": {func(w *world) {
			w.repo.AddTool("1.1", amd, []byte("next"), func(l *release.ToolListing) { l.Minimum = "1.2" })
		}, problem.Verification},
		"no tool": {func(w *world) {
			w.repo.SetTarget(trust.RoleTool, "uplevel-tool/1.1/readme", []byte("text"), nil)
			w.repo.PublishRole(trust.RoleTool)
		}, problem.Verification},
	} {
		w := withTool(t)
		c.spoil(w)
		if _, err := w.submit(w.docs(trust.RoleTool)); problem.KindOf(err) != c.kind {
			t.Errorf("%s: %v", what, err)
		}
	}
}
