package bundle

import (
	"strings"
	"testing"
)

// TestAWideIndexIsNotRead: an index of 16 MB held five million empty members and took the
// tool 650 MB to refuse.
func TestAWideIndexIsNotRead(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"{},", "[],", "0,"} {
		text := `{"members":[` + strings.Repeat(unit, 5*maxOffline) + "0]}"
		if _, err := parseIndex([]byte(text)); err == nil || !strings.Contains(err.Error(), "holds more than") {
			t.Errorf("%s: %v", unit, err)
		}
	}
}
