package fetch

import (
	"bytes"
	"context"
	"io"
	"os"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/api"
	"uplevel/internal/digest"
	"uplevel/internal/problem"
)

// zips is a service with one zip, whose connections break.
type zips struct {
	data    []byte
	most    int // bytes of one connection; 0: all
	refuse  error
	offsets []int64
}

func (z *zips) HotfixZip(_ context.Context, _, _, _ string, offset int64) (io.ReadCloser, int64, error) {
	z.offsets = append(z.offsets, offset)
	if z.refuse != nil {
		return nil, 0, z.refuse
	}
	rest := z.data[offset:]
	if z.most > 0 && len(rest) > z.most {
		return io.NopCloser(io.MultiReader(bytes.NewReader(rest[:z.most]), iotest.ErrReader(io.ErrUnexpectedEOF))), int64(len(z.data)), nil
	}
	return io.NopCloser(bytes.NewReader(rest)), int64(len(z.data)), nil
}

// TestHotfixesAreResumedAndJudged gets a zip over connections that break, once more from
// the cache, and refuses one that is not what was listed.
func TestHotfixesAreResumedAndJudged(t *testing.T) {
	t.Parallel()
	z := &zips{data: bytes.Repeat([]byte("zip "), 100), most: 150}
	f := &Fetcher{Dir: t.TempDir(), Pause: func(context.Context, time.Duration) error { return nil }}
	h := api.Hotfix{Name: "Bank-hf1", Product: "shop", Version: "1.0", Size: int64(len(z.data)), SHA256: digest.Of(z.data)}
	file, err := f.Hotfix(t.Context(), z, h)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, z.data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if d := cmp.Diff([]int64{0, 150, 300}, z.offsets); d != "" {
		t.Error(d)
	}
	if again, err := f.Hotfix(t.Context(), z, h); err != nil || again != file || len(z.offsets) != 3 {
		t.Errorf("again: %s, %v, asked %v", again, err, z.offsets)
	}
	// A cache that was damaged since is fetched anew.
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Hotfix(t.Context(), z, h); err != nil || len(z.offsets) != 6 {
		t.Errorf("damaged: %v, asked %v", err, z.offsets)
	}

	for _, c := range []struct {
		name string
		zips *zips
		h    api.Hotfix
		kind problem.Kind
	}{
		{"another zip", &zips{data: bytes.Repeat([]byte("zop "), 100)}, h, problem.Verification},
		{"gone", &zips{refuse: problem.New(problem.Failed, "", "no such thing")}, h, problem.Failed},
		{"always broken", &zips{data: z.data, most: 1}, h, problem.Unreachable},
		{"without end", z, api.Hotfix{Size: 1 << 40}, problem.Verification},
		{"of nothing", z, api.Hotfix{}, problem.Verification},
	} {
		f := &Fetcher{Dir: t.TempDir(), Pause: f.Pause}
		if _, err := f.Hotfix(t.Context(), c.zips, c.h); err == nil || problem.KindOf(err) != c.kind {
			t.Errorf("%s: %v (%s), want %s", c.name, err, problem.KindOf(err), c.kind)
		}
	}
}

// TestAZipThatLiesIsNotFetchedForEver has megabytes come that are not what was listed.
func TestAZipThatLiesIsNotFetchedForEver(t *testing.T) {
	t.Parallel()
	z := &zips{data: noise(3 * progress), most: 2 * progress}
	f := &Fetcher{Dir: t.TempDir(), Pause: func(context.Context, time.Duration) error { return nil }}
	_, err := f.Hotfix(t.Context(), z, api.Hotfix{Name: "Bank-hf1", Size: int64(len(z.data)), SHA256: digest.Of([]byte("another"))})
	wantProblem(t, err, problem.Verification, "not the one that it lists")
	if len(z.offsets) > 4 {
		t.Errorf("asked at %v", z.offsets)
	}
}
