package publish

import (
	"errors"
	"testing"

	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// FuzzParseRules reads the rules of a level, and the notes of a hotfix, as a person wrote
// them.
func FuzzParseRules(f *testing.F) {
	f.Add([]byte("generated: ['tmp/**']\ndata: [data/*, \"x\"]\nkeep_pristine:\n- conf/**\n"))
	f.Add([]byte(notes1))
	f.Add([]byte("generated: [a, a]\nunknown: 1\n"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("--- {}\n--- {}\n"))
	f.Add([]byte("updates:\n- {id: 1, type: regular, description: x}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseRules(text)
		nextStep(t, err)
		if err == nil {
			for _, globs := range [][]string{r.Generated, r.Data, r.KeepPristine} {
				if _, err := release.CompileGlobs(globs); err != nil {
					t.Fatal(err)
				}
			}
		}
		n, err := parseHotfixNotes(text)
		nextStep(t, err)
		if err == nil && len(n.Updates) != 1 {
			t.Fatalf("%d updates of a hotfix", len(n.Updates))
		}
		if n, err := ParseNotes(text); err == nil {
			_ = attribute(&n)
		}
	})
}

func nextStep(t *testing.T, err error) {
	t.Helper()
	if p, ok := errors.AsType[*problem.Error](err); err != nil && (!ok || p.Next == "") {
		t.Fatalf("%v says no next step", err)
	}
}
