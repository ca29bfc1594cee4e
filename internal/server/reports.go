package server

import (
	"context"

	"uplevel/internal/api"
	"uplevel/internal/entitlement"
	"uplevel/internal/fleet"
	"uplevel/internal/problem"
)

// report takes one report that was made just now.
func (s *Service) report(ctx context.Context, in *asked[api.Report]) (*struct{}, error) {
	p, err := s.may(ctx, in.Caller, entitlement.MayReport)
	if err != nil {
		return nil, err
	}
	t := fleet.Told{Report: fleet.Report(in.Body), Received: s.Now()}
	if err := t.Check(); err != nil {
		return nil, s.answerTo(ctx, problem.New(problem.Usage, "Correct the report.", "%w", err))
	}
	if _, err := s.Records.AddReports(ctx, p.Organisation.ID, []fleet.Told{t}); err != nil {
		return nil, s.answerTo(ctx, err)
	}
	return &struct{}{}, nil
}

// carriedReports takes reports that were made some time ago. Those that are malformed do
// not hold up the others.
func (s *Service) carriedReports(ctx context.Context, in *asked[api.CarriedReports]) (*body[api.CarriedAnswer], error) {
	p, err := s.may(ctx, in.Caller, entitlement.MayReport)
	if err != nil {
		return nil, err
	}
	out := api.CarriedAnswer{Items: make([]api.ReportFate, len(in.Body.Reports))}
	var good []fleet.Told
	var places []int
	for n, r := range in.Body.Reports {
		t := fleet.Told{Report: fleet.Report(r), Received: s.Now(), Carried: true}
		if err := t.Check(); err != nil {
			out.Items[n] = api.ReportFate{Fate: string(fleet.Refused), Text: err.Error()}
			continue
		}
		good, places = append(good, t), append(places, n)
	}
	fates, err := s.Records.AddReports(ctx, p.Organisation.ID, good)
	if err != nil {
		return nil, s.answerTo(ctx, err)
	}
	for i, fate := range fates {
		out.Items[places[i]].Fate = string(fate)
	}
	return &body[api.CarriedAnswer]{out}, nil
}

type pageOfInstallations struct {
	Caller
	Product string `query:"product" maxLength:"64"`
	Limit   int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	After   string `query:"after" maxLength:"64" doc:"next of the page before"`
}

// installations lists what the caller's organisation reported.
func (s *Service) installations(ctx context.Context, in *pageOfInstallations) (*body[api.Installations], error) {
	p, err := s.may(ctx, in.Caller, entitlement.MaySeeFleet)
	if err != nil {
		return nil, err
	}
	found, err := s.Records.Installations(ctx, fleet.Query{
		Organisation: p.Organisation.ID, Product: in.Product, After: in.After, Limit: in.Limit + 1,
	})
	if err != nil {
		return nil, s.answerTo(ctx, err)
	}
	out := api.Installations{Items: []api.Installation{}}
	if len(found) > in.Limit {
		found = found[:in.Limit]
		out.Next = found[in.Limit-1].Installation
	}
	for _, i := range found {
		out.Items = append(out.Items, Seen(i))
	}
	return &body[api.Installations]{out}, nil
}

// Seen is an installation as those who may see it are told of it.
func Seen(i fleet.Installation) api.Installation {
	out := api.Installation{
		ID: i.Installation, Host: i.Host, Product: i.Product, Version: i.Version, Channel: i.Channel, Level: i.Level,
		Hotfixes: append([]string{}, i.Hotfixes...), Outcome: i.Outcome, Tool: i.Tool, OS: i.OS,
		Received: i.Received, First: i.First, Last: i.Last, Reports: i.Reports,
	}
	if !i.Made.IsZero() {
		out.Made = &i.Made
	}
	if c := i.Change; !c.At.IsZero() {
		out.LastChange = &api.ReportedWork{Operation: c.Operation, Outcome: c.Outcome, FromLevel: c.FromLevel, At: c.At}
	}
	if d := i.Drift; !d.At.IsZero() {
		out.Drift = &api.ReportedDrift{Customised: d.Customised, Missing: d.Missing, At: d.At}
	}
	return out
}
