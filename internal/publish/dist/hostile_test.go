package dist

import (
	"testing"

	"uplevel/internal/problem"
	"uplevel/test/hostile"
)

// TestHostileZipsAreJudged opens every archive there is: what is hostile by its form is
// refused, what only looks odd is taken, as zip writes it to a pipe for one.
func TestHostileZipsAreJudged(t *testing.T) {
	t.Parallel()
	for _, z := range hostile.Zips() {
		b, err := open(t, write(t, z.Data))
		switch {
		case z.Harmless && err != nil:
			t.Errorf("%s: %s: refused: %v", z.Kind, z.Name, err)
		case !z.Harmless && !z.ByRule && err == nil:
			t.Errorf("%s: %s: accepted: %q", z.Kind, z.Name, paths(b.Tree))
		case err != nil && problem.KindOf(err) != problem.Refused:
			t.Errorf("%s: %s: kind %s: %v", z.Kind, z.Name, problem.KindOf(err), err)
		}
	}
}
