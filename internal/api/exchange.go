package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"uplevel/internal/problem"
)

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
func (c *Client) exchange(ctx context.Context, method, path string, withToken bool, body []byte, into any) error {
	token := ""
	if withToken {
		var err error
		if token, err = c.token(ctx); err != nil { // without a time limit: a person may be asked
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout+time.Duration(len(body)/slowest)*time.Second)
	defer cancel()
	answer, err := c.repeat(ctx, tries, func() (*http.Request, error) {
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
	if answer.StatusCode >= 300 || isPage(answer) {
		return c.refusal(answer)
	}
	if into == nil {
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, MaxAnswer+1))
	if err != nil {
		return c.unreached(ctx, err)
	}
	if len(data) > MaxAnswer {
		return c.notTheService("too much")
	}
	if err := json.Unmarshal(data, into); err != nil {
		return c.notTheService("no JSON")
	}
	return nil
}

// token returns the token to send; empty when the client has none.
func (c *Client) token(ctx context.Context) (string, error) {
	if c.Token == nil {
		return "", nil
	}
	return c.Token(ctx)
}

func (c *Client) request(ctx context.Context, method, address string, body io.Reader, token string) (*http.Request, error) {
	if !strings.Contains(address, "://") {
		address = c.Base + address
	}
	r, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil || r.URL.Host == "" || (r.URL.Scheme != "https" && r.URL.Scheme != "http") {
		return nil, problem.New(problem.Usage, "Give the service's address as https://HOST.", "The address %.200q cannot be used", c.Base)
	}
	if r.URL.Scheme == "http" && strings.HasPrefix(c.Base, "https:") {
		return nil, problem.New(problem.Unreachable, "Tell your vendor.", "The service %s names an address without TLS, which is not used", c.Base)
	}
	r.Header.Set("User-Agent", c.UserAgent)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r, nil
}

// repeat sends a request until it is answered by something else than a passing
// trouble, so many times, waiting longer each time and as long as the service asks.
func (c *Client) repeat(ctx context.Context, times int, build func() (*http.Request, error)) (*http.Response, error) {
	for try := 1; ; try++ {
		r, err := build()
		if err != nil {
			return nil, err
		}
		answer, err := c.HTTP.Do(r)
		last := try >= times || ctx.Err() != nil
		wait := time.Duration(try*try)*200*time.Millisecond + time.Duration(rand.IntN(200))*time.Millisecond //nolint:gosec // jitter
		switch {
		case err != nil && (last || causeOf(err).lasting):
			return nil, c.unreached(ctx, err)
		case err == nil && (last || !passingStatus(answer.StatusCode)):
			return answer, nil
		case err == nil:
			asked := retryAfter(answer.Header)
			if asked > longestWait {
				return answer, nil
			}
			wait = max(wait, asked)
			_ = answer.Body.Close()
		}
		if err := c.pause(ctx, wait); err != nil {
			return nil, reach(c.Base, err)
		}
	}
}

// passingStatus reports whether trying again may help.
func passingStatus(status int) bool {
	return status >= http.StatusInternalServerError && status != http.StatusNotImplemented && status != http.StatusHTTPVersionNotSupported &&
		status != http.StatusNetworkAuthenticationRequired
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

// unreached tells why an exchange failed: whatever else broke, it is over when ctx is.
func (c *Client) unreached(ctx context.Context, err error) error {
	if ctxErr := ctx.Err(); ctxErr != nil {
		err = ctxErr
	}
	return reach(c.Base, err)
}

const aWebPage = "a web page, as a captive portal or a proxy does"

// isPage reports whether a person's page came where a program's answer was due.
func isPage(answer *http.Response) bool {
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer.Header.Get("Content-Type"))), "text/html")
}

// notTheService is what answers something that the service would not.
func (c *Client) notTheService(what string) error {
	return problem.New(problem.Unreachable, "Check the address, and whether a captive portal or proxy stands between.",
		"What answers at %s is not the update service: it sends %s", c.Base, what)
}

// refusal turns an answer that is no success into what the caller is told.
func (c *Client) refusal(answer *http.Response) error {
	if answer.StatusCode == http.StatusProxyAuthRequired {
		return problem.New(problem.Unreachable, proxyNext, "The proxy wants a user and password")
	}
	if isPage(answer) {
		return c.notTheService(aWebPage + " (status " + strconv.Itoa(answer.StatusCode) + ")")
	}
	// An explanation that drips is none: whoever downloads has no time limit of its own.
	late := time.AfterFunc(refusalTimeout, func() { _ = answer.Body.Close() })
	defer late.Stop()
	data, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	var p Problem
	if err != nil || json.Unmarshal(data, &p) != nil || p.Title == "" {
		if answer.StatusCode >= http.StatusInternalServerError {
			return problem.New(problem.Unreachable, "Try again later; if it stays, tell your vendor.",
				"The service %s is not well: it answers status %d", c.Base, answer.StatusCode)
		}
		return c.notTheService("status " + strconv.Itoa(answer.StatusCode) + " without an explanation")
	}
	p.Status = answer.StatusCode // what the connection says counts
	kind := kindOf(p)
	if kind == problem.Credentials {
		return invalidCredentials(p, answer.Request)
	}
	text := p.Title
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	if p.RequestID != "" && (kind == problem.Unreachable || kind == problem.Failed) {
		text += " (request " + p.RequestID + ")"
	}
	return problem.New(kind, p.Next, "%s", text)
}

// invalidCredentials says so in plain words, with the hint that most often helps.
func invalidCredentials(p Problem, asked *http.Request) error {
	text := "Invalid credentials"
	if !strings.HasPrefix(p.Title, text) {
		text += ": " + p.Title
	} else {
		text = p.Title
	}
	next := "Check user and password. In a shell, put a password with $ or other special characters into single quotes."
	if asked != nil && asked.Header.Get("Authorization") != "" {
		next = "The token was refused: it may be over, taken back or cut short. Ask for another one."
	}
	if p.Status == http.StatusTooManyRequests && p.Next != "" {
		next = p.Next
	}
	return problem.New(problem.Credentials, next, "%s", text)
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
