package content

import (
	"fmt"

	"uplevel/internal/manifest"
	"uplevel/internal/merge"
	"uplevel/internal/reconcile"
)

func (l *Looker) archive(_ *manifest.Entry, _, theirs manifest.Entry) (reconcile.Merged, error) {
	return reconcile.Merged{}, fmt.Errorf("%w: %s", merge.ErrWhole, theirs.Path)
}
