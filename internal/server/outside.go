package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"

	"uplevel/internal/api"
	"uplevel/internal/entitlement/access"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// requestKey carries the request's [note] through its context, for logs and answers.
type requestKey struct{}

// note is what is learned of a request on its way in. One goroutine at a time has it.
type note struct {
	id    string
	user  string // who called, when a token or password was right
	token string // the token's id, never its secret
}

// noteOf returns the note of a request; one that nobody reads outside of a request.
func noteOf(ctx context.Context) *note {
	if n, ok := ctx.Value(requestKey{}).(*note); ok {
		return n
	}
	return &note{}
}

// protect tells browsers what they must not do with any answer: nothing here is a page, a
// frame or a script, all of it comes over TLS, and nothing is kept unless it says so.
func protect(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Strict-Transport-Security", "max-age=63072000; includeSubDomains")
	h.Set("Content-Security-Policy", "default-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

// outside gives every request an id, protects its answer, logs it, and turns a panic
// into an answer.
func (s *Service) outside(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := s.Now()
		about := &note{id: newRequestID()}
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, about))
		w.Header().Set("X-Request-Id", about.id)
		protect(w.Header())
		seen := &watched{ResponseWriter: w, status: http.StatusOK}
		defer func() { //nolint:contextcheck // the request carries it
			if p := recover(); p != nil {
				if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(p)
				}
				s.Log.ErrorContext(r.Context(), "panic", slog.String("request_id", about.id), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
				s.refuse(seen, r, errors.New("internal error"))
			}
			// The query is left out: it holds signatures.
			s.Log.InfoContext(r.Context(), "request", slog.String("request_id", about.id), slog.String("method", r.Method),
				slog.String("path", r.URL.Path), slog.Int("status", seen.status), slog.Int64("bytes", seen.bytes),
				slog.Duration("took", s.Now().Sub(began)), slog.String("address", addressOf(r)),
				slog.String("user_id", about.user), slog.String("token_id", about.token))
		}()
		next.ServeHTTP(seen, r)
	})
}

func newRequestID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// addressOf returns the network address of the client, without port.
func addressOf(r *http.Request) string {
	return clientAddress(r.RemoteAddr, r.Header.Values(forwardedFor))
}

// forwardedFor is the header in which a proxy says for whom it asks: as a line of its own
// after those of the client, or at the end of the client's.
const forwardedFor = "X-Forwarded-For"

// clientAddress returns who is at the other end: behind a proxy on this machine that is
// whom the proxy names last. Nobody else is believed.
func clientAddress(remote string, lines []string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	peer, err := netip.ParseAddr(host)
	if err != nil || !peer.IsLoopback() {
		return host
	}
	forwarded := strings.Join(lines, ",")
	last := strings.TrimSpace(forwarded[strings.LastIndexByte(forwarded, ',')+1:])
	if client, err := netip.ParseAddr(last); err == nil {
		return client.String()
	}
	return host
}

// watched remembers what was answered.
type watched struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *watched) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController and sendfile reach the connection.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// tagged gives answers to GET an ETag over their body and answers 304 where the client
// has it already. Bodies are small here: lists and documents.
func tagged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		b := &buffered{header: w.Header(), status: http.StatusOK}
		next.ServeHTTP(b, r)
		if b.status == http.StatusOK {
			sum := sha256.Sum256(b.body.Bytes())
			tag := `"` + hex.EncodeToString(sum[:16]) + `"`
			w.Header().Set("ETag", tag)
			w.Header().Set("Cache-Control", "private, no-cache")
			if hasTag(r.Header.Get("If-None-Match"), tag) {
				w.WriteHeader(http.StatusNotModified)
				return
			}
		}
		w.WriteHeader(b.status)
		_, _ = w.Write(b.body.Bytes())
	})
}

// hasTag reports whether a client has one of the answers it names; on the way its tag
// may have become weak.
func hasTag(list, tag string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item == "*" || strings.TrimPrefix(item, "W/") == tag {
			return true
		}
	}
	return false
}

// known answers requests for what the API does not have, or not with that method, as
// problems.
func (s *Service) known(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			// Every answer is JSON, whatever is asked for: the library need not look, and it
			// panics over some that are odd.
			r.Header.Del("Accept")
			mux.ServeHTTP(w, r)
			return
		}
		b := &buffered{header: http.Header{}, status: http.StatusOK}
		h.ServeHTTP(b, r)
		if allowed := b.header.Get("Allow"); b.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", allowed)
			s.refuse(w, r, &answer{Problem: api.Problem{
				Title: "That method is not for this address", Status: b.status, Kind: problem.Usage.String(), Next: "Use " + allowed + ".",
			}})
			return
		}
		s.notFound(w, r)
	})
}

type buffered struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (b *buffered) Header() http.Header         { return b.header }
func (b *buffered) WriteHeader(status int)      { b.status = status }
func (b *buffered) Write(p []byte) (int, error) { return b.body.Write(p) }

// problemType is the content type of problem details.
const problemType = "application/problem+json"

// answer is a problem as it goes out: RFC 9457. It is huma's error type, too.
type answer struct {
	api.Problem
	retryAfter int // seconds; 0: not said
}

// Error returns the title.
func (a *answer) Error() string { return a.Title }

// GetStatus implements huma.StatusError.
func (a *answer) GetStatus() int { return a.Status }

// ContentType implements huma.ContentTypeFilter.
func (a *answer) ContentType(string) string { return problemType }

// GetHeaders implements huma.HeadersError.
func (a *answer) GetHeaders() http.Header {
	h := http.Header{"Cache-Control": {"no-store"}}
	if a.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(a.retryAfter))
	}
	if a.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	return h
}

// answerTo is the one place that turns errors into answers. What has no kind is told as
// "internal error" and logged.
func (s *Service) answerTo(ctx context.Context, err error) *answer {
	id := noteOf(ctx).id
	if a, done := errors.AsType[*answer](err); done {
		a.RequestID = id
		return a
	}
	a := &answer{Problem: api.Problem{RequestID: id}}
	if slowed, ok := errors.AsType[*access.SlowedError](err); ok {
		a.retryAfter = int(slowed.Wait.Seconds()) + 1
	}
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	p, known := errors.AsType[*problem.Error](err)
	switch {
	case known:
		a.Title, a.Kind, a.Next, a.Status = p.Text, p.Kind.String(), p.Next, p.Kind.HTTPStatus()
		if a.retryAfter > 0 {
			a.Status = http.StatusTooManyRequests
		}
		if tooLarge {
			a.Status = http.StatusRequestEntityTooLarge
		}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, release.ErrLevel):
		a.Title, a.Kind, a.Status = "There is no such thing here", problem.Failed.String(), http.StatusNotFound
		a.Next = "Check the address and what was asked for."
	case errors.Is(err, context.Canceled):
		a.Title, a.Kind, a.Status = "The request was given up", problem.Interrupted.String(), http.StatusServiceUnavailable
	default:
		s.Log.ErrorContext(ctx, "internal error", slog.String("request_id", id), slog.String("error", err.Error()))
		a.Title, a.Kind, a.Status = "Internal error", problem.Unreachable.String(), http.StatusInternalServerError
		a.Detail, a.Next = "The service's log tells more under this request id.", "Try again; if it stays, tell your vendor the request id."
	}
	return a
}

// refuse writes an error as problem details.
func (s *Service) refuse(w http.ResponseWriter, r *http.Request, err error) {
	a := s.answerTo(r.Context(), err)
	maps.Copy(w.Header(), a.GetHeaders())
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(a.Status)
	_ = json.NewEncoder(w).Encode(a.Problem)
}

func (s *Service) notFound(w http.ResponseWriter, r *http.Request) { s.refuse(w, r, fs.ErrNotExist) }

// unavailable says that the service is not ready; why is for its log alone.
func unavailable() error {
	return problem.New(problem.Unreachable, "Try again in a minute.", "The service is not ready")
}

// bearer returns the token that came with a request.
func bearer(header string) (string, error) {
	scheme, token, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", problem.New(problem.Credentials, "Send a token: Authorization: Bearer TOKEN.", "Invalid credentials")
	}
	return strings.TrimSpace(token), nil
}
