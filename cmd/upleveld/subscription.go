package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"uplevel/internal/entitlement"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/sqlstore"
)

// subscriptionFlags are the options of `subscription add`.
type subscriptionFlags struct {
	organisation, product, version, kind, until, expiry, acceptedBy string
	channels, states                                                []string
	grace                                                           int
}

func (p *program) subscriptionAdd() *cobra.Command {
	var f subscriptionFlags
	cmd := &cobra.Command{Use: "add", Short: "Let an organisation have a product", Args: exactly()}
	flags := cmd.Flags()
	flags.StringVar(&f.organisation, "organisation", "", "the customer")
	flags.StringVar(&f.product, "product", "", "the product, every version")
	flags.StringVar(&f.version, "version", "", "only that version")
	flags.StringVar(&f.kind, "kind", string(entitlement.Paid), "paid or trial")
	flags.StringVar(&f.until, "until", "", "last day, YYYY-MM-DD (default: no end; a trial: 90 days)")
	flags.StringVar(&f.acceptedBy, "eula-accepted-by", "", "record that this person accepted the EULA in force for the organisation")
	flags.StringArrayVar(&f.channels, "channel", []string{release.DefaultChannel}, "channel that it covers")
	flags.StringArrayVar(&f.states, "state", nil, "level states besides live: testing, verifying")
	flags.IntVar(&f.grace, "grace-days", entitlement.GraceDays, "days that everything works after the last day")
	flags.StringVar(&f.expiry, "expiry", string(entitlement.Stop), "what remains after that: stop, or keep (what was released before)")
	cmd.RunE = p.onDatabase(func(ctx context.Context, db *sqlstore.DB, _ []string) error {
		if err := needs(cmd, "organisation", "product"); err != nil {
			return err
		}
		return p.addSubscription(ctx, db, f)
	})
	return cmd
}

func (p *program) addSubscription(ctx context.Context, db *sqlstore.DB, f subscriptionFlags) error {
	o, err := db.OrganisationByName(ctx, f.organisation)
	if err != nil {
		return err
	}
	s, err := f.subscription(o.ID, p.now())
	if err != nil {
		return usage(err)
	}
	if s, err = db.AddSubscription(ctx, p.actor(), s); err != nil {
		return err
	}
	until := "without end"
	if !s.Ends.IsZero() {
		until = "until " + s.LastDay().Format(time.DateOnly)
	}
	p.done("%s has %s (%s) %s", o.Name, s.Product, s.Kind, until)
	if f.acceptedBy == "" {
		return nil
	}
	return p.recordAcceptance(ctx, db, o, f.acceptedBy)
}

func (f subscriptionFlags) subscription(organisation string, now time.Time) (entitlement.Subscription, error) {
	s := entitlement.Subscription{
		Organisation: organisation, Product: f.product, Version: f.version, Channels: f.channels, Kind: entitlement.Kind(f.kind),
		Begins: now, GraceDays: f.grace, Expiry: entitlement.Policy(f.expiry),
	}
	for _, text := range f.states {
		s.States = append(s.States, release.State(text))
	}
	var err error
	switch {
	case f.until != "":
		s.Ends, err = entitlement.EndOfDay(f.until)
	case s.Kind == entitlement.Trial:
		s.Ends = now.AddDate(0, 0, entitlement.TrialDays)
	}
	return s, errors.Join(err, s.Check())
}

func (p *program) recordAcceptance(ctx context.Context, db *sqlstore.DB, o entitlement.Organisation, by string) error {
	texts, err := db.EULAs(ctx)
	if err != nil {
		return err
	}
	if len(texts) == 0 {
		fmt.Fprintln(p.stderr, "upleveld: there is no EULA yet, so nothing to accept was recorded")
		return nil
	}
	version := texts[len(texts)-1].Version
	a := entitlement.Acceptance{Organisation: o.ID, Version: version, By: by, At: p.now()}
	if err := db.AcceptEULA(ctx, p.actor(), a); err != nil {
		return err
	}
	p.done("%s accepted EULA %s for %s", by, version, o.Name)
	return nil
}

func (p *program) subscriptionRevoke() *cobra.Command {
	var organisation, product string
	cmd := &cobra.Command{Use: "revoke", Short: "End an organisation's subscriptions to a product at once", Args: exactly()}
	cmd.Flags().StringVar(&organisation, "organisation", "", "the customer")
	cmd.Flags().StringVar(&product, "product", "", "the product")
	cmd.RunE = p.onDatabase(func(ctx context.Context, db *sqlstore.DB, _ []string) error {
		if err := needs(cmd, "organisation", "product"); err != nil {
			return err
		}
		o, err := db.OrganisationByName(ctx, organisation)
		if err != nil {
			return err
		}
		all, err := db.Subscriptions(ctx, o.ID)
		if err != nil {
			return err
		}
		n := 0
		for _, s := range all {
			if s.Product == product && s.Revoked.IsZero() {
				n++
				if err := db.RevokeSubscription(ctx, p.actor(), s.ID, p.now()); err != nil {
					return err
				}
			}
		}
		if n == 0 {
			return problem.New(problem.Failed, "look at the product's name", "%s has no subscription to %.80q", o.Name, product)
		}
		p.done("%d revoked", n)
		return nil
	})
	return cmd
}
