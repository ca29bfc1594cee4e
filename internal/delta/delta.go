// Package delta turns contents that somebody has into contents that they need, with few bytes.
// Archives are opened on both sides, what changed in them is coded against what it was, and
// they are closed again bit for bit. Nothing here is trusted: whoever applies a delta compares
// the result with a signed digest. The format is described in docs/design/delta.md.
package delta

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Bounds of what takes memory. They are part of the format: both sides count by them.
const (
	maxGroup  = 6 << 20 // bytes of new content that are coded together
	maxSource = 8 << 20 // bytes of old content that they are coded against
	maxShape  = 32 << 20
	maxFiles  = 200_000 // new contents, and old ones
	maxGrowth = 100     // what a new file opens to, for each of its bytes
	freely    = 1 << 20 // and besides that
)

// ErrDamaged says that a delta is not one, or none for these contents. The text around it
// says why.
var ErrDamaged = errors.New("the delta is not usable")

func damaged(why string) error { return fmt.Errorf("%w: %s", ErrDamaged, why) }

// File is a content that can be read anywhere.
type File interface {
	io.ReaderAt
	io.Closer
}

// Scratch makes a file for what does not go into memory. It is removed when it is closed.
type Scratch func() (*os.File, error)
