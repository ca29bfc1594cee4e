package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"

	"uplevel/internal/blob"
	"uplevel/internal/digest"
	"uplevel/internal/object"
)

// lacking returns those of the objects that are not stored, or stored and damaged: the
// publisher who asks has them, and sends them again. A damaged one is removed, for a name
// that is taken keeps its content; it is of no use to anyone, since no tool takes it.
func (s *Service) lacking(ctx context.Context, asked []digest.Digest) ([]digest.Digest, error) {
	missing, err := s.Content.Missing(ctx, asked)
	if err != nil {
		return nil, err
	}
	not := make(map[digest.Digest]bool, len(missing))
	for _, sum := range missing {
		not[sum] = true
	}
	// One at a time: what one publisher sent anew is not removed by what another saw before.
	s.judging.Lock()
	defer s.judging.Unlock()
	out := []digest.Digest{}
	for _, sum := range asked {
		if !not[sum] {
			sound, err := s.sound(ctx, sum)
			if err != nil {
				return nil, err
			}
			if sound {
				continue
			}
		}
		out = append(out, sum)
	}
	return out, nil
}

// sound decodes a stored object and removes one that is damaged. One that cannot be read is
// neither: another try, or another disk, may still have it.
func (s *Service) sound(ctx context.Context, sum digest.Digest) (bool, error) {
	stored, err := s.Blobs.Open(ctx, blob.ObjectName(sum))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("judging object %s: %w", sum, err)
	}
	defer stored.Close()
	reading := &noticing{r: stored}
	got, _, decodeErr := object.Sum(reading)
	if err := errors.Join(ctx.Err(), reading.failed); err != nil {
		return false, fmt.Errorf("judging object %s: %w", sum, err)
	}
	if decodeErr == nil && got == sum {
		return true, nil
	}
	s.Log.WarnContext(ctx, "a stored object is damaged; removed, the publisher sends it again", slog.String("object", sum.String()))
	return false, stored.Discard(ctx) // and not what another service was sent meanwhile
}

// noticing keeps the error of a reader: that the store failed, and not the content.
type noticing struct {
	r      io.Reader
	failed error
}

func (n *noticing) Read(p []byte) (int, error) {
	count, err := n.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		n.failed = err
	}
	return count, err
}
