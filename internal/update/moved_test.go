package update

import (
	"os"
	"strings"
	"testing"

	"uplevel/internal/problem"
)

// moving is a home that another tool changes while it is looked at.
type moving struct{ Home }

func (moving) Moved() bool { return true }

// TestDamageSeenBesideAnotherToolDoesNotCount has verify find damage in a home that another
// tool changes meanwhile: it may be a file that was of neither level for a moment.
func TestDamageSeenBesideAnotherToolDoesNotCount(t *testing.T) {
	t.Parallel()
	b := newMended(t)
	b.do("damage", os.Truncate(b.path("bin/run"), 0))
	if _, err := b.Verify(t.Context(), VerifyOptions{}); problem.KindOf(err) != problem.Verification {
		t.Fatalf("undisturbed: %v", err)
	}
	b.Home = moving{b.Home}
	_, err := b.Verify(t.Context(), VerifyOptions{})
	if problem.KindOf(err) != problem.Refused || !strings.Contains(err.Error(), "Another update tool changed this product") {
		t.Errorf("%v", err)
	}
}
