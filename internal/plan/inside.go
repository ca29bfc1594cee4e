package plan

import "uplevel/internal/release"

// Inside is the merge of one file's content. At a conflict Mine and Theirs are what the
// two choices would give; both hold everything that could be merged.
type Inside struct {
	How         string       `json:"how"`                    // "by key (TOML)", "by line", "as resolved on 2026-11-24"
	RenamedFrom string       `json:"renamed_from,omitempty"` // the vendor moved the file; the operator's edit goes with it
	Mine        *release.Ref `json:"mine,omitempty"`
	Theirs      *release.Ref `json:"theirs,omitempty"`
	Disputes    []Dispute    `json:"disputes,omitempty"`
}

// Dispute is one place that both sides changed and left different. A side that has
// nothing there is nil. Texts are shortened for people.
type Dispute struct {
	Key    string  `json:"key"` // "server.port", "lines 10–12"; empty: the file as a whole
	Base   *string `json:"base"`
	Mine   *string `json:"mine"`
	Theirs *string `json:"theirs"`
}

// Merged is the content of a merged file.
type Merged struct {
	How      string      // "by key (TOML)"
	Mine     release.Ref // with the operator's side at each dispute
	Theirs   release.Ref // with the vendor's; zero without disputes
	Disputes []Dispute   // what both sides changed and left different
	Resolved bool        // an earlier decision on the same three contents was taken again
}
