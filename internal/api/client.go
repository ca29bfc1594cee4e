package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"uplevel/internal/digest"
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
	// Patience is how long one exchange may take, tries included; 0: two minutes. A person
	// who is asked for a password is not timed.
	Patience time.Duration
}

// tokensPath is where a password is given for a token.
const tokensPath = "/tokens"

// Bounds of the client's patience.
const (
	tries           = 4                // times a request that may be repeated is sent
	exchangeTimeout = 2 * time.Minute  // for a small answer to be there whole, tries included
	refusalTimeout  = 20 * time.Second // for a refusal's explanation
	slowest         = 16 << 10         // bytes a second of a request's body, on top of it
	longestWait     = time.Minute      // that a service may ask for; longer is told to the caller
)

// NewToken gets a token for a password.
func (c *Client) NewToken(ctx context.Context, r TokenRequest) (Token, error) {
	var t Token
	if err := c.Private(); err != nil {
		return t, err
	}
	return t, c.post(ctx, tokensPath, false, r, &t)
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

// PutObject uploads an object of size stored bytes in its stored form. After a passing
// trouble it is sent again when stored can seek.
func (c *Client) PutObject(ctx context.Context, sum digest.Digest, stored io.Reader, size int64) error {
	answer, err := c.upload(ctx, http.MethodPut, Prefix+"/publishing/objects/"+sum.String(), "application/zstd", stored, size)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusNoContent {
		return c.refusal(answer)
	}
	return nil
}

// upload sends a body of size bytes and returns the answer; the caller closes it.
func (c *Client) upload(ctx context.Context, method, path, kind string, body io.Reader, size int64) (*http.Response, error) {
	token, err := c.token(ctx)
	if err != nil {
		return nil, err
	}
	seeker, again := body.(io.Seeker)
	var begin int64
	times := 1
	if again {
		times = tries
		if begin, err = seeker.Seek(0, io.SeekCurrent); err != nil {
			return nil, err
		}
	}
	// Who takes nothing off the wire does not hold us either.
	ctx, cancel := context.WithTimeout(ctx, c.patience()+time.Duration(times)*time.Duration(size/slowest)*time.Second)
	answer, err := c.repeat(ctx, times, func() (*http.Request, error) {
		if again {
			if _, err := seeker.Seek(begin, io.SeekStart); err != nil {
				return nil, err
			}
		}
		r, err := c.request(ctx, method, path, io.NopCloser(body), token)
		if err == nil {
			r.ContentLength = size
			r.Header.Set("Content-Type", kind)
		}
		return r, err
	}, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	answer.Body = held{answer.Body, cancel}
	return answer, nil
}

// held is a body that lets go of its context when it is closed.
type held struct {
	io.ReadCloser

	letGo context.CancelFunc
}

// Close closes the body.
func (h held) Close() error {
	defer h.letGo()
	return h.ReadCloser.Close()
}

// Metadata returns a file of the TUF repository, at most limit bytes of it or one more;
// fs.ErrNotExist when the service has none of that name.
func (c *Client) Metadata(ctx context.Context, file string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.patience())
	defer cancel()
	var data []byte
	answer, err := c.repeat(ctx, tries, func() (*http.Request, error) {
		return c.request(ctx, http.MethodGet, MetadataPath+url.PathEscape(file), nil, "")
	}, whole(&data, limit))
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		if isPage(answer) && !strings.HasSuffix(file, ".root.json") { // the next root may be missed in any form
			return nil, c.refusal(answer)
		}
		return nil, fmt.Errorf("metadata %s: %w", file, fs.ErrNotExist)
	default:
		return nil, c.refusal(answer)
	}
	return data, c.foreign(answer, data)
}

// Target opens a TUF target by its path in the repository, hash prefix included.
func (c *Client) Target(ctx context.Context, path string) (io.ReadCloser, error) {
	answer, err := c.repeat(ctx, tries, func() (*http.Request, error) {
		return c.request(ctx, http.MethodGet, TargetsPath+path, nil, "")
	}, nil)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK || isPage(answer) {
		defer answer.Body.Close()
		return nil, c.refusal(answer)
	}
	return answer.Body, nil
}

// Object opens a stored object at offset and returns its whole stored size. The
// address may be relative to the service. An address that is no longer good is an
// error of kind [problem.NotEntitled].
func (c *Client) Object(ctx context.Context, address string, offset int64) (io.ReadCloser, int64, error) {
	return c.ranged(ctx, address, "", offset)
}

// ranged opens a download at offset and returns its whole size.
func (c *Client) ranged(ctx context.Context, address, token string, offset int64) (io.ReadCloser, int64, error) {
	answer, err := c.begin(ctx, func(ctx context.Context) (*http.Request, error) {
		r, err := c.request(ctx, http.MethodGet, address, nil, token)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Accept-Encoding", "identity") // bytes count from an offset on, and a size is told
		if offset > 0 {
			r.Header.Set("Range", "bytes="+strconv.FormatInt(offset, 10)+"-")
		}
		return r, nil
	})
	if err != nil {
		return nil, 0, err
	}
	if answer.StatusCode < 300 {
		if err := c.foreign(answer, nil); err != nil {
			return nil, 0, errors.Join(err, answer.Body.Close())
		}
	}
	switch {
	case isPage(answer):
	case answer.StatusCode == http.StatusPartialContent && offset > 0:
		if total, ok := totalOf(answer.Header.Get("Content-Range"), offset); ok {
			return answer.Body, total, nil
		}
	case answer.StatusCode == http.StatusOK && offset == 0:
		return answer.Body, answer.ContentLength, nil
	}
	defer answer.Body.Close()
	if (answer.StatusCode < 300 && !isPage(answer)) || answer.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return nil, 0, fmt.Errorf("resuming at %d: %w", offset, ErrRange)
	}
	return nil, 0, c.refusal(answer)
}

// begin asks for a download: it has as long as a small answer to begin, and no bound after.
func (c *Client) begin(ctx context.Context, build func(context.Context) (*http.Request, error)) (*http.Response, error) {
	beginning, over := context.WithTimeout(ctx, c.patience())
	defer over()
	open, letGo := context.WithCancel(ctx)
	begun := context.AfterFunc(beginning, letGo)
	answer, err := c.repeat(beginning, tries, func() (*http.Request, error) { return build(open) }, nil)
	if err != nil {
		letGo()
		return nil, err
	}
	answer.Body = held{answer.Body, letGo}
	if !begun() {
		return nil, errors.Join(c.unreached(beginning, beginning.Err()), answer.Body.Close())
	}
	return answer, nil
}

// ErrRange is wrapped when a download cannot be resumed where it stopped.
var ErrRange = errors.New("the service does not resume there")

// totalOf reads the size from "bytes 10-99/100" when it begins at offset, and can.
func totalOf(contentRange string, offset int64) (int64, bool) {
	span, size, ok := strings.Cut(strings.TrimPrefix(contentRange, "bytes "), "/")
	total, err := strconv.ParseInt(size, 10, 64)
	return total, ok && err == nil && total > offset && strings.HasPrefix(span, strconv.FormatInt(offset, 10)+"-")
}
