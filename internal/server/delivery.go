package server

import (
	"container/list"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"uplevel/internal/api"
	"uplevel/internal/blob"
	"uplevel/internal/digest"
	"uplevel/internal/entitlement"
	"uplevel/internal/manifest"
	"uplevel/internal/object"
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
		notFound(w, r)
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
	if errors.Is(err, fs.ErrNotExist) {
		w.Header().Set("Cache-Control", "no-cache")
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
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
		notFound(w, r)
		return
	}
	published, err := s.Catalogue.Level(r.Context(), line, level)
	if err != nil || published.Record.Sum.String() != name {
		notFound(w, r)
		return
	}
	data, err := s.Content.Content(r.Context(), published.Record)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(data)
}

// putObject takes an object in its stored form, decodes it on the way, and keeps it
// only when its content has the digest of its name.
func (s *Service) putObject(w http.ResponseWriter, r *http.Request) {
	sum, err := digest.Parse(r.PathValue("digest"))
	if err != nil {
		notFound(w, r)
		return
	}
	c := Caller{Authorization: r.Header.Get("Authorization"), address: addressOf(r)}
	if _, err := s.may(r.Context(), c, entitlement.MayPublish); err != nil {
		if a, ok := errors.AsType[*answer](err); ok {
			writeProblem(w, a.Problem)
		}
		return
	}
	content := newChecked(http.MaxBytesReader(w, r.Body, manifest.MaxFile), sum)
	err = s.Blobs.Put(r.Context(), blob.ObjectName(sum), content)
	content.stop()
	if errors.Is(err, digest.ErrMismatch) {
		err = problem.New(problem.Verification, "Send the object again.", "The object sent is not %s: %w", sum, err)
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// checked passes stored bytes on and ends with digest.ErrMismatch instead of io.EOF
// unless what they decode to has the digest wanted.
type checked struct {
	r       io.Reader
	want    digest.Digest
	decode  *io.PipeWriter
	verdict chan error
}

func newChecked(r io.Reader, want digest.Digest) *checked {
	pr, pw := io.Pipe()
	c := &checked{r: r, want: want, decode: pw, verdict: make(chan error, 1)}
	go func() {
		got, _, err := object.Sum(pr)
		if err == nil && got != want {
			err = fmt.Errorf("%w: want %s, got %s", digest.ErrMismatch, want, got)
		} else if err != nil {
			err = fmt.Errorf("%w: %w", digest.ErrMismatch, err)
		}
		_ = pr.CloseWithError(err)
		c.verdict <- err
	}()
	return c
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if n > 0 {
		if _, decodeErr := c.decode.Write(p[:n]); decodeErr != nil {
			return 0, decodeErr
		}
	}
	if errors.Is(err, io.EOF) {
		_ = c.decode.Close()
		if verdict := <-c.verdict; verdict != nil {
			return 0, verdict
		}
	}
	return n, err
}

// stop ends the decoder when the content was not read to its end.
func (c *checked) stop() { _ = c.decode.CloseWithError(io.ErrUnexpectedEOF) }

// memberCache knows which objects belong to the levels asked for lately.
type memberCache struct {
	mu    sync.Mutex
	sets  map[digest.Digest]*list.Element
	order list.List // of memberSet, the one used last first
	size  int       // digests in all sets
}

type memberSet struct {
	record  digest.Digest
	members map[digest.Digest]bool
}

// maxMembers bounds the digests that are kept: about 50 MB.
const maxMembers = 500_000

// of returns the objects of a level: record, manifest, notes, and every file.
func (c *memberCache) of(ctx context.Context, content Content, level release.Published) (map[digest.Digest]bool, error) {
	c.mu.Lock()
	if e, ok := c.sets[level.Record.Sum]; ok {
		c.order.MoveToFront(e)
		c.mu.Unlock()
		return e.Value.(memberSet).members, nil //nolint:errcheck // the list holds nothing else
	}
	c.mu.Unlock()
	text, err := content.Content(ctx, level.Manifest)
	if err != nil {
		return nil, fmt.Errorf("manifest of level %d: %w", level.Level, gone(err))
	}
	tree, err := manifest.Parse(text)
	if err != nil {
		return nil, err
	}
	members := map[digest.Digest]bool{level.Record.Sum: true, level.Manifest.Sum: true, level.Notes.Sum: true}
	for _, e := range tree.Entries() {
		if e.Kind == manifest.File {
			members[e.Sum] = true
		}
	}
	c.add(memberSet{record: level.Record.Sum, members: members})
	return members, nil
}

func (c *memberCache) add(s memberSet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sets == nil {
		c.sets = map[digest.Digest]*list.Element{}
	}
	if _, ok := c.sets[s.record]; ok {
		return
	}
	c.sets[s.record] = c.order.PushFront(s)
	c.size += len(s.members)
	for c.size > maxMembers && c.order.Len() > 1 {
		last := c.order.Remove(c.order.Back()).(memberSet) //nolint:errcheck // the list holds nothing else
		delete(c.sets, last.record)
		c.size -= len(last.members)
	}
}

func cutPort(address string) (host, port string, ok bool) {
	host, port, err := net.SplitHostPort(address)
	return host, port, err == nil
}
