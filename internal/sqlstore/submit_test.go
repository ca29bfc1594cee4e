package sqlstore

import (
	"context"
	"crypto/rand"
	"io/fs"
	"strings"
	"testing"
	"time"

	"uplevel/internal/digest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust/online"
	"uplevel/internal/trust/trusttest"
)

// stored is the object store of a submission.
type stored map[digest.Digest][]byte

func (s stored) Content(_ context.Context, ref release.Ref) ([]byte, error) {
	content, ok := s[ref.Sum]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return content, nil
}

func (s stored) Missing(_ context.Context, objects []digest.Digest) ([]digest.Digest, error) {
	var missing []digest.Digest
	for _, sum := range objects {
		if _, ok := s[sum]; !ok {
			missing = append(missing, sum)
		}
	}
	return missing, nil
}

// TestSubmitAndRenew makes really signed metadata current, and signs again days later.
func TestSubmitAndRenew(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) {
		now := start
		keys := must(online.NewKeys(rand.Reader))(t)
		publisher := trusttest.NewWith(t, now, keys.Snapshot, keys.Timestamp)
		objects := stored(publisher.Objects)
		db := open(func(o *Options) {
			o.Now = func() time.Time { return now }
			o.Records = func(ctx context.Context, line release.Line, level int, ref release.Ref) (release.Record, error) {
				text, err := objects.Content(ctx, ref)
				if err != nil {
					return release.Record{}, err
				}
				return release.ParseRecord(text, line, level)
			}
		})
		service := &online.Service{Keys: keys, Objects: objects, Now: func() time.Time { return now }}
		submit := func(roles ...string) error {
			var docs []online.Document
			for _, role := range roles {
				docs = append(docs, online.Document{Role: role, Data: publisher.Current(role)})
			}
			return db.ChangeMetadata(t.Context(), func(repo online.Repository) error {
				_, err := service.Submit(t.Context(), repo, docs)
				return err
			})
		}
		check(t, submit("root", "targets"))
		publisher.AddLevel(shop, 0)
		check(t, submit("targets", "product.shop", shop.Role()))
		record := publisher.AddLevel(shop, 1)
		check(t, submit(shop.Role()))
		got := must(db.Level(t.Context(), shop, 1))(t)
		if got.Manifest != record.Manifest || got.Notes != record.Notes || got.State != release.Live {
			t.Errorf("level %+v", got)
		}
		before := must(db.MetadataFiles(t.Context()))(t)
		publisher.AddLevel(shop, 2)
		publisher.PublishRole(shop.Role())
		if err := submit(shop.Role()); problem.KindOf(err) != problem.Refused {
			t.Errorf("a version left out: %v", err)
		}
		same(t, before, must(db.MetadataFiles(t.Context()))(t))

		timestamp := must(db.MetadataFile(t.Context(), "timestamp.json"))(t)
		now = now.AddDate(0, 0, 2)
		var result online.Result
		check(t, db.ChangeMetadata(t.Context(), func(repo online.Repository) (err error) {
			result, err = service.Renew(t.Context(), repo)
			return err
		}))
		renewed := must(db.MetadataFile(t.Context(), "timestamp.json"))(t)
		if len(result.Files) != 1 || string(renewed) == string(timestamp) || !strings.Contains(string(renewed), `"timestamp"`) {
			t.Errorf("renewed %+v", result.Files)
		}
	})
}
