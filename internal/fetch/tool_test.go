package fetch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"uplevel/internal/api"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// tools gives programs from a source's objects; told is the size it tells, 0 the true one.
type tools struct {
	*source

	told   int64
	broken int // first tries that break off
}

func (s *tools) Tool(ctx context.Context, t release.Tool, offset int64) (io.ReadCloser, int64, error) {
	body, size, err := s.Object(ctx, "/objects/"+t.Program.Sum.String()+"?1", offset)
	if s.told != 0 {
		size = s.told
	}
	if s.broken > 0 && err == nil {
		s.broken--
		body = io.NopCloser(io.MultiReader(io.LimitReader(body, 2000), errReader{}))
	}
	return body, size, err
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestTool(t *testing.T) {
	t.Parallel()
	content := noise(50000)
	s := &tools{source: newSource(), broken: 3}
	tool := release.Tool{ToolListing: release.ToolListing{Version: "1.0", System: "linux/amd64"}, Program: s.add(t, content)}
	f := newFetcher(t, s)
	for range 2 {
		if err := f.Tool(t.Context(), s, tool); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(read(t, f, tool.Program), content) {
		t.Error("another content")
	}
	tidy(t, f, tool.Program)
	if len(s.asked) > 0 {
		t.Error("it was asked for as an object of a level")
	}
	if again := s.fetched[tool.Program.Sum]; len(again) < 3 || again[len(again)-1] == 0 {
		t.Errorf("it was not taken up again: %v", again)
	}
}

func TestToolsThatAreNot(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		told int64
		kind problem.Kind
	}{
		"endless": {1 << 40, problem.Verification}, "no size": {-1, problem.Unreachable},
	} {
		s := &tools{source: newSource(), told: c.told}
		f := newFetcher(t, s)
		err := f.Tool(t.Context(), s, release.Tool{Program: s.add(t, noise(100))})
		if problem.KindOf(err) != c.kind {
			t.Errorf("%s: %v", what, err)
		}
	}
	s := &tools{source: newSource()}
	ref := s.add(t, noise(100))
	s.stored[ref.Sum] = s.stored[s.add(t, noise(101)).Sum]
	f := newFetcher(t, s)
	wantProblem(t, f.Tool(t.Context(), s, release.Tool{Program: ref}), problem.Verification)
	if got := api.ToolAddress(release.Tool{ToolListing: release.ToolListing{Version: "1", System: "linux/arm64"}, Program: ref}); got != "/tuf/targets/uplevel-tool/1/"+ref.Sum.String()+".linux_arm64" {
		t.Error(got)
	}
}
