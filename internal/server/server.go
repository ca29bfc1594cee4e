// Package server answers the service's API v1 and delivers metadata and objects. Its
// handlers hold no rules: who may have what is asked of entitlement, what may become
// current of trust/online. Described in docs/design/api.md.
package server

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"uplevel/internal/api"
	"uplevel/internal/blob"
	"uplevel/internal/digest"
	"uplevel/internal/entitlement"
	"uplevel/internal/fleet"
	"uplevel/internal/release"
	"uplevel/internal/server/copies"
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
	// CurrentMetadata returns the current file of a role, or an error that is fs.ErrNotExist.
	CurrentMetadata(ctx context.Context, role string) ([]byte, error)
	ChangeMetadata(ctx context.Context, fn func(repo online.Repository) error) error
}

// Records are what installations and the vendor told.
type Records interface {
	AddReports(ctx context.Context, organisation string, reports []fleet.Told) ([]fleet.Fate, error)
	Installations(ctx context.Context, q fleet.Query) ([]fleet.Installation, error)
	Vendor(ctx context.Context) (api.Vendor, error)
	// Ready fails while the database cannot be asked.
	Ready(ctx context.Context) error
}

// Content reads small objects whole, verified.
type Content interface {
	Content(ctx context.Context, ref release.Ref) ([]byte, error)
	Missing(ctx context.Context, objects []digest.Digest) ([]digest.Digest, error)
}

// Service is everything the handlers use. All fields but Spool are required.
type Service struct {
	Door      Door
	Rules     Rules
	Catalogue Catalogue
	Metadata  Metadata
	Records   Records
	Hotfixes  Hotfixes
	Content   Content
	Blobs     blob.Store
	Signer    *online.Service
	Now       func() time.Time
	Log       *slog.Logger
	Spool     string // folder for copies of what anybody may ask for; empty: the system's

	members memberCache
	rooms   rooms
	copies  copies.Shelf
	judging sync.Mutex // of stored objects

	delivering atomic.Pointer[keyInForce]
}

// The roles a process may have; see [Service.Handler].
const (
	RoleAPI      = "api"      // /api
	RoleDelivery = "delivery" // /tuf and /objects
)

// Handler returns the handler of the given roles: API, delivery, or both.
func (s *Service) Handler(roles ...string) http.Handler {
	mux := http.NewServeMux()
	s.rooms, s.copies.Folder = newRooms(), s.Spool
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
	sum := digest.Of(text).String()
	mux.HandleFunc("GET "+openAPIPath, func(w http.ResponseWriter, r *http.Request) {
		s.givePublic(w, r, public{
			name: "openapi", kind: "application/json", cache: "private, no-cache", tag: `"` + sum + `"`, packs: true,
			write: func(w io.Writer) error { return written(w, text, err) },
		})
	})
	mux.Handle("/api/", gzhttp.GzipHandler(tagged(s.known(inner))))
	mux.HandleFunc("PUT "+api.Prefix+"/publishing/objects/{digest}", s.putObject)
	mux.HandleFunc("POST "+api.RegisterHotfixPath, s.registerHotfix)
	mux.HandleFunc("GET "+api.HotfixesPath+"/{product}/{version}/{name}", s.hotfixZip)
}

func (s *Service) routeDelivery(mux *http.ServeMux) {
	mux.HandleFunc("GET "+api.MetadataPath+"{file}", s.metadataFile)
	mux.HandleFunc("GET "+api.TargetsPath+"{product}/{version}/{channel}/{file}", s.target)
	mux.HandleFunc("GET "+toolRoute, s.toolProgram)
	mux.HandleFunc("GET "+api.ObjectsPath+"{digest}", s.object)
}

func (s *Service) ready(w http.ResponseWriter, r *http.Request) {
	if err := s.Records.Ready(r.Context()); err != nil {
		s.Log.ErrorContext(r.Context(), "not ready", slog.String("error", err.Error()))
		s.refuse(w, r, unavailable())
		return
	}
	_, _ = w.Write([]byte("ready\n"))
}
