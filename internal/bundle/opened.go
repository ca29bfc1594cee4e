package bundle

import (
	"context"
	"fmt"
	"io"
	"io/fs"

	"uplevel/internal/digest"
	"uplevel/internal/object"
	"uplevel/internal/release"
)

// opened is what an open zip of either kind gives.
type opened struct {
	kind     kind
	r        io.ReaderAt
	metadata map[string]member
	objects  map[digest.Digest]member
}

func newOpened(k kind, r io.ReaderAt) opened {
	return opened{kind: k, r: r, metadata: map[string]member{}, objects: map[digest.Digest]member{}}
}

// Metadata returns a carried metadata file; it makes a zip a refresh.Remote. What is
// not carried is fs.ErrNotExist.
func (o opened) Metadata(ctx context.Context, file string, limit int64) ([]byte, error) {
	m, ok := o.metadata[file]
	if !ok {
		return nil, fmt.Errorf("metadata %s: %w", file, fs.ErrNotExist)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data, err := m.all(o.r, limit)
	if err != nil {
		return nil, o.kind.refuse(err)
	}
	return data, nil
}

// Has reports whether the zip carries the content with that digest.
func (o opened) Has(sum digest.Digest) bool {
	_, ok := o.objects[sum]
	return ok
}

// Open returns a content, verified as it is read: it ends with digest.ErrMismatch unless
// it is the one asked for. What is not carried is fs.ErrNotExist.
func (o opened) Open(ref release.Ref) (io.ReadCloser, error) {
	stored, _, err := o.Stored(ref.Sum)
	if err != nil {
		return nil, err
	}
	return object.NewReader(stored, ref.Sum, ref.Size)
}

// Stored returns a content in its stored form, verified by nobody, and how many bytes
// that has. What is not carried is fs.ErrNotExist.
func (o opened) Stored(sum digest.Digest) (io.Reader, int64, error) {
	m, ok := o.objects[sum]
	if !ok {
		return nil, 0, fmt.Errorf("content %s: %w", sum, fs.ErrNotExist)
	}
	return m.reader(o.r), m.size, nil
}
