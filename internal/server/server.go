// Package server answers the service's API v1 and delivers metadata and objects. Its
// handlers hold no rules: who may have what is asked of entitlement, what may become
// current of trust/online. Described in docs/design/api.md.
package server

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"uplevel/internal/api"
	"uplevel/internal/blob"
	"uplevel/internal/digest"
	"uplevel/internal/entitlement"
	"uplevel/internal/fleet"
	"uplevel/internal/release"
	"uplevel/internal/trust/online"
)

// Door lets people and programs in.
type Door interface {
	// Login checks a password and makes a token good for updating only.
	Login(ctx context.Context, email, password, address string) (string, entitlement.Token, error)
	// Principal returns who a token speaks for.
	Principal(ctx context.Context, secret string) (entitlement.Principal, error)
}

// Rules decide who may have what.
type Rules interface {
	For(ctx context.Context, p entitlement.Principal, line release.Line) (entitlement.Grant, error)
	EULA(ctx context.Context, p entitlement.Principal) (entitlement.EULAState, error)
	Accept(ctx context.Context, p entitlement.Principal, version, address string) error
}

// Catalogue is what is published.
type Catalogue interface {
	Levels(ctx context.Context, line release.Line) ([]release.Published, error)
	Level(ctx context.Context, line release.Line, level int) (release.Published, error)
}

// Metadata is the TUF repository.
type Metadata interface {
	// MetadataFile returns a current file or any root, or an error that is fs.ErrNotExist.
	MetadataFile(ctx context.Context, file string) ([]byte, error)
	ChangeMetadata(ctx context.Context, fn func(repo online.Repository) error) error
}

// Records are what installations and the vendor told.
type Records interface {
	AddReport(ctx context.Context, organisation string, at time.Time, r fleet.Report) error
	Vendor(ctx context.Context) (api.Vendor, error)
	// Ready fails while the database cannot be asked.
	Ready(ctx context.Context) error
}

// Content reads small objects whole, verified.
type Content interface {
	Content(ctx context.Context, ref release.Ref) ([]byte, error)
	Missing(ctx context.Context, objects []digest.Digest) ([]digest.Digest, error)
}

// Service is everything the handlers use. All fields but MinimumTool are required.
type Service struct {
	Door        Door
	Rules       Rules
	Catalogue   Catalogue
	Metadata    Metadata
	Records     Records
	Hotfixes    Hotfixes
	Content     Content
	Blobs       blob.Store
	Signer      *online.Service
	Now         func() time.Time
	Log         *slog.Logger
	MinimumTool string // oldest tool that may work with this service; empty: any

	members memberCache
}

// The roles a process may have; see [Service.Handler].
const (
	RoleAPI      = "api"      // /api
	RoleDelivery = "delivery" // /tuf and /objects
)

// Handler returns the handler of the given roles: API, delivery, or both.
func (s *Service) Handler(roles ...string) http.Handler {
	mux := http.NewServeMux()
	for _, role := range roles {
		switch role {
		case RoleAPI:
			s.routeAPI(mux)
		case RoleDelivery:
			s.routeDelivery(mux)
		}
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("/", s.notFound)
	return s.outside(mux)
}

func (s *Service) routeAPI(mux *http.ServeMux) {
	inner := http.NewServeMux()
	text, err := describe(s.operations(inner))
	inner.HandleFunc("GET "+openAPIPath, func(w http.ResponseWriter, r *http.Request) {
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text)
	})
	mux.Handle("/api/", gzhttp.GzipHandler(tagged(s.known(inner))))
	mux.HandleFunc("PUT "+api.Prefix+"/publishing/objects/{digest}", s.putObject)
	mux.HandleFunc("POST "+api.RegisterHotfixPath, s.registerHotfix)
	mux.HandleFunc("GET "+api.HotfixesPath+"/{product}/{version}/{name}", s.hotfixZip)
}

func (s *Service) routeDelivery(mux *http.ServeMux) {
	mux.Handle("GET "+api.MetadataPath+"{file}", gzhttp.GzipHandler(http.HandlerFunc(s.metadataFile)))
	mux.HandleFunc("GET "+api.TargetsPath+"{product}/{version}/{channel}/{file}", s.target)
	mux.HandleFunc("GET "+api.ObjectsPath+"{digest}", s.object)
}

func (s *Service) ready(w http.ResponseWriter, r *http.Request) {
	if err := s.Records.Ready(r.Context()); err != nil {
		s.Log.ErrorContext(r.Context(), "not ready", slog.String("error", err.Error()))
		s.refuse(w, r, unavailable(err))
		return
	}
	_, _ = w.Write([]byte("ready\n"))
}
