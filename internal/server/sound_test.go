package server

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"uplevel/internal/blob"
	"uplevel/internal/digest"
	"uplevel/internal/object"
)

// faster is a store whose damaged objects another service mends between judging and removing.
type faster struct {
	blob.Store
	mend func()
}

func (f faster) Open(ctx context.Context, name string) (blob.Object, error) {
	o, err := f.Store.Open(ctx, name)
	return mending{o, f.mend}, err
}

type mending struct {
	blob.Object
	mend func()
}

func (m mending) Discard(ctx context.Context) error {
	m.mend()
	return m.Object.Discard(ctx)
}

// TestWhatAnotherServiceWasSentStays: two services judge one damaged object; the one that is
// slower does not remove what the other was sent in its place.
func TestWhatAnotherServiceWasSentStays(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t)
	sum := digest.Of([]byte("file 1"))
	name := blob.ObjectName(sum)
	put := func(content string) {
		t.Helper()
		if err := w.blobs.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if err := w.blobs.Put(t.Context(), name, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	var sound bytes.Buffer
	if _, _, err := object.Encode(&sound, strings.NewReader("file 1")); err != nil {
		t.Fatal(err)
	}
	put("damaged")
	s.Blobs = faster{&w.blobs, func() { put(sound.String()) }}
	for _, want := range []int{1, 0} {
		if lacking, err := s.lacking(t.Context(), []digest.Digest{sum}); err != nil || len(lacking) != want {
			t.Errorf("lacks %v, %v", lacking, err)
		}
	}
	if info, err := w.blobs.Stat(t.Context(), name); err != nil || info.Size != int64(sound.Len()) {
		t.Errorf("%+v, %v", info, err)
	}
}
