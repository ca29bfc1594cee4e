package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"uplevel/internal/durable"
	"uplevel/internal/entitlement/access"
	"uplevel/internal/problem"
	"uplevel/internal/sqlstore"
	"uplevel/internal/trust/online"
)

// Limits of the HTTP server; handlers set shorter ones where they can. A download that
// takes longer than its limit is resumed by the tool.
const (
	headerTimeout  = 10 * time.Second
	requestTimeout = time.Hour     // to send an upload
	answerTimeout  = 4 * time.Hour // to take a download
	idleTimeout    = 2 * time.Minute
	maxHeader      = 64 << 10
	drainTimeout   = 20 * time.Second // for requests in flight when it stops
)

func (p *program) serveCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{Use: "serve", Short: "Run the service", Args: exactly()}
	s.flags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := s.check(); err != nil {
			return err
		}
		if s.dev {
			if err := checkEmpty(p.data); err != nil {
				return err
			}
		}
		return p.serve(cmd.Context(), s)
	}
	return cmd
}

// service is a running service: its parts, put together.
type service struct {
	settings
	p      *program
	log    *slog.Logger
	store  published
	signer *online.Service
	door   *access.Door
}

// serve runs until ctx ends, then lets requests in flight finish and closes everything.
func (p *program) serve(ctx context.Context, s settings) error {
	log := slog.New(slog.NewJSONHandler(p.stderr, nil))
	if p.getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(s.memory) << 20)
	}
	// First: an address that is taken leaves no data folder behind that is half made.
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.listen)
	if err != nil {
		return problem.New(problem.Refused, "give another one with --listen HOST:PORT, or end what listens there",
			"the address %s cannot be listened on: %w", s.listen, err).Standing("the service was not started")
	}
	svc, err := p.assemble(ctx, s, log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	return errors.Join(svc.run(ctx, listener), svc.store.Close())
}

// assemble opens database, object store and keys.
func (p *program) assemble(ctx context.Context, s settings, log *slog.Logger) (*service, error) {
	if err := durable.MkdirAll(p.data, 0o700); err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	blobs, err := p.objectStore()
	if err != nil {
		return nil, err
	}
	objects := content{blobs}
	db, err := p.makeDatabase(ctx, objects.record)
	if err != nil {
		return nil, err
	}
	svc := &service{settings: s, p: p, log: log, store: published{DB: db, blobs: blobs, log: log, stuck: &atomic.Pointer[error]{}}, door: p.door(db, log)}
	if err := svc.start(ctx, db, objects); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return svc, nil
}

func (svc *service) start(ctx context.Context, db *sqlstore.DB, objects content) error {
	keys, err := svc.p.onlineKeys(ctx, db)
	if err != nil {
		return err
	}
	svc.signer = &online.Service{Keys: keys[0], Older: keys[1:], Objects: objects, Now: svc.p.now}
	if !slices.Contains(svc.roles, roleWorker) {
		return nil // its copies would hide from the worker that the database is behind
	}
	svc.store.restart(ctx, svc.signer) // before repair, which copies what the database holds
	return svc.store.repair(ctx)
}

// run serves and stops.
func (svc *service) run(ctx context.Context, listener net.Listener) error {
	if svc.publicURL == "" {
		svc.publicURL = "https://" + listener.Addr().String()
	}
	server, err := svc.httpServer(ctx)
	if err == nil && svc.dev {
		err = svc.p.seedDev(ctx, svc.store.DB, svc.door, svc.publicURL)
	}
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if server.TLSConfig != nil {
		listener = tls.NewListener(listener, server.TLSConfig)
	}
	svc.log.InfoContext(ctx, "serving", slog.String("listen", listener.Addr().String()), slog.String("public_url", svc.publicURL),
		slog.Any("roles", svc.roles), slog.Bool("dev", svc.dev))
	return svc.untilEnd(ctx, server, listener)
}

// untilEnd serves until ctx ends or the listener fails.
func (svc *service) untilEnd(ctx context.Context, server *http.Server, listener net.Listener) error {
	working, stop := context.WithCancel(ctx)
	var workers sync.WaitGroup
	if slices.Contains(svc.roles, roleWorker) {
		workers.Go(func() { svc.store.renew(working, svc.signer) })
		workers.Go(func() { svc.sweep(working) })
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		svc.log.InfoContext(ctx, "stopping")
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		err = svc.shutDown(drain, server)
		cancel()
	}
	stop()
	workers.Wait()
	svc.log.InfoContext(ctx, "stopped")
	return err
}

// shutDown lets requests in flight finish. Those that take longer than ctx are cut off:
// a download goes on where it was, and this is still a clean end.
func (svc *service) shutDown(ctx context.Context, server *http.Server) error {
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		svc.log.WarnContext(ctx, "requests were cut off")
		return server.Close()
	}
	return err
}

func (svc *service) httpServer(ctx context.Context) (*http.Server, error) {
	config, err := svc.tlsConfig()
	if err != nil {
		return nil, err
	}
	handler, err := svc.p.newHandler(svc)
	if err != nil {
		return nil, err
	}
	return &http.Server{
		Handler: brisk(handler, time.Now), TLSConfig: config, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: streams},
		ReadHeaderTimeout: headerTimeout, ReadTimeout: requestTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(svc.log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}, nil
}

// suites are what TLS 1.2 may use: forward secrecy and authenticated encryption only. Those
// of TLS 1.3 all are, and cannot be chosen.
func suites() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
}

// tlsConfig returns nil when a proxy on this machine speaks TLS instead.
func (svc *service) tlsConfig() (*tls.Config, error) {
	var cert tls.Certificate
	var err error
	switch {
	case svc.dev:
		cert, err = svc.p.devCertificate()
	case svc.tlsCert != "":
		cert, err = tls.LoadX509KeyPair(svc.tlsCert, svc.tlsKey)
	default:
		return nil, nil //nolint:nilnil // no TLS is a choice that was checked
	}
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, CipherSuites: suites(), NextProtos: []string{"h2", "http/1.1"},
	}, nil
}
