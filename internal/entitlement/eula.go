package entitlement

import (
	"context"
	"fmt"
	"slices"
	"time"

	"uplevel/internal/problem"
)

// EULAState is how an organisation stands to the licence text.
type EULAState struct {
	InForce  EULA // the newest text; the zero value when there is none
	Accepted bool // the newest text was accepted
	Ever     bool // some text was accepted
	Required bool // a text whose required-from date has come is not accepted, nor a later one
}

// EULA tells how the principal's organisation stands to the licence text.
func (r Rules) EULA(ctx context.Context, p Principal) (EULAState, error) {
	texts, err := r.Store.EULAs(ctx)
	if err != nil {
		return EULAState{}, fmt.Errorf("reading EULAs: %w", err)
	}
	if len(texts) == 0 || p.IsStaff() {
		return JudgeEULA(r.Now(), texts, nil), nil
	}
	accepted, err := r.Store.Acceptances(ctx, p.User.Organisation)
	if err != nil {
		return EULAState{}, fmt.Errorf("reading EULA acceptances: %w", err)
	}
	return JudgeEULA(r.Now(), texts, accepted), nil
}

// Accept records that the principal accepts a text for the organisation. An empty
// version means the one in force; where there is no text nothing happens.
func (r Rules) Accept(ctx context.Context, p Principal, version, address string) error {
	if err := p.May(r.Now(), MayAccept); err != nil {
		return err
	}
	texts, err := r.Store.EULAs(ctx)
	if err != nil {
		return fmt.Errorf("reading EULAs: %w", err)
	}
	if version == "" {
		if len(texts) == 0 {
			return nil
		}
		version = texts[len(texts)-1].Version
	}
	if !slices.ContainsFunc(texts, func(e EULA) bool { return e.Version == version }) {
		return problem.New(problem.Usage, "look at the version in force and accept that one", "there is no EULA version %.40q", version)
	}
	return r.Store.AcceptEULA(ctx, p.Actor(address), Acceptance{
		Organisation: p.User.Organisation, Version: version, By: p.User.Email, At: r.Now(), Address: address,
	})
}

// JudgeEULA is the decision about texts (oldest first) and what was accepted of them.
func JudgeEULA(now time.Time, texts []EULA, accepted []Acceptance) EULAState {
	if len(texts) == 0 {
		return EULAState{}
	}
	st := EULAState{InForce: texts[len(texts)-1]}
	latest, required := -1, -1
	for i, text := range texts {
		if slices.ContainsFunc(accepted, func(a Acceptance) bool { return a.Version == text.Version }) {
			latest = i
		}
		if over(text.RequiredFrom, now) {
			required = i
		}
	}
	st.Ever = latest >= 0
	st.Accepted = latest == len(texts)-1
	st.Required = required > latest
	return st
}

func (e EULAState) refusal() error {
	const next = "read it in the portal or with the service's /api/v1/eula, then run the command again with --accept-eula"
	switch {
	case e.InForce.Version == "":
		return nil
	case !e.Ever:
		return problem.New(problem.NotEntitled, next, "your organisation has not accepted the EULA (version %s)", e.InForce.Version)
	case e.Required:
		return problem.New(problem.NotEntitled, next, "your organisation has not accepted the EULA that is now required (version %s)", e.InForce.Version)
	}
	return nil
}

func (e EULAState) reminder() []Message {
	if e.InForce.Version == "" || e.Accepted {
		return nil
	}
	text := fmt.Sprintf("There is a new EULA (version %s); what your organisation accepted goes on to hold", e.InForce.Version)
	if !e.InForce.RequiredFrom.IsZero() {
		text += " until " + day(e.InForce.RequiredFrom.Add(-time.Nanosecond))
	}
	return []Message{{"eula-new", text + ". Accept it with --accept-eula."}}
}
