package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Report is what an installation tells, after a change or whenever it is asked to:
// POST /api/v1/reports. Described in docs/design/report.md.
type Report struct {
	Made         time.Time `json:"made,omitzero"`               // by the installation's clock
	Installation string    `json:"installation" maxLength:"64"` // keyed hash, never stored on the installation
	Host         string    `json:"host,omitempty" maxLength:"255"`
	Product      string    `json:"product" maxLength:"64"`
	Version      string    `json:"version" maxLength:"40"`
	Channel      string    `json:"channel" maxLength:"64"`
	Level        int       `json:"level" minimum:"0"`
	Hotfixes     []string  `json:"hotfixes,omitempty" maxItems:"100"`
	Customised   int       `json:"customised"`               // drift: customised files
	Missing      int       `json:"missing"`                  // drift: missing files
	DriftUnknown bool      `json:"drift_unknown,omitempty"`  // the two counts were not taken
	Operation    string    `json:"operation" maxLength:"20"` // update, revert, report, …
	Outcome      string    `json:"outcome" maxLength:"20"`   // problem kind, or ok
	FromLevel    int       `json:"from_level"`
	Tool         string    `json:"tool,omitempty" maxLength:"40"`
	OS           string    `json:"os,omitempty" maxLength:"40"`
}

// Text returns a report as it is sent, shown and carried.
func (r Report) Text() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(r)
	return b.Bytes(), err
}

// CarriedReports are reports that came out of networks without a way to the service:
// POST /api/v1/reports/carried. Sending one again is no double.
type CarriedReports struct {
	Reports []Report `json:"reports" nullable:"false" minItems:"1" maxItems:"100"`
}

// CarriedAnswer says what became of each report, in the order sent.
type CarriedAnswer struct {
	Items []ReportFate `json:"items" nullable:"false"`
}

// ReportFate is what became of one report.
type ReportFate struct {
	Fate string `json:"fate" enum:"new,older,known,refused"`
	Text string `json:"text,omitempty"` // why it was refused
}

// Installations is a page of what the caller's organisation has reported, in the order
// of ids: GET /api/v1/installations?product=P&limit=N&after=CURSOR.
type Installations struct {
	Items []Installation `json:"items" nullable:"false"`
	Next  string         `json:"next,omitempty"` // the next page's after; absent: this is the last
}

// Installation is what is known of one installation.
type Installation struct {
	ID         string         `json:"id"` // keyed hash, as reported
	Host       string         `json:"host,omitempty"`
	Product    string         `json:"product"`
	Version    string         `json:"version"`
	Channel    string         `json:"channel"`
	Level      int            `json:"level"`
	Hotfixes   []string       `json:"hotfixes" nullable:"false"`
	Outcome    string         `json:"outcome"`               // of the last report: ok, a problem kind, or committing
	LastChange *ReportedWork  `json:"last_change,omitempty"` // absent: none was told
	Drift      *ReportedDrift `json:"drift,omitempty"`       // absent: not known
	Tool       string         `json:"tool,omitempty"`        // version of the tool
	OS         string         `json:"os,omitempty"`          // system and architecture
	Made       *time.Time     `json:"made,omitempty"`        // the last report, by the clock there
	Received   time.Time      `json:"received"`              // the last report, by the service's clock
	First      time.Time      `json:"first"`                 // that its reports count as of
	Last       time.Time      `json:"last"`                  // likewise
	Reports    int            `json:"reports"`               // how many came
}

// ReportedWork is a change that an installation told of.
type ReportedWork struct {
	Operation string    `json:"operation"`
	Outcome   string    `json:"outcome"` // ok, or the kind of problem
	FromLevel int       `json:"from_level"`
	At        time.Time `json:"at"`
}

// ReportedDrift is how far an installation was from what its level holds.
type ReportedDrift struct {
	Customised int       `json:"customised"` // files
	Missing    int       `json:"missing"`    // files
	At         time.Time `json:"at"`
}

// Report tells where an installation stands.
func (c *Client) Report(ctx context.Context, r Report) error {
	text, err := r.Text()
	if err != nil {
		return err
	}
	return c.exchange(ctx, http.MethodPost, "/reports", true, text, nil)
}

// Ready gets the token and refuses an address that cannot be used, before anything is sent.
func (c *Client) Ready(ctx context.Context) error {
	token, err := c.token(ctx)
	if err != nil {
		return err
	}
	_, err = c.request(ctx, http.MethodGet, Prefix, nil, token)
	return err
}

// UploadReports sends the texts of carried reports, at most MaxReports.
func (c *Client) UploadReports(ctx context.Context, texts []json.RawMessage) (CarriedAnswer, error) {
	var a CarriedAnswer
	err := c.post(ctx, "/reports/carried", true, map[string]any{"reports": texts}, &a)
	if err == nil && (len(a.Items) != len(texts) || slices.ContainsFunc(a.Items, ReportFate.strange)) {
		err = c.notTheService("an answer about other reports")
	}
	return a, err
}

// strange reports whether no service says that.
func (f ReportFate) strange() bool {
	fates := []string{"new", "older", "known", "refused"}
	return !slices.Contains(fates, f.Fate) || strings.ContainsFunc(f.Text, func(r rune) bool { return !unicode.IsPrint(r) })
}
