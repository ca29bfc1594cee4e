//go:build !race

package delta_test

import (
	"archive/zip"
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestLargeContentsAreWindowed is too much work for the race detector: make test runs it apart.
func TestLargeContentsAreWindowed(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	big := make([]byte, 10<<20)
	for i := range big {
		big[i] = byte(r.Uint32())
	}
	changed := append(append(bytes.Clone(big[:3<<20]), big[4<<20:]...), 1, 2, 3)
	old := files{"big.bin": big, "big.jar": zipped(t, member{"big", big, zip.Deflate, 1})}
	now := files{"big.bin": changed, "big.jar": zipped(t, member{"big", changed, zip.Deflate, 1})}
	if size := round(t, old, now); size > 100_000 {
		t.Errorf("a stretch that was taken out costs %d bytes", size)
	}
}
