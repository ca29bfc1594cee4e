package install

import (
	"bytes"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/problem"
)

// TestAJournalThatCannotBeIsNotActedOn: half a recovery loses what a whole one could still
// bring back.
func TestAJournalThatCannotBeIsNotActedOn(t *testing.T) {
	t.Parallel()
	first := `{"kind":"place","path":"bin/start","new":"updates/staging/1","old":"updates/staging/old","was":"id:bin/start"}`
	for name, journal := range map[string]string{
		"what stood there is not told": `{"format":1,"direction":"undo","operations":[` + first + `,{"kind":"remove","path":"gone","old":"updates/staging/old"}]}`,
		"what comes is not told":       `{"format":1,"direction":"forward","operations":[` + first + `,{"kind":"place","path":"conf/a"}]}`,
		"what comes is of the product": `{"format":1,"direction":"forward","operations":[` + first + `,{"kind":"place","path":"x","new":"conf/a"}]}`,
		"outside":                      `{"format":1,"direction":"forward","operations":[` + first + `,{"kind":"place","path":"../x","new":"updates/staging/1"}]}`,
		"no such operation":            `{"format":1,"direction":"forward","operations":[` + first + `,{"kind":"burn","path":"x"}]}`,
		"a folder without its twin":    `{"format":1,"direction":"undo","operations":[` + first + `,{"kind":"rmdir","path":"leer"}]}`,
		"no direction":                 `{"format":1,"operations":[` + first + `]}`,
		"torn":                         `{"format":1,"direction":"forward","operations":[` + first,
	} {
		h := cutHome(t, journalFile, []byte(journal))
		before := read(t, h.Dir())
		if _, err := h.Recover(t.Context()); problem.KindOf(err) != problem.Broken {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(before, read(t, h.Dir())); d != "" || !h.CommitOpen() {
			t.Errorf("%s: something was done: %s", name, d)
		}
	}
}

// TestAPreparedChangeThatCannotBeIsRefusedAndDropped: nothing of the product goes with it.
func TestAPreparedChangeThatCannotBeIsRefusedAndDropped(t *testing.T) {
	t.Parallel()
	const head = `{"format":1,"id":1,"plan":{"format":1,"kind":"update","product":"shop","version":"1.0","from":{"channel":"full"},"to":{"channel":"full","level":1},"outcomes":[{"path":"conf/a","action":"conflict"}]},`
	for name, rest := range map[string]string{
		"staged in the product":           `"staging":["updates/staging","bin"]}`,
		"a side of no conflict":           `"sides":["bin/start"]}`,
		"outside":                         `"sides":["../outside"]}`,
		"a document elsewhere":            `"documents":{"../bin/start":"eA=="}}`,
		"a choice that lies elsewhere":    `"theirs":{"conf/a":{"new":"bin/start"}}}`,
		"mine, and nothing is there":      `"mine":{"conf/a":{"new":"updates/staging/1"}},"resolved":{"conf/a":{"choice":"mine"}}}`,
		"a decision on no conflict":       `"resolved":{"gone":{"choice":"theirs"}}}`,
		"a decision that is none":         `"resolved":{"conf/a":{"choice":"neither"}}}`,
		"a decision with content of none": `"resolved":{"conf/a":{"choice":"file","new":"bin/start"}}}`,
	} {
		h := cutHome(t, pendingFile, []byte(head+rest))
		before := read(t, h.Dir())
		if _, err := h.Commit(t.Context()); problem.KindOf(err) != problem.Refused {
			t.Errorf("%s: %v", name, err)
		}
		if err := h.Discard(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(before, read(t, h.Dir())); d != "" {
			t.Errorf("%s: dropping it changed the product: %s", name, d)
		}
		nothingOutside(t, h)
	}
}

// TestAPreparedChangeWithoutATableOfWhatIsStaged is refused or done, whoever decides.
func TestAPreparedChangeWithoutATableOfWhatIsStaged(t *testing.T) {
	t.Parallel()
	for _, seed := range [][]byte{[]byte(`"staged":null`), []byte(`"staged":{}`)} {
		data := []byte(`{"format":1,"id":1,"plan":{"format":1,"kind":"update","product":"shop","version":"1.0","from":{"channel":"full"},"to":{"channel":"full","level":1},"outcomes":[{"path":"conf/a","action":"conflict"}]},"staged":null,"state":{"format":1,"product":"shop","version":"1.0","channel":"full","level":1}}`)
		h := cutHome(t, pendingFile, bytes.Replace(data, []byte(`"staged":null`), seed, 1))
		if err := os.WriteFile(h.abs("conf/a.final"), []byte("a=final"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Commit(t.Context()); err == nil || h.CommitOpen() {
			t.Errorf("%s: %v", seed, err) // something stands there that it knows nothing of
		}
	}
}
