package content

import (
	"strings"
	"unicode/utf8"

	"uplevel/internal/merge"
	"uplevel/internal/plan"
)

// The bounds of what a plan says of one file's disputes.
const (
	maxDisputes = 200
	maxShown    = 400 // bytes of one side
)

// disputes are conflicts as a plan lists them.
func disputes(conflicts []merge.Conflict) []plan.Dispute {
	var out []plan.Dispute
	for _, c := range conflicts {
		if len(out) == maxDisputes {
			return append(out, plan.Dispute{Key: "… and more"})
		}
		out = append(out, plan.Dispute{Key: c.Key, Base: shown(c.Base), Mine: shown(c.Mine), Theirs: shown(c.Theirs)})
	}
	return out
}

func shown(v merge.Value) *string {
	if !v.Present {
		return nil
	}
	text := strings.ToValidUTF8(v.Text, "�")
	if len(text) > maxShown {
		cut := maxShown
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	return &text
}
