package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"uplevel/internal/api"
	"uplevel/internal/problem"
)

// FuzzVendorFile reads a vendor.json that is anything.
func FuzzVendorFile(f *testing.F) {
	f.Add([]byte(`{"service":"https://updates.vendor.example","support":"https://support.vendor.example","portal":"","root":{"signed":{"_type":"root"},"signatures":[]}}`))
	f.Add([]byte(`{"service":"https://updates`))
	f.Add([]byte(`{"root":"` + strings.Repeat("x", 100) + `"}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "vendor.json"), data, 0o644); err != nil {
			t.Fatal(err)
		}
		v, err := vendorIn(dir)
		if err != nil {
			if p, ok := errors.AsType[*problem.Error](err); !ok || p.Next == "" {
				t.Fatalf("%v says no next step", err)
			}
			return
		}
		if len(v.Root) > len(data) || !json.Valid(data) {
			t.Fatalf("%q is read as %+v", data, v)
		}
	})
}

// FuzzTyped reads what a person types at a prompt, or a program pipes in: a line of it, and
// nothing of the next.
func FuzzTyped(f *testing.F) {
	for _, s := range []string{"kim@bank.example\nhunter2\n", "pass$word'\"\\ ü\r\n", "", "\n", "no end", "\x00\x1b[A\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bytes.NewReader(data)
		got, err := readLine(in)
		if err != nil {
			t.Fatal(err)
		}
		first, rest, _ := bytes.Cut(data, []byte("\n"))
		if len(first) >= maxSecret {
			return
		}
		if got != strings.TrimRight(string(first), "\r") {
			t.Fatalf("%q is read as %q", first, got)
		}
		if left, err := io.ReadAll(in); err != nil || !bytes.Equal(left, rest) {
			t.Fatalf("%q is left of %q", left, rest)
		}
	})
}

// FuzzCarriedReport reads reports that were carried here: what is taken is what the service
// takes, byte for byte.
func FuzzCarriedReport(f *testing.F) {
	whole, err := json.Marshal(api.Report{Installation: strings.Repeat("i", 32), Product: "shop", Version: "1.0", Channel: "full", Level: 1, Operation: "report", Outcome: "ok", Tool: "1.0", OS: "linux"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte(`{"installation":"x","hotfixes":[null]}`))
	f.Add([]byte("[]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		name := filepath.Join(t.TempDir(), "report.json")
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := readReport(name)
		if err == nil && (!bytes.Equal(got, data) || len(data) > api.MaxReport) {
			t.Fatalf("%q is read as %q", data, got)
		}
	})
}
