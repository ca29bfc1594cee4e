package fsck_test

import (
	"strings"
	"testing"

	"uplevel/internal/release"
	"uplevel/internal/trust/trusttest"
)

func TestProgramsOfTheTool(t *testing.T) {
	t.Parallel()
	tool := func(r *trusttest.Repo) { r.AddTool("1.0", "linux/amd64", []byte("the tool")) }
	s := newStore(t, tool)
	if r := s.judge(t); r.Tools != 1 || len(r.Findings) > 0 || r.Objects != len(s.repo.Objects) {
		t.Fatalf("%+v", r)
	}
	for what, c := range map[string]struct {
		tool func(*trusttest.Repo)
		then func(t *testing.T, s store)
		want string
	}{
		"missing": {tool, func(t *testing.T, s store) { delete(s.blobs, s.named(t, "the tool")) }, "needed by tool uplevel-tool/1.0/linux_amd64"},
		"damaged": {tool, func(t *testing.T, s store) { b := s.blobs[s.named(t, "the tool")]; b[len(b)/2] ^= 1 }, "object "},
		"changed": {tool, func(t *testing.T, s store) { s.alter(t, "tool", `"version":"1.0"`, `"version":"2.0"`) }, "0 good signatures"},
		"another version": {
			func(r *trusttest.Repo) {
				r.AddTool("1.0", "linux/amd64", []byte("x"), func(l *release.ToolListing) { l.Version = "2.0" })
			},
			nil, `it is listed as version "2.0"`,
		},
		"no listing": {
			func(r *trusttest.Repo) {
				tool(r)
				r.SetTarget("tool", "uplevel-tool/1.0/linux_arm64", []byte("x"), nil)
				r.PublishRole("tool")
			}, nil, "cannot be read",
		},
		"odd path": {
			func(r *trusttest.Repo) { r.AddTool("../1", "linux/amd64", []byte("x")) }, nil, "it is listed as version",
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, c.tool)
			if c.then != nil {
				c.then(t, s)
			}
			r := s.judge(t)
			for _, f := range r.Findings {
				if f.Damage && strings.Contains(f.String(), c.want) {
					return
				}
			}
			t.Errorf("no damage says %q: %v", c.want, r.Findings)
		})
	}
}
