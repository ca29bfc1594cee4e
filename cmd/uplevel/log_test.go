package main

import (
	"strings"
	"testing"
)

// TestNoSecretOfTheCommandLineIsLogged tries every way to write a password there.
func TestNoSecretOfTheCommandLineIsLogged(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"update", "-p", "s3cret"},
		{"-ps3cret"},
		{"-vp", "s3cret"},
		{"-vps3cret"},
		{"-p=s3cret"},
		{"--password", "s3cret"},
		{"--password=s3cret"},
		{"--password-command", "s3cret"},
		{"--password-command=s3cret x"},
	} {
		if got := safeArguments(args); strings.Contains(got, "s3cret") {
			t.Errorf("%q is logged as %q", args, got)
		}
	}
	if got := safeArguments([]string{"update", "--level", "8", "-u", "me"}); got != "update --level 8 -u me" {
		t.Errorf("%q", got)
	}
}
