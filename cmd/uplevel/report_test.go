package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"uplevel/internal/api"
)

// desk is a service that takes reports, and refuses whole requests that hold a bad one.
type desk struct {
	mu      sync.Mutex
	bodies  []string // as they came
	batches []int    // reports in each upload
	bad     string   // what makes a request unreadable
	breaks  int      // after so many uploads nothing is answered; 0: never
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, _ := io.ReadAll(r.Body)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bodies = append(d.bodies, string(data))
	if r.URL.Path == "/api/v1/reports" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if d.breaks > 0 && len(d.batches) >= d.breaks {
		panic(http.ErrAbortHandler)
	}
	var in api.CarriedReports
	_ = json.Unmarshal(data, &in)
	d.batches = append(d.batches, len(in.Reports))
	if d.bad != "" && strings.Contains(string(data), d.bad) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(api.Problem{Title: "Not as described", Status: 422, Kind: "usage"})
		return
	}
	a := api.CarriedAnswer{}
	for range in.Reports {
		a.Items = append(a.Items, api.ReportFate{Fate: "new"})
	}
	_ = json.NewEncoder(w).Encode(a)
}

// at runs the tool against the desk, at one instant.
func (d *desk) at(t *testing.T, args ...string) (exit int, out, told string) {
	t.Helper()
	server := httptest.NewUnstartedServer(d)
	server.Config.ErrorLog = nil
	server.StartTLS()
	defer server.Close()
	dir := t.TempDir()
	ca, token := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "token")
	for name, data := range map[string][]byte{
		ca: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), token: []byte("upl_x"),
	} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var stdout, stderr bytes.Buffer
	tool := &tool{
		args:   append([]string{"uplevel"}, append(args, "--service", server.URL, "--ca-cert", ca, "--token-file", token, "--machine", "m")...),
		stdout: &stdout, stderr: &stderr, getenv: func(string) string { return "" },
		now: func() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 123456789, time.UTC) },
	}
	exit = tool.run(t.Context())
	return exit, stdout.String(), stderr.String()
}

// u2Home is what another tool left.
func u2Home(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "updates"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"product.txt": "shop-1.0\n", "config.json": `{"update-level": "4"}`} {
		if err := os.WriteFile(filepath.Join(dir, "updates", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestWhatIsShownIsSentAndWritten compares byte by byte.
func TestWhatIsShownIsSentAndWritten(t *testing.T) {
	t.Parallel()
	d, home := &desk{}, u2Home(t)
	exit, shown, told := d.at(t, "report", "--dir", home, "--show", "--report-host")
	if exit != 0 || len(d.bodies) != 0 || !strings.Contains(shown, `"level": 4`) || !strings.Contains(shown, `"host"`) {
		t.Fatalf("%d %s %s", exit, shown, told)
	}
	if exit, _, told := d.at(t, "report", "--dir", home, "--report-host"); exit != 0 || len(d.bodies) != 1 || d.bodies[0] != shown {
		t.Errorf("%d %s: sent %q, shown %q", exit, told, d.bodies, shown)
	}
	file := filepath.Join(t.TempDir(), "r.json")
	if exit, _, told := d.at(t, "report", "--dir", home, "--report-host", "--out", file); exit != 0 || len(d.bodies) != 1 {
		t.Errorf("%d %s", exit, told)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != shown {
		t.Errorf("written %q, %v", text, err)
	}
	if exit, out, told := d.at(t, "report", "--dir", home, "--progress", "none"); exit != 0 || out+told != "" {
		t.Errorf("%d %q %q", exit, out, told)
	}
}

func reportsIn(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		r := api.Report{Made: time.Now().UTC(), Installation: fmt.Sprintf("%064d", i), Product: "shop", Version: "1.0", Channel: "full", Operation: "report", Outcome: "ok"}
		text, err := r.Text()
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("%04d.json", i)), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestManyReportsGoInBatches(t *testing.T) {
	t.Parallel()
	d := &desk{}
	exit, out, told := d.at(t, "report", "--upload", reportsIn(t, 250))
	if exit != 0 || fmt.Sprint(d.batches) != "[100 100 50]" || !strings.Contains(out, "250 reports, 250 of them new") {
		t.Errorf("%d %v\n%s%s", exit, d.batches, out, told)
	}
}

// TestOneBadReportHoldsUpNoOther has the service refuse every request that holds it.
func TestOneBadReportHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	d := &desk{bad: fmt.Sprintf("%064d", 7)}
	exit, out, told := d.at(t, "report", "--upload", reportsIn(t, 12))
	if exit != 1 || !strings.Contains(out, "11 reports, 11 of them new") || !strings.Contains(told, "Refused: 1 file of 12: ") || !strings.Contains(told, "0007.json: Not as described") {
		t.Errorf("%d %v\n%s%s", exit, d.batches, out, told)
	}
}

// TestAnUploadThatBreaksOffSaysWhatWasTaken in both forms of output.
func TestAnUploadThatBreaksOffSaysWhatWasTaken(t *testing.T) {
	t.Parallel()
	d := &desk{breaks: 1}
	exit, out, told := d.at(t, "report", "--upload", reportsIn(t, 150))
	if exit != 13 || !strings.Contains(told, "The service took 100 of 150 reports") || !strings.Contains(out, "100 reports") {
		t.Errorf("%d\n%s%s", exit, out, told)
	}
	d = &desk{breaks: 1}
	exit, out, told = d.at(t, "report", "--upload", reportsIn(t, 101), "--output", "json")
	var res reportResult
	if err := json.Unmarshal([]byte(out), &res); err != nil || exit != 13 || res.Sent || len(res.Uploads) != 101 || res.Uploads[99].Fate != "new" || res.Uploads[100].Fate != "" {
		t.Errorf("%d %v\n%s%s", exit, err, out, told)
	}
}
