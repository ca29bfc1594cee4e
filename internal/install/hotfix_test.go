package install

import (
	"context"
	"os"
	"testing"

	"uplevel/internal/digest"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// TestAPreparedChangeOnOtherHotfixesIsNotCommitted: what it was reckoned on is not there.
func TestAPreparedChangeOnOtherHotfixesIsNotCommitted(t *testing.T) {
	t.Parallel()
	h := newHome(t, oldTree, nil)
	if err := h.Prepare(context.Background(), planBetween(t, oldTree, newTree), contentsOf(oldTree, newTree), extraFor(t, newTree)); err != nil {
		t.Fatal(err)
	}
	h.state.Hotfixes = []plan.Applied{{Name: "Bank-hf1", Record: release.Ref{Sum: digest.Of([]byte("x")), Size: 1}}}
	if _, err := h.Commit(context.Background()); problem.KindOf(err) != problem.Refused {
		t.Errorf("got %v", err)
	}
}

// TestWhoseTheHomeIsIsKept reads what was learned, and refuses what is no such thing.
func TestWhoseTheHomeIsIsKept(t *testing.T) {
	t.Parallel()
	h := newHome(t, oldTree, nil)
	if o, err := h.Organisation(); err != nil || o.ID != "" {
		t.Errorf("%+v, %v", o, err)
	}
	want := Organisation{ID: "org_1", Name: "Bank"}
	if err := h.Learn(want); err != nil {
		t.Fatal(err)
	}
	if o, err := h.Organisation(); err != nil || o != want {
		t.Errorf("%+v, %v", o, err)
	}
	for _, text := range []string{"", "{}", `{"format": 2, "id": "org_1"}`, "no JSON"} {
		if err := os.WriteFile(h.abs(organisationFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Organisation(); problem.KindOf(err) != problem.Refused {
			t.Errorf("%q: %v", text, err)
		}
	}
}
