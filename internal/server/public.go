package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"uplevel/internal/server/copies"
)

// worthPacking is the size in bytes from which packing an answer saves a packet.
const worthPacking = 1 << 10

// public is something that anybody may ask for as often as they like.
type public struct {
	name  string // of its copy
	kind  string // content type
	cache string // Cache-Control
	tag   string // ETag, with its quotes; empty: none
	packs bool   // whether it is small, and smaller in gzip
	write func(io.Writer) error
}

const forEver = "public, max-age=31536000, immutable"

// copyOf returns a copy that all who ask share. Copies are made one at a time, for that
// takes what nobody should have many times at once: a decoder, or all of a large text.
func (s *Service) copyOf(ctx context.Context, name string, write func(io.Writer) error) (*io.SectionReader, error) {
	if c, ok := s.copies.Known(name); ok {
		return c, nil
	}
	leave, err := s.rooms.copying.take(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer leave()
	if c, ok := s.copies.Known(name); ok { // while this one waited
		return c, nil
	}
	return s.copies.Make(name, write)
}

// givePublic answers with the copy of something.
func (s *Service) givePublic(w http.ResponseWriter, r *http.Request, p public) {
	content, err := s.copyOf(r.Context(), p.name, p.write)
	if errors.Is(err, copies.ErrNoFile) && p.packs {
		s.giveUncopied(w, r, p, err)
		return
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	p.describe(w.Header())
	if p.packs && content.Size() >= worthPacking {
		w.Header().Add("Vary", "Accept-Encoding")
		if takesGzip(r.Header) {
			content = s.packed(w, r, p, content)
		}
	}
	give(w, r, content)
}

func (p public) describe(h http.Header) {
	h.Set("Content-Type", p.kind)
	h.Set("Cache-Control", p.cache)
	if p.tag != "" {
		h.Set("ETag", p.tag)
	}
}

// packed returns the copy in gzip and says so in the header. Where none can be made the
// plain one does.
func (s *Service) packed(w http.ResponseWriter, r *http.Request, p public, plain *io.SectionReader) *io.SectionReader {
	content, err := s.copyOf(r.Context(), p.name+".gz", func(w io.Writer) error {
		z := gzip.NewWriter(w)
		if _, err := io.Copy(z, plain); err != nil {
			return err
		}
		return z.Close()
	})
	if err != nil {
		_, _ = plain.Seek(0, io.SeekStart)
		return plain
	}
	r.Header.Del("Range") // which is of the plain form
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("Content-Length", strconv.FormatInt(content.Size(), 10))
	if p.tag != "" {
		w.Header().Set("ETag", strings.TrimSuffix(p.tag, `"`)+`-gzip"`)
	}
	return content
}

// giveUncopied answers where a full disk takes no copy: reading goes on, one at a time.
func (s *Service) giveUncopied(w http.ResponseWriter, r *http.Request, p public, why error) {
	s.Log.WarnContext(r.Context(), "answering without a copy", slog.String("name", p.name), slog.String("error", why.Error()))
	leave, err := s.rooms.copying.take(r.Context(), 1)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer leave()
	var all bytes.Buffer
	if err := p.write(&all); err != nil {
		s.refuse(w, r, err)
		return
	}
	p.describe(w.Header())
	give(w, r, bytes.NewReader(all.Bytes()))
}

// give answers with content, or with one range of it: of several all of it is sent, since
// each would be looked for apart.
func give(w http.ResponseWriter, r *http.Request, content io.ReadSeeker) {
	if strings.Contains(r.Header.Get("Range"), ",") {
		r.Header.Del("Range")
	}
	http.ServeContent(w, r, "", time.Time{}, content)
}

// takesGzip reports whether a client takes gzip.
func takesGzip(h http.Header) bool {
	for item := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		name, more, _ := strings.Cut(item, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			_, q, given := strings.Cut(more, "=")
			weight, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
			return !given || err == nil && weight > 0
		}
	}
	return false
}
