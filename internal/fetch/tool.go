package fetch

import (
	"context"
	"io"

	"uplevel/internal/api"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// Tools is where programs of the update tool come from.
type Tools interface {
	// Tool opens the stored form of a program at offset, and returns its whole stored size.
	Tool(ctx context.Context, t release.Tool, offset int64) (io.ReadCloser, int64, error)
}

// toolSource gives one program as if it were an object of a level.
type toolSource struct {
	tools Tools
	tool  release.Tool
}

func (s toolSource) Object(ctx context.Context, _ string, offset int64) (io.ReadCloser, int64, error) {
	return s.tools.Tool(ctx, s.tool, offset)
}

// Deliveries asks how long the stored form is: nothing that is signed says so.
func (s toolSource) Deliveries(ctx context.Context, r api.DeliveryRequest) (api.DeliveryAnswer, error) {
	body, size, err := s.tools.Tool(ctx, s.tool, 0)
	if err != nil {
		return api.DeliveryAnswer{}, err
	}
	if err := body.Close(); err != nil {
		return api.DeliveryAnswer{}, err
	}
	if size <= 0 {
		return api.DeliveryAnswer{}, problem.New(problem.Unreachable, "Tell your vendor.", "The service does not say how large the update tool is")
	}
	return api.DeliveryAnswer{Items: []api.Delivery{{Object: r.Objects[0], Size: size}}}, nil
}

// Tool gets a program of the update tool into the cache, verified by its signed digest;
// Open gives its content then.
func (f *Fetcher) Tool(ctx context.Context, from Tools, t release.Tool) error {
	own := *f
	own.Source = toolSource{from, t}
	return own.Fetch(ctx, release.Line{}, 0, []release.Ref{t.Program})
}
