package main

import (
	"context"
	"crypto/rand"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"uplevel/internal/api"
	"uplevel/internal/fetch"
	"uplevel/internal/problem"
	"uplevel/internal/publish"
	"uplevel/internal/publish/pack"
	"uplevel/internal/publish/signing"
	"uplevel/internal/trust/sign"
)

// maxPEM bounds the bytes of a file with certificate authorities.
const maxPEM = 4 << 20

// publisher puts the parts together for one command.
func (p *program) publisher(ctx context.Context) (*publish.Publisher, error) {
	client, err := p.client()
	if err != nil {
		return nil, err
	}
	cache, err := p.cacheDir()
	if err != nil {
		return nil, err
	}
	return &publish.Publisher{
		Store: client, Registry: client, Cache: filepath.Join(cache, "publish"), Now: p.now, Say: p.say,
		Objects: &fetch.Fetcher{Source: client, Dir: filepath.Join(cache, "objects"), Stall: p.patience, Now: p.now},
		Signer:  p.signer(ctx, client),
	}, nil
}

// signer signs with the folder's keys; without a client it does what needs no service.
func (p *program) signer(ctx context.Context, client ...*api.Client) *signing.Signer {
	s := &signing.Signer{
		Now: p.now,
		Folder: &sign.Folder{
			Dir: p.keys, Cost: sign.DefaultCost(), Random: rand.Reader,
			Passphrase: func(making bool) (string, error) { return p.keyPassphrase(ctx, making) },
		},
	}
	for _, c := range client {
		s.Service, s.Remote = c, c
	}
	return s
}

// vendor asks the service for the addresses that go into a pack.
func (p *program) vendor(ctx context.Context) (pack.Vendor, error) {
	client, err := p.client()
	if err != nil {
		return pack.Vendor{}, err
	}
	v, err := client.Vendor(ctx)
	return pack.Vendor{Service: p.service, Support: v.SupportURL, Portal: v.PortalURL}, err
}

// client speaks to the service with the publisher's token.
func (p *program) client() (*api.Client, error) {
	if p.service == "" {
		return nil, missing("service")
	}
	at, err := url.Parse(p.service)
	if err != nil || at.Scheme != "https" || at.Host == "" {
		return nil, problem.New(problem.Usage, "Write https://HOST[:PORT].", "--service %q is no address of a service", p.service)
	}
	if p.patience < 0 {
		return nil, problem.New(problem.Usage, "Give a length of time, such as --patience 30s.", "--patience %s is less than nothing", p.patience)
	}
	p.service = strings.TrimRight(p.service, "/")
	authorities, err := p.authorities()
	if err != nil {
		return nil, err
	}
	client, err := api.NewHTTP(api.HTTPOptions{CACert: authorities, Getenv: p.getenv, Patience: p.patience})
	if err != nil {
		return nil, err
	}
	return &api.Client{Base: p.service, HTTP: client, Token: p.token, UserAgent: name, Patience: p.patience}, nil
}

// token reads the publisher's token, white space around it dropped.
func (p *program) token(context.Context) (string, error) {
	if p.tokenFile == "" {
		return "", missing("token-file")
	}
	f, err := os.Open(p.tokenFile)
	if err != nil {
		return "", problem.New(problem.Usage, "Name the file with the publisher's token with --token-file.", "Unable to read the token: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret))
	text := strings.TrimSpace(string(data))
	if err == nil && text == "" {
		err = problem.New(problem.Usage, "Make one with: upleveld admin token add.", "%s holds no token", p.tokenFile)
	}
	return text, err
}

// authorities reads the file of --ca-cert; nothing means those of the system.
func (p *program) authorities() ([]byte, error) {
	if p.caCert == "" {
		return nil, nil
	}
	f, err := os.Open(p.caCert)
	if err != nil {
		return nil, problem.New(problem.Usage, "Name a file in PEM form with --ca-cert.", "Unable to read the certificate authority: %w", err)
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxPEM))
}

// cacheDir is the folder for what can be had again.
func (p *program) cacheDir() (string, error) {
	if p.cache != "" {
		return p.cache, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", problem.New(problem.Usage, "Name a folder with --cache.", "There is no cache folder: %w", err)
	}
	return filepath.Join(dir, "uplevel"), nil
}
