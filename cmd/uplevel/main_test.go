package main

import (
	"flag"
	"os"
	"testing"
)

var rewrite = flag.Bool("update", false, "write the documents that tests compare")

// TestExitCodesAreDocumented compares docs/exit-codes.md with the table that help prints.
func TestExitCodesAreDocumented(t *testing.T) {
	t.Parallel()
	const name = "../../docs/exit-codes.md"
	if *rewrite {
		if err := os.WriteFile(name, []byte(exitCodesDocument()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil || string(got) != exitCodesDocument() {
		t.Errorf("%s differs from the program: run go test ./cmd/uplevel -update (%v)", name, err)
	}
}
