package server

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"uplevel/internal/api"
	"uplevel/internal/blob"
	"uplevel/internal/digest"
	"uplevel/internal/entitlement"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/online"
)

// urlLife is how long a delivery URL is good for; it is judged when a request starts.
const urlLife = 5 * time.Minute

// deliveryKey signs delivery URLs. Its id is made of it, so that an edge, or another process
// that was started before, can know two apart.
type deliveryKey struct {
	id     string
	secret []byte
}

func keyOf(k online.Keys) deliveryKey {
	mac := hmac.New(sha256.New, k.Delivery)
	_, _ = mac.Write([]byte("uplevel-delivery/1 id"))
	return deliveryKey{hex.EncodeToString(mac.Sum(nil)[:4]), k.Delivery}
}

// keyInForce is the delivery key that was last seen to be in force, under this root.
type keyInForce struct {
	root []byte
	key  deliveryKey
}

// deliveryKey returns the key of the pair that the root in force names: whichever process is
// started again first, all of them sign and verify with the same one. While the database
// cannot be asked it is the one before.
func (s *Service) deliveryKey(ctx context.Context) (deliveryKey, error) {
	seen := s.delivering.Load()
	root, err := s.Metadata.CurrentMetadata(ctx, trust.RoleRoot)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return keyOf(s.Signer.Keys), nil
	case seen != nil && (err != nil || bytes.Equal(seen.root, root)):
		return seen.key, nil //nolint:nilerr // a database that cannot be asked stops no download
	case err != nil:
		return deliveryKey{}, err
	}
	seen = &keyInForce{root, keyOf(s.Signer.InForce(root))}
	s.delivering.Store(seen)
	return seen.key, nil
}

// deliveries signs URLs of objects of a level, once the caller may have the level and
// every object belongs to it.
func (s *Service) deliveries(ctx context.Context, in *asked[api.DeliveryRequest]) (*body[api.DeliveryAnswer], error) {
	p, err := s.may(ctx, in.Caller, entitlement.MayDownload)
	if err != nil {
		return nil, err
	}
	line, err := lineOf(in.Body.Product, in.Body.Version, in.Body.Channel)
	if err != nil {
		return nil, s.answerTo(ctx, err)
	}
	out, err := s.deliver(ctx, p, line, in.Body)
	if err != nil {
		return nil, s.answerTo(ctx, err)
	}
	return &body[api.DeliveryAnswer]{out}, nil
}

func (s *Service) deliver(ctx context.Context, p entitlement.Principal, line release.Line, in api.DeliveryRequest) (api.DeliveryAnswer, error) {
	grant, err := s.Rules.For(ctx, p, line)
	if err != nil {
		return api.DeliveryAnswer{}, err
	}
	level, err := s.Catalogue.Level(ctx, line, in.Level)
	if err != nil {
		return api.DeliveryAnswer{}, err
	}
	if err := grant.Level(level.Listing); err != nil {
		return api.DeliveryAnswer{}, err
	}
	members, err := s.members.of(ctx, s.Content, level)
	if err != nil {
		return api.DeliveryAnswer{}, err
	}
	key, err := s.deliveryKey(ctx)
	if err != nil {
		return api.DeliveryAnswer{}, err
	}
	out := api.DeliveryAnswer{Expires: s.Now().Add(urlLife), Items: make([]api.Delivery, 0, len(in.Objects))}
	for _, sum := range in.Objects {
		if !members[sum] {
			return api.DeliveryAnswer{}, problem.New(problem.NotEntitled, "Ask for objects of the level named.",
				"Object %s is none of %s level %d", sum, line, in.Level)
		}
		info, err := s.Blobs.Stat(ctx, blob.ObjectName(sum))
		if err != nil {
			return api.DeliveryAnswer{}, fmt.Errorf("object %s of %s level %d: %w", sum, line, in.Level, gone(err))
		}
		out.Items = append(out.Items, api.Delivery{Object: sum, URL: key.signedURL(sum, out.Expires), Size: info.Size})
	}
	return out, nil
}

// gone makes a published object that is not stored the service's fault, not the
// client's.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("it is published but not stored")
	}
	return err
}

func (k deliveryKey) signedURL(sum digest.Digest, expires time.Time) string {
	until := strconv.FormatInt(expires.Unix(), 10)
	return api.ObjectsPath + sum.String() + "?expires=" + until + "&key=" + k.id + "&signature=" + k.signature(sum.String(), until)
}

func (k deliveryKey) signature(name, until string) string {
	mac := hmac.New(sha256.New, k.secret)
	_, _ = mac.Write([]byte("uplevel-delivery/1\n" + name + "\n" + until))
	return hex.EncodeToString(mac.Sum(nil))
}

// verifies reports whether this key signed a URL for an object, and when it ends.
func (k deliveryKey) verifies(name string, q url.Values) (until int64, ok bool) {
	want := k.signature(name, q.Get("expires"))
	until, err := strconv.ParseInt(q.Get("expires"), 10, 64)
	return until, err == nil && q.Get("key") == k.id && hmac.Equal([]byte(want), []byte(q.Get("signature")))
}

// object delivers a stored object to whoever holds a URL that is signed and not over.
func (s *Service) object(w http.ResponseWriter, r *http.Request) {
	name, q := r.PathValue("digest"), r.URL.Query()
	sum, err := digest.Parse(name)
	if err != nil {
		s.notFound(w, r)
		return
	}
	key, err := s.deliveryKey(r.Context())
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	if until, ok := key.verifies(name, q); !ok || s.Now().Unix() > until {
		s.refuse(w, r, problem.New(problem.NotEntitled, "Ask for a new URL.", "The delivery URL is not valid, or no longer"))
		return
	}
	o, err := s.Blobs.Open(r.Context(), blob.ObjectName(sum))
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer o.Close()
	w.Header().Set("Content-Type", "application/zstd")
	w.Header().Set("Cache-Control", forEver)
	w.Header().Set("ETag", `"`+name+"-"+strconv.FormatInt(o.Size(), 10)+`"`)
	give(w, r, o)
}

// timestampFile is the one file of the repository that changes under its name. It is small.
const timestampFile = "timestamp.json"

// metadataFile serves a file of the TUF repository.
func (s *Service) metadataFile(w http.ResponseWriter, r *http.Request) {
	ctx, file := r.Context(), r.PathValue("file")
	if file != timestampFile {
		s.givePublic(w, r, public{name: "metadata " + file, kind: "application/json", cache: forEver, packs: true, write: func(w io.Writer) error {
			data, err := s.Metadata.MetadataFile(ctx, file)
			return written(w, data, err)
		}})
		return
	}
	data, err := s.Metadata.MetadataFile(ctx, file)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(data) //nolint:gosec // signed JSON, sent as such and never sniffed
}

// written writes what was read without an error.
func written(w io.Writer, data []byte, err error) error {
	if err == nil {
		_, err = w.Write(data)
	}
	return err
}

// target serves a release record under its consistent name DIGEST.LEVEL.json.
func (s *Service) target(w http.ResponseWriter, r *http.Request) {
	line := release.Line{Product: r.PathValue("product"), Version: r.PathValue("version"), Channel: r.PathValue("channel")}
	name, rest, _ := strings.Cut(r.PathValue("file"), ".")
	number, isJSON := strings.CutSuffix(rest, ".json")
	level, err := strconv.Atoi(number)
	if line.Check() != nil || !isJSON || err != nil {
		s.notFound(w, r)
		return
	}
	ctx := r.Context()
	published, err := s.Catalogue.Level(ctx, line, level)
	if err == nil && published.Record.Sum.String() != name {
		err = fs.ErrNotExist
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	s.givePublic(w, r, public{name: "record " + name, kind: "application/json", cache: forEver, packs: true, write: func(w io.Writer) error {
		data, err := s.Content.Content(ctx, published.Record)
		if err != nil {
			err = fmt.Errorf("release record of %s level %d: %w", line, level, gone(err))
		}
		return written(w, data, err)
	}})
}
