package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"uplevel/internal/problem"
	"uplevel/internal/proxy"
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
	ctx, cancel := context.WithTimeout(ctx, c.patience()+time.Duration(len(body)/slowest)*time.Second)
	defer cancel()
	var data []byte
	answer, err := c.repeat(ctx, tries, func() (*http.Request, error) {
		r, err := c.request(ctx, method, Prefix+path, bytes.NewReader(body), token)
		if err == nil && body != nil {
			r.Header.Set("Content-Type", "application/json")
		}
		return r, err
	}, whole(&data, MaxAnswer))
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
	return c.decode(answer, data, into)
}

// decode reads a small answer, and tells apart what is none of the service's.
func (c *Client) decode(answer *http.Response, data []byte, into any) error {
	if err := c.foreign(answer, data); err != nil {
		return err
	}
	if len(data) > MaxAnswer {
		return c.notTheService("too much")
	}
	err := json.Unmarshal(data, into)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok && syntax.Offset >= int64(len(data)) {
		return c.notTheService("JSON that ends too early: it was cut on the way, or its length is wrong")
	}
	if err != nil {
		return c.notTheService("no JSON")
	}
	return nil
}

// foreign refuses a small answer of success that the service would not give.
func (c *Client) foreign(answer *http.Response, data []byte) error {
	switch encoding := answer.Header.Get("Content-Encoding"); {
	case isPage(answer), looksLikePage(data):
		return c.notTheService(aWebPage)
	case encoding != "" && !strings.EqualFold(encoding, "identity"):
		return c.notTheService("an answer packed with " + strconv.Quote(shortly(encoding, 20)) + ", which was not asked for")
	}
	return nil
}

// whole reads an answer into data, at most limit bytes of it and one more.
func whole(data *[]byte, limit int64) func(io.Reader) error {
	return func(answer io.Reader) (err error) {
		*data, err = io.ReadAll(io.LimitReader(answer, limit+1))
		return err
	}
}

func (c *Client) patience() time.Duration {
	if c.Patience > 0 {
		return c.Patience
	}
	return exchangeTimeout
}

// token returns the token to send; empty when the client has none.
func (c *Client) token(ctx context.Context) (string, error) {
	if c.Token == nil {
		return "", nil
	}
	if err := c.Private(); err != nil {
		return "", err // before a person is asked for a password
	}
	return c.Token(ctx)
}

// Private refuses to tell secrets to a service without TLS, unless it is on this machine, and
// an address that holds some itself.
func (c *Client) Private() error {
	if err := NoSecrets("The service's address", c.Base); err != nil {
		return err
	}
	at, err := url.Parse(c.Base)
	if err != nil || at.Scheme != "http" || proxy.Here(at.Hostname()) {
		return nil //nolint:nilerr // what cannot be used is refused when it is asked
	}
	return problem.New(problem.Usage, "Give the service's address as https://HOST.",
		"The service's address %.200q is without TLS, so that user and password could be read on the way: they are not sent", c.Base)
}

func (c *Client) request(ctx context.Context, method, address string, body io.Reader, token string) (*http.Request, error) {
	if !strings.Contains(address, "://") {
		address = c.Base + address
	}
	if err := NoSecrets("The service's address", c.Base); err != nil {
		return nil, err // the texts below name it
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

// unreached tells why an exchange failed: whatever else broke, it is over when ctx is.
func (c *Client) unreached(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	told := reach(c.Base, err)
	if lasting(err) {
		return lastingError{told}
	}
	return told
}

// lastingError is one that trying again in a moment does not help.
type lastingError struct{ error }

func (e lastingError) Unwrap() error { return e.error }

// Lasting reports whether an error of [Client] will be the same in a moment, or the service
// wants to be left alone for longer than that.
func Lasting(err error) bool {
	_, ok := errors.AsType[lastingError](err)
	return ok
}

// most is how much of a line that the service wrote is shown.
const most = 1000

const aWebPage = "a web page, as a captive portal or a proxy does"

// looksLikePage reports whether a text is HTML, whatever it is called.
func looksLikePage(data []byte) bool {
	begin := bytes.ToLower(bytes.TrimLeft(data[:min(len(data), 256)], " \t\r\n\ufeff"))
	return bytes.HasPrefix(begin, []byte("<!doctype html")) || bytes.HasPrefix(begin, []byte("<html"))
}

// shortly is the beginning of a text of unknown length, on one line.
func shortly(text string, most int) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.ToValidUTF8(fmt.Sprintf("%.*s", most, text), "")
}

// isPage reports whether a person's page came where a program's answer was due.
func isPage(answer *http.Response) bool {
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer.Header.Get("Content-Type"))), "text/html")
}

// notTheService is what answers something that the service would not.
func (c *Client) notTheService(what string) error {
	return lastingError{problem.New(problem.Unreachable, portalNext,
		"What answers at %s is not the update service: it sends %s", c.Base, what)}
}

// refusal turns an answer that is no success into what the caller is told.
func (c *Client) refusal(answer *http.Response) error {
	err := c.refused(answer)
	if !passing(answer) || retryAfter(answer.Header) > longestWait {
		return lastingError{err}
	}
	return err
}

func (c *Client) refused(answer *http.Response) error {
	if answer.StatusCode == http.StatusProxyAuthRequired { // where no proxy is known of
		return problem.New(problem.Unreachable, "Name it, with user and password: http_proxy=http://USER:PASSWORD@HOST:PORT.",
			"A proxy before the service %s wants a user and password", c.Base)
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
		return c.unexplained(answer, data)
	}
	p.Status = answer.StatusCode // what the connection says counts
	p.Title, p.Detail, p.Next, p.RequestID = shortly(p.Title, most), shortly(p.Detail, most), shortly(p.Next, most), shortly(p.RequestID, most)
	kind := kindOf(p)
	if kind == problem.Credentials {
		return invalidCredentials(p, answer.Request)
	}
	if kind == problem.Unreachable {
		p.Next = orLater(answer, p.Next)
	}
	if p.Next == "" {
		p.Next = "Tell your vendor what the service said."
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

// unexplained is a refusal of which nothing is known but its status.
func (c *Client) unexplained(answer *http.Response, data []byte) error {
	status := answer.StatusCode
	switch {
	case looksLikePage(data):
		return c.notTheService(aWebPage + " (status " + strconv.Itoa(status) + ")")
	case status == http.StatusTooManyRequests:
		return problem.New(problem.Unreachable, orLater(answer, "Wait some minutes, then run the command again."),
			"The service %s, or a proxy before it, limits how often it is asked (status 429)", c.Base)
	case status >= http.StatusInternalServerError:
		return problem.New(problem.Unreachable, orLater(answer, "Try again later; if it stays, tell your vendor."),
			"The service %s is not well: it answers status %d", c.Base, status)
	case status == http.StatusForbidden:
		return problem.New(problem.Unreachable, "Ask who runs the proxy or firewall between to let the service through; with doctor you see which addresses.",
			"What answers at %s forbids it (status 403) and is not the update service: it does not explain itself as that does", c.Base)
	}
	return c.notTheService("status " + strconv.Itoa(status) + " without an explanation")
}

// orLater is the step to take after an answer that may name when to come again.
func orLater(answer *http.Response, otherwise string) string {
	switch asked := retryAfter(answer.Header); {
	case asked == 0:
		return otherwise
	case asked > 24*time.Hour:
		return "It asks to be left alone for more than a day, which may be a mistake. " + otherwise
	default:
		return "Wait " + asked.String() + ", as it asks, then run the command again."
	}
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

// kindOf returns the kind that a problem names, or that its status means. Kinds that only
// the program itself can tell of are not believed: conflicts are in files here.
func kindOf(p Problem) problem.Kind {
	for _, k := range []problem.Kind{
		problem.Failed, problem.Usage, problem.Credentials, problem.NotEntitled,
		problem.Unreachable, problem.Verification, problem.Refused,
	} {
		if k.String() == p.Kind {
			return k
		}
	}
	switch {
	case p.Status == http.StatusUnauthorized:
		return problem.Credentials
	case p.Status == http.StatusTooManyRequests:
		return problem.Unreachable
	case p.Status == http.StatusForbidden:
		return problem.NotEntitled
	case p.Status >= http.StatusInternalServerError:
		return problem.Unreachable
	}
	return problem.Failed
}
