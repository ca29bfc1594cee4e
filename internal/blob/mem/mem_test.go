package mem

import (
	"testing"

	"uplevel/internal/blob"
	"uplevel/internal/blob/blobtest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	blobtest.Test(t, func(*testing.T) blob.Store { return &Store{} })
}
