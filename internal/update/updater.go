package update

import (
	"context"
	"io"
	"log/slog"
	"time"

	"uplevel/internal/api"
	"uplevel/internal/release"
)

// Service is what the updater asks of the update service.
type Service interface {
	Check(context.Context, api.CheckRequest) (api.CheckAnswer, error)
	AcceptEULA(ctx context.Context, version string) error
	Report(context.Context, api.Report) error
}

// Fetcher gets objects of one level, verified.
type Fetcher interface {
	// Sizes returns the stored bytes that are still to be fetched.
	Sizes(ctx context.Context, line release.Line, level int, refs []release.Ref) (int64, error)
	// Fetch makes all of refs available to Open; what was fetched before is not again.
	Fetch(ctx context.Context, line release.Line, level int, refs []release.Ref) error
	// Open returns verified content, or an error that is fs.ErrNotExist.
	Open(ref release.Ref) (io.ReadCloser, error)
}

// Progress is told how work goes on. A nil Progress is told nothing.
type Progress interface {
	Start(phase string, items int, bytes int64)
	Item(name string)
	Bytes(n int64)
	Done()
}

// Settings are the parts of an [Updater] that do not depend on the home.
type Settings struct {
	Service  Service
	Fetch    Fetcher
	Progress Progress
	Log      *slog.Logger
	Now      func() time.Time
	Tool     string                 // version of the tool, told to the service
	Host     string                 // told in reports; empty: not told
	User     string                 // who is written into the history
	Machine  func() (string, error) // machine id, for the installation id; nil: none
}
