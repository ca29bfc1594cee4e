package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"uplevel/internal/digest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// Client speaks API v1 with one service. Its methods return *problem.Error.
type Client struct {
	Base      string       // https://host:port, without a slash at its end
	HTTP      *http.Client // from NewHTTP
	UserAgent string
	// Token returns the token to send; nil sends none. It is asked before each request
	// that needs one.
	Token func(context.Context) (string, error)
	// Pause waits between tries; nil waits by the clock.
	Pause func(ctx context.Context, d time.Duration) error
}

// tries is how often a request that may be repeated is sent.
const tries = 4

// NewToken gets a token for a password.
func (c *Client) NewToken(ctx context.Context, r TokenRequest) (Token, error) {
	var t Token
	return t, c.post(ctx, "/tokens", false, r, &t)
}

// Check asks what the caller may have.
func (c *Client) Check(ctx context.Context, r CheckRequest) (CheckAnswer, error) {
	var a CheckAnswer
	return a, c.post(ctx, "/check", true, r, &a)
}

// Deliveries asks for URLs of objects.
func (c *Client) Deliveries(ctx context.Context, r DeliveryRequest) (DeliveryAnswer, error) {
	var a DeliveryAnswer
	return a, c.post(ctx, "/deliveries", true, r, &a)
}

// Report tells the outcome of a change.
func (c *Client) Report(ctx context.Context, r Report) error {
	return c.post(ctx, "/reports", true, r, nil)
}

// EULA returns the text in force.
func (c *Client) EULA(ctx context.Context) (EULA, error) {
	var e EULA
	return e, c.get(ctx, "/eula", &e)
}

// AcceptEULA accepts a version, or the one in force, for the organisation.
func (c *Client) AcceptEULA(ctx context.Context, version string) error {
	return c.post(ctx, "/eula/acceptances", true, EULAAcceptance{Version: version}, nil)
}

// Vendor says who the vendor is.
func (c *Client) Vendor(ctx context.Context) (Vendor, error) {
	var v Vendor
	return v, c.get(ctx, "/vendor", &v)
}

// Levels lists the levels of a line that the caller may see.
func (c *Client) Levels(ctx context.Context, line release.Line) ([]Level, error) {
	var l []Level
	path := fmt.Sprintf("/products/%s/%s/channels/%s/levels", url.PathEscape(line.Product), url.PathEscape(line.Version), url.PathEscape(line.Channel))
	return l, c.get(ctx, path, &l)
}

// Missing returns those of the objects that the store lacks.
func (c *Client) Missing(ctx context.Context, objects []digest.Digest) ([]digest.Digest, error) {
	var a MissingAnswer
	err := c.post(ctx, "/publishing/missing", true, MissingRequest{Objects: objects}, &a)
	return a.Objects, err
}

// SubmitMetadata makes signed metadata current.
func (c *Client) SubmitMetadata(ctx context.Context, s MetadataSubmission) (MetadataAnswer, error) {
	var a MetadataAnswer
	return a, c.post(ctx, "/publishing/metadata", true, s, &a)
}

// OnlineKeys returns the service's public keys.
func (c *Client) OnlineKeys(ctx context.Context) (OnlineKeys, error) {
	var k OnlineKeys
	return k, c.get(ctx, "/publishing/online-keys", &k)
}

// PutObject uploads an object of size stored bytes in its stored form.
func (c *Client) PutObject(ctx context.Context, sum digest.Digest, stored io.Reader, size int64) error {
	r, err := c.request(ctx, http.MethodPut, Prefix+"/publishing/objects/"+sum.String(), stored, true)
	if err != nil {
		return err
	}
	r.ContentLength = size
	r.Header.Set("Content-Type", "application/zstd")
	answer, err := c.HTTP.Do(r)
	if err != nil {
		return reach(c.Base, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusNoContent {
		return c.refusal(answer)
	}
	return nil
}

// Metadata returns a file of the TUF repository, at most limit bytes of it or one more;
// fs.ErrNotExist when the service has none of that name.
func (c *Client) Metadata(ctx context.Context, file string, limit int64) ([]byte, error) {
	answer, err := c.repeat(ctx, func() (*http.Request, error) {
		return c.request(ctx, http.MethodGet, MetadataPath+url.PathEscape(file), nil, false)
	})
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, fmt.Errorf("metadata %s: %w", file, fs.ErrNotExist)
	default:
		return nil, c.refusal(answer)
	}
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") {
		return nil, c.notTheService("a web page")
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, limit+1))
	if err != nil {
		return nil, reach(c.Base, err)
	}
	return data, nil
}

// Target opens a TUF target by its path in the repository, hash prefix included.
func (c *Client) Target(ctx context.Context, path string) (io.ReadCloser, error) {
	answer, err := c.repeat(ctx, func() (*http.Request, error) {
		return c.request(ctx, http.MethodGet, TargetsPath+path, nil, false)
	})
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		defer answer.Body.Close()
		return nil, c.refusal(answer)
	}
	return answer.Body, nil
}

// Object opens a stored object at offset and returns its whole stored size. The
// address may be relative to the service. An address that is no longer good is an
// error of kind [problem.NotEntitled].
func (c *Client) Object(ctx context.Context, address string, offset int64) (io.ReadCloser, int64, error) {
	answer, err := c.repeat(ctx, func() (*http.Request, error) {
		r, err := c.request(ctx, http.MethodGet, address, nil, false)
		if err == nil && offset > 0 {
			r.Header.Set("Range", "bytes="+strconv.FormatInt(offset, 10)+"-")
		}
		return r, err
	})
	if err != nil {
		return nil, 0, err
	}
	switch {
	case answer.StatusCode == http.StatusPartialContent && offset > 0:
		if total, ok := totalOf(answer.Header.Get("Content-Range"), offset); ok {
			return answer.Body, total, nil
		}
	case answer.StatusCode == http.StatusOK && offset == 0:
		return answer.Body, answer.ContentLength, nil
	}
	defer answer.Body.Close()
	if answer.StatusCode < 300 || answer.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return nil, 0, fmt.Errorf("resuming at %d: %w", offset, ErrRange)
	}
	return nil, 0, c.refusal(answer)
}

// ErrRange is wrapped when a download cannot be resumed where it stopped.
var ErrRange = errors.New("the service does not resume there")

// totalOf reads the size from "bytes 10-99/100" when it begins at offset.
func totalOf(contentRange string, offset int64) (int64, bool) {
	span, size, ok := strings.Cut(strings.TrimPrefix(contentRange, "bytes "), "/")
	total, err := strconv.ParseInt(size, 10, 64)
	return total, ok && err == nil && strings.HasPrefix(span, strconv.FormatInt(offset, 10)+"-")
}

func (c *Client) get(ctx context.Context, path string, into any) error {
	return c.exchange(ctx, http.MethodGet, path, path != "/vendor", nil, into)
}

func (c *Client) post(ctx context.Context, path string, token bool, body, into any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.exchange(ctx, http.MethodPost, path, token, data, into)
}

// exchange sends a request that may be repeated: all of the API's are.
func (c *Client) exchange(ctx context.Context, method, path string, token bool, body []byte, into any) error {
	answer, err := c.repeat(ctx, func() (*http.Request, error) {
		r, err := c.request(ctx, method, Prefix+path, bytes.NewReader(body), token)
		if err == nil && body != nil {
			r.Header.Set("Content-Type", "application/json")
		}
		return r, err
	})
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 300 {
		return c.refusal(answer)
	}
	if into == nil {
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, MaxAnswer+1))
	if err != nil {
		return reach(c.Base, err)
	}
	if len(data) > MaxAnswer {
		return c.notTheService("too much")
	}
	if err := json.Unmarshal(data, into); err != nil {
		return c.notTheService("no JSON")
	}
	return nil
}

func (c *Client) request(ctx context.Context, method, address string, body io.Reader, token bool) (*http.Request, error) {
	if !strings.Contains(address, "://") {
		address = c.Base + address
	}
	r, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, problem.New(problem.Usage, "Give the service's address as https://HOST.", "The address %.200q cannot be used", c.Base)
	}
	r.Header.Set("User-Agent", c.UserAgent)
	if token && c.Token != nil {
		text, err := c.Token(ctx)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+text)
	}
	return r, nil
}

// repeat sends a request until it is answered by something else than a passing
// trouble, a few times, waiting longer each time and as long as the service asks.
func (c *Client) repeat(ctx context.Context, build func() (*http.Request, error)) (*http.Response, error) {
	for try := 1; ; try++ {
		r, err := build()
		if err != nil {
			return nil, err
		}
		answer, err := c.HTTP.Do(r)
		last := try == tries || ctx.Err() != nil
		switch {
		case err != nil && (last || !passing(err)):
			return nil, reach(c.Base, err)
		case err == nil && (last || !passingStatus(answer.StatusCode)):
			return answer, nil
		}
		wait := time.Duration(try*try)*200*time.Millisecond + time.Duration(rand.IntN(200))*time.Millisecond //nolint:gosec // jitter
		if answer != nil {
			wait = max(wait, retryAfter(answer.Header.Get("Retry-After")))
			_ = answer.Body.Close()
		}
		if err := c.pause(ctx, wait); err != nil {
			return nil, reach(c.Base, err)
		}
	}
}

// passing reports whether trying again may help: not where a name, a certificate, a
// redirect or the proxy is wrong, and not where nobody listens.
func passing(err error) bool {
	p, ok := errors.AsType[*problem.Error](reach("", err))
	if !ok || p.Kind != problem.Unreachable {
		return false
	}
	for _, lasting := range []string{"TLS certificate", "name is not known", "redirects", "proxy wants", "refused"} {
		if strings.Contains(p.Text, lasting) {
			return false
		}
	}
	return true
}

func passingStatus(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// retryAfter reads seconds, at most a minute of them.
func retryAfter(text string) time.Duration {
	seconds, err := strconv.Atoi(text)
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(min(seconds, 60)) * time.Second
}

func (c *Client) pause(ctx context.Context, d time.Duration) error {
	if c.Pause != nil {
		return c.Pause(ctx, d)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// notTheService is what answers something that the service would not.
func (c *Client) notTheService(what string) error {
	return problem.New(problem.Unreachable, "Check the address, and whether a captive portal or proxy stands between.",
		"What answers at %s is not the update service: it sends %s", c.Base, what)
}

// refusal turns an answer that is no success into what the caller is told.
func (c *Client) refusal(answer *http.Response) error {
	data, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	var p Problem
	if err != nil || json.Unmarshal(data, &p) != nil || p.Title == "" {
		if answer.StatusCode == http.StatusProxyAuthRequired {
			return problem.New(problem.Unreachable, "Put them into the proxy's address: http://USER:PASSWORD@HOST:PORT.", "The proxy wants a user and password")
		}
		return c.notTheService("status " + strconv.Itoa(answer.StatusCode) + " without an explanation")
	}
	kind := kindOf(p)
	if kind == problem.Credentials {
		text := "Invalid credentials"
		if !strings.HasPrefix(p.Title, text) {
			text += ": " + p.Title
		}
		return problem.New(kind, "Check user and password. In a shell, put a password with $ or other special characters into single quotes.", "%s", text)
	}
	text := p.Title
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	if kind == problem.Unreachable && p.RequestID != "" {
		text += " (request " + p.RequestID + ")"
	}
	return problem.New(kind, p.Next, "%s", text)
}

// kindOf returns the kind that a problem names, or that its status means.
func kindOf(p Problem) problem.Kind {
	for _, k := range []problem.Kind{
		problem.Failed, problem.Conflicts, problem.Usage, problem.Credentials, problem.NotEntitled,
		problem.Unreachable, problem.Verification, problem.Refused,
	} {
		if k.String() == p.Kind {
			return k
		}
	}
	switch {
	case p.Status == http.StatusUnauthorized, p.Status == http.StatusTooManyRequests:
		return problem.Credentials
	case p.Status == http.StatusForbidden:
		return problem.NotEntitled
	case p.Status >= http.StatusInternalServerError:
		return problem.Unreachable
	}
	return problem.Failed
}
