package refresh_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"uplevel/internal/problem"
	"uplevel/internal/trust"
	"uplevel/internal/trust/refresh"
)

// remote is a service that does with one file what the test wants.
type remote struct {
	refresh.Remote
	file string
	do   func(ctx context.Context) ([]byte, error)
}

func (r remote) Metadata(ctx context.Context, file string, limit int64) ([]byte, error) {
	if file == r.file {
		return r.do(ctx)
	}
	return r.Remote.Metadata(ctx, file, limit)
}

func TestSlowRetrievalEnds(t *testing.T) {
	t.Parallel()
	drip := func(ctx context.Context) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }
	for _, file := range []string{"2.root.json", "timestamp.json", "2.snapshot.json", "2.line.wso2is-7.1.0.full.json"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.config.Remote = remote{h.repo, file, drip}
			h.config.Grace, h.config.MinRate = time.Millisecond, 1<<30
			_, err := h.client().Refresh(context.Background(), is)
			refused(t, err, problem.Unreachable, "too slow")
			noLeftovers(t, h)
			h.config.Remote = h.repo
			h.config.Grace = 0
			h.refresh(is)
		})
	}
}

func TestAWholeRefreshEndsToo(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.config.Remote = remote{h.repo, "timestamp.json", func(ctx context.Context) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }}
	h.config.Timeout = time.Millisecond
	_, err := h.client().Refresh(context.Background(), is)
	refused(t, err, problem.Unreachable, "too slow")
}

func TestTroubleOnTheWayIsToldApart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file string
		err  error
		kind problem.Kind
	}{
		"connection refused":         {"timestamp.json", errors.New("connection refused"), problem.Unreachable},
		"root answered 403":          {"2.root.json", errors.New("status 403"), problem.Unreachable},
		"timestamp missing":          {"timestamp.json", fs.ErrNotExist, problem.Unreachable},
		"snapshot missing":           {"2.snapshot.json", fs.ErrNotExist, problem.Unreachable},
		"line missing":               {"2.line.wso2is-7.1.0.full.json", fs.ErrNotExist, problem.Unreachable},
		"credentials, as said there": {"timestamp.json", problem.New(problem.Credentials, "Log in.", "proxy wants a password"), problem.Credentials},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.config.Remote = remote{h.repo, c.file, func(context.Context) ([]byte, error) { return nil, fmt.Errorf("asking: %w", c.err) }}
			_, err := h.client().Refresh(context.Background(), is)
			if problem.KindOf(err) != c.kind || !errors.Is(err, c.err) {
				t.Errorf("%s: %v", problem.KindOf(err), err)
			}
		})
	}
}

func TestInterruptionIsTheCallers(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	ctx, cancel := context.WithCancel(context.Background())
	h.config.Remote = remote{h.repo, "2.snapshot.json", func(ctx context.Context) ([]byte, error) { cancel(); return nil, ctx.Err() }}
	if _, err := h.client().Refresh(ctx, is); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	noLeftovers(t, h)
	h.config.Remote = h.repo
	h.refresh(is)
}

func TestCarriedMetadataAreJudgedByTheirOwnTime(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.now = day0.Add(400 * day)
	_, err := h.client().Refresh(context.Background(), is)
	refused(t, err, problem.Verification, "timestamp.json is expired")

	h.config.Mode = trust.Carried
	view := h.refresh(is)
	want(t, "mode", view.Mode(), trust.Carried)
	want(t, "reference", view.Reference(), day0.Add(3*day-time.Second))
	want(t, "age", view.Age(h.now), 397*day+time.Second)
	want(t, "expired", view.Expired(), false)

	trusted, err := h.client().Trusted(is)
	must(t, err)
	want(t, "reference of what is trusted", trusted.Reference(), view.Reference())

	h.config.Allowance = 45 * day
	_, err = h.client().Refresh(context.Background(), is)
	refused(t, err, problem.Verification, "the policy allows")
	h.config.Allowance = 398 * day
	h.refresh(is)
}

func TestCarriedMetadataMustAllHaveBeenValidThen(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.config.Mode = trust.Carried
	h.repo.Now = day0.Add(130 * day) // the service signs on, the publisher does not
	h.repo.PublishOnline()
	_, err := h.client().Refresh(context.Background(), is)
	refused(t, err, problem.Verification, "product.wso2is is expired")
}

func TestOlderCarriedMetadataAreTransportOnly(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	old := h.repo.Current("timestamp")
	h.repo.Now = day0.Add(10 * day)
	h.repo.AddLevel(is, 2)
	h.repo.PublishOnline()
	h.now = h.repo.Now
	h.refresh(is)
	newer := h.cached("timestamp")

	h.repo.Put("timestamp.json", old)
	h.config.Mode = trust.Carried
	view := h.refresh(is)
	want(t, "levels", levels(t, view, is), []int{0, 1, 2})
	want(t, "reference", view.Reference(), day0.Add(13*day-time.Second))
	if !bytes.Equal(h.cached("timestamp"), newer) {
		t.Error("the newer timestamp was replaced")
	}
}

// shelf serves target files.
type shelf map[string]io.Reader

func (s shelf) Target(_ context.Context, path string) (io.ReadCloser, error) {
	r, ok := s[path]
	if !ok {
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	return io.NopCloser(r), nil
}

func TestTargetsAreStreamedAndVerified(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	content := []byte("a target")
	h.repo.SetTarget("targets", "dir/file.txt", content, nil)
	h.repo.PublishRole("targets")
	h.repo.PublishOnline()
	target, err := h.client().Find(context.Background(), "dir/file.txt")
	must(t, err)
	if _, err := h.client().Find(context.Background(), "dir/other.txt"); !errors.Is(err, trust.ErrNoTarget) {
		t.Errorf("%v", err)
	}
	for name, c := range map[string]struct {
		body io.Reader
		kind problem.Kind
		text string
	}{
		"as signed":   {bytes.NewReader(content), 0, ""},
		"other bytes": {bytes.NewReader([]byte("A target")), problem.Verification, "its hash is not the signed one"},
		"too short":   {bytes.NewReader(content[1:]), problem.Verification, "not 8 bytes long"},
		"endless":     {endlessReader{}, problem.Verification, "not 8 bytes long"},
		"cut":         {io.MultiReader(bytes.NewReader(content[:3]), failing{}), problem.Unreachable, "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := h.config
			config.Targets = shelf{target.Path: c.body}
			client, err := refresh.New(config)
			must(t, err)
			var got bytes.Buffer
			err = client.Download(context.Background(), target, &got)
			if c.kind != 0 {
				if problem.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.text) {
					t.Errorf("%s: %v", problem.KindOf(err), err)
				}
				return
			}
			must(t, err)
			want(t, "content", got.String(), string(content))
		})
	}
}

type endlessReader struct{}

func (endlessReader) Read(p []byte) (int, error) { return len(p), nil }

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// dripping gives nothing until the transfer is given up.
type dripping struct{}

func (dripping) Target(ctx context.Context, _ string) (io.ReadCloser, error) {
	return io.NopCloser(readerFunc(func([]byte) (int, error) { <-ctx.Done(); return 0, ctx.Err() })), nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestASlowTargetEnds(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	target, err := h.client().Find(context.Background(), is.TargetPath(1))
	must(t, err)
	h.config.Targets = dripping{}
	h.config.Grace = time.Millisecond
	err = h.client().Download(context.Background(), target, io.Discard)
	refused(t, err, problem.Unreachable, "too slow")
}
