package main

import "uplevel/internal/update"

// verifier needs no network, but for a product that another tool left: what its level
// must hold is fetched, with credentials at hand.
func (t *tool) verifier() (*update.Updater, error) {
	if err := t.open(reads); err != nil {
		return nil, err
	}
	if !t.home.State().Record.Sum.IsZero() || t.options.offline {
		return t.updater(reads, alone)
	}
	u, err := t.updater(reads, maybe)
	if err == nil {
		t.quietReport(u)
	}
	return u, err
}
