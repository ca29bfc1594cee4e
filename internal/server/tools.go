package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"uplevel/internal/api"
	"uplevel/internal/blob"
	"uplevel/internal/object"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// toolRoute is where programs of the update tool are served.
const toolRoute = api.TargetsPath + "uplevel-tool/{version}/{file}"

// toolProgram serves a program of the update tool to whoever asks, with ranges: as it is,
// or in its stored form. Its file is DIGEST.OS_ARCH, or that with .zst.
func (s *Service) toolProgram(w http.ResponseWriter, r *http.Request) {
	file, stored := strings.CutSuffix(r.PathValue("file"), api.StoredSuffix)
	t, err := s.listedTool(r.Context(), r.PathValue("version"), file)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	o, err := s.Blobs.Open(r.Context(), blob.ObjectName(t.Program.Sum))
	if err != nil {
		s.refuse(w, r, fmt.Errorf("update tool %s for %s: %w", t.Version, t.System, gone(err)))
		return
	}
	defer o.Close()
	if !stored {
		s.givePublic(w, r, public{
			name: "program " + t.Program.Sum.String(), kind: "application/octet-stream", cache: forEver, tag: `"` + t.Program.Sum.String() + `"`,
			write: func(w io.Writer) error { return decode(w, o, t.Program) },
		})
		return
	}
	w.Header().Set("Content-Type", "application/zstd")
	w.Header().Set("Cache-Control", forEver)
	w.Header().Set("ETag", fmt.Sprintf(`"%s-%d"`, t.Program.Sum, o.Size()))
	give(w, r, o)
}

// listedTool finds a program in what the vendor signed, which may be megabytes: one reads
// it at a time.
func (s *Service) listedTool(ctx context.Context, version, file string) (release.Tool, error) {
	leave, err := s.rooms.copying.take(ctx, 1)
	if err != nil {
		return release.Tool{}, err
	}
	defer leave()
	data, err := s.Metadata.CurrentMetadata(ctx, trust.RoleTool)
	if err != nil {
		return release.Tool{}, err
	}
	tools, err := trust.ToolPrograms(data)
	if err != nil {
		return release.Tool{}, err
	}
	for _, t := range tools {
		if t.Version == version && api.ToolFile(t) == file {
			return t, nil
		}
	}
	return release.Tool{}, fmt.Errorf("update tool %.60q: %w", version, fs.ErrNotExist)
}

// decode writes what a stored object holds, and fails when that is something else.
func decode(w io.Writer, stored io.Reader, ref release.Ref) error {
	r, err := object.NewReader(stored, ref.Sum, ref.Size)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, r.Close())
}

func describeTools(add func(op *huma.Operation, success, kind string), text func(where, name string) *huma.Param) {
	add(&huma.Operation{
		Method: http.MethodGet, Path: toolRoute, OperationID: "get-tool", Summary: "A program of the update tool, by its consistent name, with ranges; with .zst in its stored form",
		Parameters: []*huma.Param{text("path", "version"), text("path", "file")},
	}, "200", "application/octet-stream")
}
