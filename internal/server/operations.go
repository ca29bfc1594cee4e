package server

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"uplevel/internal/api"
	"uplevel/internal/entitlement"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust/online"
)

// Caller is what every operation that needs a token takes in.
type Caller struct {
	Authorization string `header:"Authorization" hidden:"true"`

	address string
}

// Resolve keeps the client's address for the audit log.
func (c *Caller) Resolve(ctx huma.Context) []error {
	var forwarded []string
	ctx.EachHeader(func(name, value string) {
		if http.CanonicalHeaderKey(name) == forwardedFor {
			forwarded = append(forwarded, value)
		}
	})
	c.address = clientAddress(ctx.RemoteAddr(), forwarded)
	return nil
}

type body[T any] struct{ Body T }

type asked[T any] struct {
	Caller
	Body T
}

type lineInPath struct {
	Caller
	Product string `path:"product" maxLength:"64"`
	Version string `path:"version" maxLength:"40"`
	Channel string `path:"channel" maxLength:"64"`
}

// operations registers API v1 on a mux.
func (s *Service) operations(mux *http.ServeMux) huma.API {
	a := humago.New(mux, s.config())
	a.UseMiddleware(s.admit)
	post(a, "tokens", "Get a token for a password", smallBody, s.newToken)
	post(a, "check", "What may the caller have", api.MaxBody, s.check)
	post(a, "deliveries", "Get URLs of a level's objects", api.MaxBody, s.deliveries)
	post(a, "reports", "Tell where an installation stands", api.MaxReport, s.report)
	post(a, "reports/carried", "Tell what was carried out of other networks", api.MaxBody, s.carriedReports)
	post(a, "eula/acceptances", "Accept the EULA for the organisation", api.MaxBody, s.acceptEULA)
	post(a, "publishing/missing", "Which objects does the store lack", api.MaxBody, s.missing)
	post(a, "publishing/metadata", "Make signed metadata current", api.MaxMetadataBody, s.submit)
	get(a, "eula", "The EULA in force", s.eula)
	get(a, "installations", "Installations of the caller's organisation", s.installations)
	get(a, "vendor", "Who the vendor is", s.vendor)
	get(a, "publishing/online-keys", "Public keys of snapshot and timestamp", s.onlineKeys)
	get(a, "publishing/organisations", "Who is called that", s.organisation)
	get(a, "hotfixes", "Hotfixes of the caller's organisation", s.listHotfixes)
	get(a, "products/{product}/{version}/channels/{channel}/levels", "Levels that the caller may see", s.levels)
	describeRest(a.OpenAPI())
	return a
}

func post[I, O any](a huma.API, path, summary string, limit int64, do func(context.Context, *I) (*O, error)) {
	huma.Register(a, operation(a, http.MethodPost, path, summary, limit), do)
}

func get[I, O any](a huma.API, path, summary string, do func(context.Context, *I) (*O, error)) {
	huma.Register(a, operation(a, http.MethodGet, path, summary, 0), do)
}

// bodyTime is how long a megabyte of a request may take to come.
const bodyTime = time.Minute

func operation(a huma.API, method, path, summary string, limit int64) huma.Operation {
	o := huma.Operation{
		Method: method, Path: api.Prefix + "/" + path, Summary: summary, OperationID: operationID(method, path),
		MaxBodyBytes: limit, BodyReadTimeout: bodyTime * time.Duration(1+limit>>21), Responses: map[string]*huma.Response{"default": problemResponse(a.OpenAPI())},
	}
	if path != "tokens" && path != "vendor" {
		o.Security = []map[string][]string{{"token": {}}}
	}
	return o
}

// operationID is how generated clients name an operation: post-publishing-missing.
func operationID(method, path string) string {
	plain := strings.NewReplacer("/", "-", "{", "", "}", "").Replace(path)
	return strings.ToLower(method) + "-" + plain
}

// may returns who calls, when they have the right.
func (s *Service) may(ctx context.Context, c Caller, right entitlement.Right) (entitlement.Principal, error) {
	p, err := s.principal(ctx, c.Authorization)
	if err == nil {
		err = p.May(s.Now(), right)
	}
	if err != nil {
		return entitlement.Principal{}, s.answerTo(ctx, err)
	}
	return p, nil
}

// principal returns who calls; asked again for the same request it is known.
func (s *Service) principal(ctx context.Context, authorization string) (entitlement.Principal, error) {
	if p, known := ctx.Value(principalKey{}).(entitlement.Principal); known {
		return p, nil
	}
	token, err := bearer(authorization)
	if err != nil {
		return entitlement.Principal{}, err
	}
	p, err := s.Door.Principal(ctx, token)
	if err == nil {
		about := noteOf(ctx)
		about.user, about.token = p.User.ID, p.Token.ID
	}
	return p, err
}

type tokenRequest struct {
	Caller
	Body api.TokenRequest
}

func (s *Service) newToken(ctx context.Context, in *tokenRequest) (*body[api.Token], error) {
	secret, token, err := s.Door.Login(ctx, in.Body.Email, in.Body.Password, in.address)
	if err != nil {
		return nil, s.answerTo(ctx, err)
	}
	about := noteOf(ctx)
	about.user, about.token = token.User, token.ID
	return &body[api.Token]{api.Token{Token: secret, Expires: token.Expires}}, nil
}

func lineOf(product, version, channel string) (release.Line, error) {
	line := release.Line{Product: product, Version: version, Channel: channel}
	if err := line.Check(); err != nil {
		return line, problem.New(problem.Usage, "Correct the product, version or channel.", "%w", err)
	}
	return line, nil
}

func (s *Service) check(ctx context.Context, in *asked[api.CheckRequest]) (*body[api.CheckAnswer], error) {
	p, err := s.may(ctx, in.Caller, entitlement.MayCheck)
	if err != nil {
		return nil, err
	}
	line, err := lineOf(in.Body.Product, in.Body.Version, in.Body.Channel)
	if err != nil {
		return nil, s.answerTo(ctx, err)
	}
	grant, err := s.Rules.For(ctx, p, line)
	if err != nil {
		return nil, s.answerTo(ctx, err)
	}
	levels, err := s.Catalogue.Levels(ctx, line)
	if err != nil {
		return nil, s.answerTo(ctx, err)
	}
	vendor, err := s.Records.Vendor(ctx)
	if err != nil {
		return nil, s.answerTo(ctx, err)
	}
	out := api.CheckAnswer{
		Entitlement: api.Entitlement{Kind: string(grant.Kind), State: string(grant.State)},
		Messages:    []api.Message{}, MinimumTool: vendor.MinimumTool, Organisation: p.Organisation.ID, States: []string{},
	}
	if !grant.Until.IsZero() {
		out.Entitlement.Until = &grant.Until
	}
	for _, m := range grant.Messages {
		out.Messages = append(out.Messages, api.Message(m))
	}
	for _, state := range grant.States {
		out.States = append(out.States, string(state))
	}
	listings := make([]release.Listing, 0, len(levels))
	for _, l := range levels {
		listings = append(listings, l.Listing)
	}
	if highest, limited := grant.MaxLevel(listings); limited {
		out.MaxLevel = &highest
	}
	if out.Hotfixes, err = s.fitting(ctx, p, line, in.Body.Level); err != nil {
		return nil, s.answerTo(ctx, err)
	}
	return &body[api.CheckAnswer]{out}, nil
}

func (s *Service) eula(ctx context.Context, in *Caller) (*body[api.EULA], error) {
	p, err := s.may(ctx, *in, entitlement.MayCheck)
	if err != nil {
		return nil, err
	}
	state, err := s.Rules.EULA(ctx, p)
	if err != nil {
		return nil, s.answerTo(ctx, err)
	}
	return &body[api.EULA]{api.EULA{Version: state.InForce.Version, Text: state.InForce.Text, Accepted: state.Accepted}}, nil
}

func (s *Service) acceptEULA(ctx context.Context, in *asked[api.EULAAcceptance]) (*struct{}, error) {
	p, err := s.may(ctx, in.Caller, entitlement.MayAccept)
	if err != nil {
		return nil, err
	}
	if err := s.Rules.Accept(ctx, p, in.Body.Version, in.address); err != nil {
		return nil, s.answerTo(ctx, err)
	}
	return &struct{}{}, nil
}

func (s *Service) vendor(ctx context.Context, _ *struct{}) (*body[api.Vendor], error) {
	v, err := s.Records.Vendor(ctx)
	if err != nil {
		return nil, s.answerTo(ctx, err)
	}
	return &body[api.Vendor]{v}, nil
}

// levels lists what the caller may see; the vendor's publishers see every state.
func (s *Service) levels(ctx context.Context, in *lineInPath) (*body[[]api.Level], error) {
	p, err := s.may(ctx, in.Caller, entitlement.MayCheck)
	if err != nil {
		return nil, err
	}
	line, err := lineOf(in.Product, in.Version, in.Channel)
	if err != nil {
		return nil, s.answerTo(ctx, err)
	}
	grant, err := s.Rules.For(ctx, p, line)
	if err != nil {
		return nil, s.answerTo(ctx, err)
	}
	published, err := s.Catalogue.Levels(ctx, line)
	if err != nil {
		return nil, s.answerTo(ctx, err)
	}
	out := []api.Level{}
	for _, l := range published {
		if grant.Level(l.Listing) == nil {
			out = append(out, api.Level{Listing: l.Listing, Manifest: l.Manifest, Notes: l.Notes})
		}
	}
	return &body[[]api.Level]{out}, nil
}

func (s *Service) missing(ctx context.Context, in *asked[api.MissingRequest]) (*body[api.MissingAnswer], error) {
	if _, err := s.may(ctx, in.Caller, entitlement.MayPublish); err != nil {
		return nil, err
	}
	lacking, err := s.lacking(ctx, in.Body.Objects)
	if err != nil {
		return nil, s.answerTo(ctx, err)
	}
	return &body[api.MissingAnswer]{api.MissingAnswer{Objects: lacking}}, nil
}

func (s *Service) submit(ctx context.Context, in *asked[api.MetadataSubmission]) (*body[api.MetadataAnswer], error) {
	if _, err := s.may(ctx, in.Caller, entitlement.MayPublish); err != nil {
		return nil, err
	}
	docs := make([]online.Document, 0, len(in.Body.Metadata))
	for _, m := range in.Body.Metadata {
		docs = append(docs, online.Document(m))
	}
	var result online.Result
	err := s.Metadata.ChangeMetadata(ctx, func(repo online.Repository) error {
		var err error
		result, err = s.Signer.Submit(ctx, repo, docs)
		return err
	})
	if err != nil {
		return nil, s.answerTo(ctx, err)
	}
	return &body[api.MetadataAnswer]{api.MetadataAnswer{Snapshot: result.Snapshot, Timestamp: result.Timestamp}}, nil
}

func (s *Service) onlineKeys(ctx context.Context, in *Caller) (*body[api.OnlineKeys], error) {
	if _, err := s.may(ctx, *in, entitlement.MayPublish); err != nil {
		return nil, err
	}
	snapshot, timestamp, err := s.Signer.Keys.Public()
	if err != nil {
		return nil, s.answerTo(ctx, err)
	}
	return &body[api.OnlineKeys]{api.OnlineKeys{Snapshot: snapshot, Timestamp: timestamp}}, nil
}
