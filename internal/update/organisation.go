package update

import (
	"context"

	"uplevel/internal/api"
	"uplevel/internal/hotfix"
	"uplevel/internal/problem"
)

// Learn asks the service whose the installation is and keeps that, for hotfixes that are
// applied later without network or credentials. What is known already is not asked again.
// Of an installation that another tool left, what its level must hold is fetched too: it
// is the base of every hotfix, and only the one with credentials gets it.
func (u *Updater) Learn(ctx context.Context) error {
	return u.exclusive(ctx, false, func() error {
		if err := u.learnOwner(ctx); err != nil {
			return err
		}
		state := u.Home.State()
		if !state.Record.Sum.IsZero() || u.Trust == nil {
			return nil
		}
		view, _, err := u.refreshed(ctx, state.Line())
		if err != nil {
			return err
		}
		_, err = u.installed(ctx, view)
		return err
	})
}

func (u *Updater) learnOwner(ctx context.Context) error {
	known, err := u.Home.Organisation()
	if err != nil || known.ID != "" {
		return err
	}
	may, err := u.Service.Check(ctx, u.checkRequest(u.Home.State().Line()))
	if err != nil || may.Organisation == "" {
		return err
	}
	o := Organisation{ID: may.Organisation}
	for _, h := range may.Hotfixes {
		if h.Organisation == o.ID {
			o.Name = h.For
		}
	}
	return u.Home.Learn(o)
}

// learned keeps whose the installation is, as the first answer of the service told it.
// That it cannot be kept is no failure: it is needed for hotfixes only.
func (u *Updater) learned(may api.CheckAnswer, dryRun bool) {
	if dryRun || may.Organisation == "" {
		return
	}
	known, err := u.Home.Organisation()
	if err == nil && known.ID == "" {
		err = u.Home.Learn(Organisation{ID: may.Organisation})
	}
	if err != nil {
		u.Log.Warn("the organisation is not kept", "error", err)
	} else if known.ID != "" && known.ID != may.Organisation {
		u.Log.Warn("the credentials are of another organisation than the product", "product", known.ID, "credentials", may.Organisation)
	}
}

// owner returns whose the installation is: as it was learned, or whom the hotfixes that
// are applied are for. It is zero where neither tells.
func (u *Updater) owner(on level) (Organisation, error) {
	o, err := u.Home.Organisation()
	if err != nil || o.ID != "" {
		return o, err
	}
	for _, h := range on.hotfixes {
		o = Organisation{ID: h.record.Organisation, Name: h.record.For}
	}
	return o, nil
}

// isFor refuses a hotfix of another organisation, or one whose organisation nobody
// confirms. confirmed is the name that the operator gave, or empty.
func isFor(r hotfix.Record, owner Organisation, confirmed string) error {
	const ask = "Ask the vendor's support for the hotfix of your organisation."
	switch {
	case confirmed != "" && hotfix.ShortName(confirmed) != r.For:
		return problem.New(problem.Verification, ask, "Hotfix %s is for %s, not for %s", r.Name, r.For, confirmed)
	case owner.ID != "" && owner.ID != r.Organisation:
		whose := owner.ID
		if owner.Name != "" {
			whose = owner.Name
		}
		return problem.New(problem.Verification, ask+" If this product changed hands, remove updates/organisation.",
			"Hotfix %s is for %s (%s); this product is of %s", r.Name, r.For, r.Organisation, whose)
	case owner.ID == "" && confirmed == "":
		return problem.New(problem.Refused, "If that is your organisation, run the command again with --for "+r.For+".",
			"Hotfix %s is for %s, and it is not known here whose this product is", r.Name, r.For)
	}
	return nil
}
