package install

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"testing"

	"uplevel/internal/plan"
)

// TestWaitsTellsWhereItLeadsAndWhatIsOpen as the prepared change held whole does.
func TestWaitsTellsWhereItLeadsAndWhatIsOpen(t *testing.T) {
	t.Parallel()
	h := newHome(t, tree{"conf/a": "a=mine", "conf/b": "b=mine", "lib": "0"}, nil)
	if _, _, err := h.Waits(); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("none waits: %v", err)
	}
	p, err := plan.Make(plan.Plan{
		Kind: plan.Update, Product: "shop", Version: "1.0", From: plan.Point{Channel: "full"}, To: plan.Point{Channel: "full", Level: 1},
		Outcomes: []plan.Outcome{
			{Path: "conf/a", Action: plan.Conflict, Base: entryOf("conf/a", "a=0"), Disk: entryOf("conf/a", "a=mine"), Want: entryOf("conf/a", "a=1")},
			{Path: "conf/b", Action: plan.Conflict, Base: entryOf("conf/b", "b=0"), Disk: entryOf("conf/b", "b=mine"), Want: entryOf("conf/b", "b=1")},
			{Path: "lib", Action: plan.Replace, Base: entryOf("lib", "0"), Disk: entryOf("lib", "0"), Want: entryOf("lib", "1"), Result: entryOf("lib", "1"), Source: plan.FromObject},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	content := contentsOf(tree{"1": "a=0", "2": "a=1", "3": "b=0", "4": "b=1", "5": "1"})
	if err := h.Prepare(t.Context(), p, content, extraFor(t, tree{"conf/a": "a=1", "conf/b": "b=1", "lib": "1"})); err != nil {
		t.Fatal(err)
	}
	waits := func(want ...string) {
		t.Helper()
		to, open, err := h.Waits()
		if err != nil || to.Level != 1 || to.Channel != "full" || !slices.Equal(open, want) {
			t.Errorf("level %d of %s, open %v, want %v: %v", to.Level, to.Channel, open, want, err)
		}
	}
	waits("conf/a", "conf/b")
	tree{"conf/a.final": "a=both"}.write(t, h.Dir())
	waits("conf/b")
	if err := h.Resolve("conf/b", Mine, nil); err != nil {
		t.Fatal(err)
	}
	waits()
	if err := os.WriteFile(h.abs(pendingFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.Waits(); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a damaged one is taken for none: %v", err)
	}
}
