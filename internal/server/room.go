package server

import (
	"bytes"
	"context"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/sync/semaphore"

	"uplevel/internal/api"
	"uplevel/internal/bounded"
	"uplevel/internal/problem"
)

// How much memory requests may take at once, in bytes. Vendor and customers have rooms of
// their own: neither keeps the other out.
const (
	publishersRoom = 96 << 20
	customersRoom  = 32 << 20
	judgesRoom     = 24 << 20

	smallBody   = 4 << 10  // takes no room while it comes: so much any connection has
	bodyCopies  = 4        // of a body, at most, while it is read and judged
	valueCost   = 600      // of a value that is judged, at most
	decoderCost = 12 << 20 // of an object or hotfix that is unpacked while it comes
	answerCost  = 2 << 20  // of an answer that is made, which nobody who reads slowly holds

	roomPatience = 20 * time.Second
	comeAgain    = 5 // seconds, for who found no room
)

// rooms bound what is held for requests that come at the same time. Copying has one place:
// whoever is in it makes a copy for all.
type rooms struct{ publishers, customers, judges, copying *room }

func newRooms() rooms {
	return rooms{newRoom(publishersRoom), newRoom(customersRoom), newRoom(judgesRoom), newRoom(1)}
}

// room is memory that requests share. Who finds none free waits in turn, and is told to
// come again when that takes too long.
type room struct {
	size     int64
	taken    *semaphore.Weighted
	patience time.Duration
}

func newRoom(size int64) *room { return &room{size, semaphore.NewWeighted(size), roomPatience} }

// take waits for so many bytes; what is larger than the room takes all of it. The caller
// must call leave.
func (r *room) take(ctx context.Context, n int64) (leave func(), err error) {
	n = min(n, r.size)
	waiting, stop := context.WithTimeout(ctx, r.patience)
	defer stop()
	if r.taken.Acquire(waiting, n) == nil {
		return func() { r.taken.Release(n) }, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, &answer{retryAfter: comeAgain, Problem: api.Problem{
		Title: "The service has too much to do at once", Status: http.StatusServiceUnavailable, Kind: problem.Unreachable.String(), Next: "Try again in some seconds.",
	}}
}

// callContext is embedded by this name, so that its own method Context is not hidden.
type callContext = huma.Context

// withBody is a request whose body was read.
type withBody struct {
	callContext

	body io.Reader
}

// BodyReader returns it.
func (c withBody) BodyReader() io.Reader { return c.body }

// judge reads a body and has it judged, when there is room for the one and the other. So
// nobody who sends slowly holds what others need to be judged.
func (s *Service) judge(ctx huma.Context, reading *room, next func(huma.Context)) error {
	op := ctx.Operation()
	if op.Method != http.MethodPost {
		leave, err := s.rooms.judges.take(ctx.Context(), answerCost)
		if err != nil {
			return err
		}
		defer leave()
		next(ctx)
		return nil
	}
	if n := bodyLength(ctx, op.MaxBodyBytes); n > smallBody {
		leave, err := reading.take(ctx.Context(), bodyCopies*n)
		if err != nil {
			return err
		}
		defer leave()
	}
	tooLate := time.AfterFunc(op.BodyReadTimeout, func() { _ = ctx.SetReadDeadline(time.Unix(1, 0)) })
	data, failed := io.ReadAll(io.LimitReader(ctx.BodyReader(), op.MaxBodyBytes))
	tooLate.Stop()
	leave, err := s.rooms.judges.take(ctx.Context(), valueCost*int64(bounded.Values(data, maxStructure)))
	if err != nil {
		return err
	}
	defer leave()
	next(withBody{ctx, io.MultiReader(bytes.NewReader(data), failing{failed})})
	return nil
}

// bodyLength is how many bytes of a body may come.
func bodyLength(ctx huma.Context, limit int64) int64 {
	n, err := strconv.ParseInt(ctx.Header("Content-Length"), 10, 64)
	if err != nil || n < 0 {
		n = math.MaxInt64
	}
	return min(n, limit)
}

// failing ends with an error, if there is one.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}
