package server

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"uplevel/internal/api"
	"uplevel/internal/blob"
	"uplevel/internal/digest"
	"uplevel/internal/entitlement"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// urlLife is how long a delivery URL is good for; it is judged when a request starts.
const urlLife = 5 * time.Minute

// keyID names the key that signs delivery URLs, so that an edge can know two at a time.
const keyID = "1"

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
		out.Items = append(out.Items, api.Delivery{Object: sum, URL: s.signedURL(sum, out.Expires), Size: info.Size})
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

func (s *Service) signedURL(sum digest.Digest, expires time.Time) string {
	until := strconv.FormatInt(expires.Unix(), 10)
	return api.ObjectsPath + sum.String() + "?expires=" + until + "&key=" + keyID + "&signature=" + s.signature(sum.String(), until)
}

func (s *Service) signature(name, until string) string {
	mac := hmac.New(sha256.New, s.Signer.Keys.Delivery)
	_, _ = mac.Write([]byte("uplevel-delivery/1\n" + name + "\n" + until))
	return hex.EncodeToString(mac.Sum(nil))
}

// object delivers a stored object to whoever holds a URL that is signed and not over.
func (s *Service) object(w http.ResponseWriter, r *http.Request) {
	name, q := r.PathValue("digest"), r.URL.Query()
	sum, err := digest.Parse(name)
	if err != nil {
		s.notFound(w, r)
		return
	}
	want := s.signature(name, q.Get("expires"))
	until, err := strconv.ParseInt(q.Get("expires"), 10, 64)
	if err != nil || q.Get("key") != keyID || !hmac.Equal([]byte(want), []byte(q.Get("signature"))) || s.Now().Unix() > until {
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
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("ETag", `"`+name+"-"+strconv.FormatInt(o.Size(), 10)+`"`)
	http.ServeContent(w, r, "", time.Time{}, o)
}

// metadataFile serves a file of the TUF repository.
func (s *Service) metadataFile(w http.ResponseWriter, r *http.Request) {
	file := r.PathValue("file")
	data, err := s.Metadata.MetadataFile(r.Context(), file)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	if file == "timestamp.json" {
		w.Header().Set("Cache-Control", "no-cache")
	}
	_, _ = w.Write(data) //nolint:gosec // signed JSON, sent as such and never sniffed
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
	published, err := s.Catalogue.Level(r.Context(), line, level)
	if err == nil && published.Record.Sum.String() != name {
		err = fs.ErrNotExist
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	data, err := s.Content.Content(r.Context(), published.Record)
	if err != nil {
		s.refuse(w, r, fmt.Errorf("release record of %s level %d: %w", line, level, gone(err)))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(data)
}
