package hostile

import (
	"bytes"
	"context"
	"crypto/tls"
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"

	_ "modernc.org/sqlite" // the service's driver
)

// readers is how many anonymous clients ask at once and do not read.
const readers = 60

// notRead asks for what anybody may have, and reads the first byte only: a program of the
// tool, metadata of the largest size that a tool takes, the description of the API.
func (w *world) notRead() {
	t, c := w.t, w.caller()
	w.must("uplevel-publish", "tools", "--out", w.Path("tools"), "--publish")
	script, err := os.ReadFile(w.Path("tools/update_tool_setup.sh"))
	if err != nil {
		t.Fatal(err)
	}
	program := regexp.MustCompile(`/tuf/targets/uplevel-tool/[^"' ]+`).FindString(string(script))
	w.largeMetadata("7.line.large-1.full.json")
	const ranges = "bytes=6-6,5-5,4-4,3-3,2-2,1-1,0-0"
	const large = "/tuf/7.line.large-1.full.json"
	for _, asked := range [][2]string{
		{program, "Range: " + ranges}, {program + ".zst", "Range: " + ranges}, {large, "Accept: */*"}, {large, "Accept-Encoding: gzip"}, {"/api/openapi.json", "Accept-Encoding: gzip"},
	} {
		w.holding(c.base, asked[0], asked[1], func() {
			if status, said := c.send(t.Context(), "asked and not read", http.MethodGet, asked[0], "", nil, ""); status != http.StatusOK {
				t.Errorf("%s beside who does not read: %d %.100s", asked[0], status, said)
			}
		})
	}
	t.Logf("service: peak %d KiB", w.ServicePeak())
}

// holding has many ask for a path, and does something while none of them reads on.
func (w *world) holding(base, path, header string, do func()) {
	w.t.Helper()
	ctx, stop := context.WithTimeout(w.t.Context(), patience)
	defer stop()
	host := strings.TrimPrefix(base, "https://")
	var begun sync.WaitGroup
	for range readers {
		begun.Go(func() {
			conn, err := (&tls.Dialer{NetDialer: &net.Dialer{}, Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", host)
			if err != nil {
				w.t.Error(err)
				return
			}
			context.AfterFunc(ctx, func() { _ = conn.Close() })
			w.mu.Lock()
			w.counts["asked and not read"]++
			w.mu.Unlock()
			_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n", path, host, header)
			first := make([]byte, 12)
			if err == nil {
				_, err = conn.Read(first)
			}
			if err != nil || !bytes.HasPrefix(first, []byte("HTTP/1.1 200")) {
				w.t.Errorf("%s, %s: %q, %v", path, header, first, err)
			}
		})
	}
	begun.Wait()
	do()
}

// largeMetadata puts a file of 8 MiB, which no publisher of ours makes so soon, among those
// that were current once.
func (w *world) largeMetadata(file string) {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+w.Path("service/uplevel.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = db.ExecContext(w.t.Context(), `INSERT INTO metadata (role, version, file, body, current, changed)
		VALUES ('line.large-1.full', 7, $1, CAST(hex(randomblob(4194304)) AS BLOB), 0, 0)`, file)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		w.t.Fatal(err)
	}
}
