// Package api is the language between the programs: the paths, requests and answers of
// the service's API v1, and the client that speaks it. Described in docs/design/api.md
// and served as OpenAPI 3.1 at /api/openapi.json.
package api

import (
	"time"

	"uplevel/internal/digest"
	"uplevel/internal/release"
)

// Paths of the service. Metadata and objects are served outside the API's prefix.
const (
	Prefix       = "/api/v1"
	MetadataPath = "/tuf/"         // TUF repository: N.role.json, timestamp.json; public
	TargetsPath  = "/tuf/targets/" // TUF targets (release records), consistent names; public
	ObjectsPath  = "/objects/"     // stored objects by digest; signed URLs only
)

// Limits that both sides know.
const (
	MaxObjectsAsked = 2000     // digests in one DeliveryRequest or MissingRequest
	MaxBody         = 1 << 20  // bytes of a JSON request, unless said otherwise
	MaxMetadataBody = 32 << 20 // bytes of a MetadataSubmission
	MaxRoles        = 100      // files in one MetadataSubmission
	MaxReports      = 100      // reports in one CarriedReports
	MaxReport       = 64 << 10 // bytes of one report's text
	MaxAnswer       = 8 << 20  // bytes of a JSON answer that a client reads
)

// Scopes of a token. A token without scopes has what its user's role has.
const (
	ScopeUpdate  = "update"  // check, deliveries, reports
	ScopeReport  = "report"  // reports only
	ScopePublish = "publish" // the publishing group
)

// TokenRequest asks for a short-lived token: POST /api/v1/tokens.
type TokenRequest struct {
	Email    string `json:"email" maxLength:"254"`
	Password string `json:"password" maxLength:"1024"`
}

// Token is a bearer token; it is good for updating only.
type Token struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

// CheckRequest says what is installed: POST /api/v1/check. The levels themselves come
// from signed metadata; the answer says what the caller may have of them.
type CheckRequest struct {
	Product string `json:"product" maxLength:"64"`
	Version string `json:"version" maxLength:"40"`
	Channel string `json:"channel" maxLength:"64"`
	Level   int    `json:"level" minimum:"0"`
	Tool    string `json:"tool,omitempty" maxLength:"40"` // the tool's version
}

// CheckAnswer is the caller's entitlement and what must be said to them.
type CheckAnswer struct {
	Entitlement  Entitlement `json:"entitlement"`
	Messages     []Message   `json:"messages" nullable:"false"`
	MinimumTool  string      `json:"minimum_tool,omitempty"`    // older tools must renew themselves before they ask for deliveries
	Organisation string      `json:"organisation"`              // opaque id
	MaxLevel     *int        `json:"max_level,omitempty"`       // highest level a lapsed subscription keeps
	States       []string    `json:"states" nullable:"false"`   // level states the caller may ask for
	Hotfixes     []Hotfix    `json:"hotfixes" nullable:"false"` // of the caller's organisation that fit the installed level
}

// Entitlement is what a subscription gives now.
type Entitlement struct {
	Kind  string     `json:"kind"`            // paid or trial
	State string     `json:"state"`           // active, grace or kept
	Until *time.Time `json:"until,omitempty"` // last day; absent: no end
}

// Message is one line for the operator.
type Message struct {
	Code string `json:"code"` // expiring, grace, eula-new, …
	Text string `json:"text"`
}

// DeliveryRequest asks for URLs of objects of one level: POST /api/v1/deliveries.
// Every object must belong to the level: its release record, manifest, notes or files.
type DeliveryRequest struct {
	Product string          `json:"product" maxLength:"64"`
	Version string          `json:"version" maxLength:"40"`
	Channel string          `json:"channel" maxLength:"64"`
	Level   int             `json:"level" minimum:"0"`
	Objects []digest.Digest `json:"objects" nullable:"false" maxItems:"2000"`
}

// DeliveryAnswer holds a URL for each object asked for, in the same order.
type DeliveryAnswer struct {
	Expires time.Time  `json:"expires"`
	Items   []Delivery `json:"items" nullable:"false"`
}

// Delivery is where one object's stored form may be fetched until the answer expires.
type Delivery struct {
	Object digest.Digest `json:"object"`
	URL    string        `json:"url"`  // relative to the address used, or absolute
	Size   int64         `json:"size"` // stored bytes
}

// EULA is the text in force: GET /api/v1/eula.
type EULA struct {
	Version  string `json:"version"`
	Text     string `json:"text"`
	Accepted bool   `json:"accepted"` // by the caller's organisation, this version
}

// EULAAcceptance accepts a version for the organisation: POST /api/v1/eula/acceptances.
// An empty version means the one in force.
type EULAAcceptance struct {
	Version string `json:"version,omitempty" maxLength:"40"`
}

// MissingRequest asks which objects the store lacks: POST /api/v1/publishing/missing.
type MissingRequest struct {
	Objects []digest.Digest `json:"objects" nullable:"false" maxItems:"2000"`
}

// MissingAnswer lists those the store lacks, in the order asked.
type MissingAnswer struct {
	Objects []digest.Digest `json:"objects" nullable:"false"`
}

// An object is uploaded in its stored form with PUT /api/v1/publishing/objects/{digest};
// the service decodes it and refuses content that has another digest.

// MetadataSubmission makes signed metadata current in one step:
// POST /api/v1/publishing/metadata. Each role's version must be the current one plus
// one, and every target's objects must be stored already. The service signs snapshot
// and timestamp. The first submission of all carries root and targets.
type MetadataSubmission struct {
	Metadata []RoleMetadata `json:"metadata" nullable:"false" maxItems:"100"`
}

// RoleMetadata is one signed metadata file, byte for byte.
type RoleMetadata struct {
	Role string `json:"role" maxLength:"200"`
	Data []byte `json:"data"` // base64 in JSON
}

// MetadataAnswer names the versions now current.
type MetadataAnswer struct {
	Snapshot  int64 `json:"snapshot"`
	Timestamp int64 `json:"timestamp"`
}

// OnlineKeys are the public keys that the service signs snapshot and timestamp with,
// as TUF key objects: GET /api/v1/publishing/online-keys. `keys init` puts them into
// the root it makes.
type OnlineKeys struct {
	Snapshot  []byte `json:"snapshot"`  // TUF key object, JSON
	Timestamp []byte `json:"timestamp"` // TUF key object, JSON
}

// Vendor is what the service says of its vendor: GET /api/v1/vendor.
type Vendor struct {
	Name            string `json:"name,omitempty"`
	SupportURL      string `json:"support_url,omitempty"`
	SecurityContact string `json:"security_contact,omitempty"`
	PortalURL       string `json:"portal_url,omitempty"`
	MinimumTool     string `json:"minimum_tool,omitempty"` // oldest update tool that may ask for deliveries; empty: any
}

// Level is one level of the catalogue as the caller may see it:
// GET /api/v1/products/{product}/{version}/channels/{channel}/levels.
type Level struct {
	release.Listing
	Manifest release.Ref `json:"manifest"`
	Notes    release.Ref `json:"notes"`
}

// Problem is RFC 9457 problem details; Kind is the problem kind's name and Next the
// step to take.
type Problem struct {
	Type      string `json:"type,omitempty"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`
	Kind      string `json:"kind,omitempty"`
	Next      string `json:"next,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}
