package api

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// repeat sends a request until it is answered by something else than a passing
// trouble, so many times, waiting longer each time and as long as the service asks. An
// answer of success that breaks off while read takes it in is such a trouble, too; read
// may be nil.
func (c *Client) repeat(ctx context.Context, times int, build func() (*http.Request, error), read func(io.Reader) error) (*http.Response, error) {
	for try := 1; ; try++ {
		r, err := build()
		if err != nil {
			return nil, err
		}
		answer, err := c.once(r, read)
		wait := time.Duration(try*try)*200*time.Millisecond + time.Duration(rand.IntN(200))*time.Millisecond //nolint:gosec // jitter
		if err == nil {
			wait = max(wait, retryAfter(answer.Header))
		}
		last := try >= times || ctx.Err() != nil || !inTime(ctx, wait)
		switch {
		case err != nil && (last || lasting(err)):
			return nil, c.unreached(ctx, err)
		case err == nil && (last || !passing(answer) || wait > longestWait):
			return answer, nil
		case err == nil:
			_ = answer.Body.Close()
		}
		if err := c.pause(ctx, wait); err != nil {
			return nil, c.unreached(ctx, err)
		}
	}
}

func (c *Client) once(r *http.Request, read func(io.Reader) error) (*http.Response, error) {
	answer, err := c.HTTP.Do(r)
	if err != nil || read == nil || answer.StatusCode >= http.StatusMultipleChoices {
		return answer, err
	}
	if err := read(answer.Body); err != nil {
		_ = answer.Body.Close()
		return nil, err
	}
	return answer, nil
}

// inTime reports whether something is left of ctx after a wait: to wait for its end alone
// would only hide why.
func inTime(ctx context.Context, wait time.Duration) bool {
	end, ok := ctx.Deadline()
	return !ok || time.Until(end) > wait
}

// passing reports whether trying again may help. Who asks too often is told for how long
// to stop; a guess at a password is never made again.
func passing(answer *http.Response) bool {
	switch status := answer.StatusCode; status {
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported, http.StatusNetworkAuthenticationRequired:
		return false
	case http.StatusTooManyRequests:
		return answer.Header.Get("Retry-After") != "" && !strings.HasSuffix(answer.Request.URL.Path, tokensPath)
	default:
		return status >= http.StatusInternalServerError
	}
}

// retryAfter reads seconds, or a date by the clock of whoever answers.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(min(max(seconds, 0), 1<<20)) * time.Second
	}
	at, err := http.ParseTime(text)
	now, nowErr := http.ParseTime(h.Get("Date"))
	if err != nil || nowErr != nil {
		return 0
	}
	return max(at.Sub(now), 0)
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
