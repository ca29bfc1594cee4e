package hostile

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"uplevel/internal/api"
	"uplevel/internal/digest"
)

// caller speaks to the service as anybody could.
type caller struct {
	w     *world
	http  *http.Client
	base  string
	token string
}

func (w *world) caller() caller {
	w.t.Helper()
	c := caller{w: w, http: &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxConnsPerHost: 64,
	}}}
	for _, e := range w.Env {
		if v, ok := strings.CutPrefix(e, "UPLEVEL_SERVICE="); ok {
			c.base = v
		}
		if v, ok := strings.CutPrefix(e, "UPLEVEL_TOKEN_FILE="); ok {
			text, err := os.ReadFile(v)
			if err != nil {
				w.t.Fatal(err)
			}
			c.token = strings.TrimSpace(string(text))
		}
	}
	return c
}

// send sends a body and returns status and answer; the service may hang up instead.
func (c caller) send(ctx context.Context, door, method, path, kind string, body []byte, token string) (int, string) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		c.w.t.Error(err)
		return 0, ""
	}
	r.Header.Set("Content-Type", kind)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	c.w.mu.Lock()
	c.w.counts[door]++
	c.w.mu.Unlock()
	answer, err := c.http.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(text)
}

// refused wants an answer of the 4xx kind that is a problem with a next step.
func (c caller) refused(door, what string, status int, said string) {
	c.w.t.Helper()
	if status < 400 || status >= 500 || !strings.Contains(said, `"next"`) {
		c.w.t.Errorf("%s: %s: status %d: %.500s", door, what, status, said)
	}
}

// objects of the store are those before; what is refused leaves nothing.
func (w *world) stored() string {
	w.t.Helper()
	return w.must("find", w.Path("service/objects"), "-type", "f", "-printf", "%P %s %T@\n")
}

// uploads sends everything hostile to the service's own doors.
func (w *world) uploads() {
	t, c := w.t, w.caller()
	before := w.stored()
	for _, z := range Zips() {
		status, said := c.send(t.Context(), "register hotfix", http.MethodPost, api.RegisterHotfixPath, api.HotfixZip, z.Data, c.token)
		c.refused("register hotfix", z.Kind+": "+z.Name, status, said)
		status, said = c.send(t.Context(), "put object", http.MethodPut, c.object("a"), "application/octet-stream", z.Data, c.token)
		c.refused("put object", z.Kind+": "+z.Name, status, said)
	}
	for what, data := range objects() {
		status, said := c.send(t.Context(), "put object", http.MethodPut, c.object("a"), "application/zstd", data, c.token)
		c.refused("put object", what, status, said)
	}
	for what, data := range bodies() {
		for _, path := range paths(data, "/publishing/metadata", "/publishing/missing", "/check", "/reports", "/reports/carried", "/tokens", "/deliveries") {
			for _, token := range []string{"", c.token} {
				status, said := c.send(t.Context(), "JSON bodies", http.MethodPost, api.Prefix+path, "application/json", data, token)
				if status != 0 || len(data) < 1<<20 { // of what is too long the end may meet a closed door
					c.refused(path, what, status, said)
				}
			}
		}
	}
	if after := w.stored(); after != before {
		t.Errorf("something was stored:\n%s\n%s", before, after)
	}
}

func (c caller) object(content string) string {
	return api.Prefix + "/publishing/objects/" + digest.Of([]byte(content)).String()
}

// paths are where a body is sent: a large one only where large ones are taken.
func paths(body []byte, all ...string) []string {
	if len(body) > api.MaxBody {
		return all[:1]
	}
	return all
}

// objects are stored forms of content that is not the one named.
func objects() map[string][]byte {
	good := Stored(1000)
	all := map[string][]byte{
		"nothing": nil, "another content": good, "cut off": good[:len(good)-1], "more after it": append(bytes.Clone(good), "more"...),
		"no zstd": []byte("hello"), "gzip": Gzipped(1000), "bomb": Stored(512 << 20), "gzip bomb": Gzipped(64 << 20),
		"two streams":                  append(bytes.Clone(good), good...),
		"window of 2 GiB":              {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00},
		"a declared size of exabytes":  {0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x01, 0x00, 0x00},
		"skippable frames and nothing": bytes.Repeat([]byte{0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0}, 10_000),
	}
	return all
}

// bodies are requests that no program of ours makes.
func bodies() map[string][]byte {
	full := func(unit string, n int) []byte { return []byte(strings.Repeat(unit, n)) }
	many := func(before, unit, after string, n int) []byte {
		return append(append([]byte(before), full(unit, n)...), after...)
	}
	return map[string][]byte{
		"nothing": nil, "no JSON": []byte("<html>"), "null": []byte("null"), "a list": []byte("[]"), "a word": []byte(`"x"`),
		"deep": full("[", 900_000), "deep objects": full(`{"a":`, 180_000), "wide": many("[", "[],", "[]]", 300_000),
		"wide in its field": many(`{"metadata":[`, "{},", "{}]}", 300_000), "wide objects": many(`{"objects":[`, `{"a":1},`, "1]}", 100_000),
		"a key many times": many("{", `"a":1,`, `"a":1}`, 100_000), "huge number": many(`{"level":`, "9", "}", 900_000), "exponent": []byte(`{"level":1e999999999}`),
		"NUL and escapes": []byte(`{"product":"\u0000\u001b[2J","version":"` + "\x1b[2J" + `"}`), "not UTF-8": []byte("{\"product\":\"\xff\"}"),
		"zeros in gzip": Gzipped(10 << 20), "32 MB of lists": many(`{"metadata":[`, "[],", "[]]}", 10<<20), "33 MB": full(" ", 33<<20),
	}
}

// atOnce sends from many connections what is dear to take: metadata of 32 MB, objects with
// the largest window that is read, and as many values as are judged. Who is not refused
// finds no room and is told to come again.
func (w *world) atOnce() {
	t, c := w.t, w.caller()
	before := w.stored()
	values := append(append([]byte(`{"objects":[`), bytes.Repeat([]byte("[],"), 9_000)...), "[]]}"...)
	dear := []struct {
		door, method, path, kind string
		body                     []byte
	}{
		{"metadata of 32 MB, at once", http.MethodPost, api.Prefix + "/publishing/metadata", "application/json", documents(32<<20 - 1)},
		{"objects of a wide window, at once", http.MethodPut, c.object("wide"), "application/zstd", wideWindow(64 << 20)},
		{"JSON of most values, at once", http.MethodPost, api.Prefix + "/deliveries", "application/json", values},
		{"JSON of most values, at once", http.MethodPost, api.Prefix + "/publishing/missing", "application/json", values},
	}
	var group sync.WaitGroup
	for worker := range 32 {
		group.Go(func() {
			d := dear[worker%len(dear)]
			status, said := c.send(t.Context(), d.door, d.method, d.path, d.kind, d.body, c.token)
			if status == http.StatusServiceUnavailable && strings.Contains(said, "Try again in some seconds.") {
				return
			}
			c.refused(d.door, fmt.Sprint(worker), status, said)
		})
	}
	group.Wait()
	t.Logf("service: peak %d KiB", w.ServicePeak())
	if after := w.stored(); after != before {
		t.Errorf("something was stored:\n%s\n%s", before, after)
	}
}

// documents is a submission of so many bytes, of documents that are of no role.
func documents(size int) []byte {
	const before, after = `{"metadata":[{"role":"targets","data":"`, `"}]}`
	return []byte(before + strings.Repeat("QUJD", (size-len(before)-len(after))/4) + after)
}

// wideWindow is size zeros in one zstd stream for whose reading 8 MiB must be kept.
func wideWindow(size int64) []byte {
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(8<<20))
	if err == nil {
		_, err = io.CopyN(z, zeros{}, size)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		panic(err) // a buffer takes everything
	}
	return b.Bytes()
}

// thousands sends small hostile uploads in parallel, and afterwards the service still
// answers.
func (w *world) thousands() {
	t, c := w.t, w.caller()
	before, bomb, wide := w.stored(), Stored(1<<20), bytes.Repeat([]byte("[],"), 300_000)
	wide = append(append([]byte("["), wide...), "[]]"...)
	var group sync.WaitGroup
	each := 4
	if *sweep {
		each = 32
	}
	for worker := range 64 {
		group.Go(func() {
			for i := range each {
				content := []byte(fmt.Sprint(worker, i))
				status, said := c.send(t.Context(), "put object, in parallel", http.MethodPut, c.object(string(content)), "application/zstd", bomb, c.token)
				c.refused("put object, in parallel", string(content), status, said)
				status, said = c.send(t.Context(), "JSON bodies, in parallel", http.MethodPost, api.Prefix+"/check", "application/json", wide, "")
				if status != 0 { // who is refused before the body is read may meet a closed door
					c.refused("JSON bodies, in parallel", string(content), status, said)
				}
			}
		})
	}
	group.Wait()
	if after := w.stored(); after != before {
		t.Errorf("something was stored:\n%s\n%s", before, after)
	}
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	if status, said := c.send(ctx, "readiness", http.MethodGet, "/readyz", "", nil, ""); status != http.StatusOK {
		t.Errorf("status %d: %s", status, said)
	}
}
