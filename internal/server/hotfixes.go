package server

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"

	"uplevel/internal/api"
	"uplevel/internal/blob"
	"uplevel/internal/bundle"
	"uplevel/internal/entitlement"
	"uplevel/internal/hotfix"
	"uplevel/internal/release"
)

// Hotfixes registers hotfixes and says who may have which; server/hotfixes does it.
type Hotfixes interface {
	// Register keeps a zip once all of it was verified; already: this very zip was there.
	Register(ctx context.Context, by entitlement.Actor, zip io.Reader) (h hotfix.Published, already bool, err error)
	// List returns those of a line that are for the principal.
	List(ctx context.Context, p entitlement.Principal, line release.Line) ([]hotfix.Published, error)
	// Open opens a zip; what is not for the principal is fs.ErrNotExist.
	Open(ctx context.Context, p entitlement.Principal, product, version, name string) (blob.Object, hotfix.Published, error)
	// Organisation finds who a hotfix may be made for, or fs.ErrNotExist.
	Organisation(ctx context.Context, name string) (entitlement.Organisation, error)
}

// registerHotfix takes the zip of a hotfix.
func (s *Service) registerHotfix(w http.ResponseWriter, r *http.Request) {
	c := Caller{Authorization: r.Header.Get("Authorization"), address: addressOf(r)}
	p, err := s.may(r.Context(), c, entitlement.MayPublish)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	leave, err := s.rooms.publishers.take(r.Context(), decoderCost+bodyCopies*hotfix.MaxBytes)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer leave()
	h, already, err := s.Hotfixes.Register(r.Context(), p.Actor(c.address), http.MaxBytesReader(w, r.Body, bundle.MaxZip))
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(api.HotfixAnswer{Hotfix: told(h), Already: already})
}

// hotfixZip delivers the zip of a hotfix, with ranges.
func (s *Service) hotfixZip(w http.ResponseWriter, r *http.Request) {
	c := Caller{Authorization: r.Header.Get("Authorization"), address: addressOf(r)}
	p, err := s.may(r.Context(), c, entitlement.MayDownload)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	name := strings.TrimSuffix(r.PathValue("name"), ".zip")
	o, h, err := s.Hotfixes.Open(r.Context(), p, r.PathValue("product"), r.PathValue("version"), name)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer o.Close()
	w.Header().Set("Content-Type", api.HotfixZip)
	w.Header().Set("Content-Disposition", `attachment; filename="`+h.FileName()+`"`)
	w.Header().Set("Cache-Control", "private, no-cache")
	w.Header().Set("ETag", `"`+h.Zip.Sum.String()+`"`)
	give(w, r, o)
}

type lineAsked struct {
	Caller
	Product string `query:"product" maxLength:"64" required:"true"`
	Version string `query:"version" maxLength:"40" required:"true"`
	Channel string `query:"channel" maxLength:"64" default:"full"`
}

func (s *Service) listHotfixes(ctx context.Context, in *lineAsked) (*body[[]api.Hotfix], error) {
	p, err := s.may(ctx, in.Caller, entitlement.MayCheck)
	if err != nil {
		return nil, err
	}
	line, err := lineOf(in.Product, in.Version, in.Channel)
	if err != nil {
		return nil, s.answerTo(ctx, err)
	}
	own, err := s.Hotfixes.List(ctx, p, line)
	if err != nil {
		return nil, s.answerTo(ctx, err)
	}
	out := make([]api.Hotfix, 0, len(own))
	for _, h := range own {
		out = append(out, told(h))
	}
	return &body[[]api.Hotfix]{out}, nil
}

// fitting returns the hotfixes for a principal that fit a level.
func (s *Service) fitting(ctx context.Context, p entitlement.Principal, line release.Line, level int) ([]api.Hotfix, error) {
	own, err := s.Hotfixes.List(ctx, p, line)
	out := []api.Hotfix{}
	for _, h := range own {
		if slices.Contains(h.Levels, level) {
			out = append(out, told(h))
		}
	}
	return out, err
}

func told(h hotfix.Published) api.Hotfix {
	return api.Hotfix{
		Name: h.Name, Product: h.Product, Version: h.Version, Channel: h.Channel, Levels: h.Levels, Sequence: h.Sequence,
		Needs: append([]string{}, h.Needs...), Organisation: h.Organisation, For: h.For, Type: string(h.Type), Description: h.Description,
		Restart: h.NeedsRestart(), Created: h.Created, File: h.FileName(), Size: h.Zip.Size, SHA256: h.Zip.Sum,
	}
}

type organisationAsked struct {
	Caller
	Name string `query:"name" maxLength:"200" required:"true"`
}

// organisation tells a publisher the opaque id of an organisation.
func (s *Service) organisation(ctx context.Context, in *organisationAsked) (*body[api.Organisation], error) {
	if _, err := s.may(ctx, in.Caller, entitlement.MayPublish); err != nil {
		return nil, err
	}
	o, err := s.Hotfixes.Organisation(ctx, in.Name)
	if err != nil {
		return nil, s.answerTo(ctx, err)
	}
	return &body[api.Organisation]{api.Organisation{ID: o.ID, Name: o.Name, Short: hotfix.ShortName(o.Name)}}, nil
}
