package redact

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxLine bounds a line in bytes; what is beyond is left out and counted. overlap is
// kept back of a line that is cut, so that nothing is told of a secret that the cut went
// through.
const (
	maxLine = 64 << 10
	overlap = 8 << 10
)

// stream redacts line by line, and leaves out blocks that go over lines.
type stream struct {
	r     *Redactor
	out   io.Writer
	block bool // inside of a PEM block
	named int  // how many of the next lines are what the name of a secret stood before
	err   error
}

// Copy redacts what src gives into dst, holding one line at a time, and returns how many
// bytes of lines that were too long it left out.
func (r *Redactor) Copy(dst io.Writer, src io.Reader) (left int64, err error) {
	return r.copy(&stream{r: r, out: dst}, src)
}

// CopyTail is [Redactor.Copy] for a text whose beginning is cut off: a block of which
// only the end is there is left out, too.
func (r *Redactor) CopyTail(dst io.Writer, src io.Reader) (left int64, err error) {
	return r.copy(&stream{r: r, out: dst, block: true}, src)
}

func (r *Redactor) copy(s *stream, src io.Reader) (left int64, err error) {
	lines := newLines(src)
	for {
		line, cut, err := lines.next()
		if errors.Is(err, io.EOF) {
			return left, s.err
		}
		if err != nil {
			return left, err
		}
		if cut > 0 {
			line, cut = r.shorten(line, cut)
		}
		if s.line(line); s.err != nil {
			return left, s.err
		}
		if cut > 0 {
			left += cut
			if _, err := fmt.Fprintf(s.out, " … (%d bytes of this line left out)\n", cut); err != nil {
				return left, err
			}
		}
	}
}

// LearnFrom is [Redactor.Learn] for all that src gives.
func (r *Redactor) LearnFrom(src io.Reader) error {
	lines := newLines(src)
	for {
		line, _, err := lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		r.Learn(line)
	}
}

// shorten cuts the beginning of a long line back to the end of a word. Known secrets are
// replaced before: the cut goes through none.
func (r *Redactor) shorten(line string, cut int64) (string, int64) {
	safe := r.knownSecrets(line)
	kept := safe[:max(0, len(safe)-overlap)]
	if i := strings.LastIndexAny(kept, " \t\",;"); i > len(kept)/2 {
		kept = kept[:i]
	}
	return kept, cut + int64(len(safe)-len(kept))
}

// line writes a line redacted, unless it is of a block that is left out.
func (s *stream) line(line string) {
	if s.block {
		end := strings.Contains(line, "-----END")
		if !end && isBlockLine(line) {
			return
		}
		s.block = false
		if end {
			_, line, _ = strings.Cut(line, "-----END")
			if _, rest, ok := strings.Cut(line, "-----"); ok {
				line = rest
			}
			if strings.TrimSpace(line) == "" {
				return
			}
		}
	}
	line = s.withoutBlocks(line)
	body := strings.TrimRight(line, "\r\n")
	end := line[len(body):]
	if s.named > 0 {
		body = s.continued(body)
	}
	if m := openName().FindStringSubmatch(body); s.named == 0 && m != nil && isSecretName(m[1], "x") {
		s.named = 1
		if m[2] != "" {
			s.named = maxContinued
		}
	}
	s.write(s.r.line(body) + end)
}

// maxContinued bounds how many lines a list of secrets may have.
const maxContinued = 50

// continued replaces a line that the name of a secret stood before, in a line of its own.
func (s *stream) continued(body string) string {
	s.named--
	text := strings.Trim(body, " \t,\"'-")
	if strings.ContainsAny(body, "]}") || text == "" {
		s.named = 0
	}
	if text = strings.TrimRight(text, "]} \"',"); text == "" {
		return body
	}
	return strings.Replace(body, text, s.r.placeholder(Secret, text), 1)
}

// withoutBlocks leaves out PEM blocks that lie in one line, escaped, and notes one that
// goes on.
func (s *stream) withoutBlocks(line string) string {
	for {
		at := strings.Index(line, "-----BEGIN ")
		if at < 0 {
			return line
		}
		s.r.counts[Secret]++
		_, tail, whole := strings.Cut(line[at:], "-----END ")
		if !whole {
			s.block = true
			return line[:at] + "(PEM block left out)\n"
		}
		if _, tail, whole = strings.Cut(tail, "-----"); !whole {
			tail = "\n"
		}
		line = line[:at] + "(PEM block left out)" + tail
	}
}

// isBlockLine reports whether a line may belong to a PEM block: base64, a header, nothing.
func isBlockLine(line string) bool {
	line = strings.Trim(line, " \t\r\n\"'\\,+>|#")
	return line == "" || !strings.ContainsAny(line, " \t") || strings.HasPrefix(line, "Proc-Type:") || strings.HasPrefix(line, "DEK-Info:")
}

func (s *stream) write(text string) {
	if s.err == nil {
		_, s.err = io.WriteString(s.out, text)
	}
}

// lines reads lines that are bounded.
type lines struct{ in *bufio.Reader }

func newLines(src io.Reader) *lines { return &lines{bufio.NewReaderSize(src, maxLine)} }

// next returns the next line with its end, without zero bytes. Of one that is too long it returns the
// beginning, and how many bytes follow it.
func (l *lines) next() (line string, cut int64, err error) {
	data, err := l.in.ReadSlice('\n')
	switch {
	case err == nil, errors.Is(err, io.EOF) && len(data) > 0:
		return withoutZeros(data), 0, nil
	case !errors.Is(err, bufio.ErrBufferFull):
		return "", 0, err
	}
	line = withoutZeros(data)
	for errors.Is(err, bufio.ErrBufferFull) {
		data, err = l.in.ReadSlice('\n')
		cut += int64(len(data))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return "", 0, err
	}
	return line, max(cut, 1), nil
}

// withoutZeros takes zero bytes out: between the letters of UTF-16, as some editors and
// shells write it, nothing would be found.
func withoutZeros(data []byte) string { return strings.ReplaceAll(string(data), "\x00", "") }
