package release

// Published is a level as the service's catalogue holds it: what the signed role lists,
// and what the release record names.
type Published struct {
	Listed
	Manifest Ref `json:"manifest"`
	Notes    Ref `json:"notes"`
}
