package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"time"

	"uplevel/internal/digest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// FuzzEveryAnswer gives any answer to every call of the client: it ends with a value or a
// problem, reads no more than it may, and takes no part of a download for another.
func FuzzEveryAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"deliveries":[{"url":"/objects/x","size":3}]}`, `{"token":"t","expires":"2026-01-01T00:00:00Z"}`, `[{"level":1,"state":"live"}]`,
		`{"version":"1","text":"EULA\n"}`, `{"items":[{"fate":"new"}]}`, `{"title":"no","status":403,"kind":"not-entitled","next":"x"}`, `{"objects":["zz"]}`, "<html>", "null", "",
		`{"hotfix":{"name":"Bank-hf1","levels":null}}`, `{"id":"o","name":"Bank","short":"Bank"}`, `{"snapshot":{"keytype":"ed25519"},"timestamp":null}`,
	} {
		for _, status := range []int{200, 204, 206, 404, 416, 429, 503} {
			f.Add(status, "application/json", "bytes 5-9/10", "1", seed)
		}
	}
	f.Add(206, "application/zstd", "bytes 5-9/-10", "Mon, 02 Jan 2006 15:04:05 GMT", "x")
	f.Add(206, "text/html; charset=x", "bytes 5-/5", "-1", "x")
	f.Fuzz(func(t *testing.T, status int, kind, span, again, body string) {
		if status < 200 || status > 599 {
			return
		}
		read := &countedBody{Reader: strings.NewReader(body)}
		c := &Client{
			Base: "https://service.example", Pause: func(context.Context, time.Duration) error { return nil },
			HTTP: &http.Client{
				CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
				Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					h := http.Header{"Content-Type": {kind}, "Content-Range": {span}, "Retry-After": {again}, "Date": {"Mon, 02 Jan 2006 15:04:05 GMT"}}
					return &http.Response{StatusCode: status, Header: h, Body: read, ContentLength: int64(len(body)), Request: r}, nil
				}),
			},
		}
		for name, err := range everyCall(t.Context(), c) {
			if _, ok := errors.AsType[*problem.Error](err); err != nil && !ok && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrRange) {
				t.Errorf("%s: status %d, %q: %v is no problem", name, status, body, err)
			}
			if err == nil && status >= 300 {
				t.Errorf("%s: status %d was taken for success", name, status)
			}
		}
		r, total, err := c.Object(t.Context(), "/objects/x", 5)
		if err == nil {
			_ = r.Close()
			if status != http.StatusPartialContent || total <= 5 {
				t.Errorf("status %d, %q: goes on at 5 of %d", status, span, total)
			}
		}
	})
}

type countedBody struct{ io.Reader }

func (*countedBody) Close() error { return nil }

// everyCall makes every call of a client once.
func everyCall(ctx context.Context, c *Client) map[string]error {
	line := release.Line{Product: "shop", Version: "1.0", Channel: "full"}
	errs := map[string]error{}
	_, errs["token"] = c.NewToken(ctx, TokenRequest{})
	_, errs["check"] = c.Check(ctx, CheckRequest{})
	_, errs["deliveries"] = c.Deliveries(ctx, DeliveryRequest{})
	_, errs["eula"] = c.EULA(ctx)
	errs["accept"] = c.AcceptEULA(ctx, "1")
	_, errs["vendor"] = c.Vendor(ctx)
	_, errs["levels"] = c.Levels(ctx, line)
	_, errs["missing"] = c.Missing(ctx, []digest.Digest{sumX})
	_, errs["submit"] = c.SubmitMetadata(ctx, MetadataSubmission{})
	_, errs["keys"] = c.OnlineKeys(ctx)
	errs["put"] = c.PutObject(ctx, sumX, bytes.NewReader([]byte("x")), 1)
	_, errs["metadata"] = c.Metadata(ctx, "timestamp.json", 100)
	_, errs["target"] = c.Target(ctx, "x")
	_, errs["hotfixes"] = c.Hotfixes(ctx, line)
	_, errs["register"] = c.RegisterHotfix(ctx, bytes.NewReader([]byte("x")), 1)
	_, errs["organisation"] = c.Organisation(ctx, "Bank")
	errs["report"] = c.Report(ctx, Report{})
	_, errs["upload"] = c.UploadReports(ctx, []json.RawMessage{[]byte("{}")})
	return errs
}
