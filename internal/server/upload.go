package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"uplevel/internal/blob"
	"uplevel/internal/digest"
	"uplevel/internal/entitlement"
	"uplevel/internal/manifest"
	"uplevel/internal/object"
	"uplevel/internal/problem"
)

// putObject takes an object in its stored form, decodes it on the way, and keeps it
// only when its content has the digest of its name.
func (s *Service) putObject(w http.ResponseWriter, r *http.Request) {
	c := Caller{Authorization: r.Header.Get("Authorization"), address: addressOf(r)}
	if _, err := s.may(r.Context(), c, entitlement.MayPublish); err != nil {
		s.refuse(w, r, err)
		return
	}
	sum, err := digest.Parse(r.PathValue("digest"))
	if err != nil {
		s.notFound(w, r)
		return
	}
	leave, err := s.rooms.publishers.take(r.Context(), decoderCost)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer leave()
	content := newChecked(r.Context(), http.MaxBytesReader(w, r.Body, manifest.MaxFile), sum)
	err = s.Blobs.Put(r.Context(), blob.ObjectName(sum), content)
	content.stop()
	if errors.Is(err, object.ErrBomb) {
		err = problem.New(problem.Refused, "Leave the file out of the build, or pack it.", "The object sent is refused: %w", err)
	} else if errors.Is(err, digest.ErrMismatch) {
		err = problem.New(problem.Verification, "Send the object again.", "The object sent is not %s: %w", sum, err)
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// checked passes stored bytes on and ends with digest.ErrMismatch instead of io.EOF
// unless what they decode to has the digest wanted.
type checked struct {
	r       io.Reader
	want    digest.Digest
	decode  *io.PipeWriter
	verdict chan error
	unwatch func() bool // the request, which may be given up
}

func newChecked(ctx context.Context, r io.Reader, want digest.Digest) *checked {
	pr, pw := io.Pipe()
	c := &checked{r: r, want: want, decode: pw, verdict: make(chan error, 1)}
	c.unwatch = context.AfterFunc(ctx, func() { _ = pr.CloseWithError(context.Cause(ctx)) })
	go func() {
		got, _, err := object.SumUnknown(pr)
		if err == nil && got != want {
			err = fmt.Errorf("%w: want %s, got %s", digest.ErrMismatch, want, got)
		} else if err != nil {
			err = fmt.Errorf("%w: %w", digest.ErrMismatch, err)
		}
		_ = pr.CloseWithError(err)
		c.verdict <- err
	}()
	return c
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, problem.New(problem.Usage, "Send the object again.", "The upload broke off: %w", err)
	}
	if n > 0 {
		if _, decodeErr := c.decode.Write(p[:n]); decodeErr != nil {
			return 0, decodeErr
		}
	}
	if errors.Is(err, io.EOF) {
		_ = c.decode.Close()
		if verdict := <-c.verdict; verdict != nil {
			return 0, verdict
		}
	}
	return n, err
}

// stop ends the decoder when the content was not read to its end.
func (c *checked) stop() {
	c.unwatch()
	_ = c.decode.CloseWithError(io.ErrUnexpectedEOF)
}
