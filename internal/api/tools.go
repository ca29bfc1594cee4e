package api

import (
	"context"
	"io"
	"strings"

	"uplevel/internal/release"
)

// StoredSuffix ends the address of a program's stored form.
const StoredSuffix = ".zst"

// ToolFile is the last part of a program's consistent name: DIGEST.OS_ARCH.
func ToolFile(t release.Tool) string {
	return t.Program.Sum.String() + "." + strings.Replace(t.System, "/", "_", 1)
}

// ToolAddress is the path under which the service gives a program of the update tool, as
// it is, to whoever asks: a TUF target by its consistent name. With [StoredSuffix] it is
// the stored form.
func ToolAddress(t release.Tool) string {
	return TargetsPath + "uplevel-tool/" + t.Version + "/" + ToolFile(t)
}

// Tool opens the stored form of a program of the update tool at offset and returns its
// whole stored size.
func (c *Client) Tool(ctx context.Context, t release.Tool, offset int64) (io.ReadCloser, int64, error) {
	return c.ranged(ctx, ToolAddress(t)+StoredSuffix, "", offset)
}
