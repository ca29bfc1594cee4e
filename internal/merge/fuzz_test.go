package merge

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// FuzzMerge merges three texts that are anything, in any encoding, by line.
func FuzzMerge(f *testing.F) {
	for _, s := range [][3]string{
		{"a=1\nb=2\nc=3\n", "a=1\nb=9\nc=3\n", "a=0\nb=2\nc=3\nd=4\n"},
		{"a\r\nb\r\n", "a\r\nb\r\nc", "x\nb\n"},
		{"\xff\xfea\x00\n\x00", "\xff\xfea\x00\n\x00b\x00\n\x00", "\xff\xfex\x00\n\x00"},
		{"\xef\xbb\xbfa\n", "b\n", "\xef\xbb\xbfa\nc\n"},
		{"\xe4\n", "\xe4\nx\n", "y\n\xe4\n"},
		{"ä\n", "\xe4\n", "ö\n"},
		{"", "a", "b"},
		{"\x00", "a", "b"},
		{"a\n", "", "a\nb"},
	} {
		f.Add([]byte(s[0]), []byte(s[1]), []byte(s[2]))
	}
	f.Fuzz(func(t *testing.T, base, mine, theirs []byte) {
		for _, s := range []Sides{{base, mine, base}, {base, mine, mine}} {
			if r, err := Merge(s, nil); err != nil || !bytes.Equal(r.Merged, mine) || len(r.Conflicts) > 0 {
				t.Fatalf("what only the operator changed becomes %q, %v", r.Merged, err)
			}
		}
		if r, err := Merge(Sides{base, base, theirs}, nil); err != nil || !bytes.Equal(r.Merged, theirs) {
			t.Fatalf("what only the vendor changed becomes %q, %v", r.Merged, err)
		}
		s := Sides{base, mine, theirs}
		r, err := Merge(s, nil)
		if err != nil {
			if !errors.Is(err, ErrWhole) {
				t.Fatal(err)
			}
			return
		}
		if (r.Theirs != nil) != (len(r.Conflicts) > 0) {
			t.Fatalf("%d conflicts, and the vendor's side is %q", len(r.Conflicts), r.Theirs)
		}
		if limit := 4 * (len(base) + len(mine) + len(theirs) + 16); len(r.Merged) > limit || len(r.Theirs) > limit {
			t.Fatalf("%d bytes of %d", len(r.Merged), limit/4)
		}
		again, err := Merge(s, nil)
		if err != nil || !bytes.Equal(again.Merged, r.Merged) {
			t.Fatalf("merged twice it differs: %v", err)
		}
		if r.How != "unchanged" && strings.HasPrefix(string(mine), "\xff\xfe") && !bytes.HasPrefix(r.Merged, mine[:2]) {
			t.Fatalf("the encoding changed: %q", r.Merged)
		}
	})
}
