package support

import (
	"bytes"
	"strings"
	"testing"

	"uplevel/test/hostile"
)

// TestASecondDirectoryIsNotRead shows a bundle whose end leads Go's reader to a directory
// that nothing bounds.
func TestASecondDirectoryIsNotRead(t *testing.T) {
	t.Parallel()
	data := hostile.SecondDirectory(3000)
	if _, err := Open(bytes.NewReader(data), int64(len(data))); err == nil || !strings.Contains(err.Error(), "zip64") {
		t.Errorf("%v", err)
	}
}
