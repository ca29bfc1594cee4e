package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"uplevel/internal/digest"
	"uplevel/internal/release"
)

// Paths of hotfixes.
const (
	HotfixesPath       = Prefix + "/hotfixes"            // list; below it the zips: /PRODUCT/VERSION/NAME
	RegisterHotfixPath = Prefix + "/publishing/hotfixes" // POST a zip
)

// HotfixZip is the content type of a hotfix's zip.
const HotfixZip = "application/zip"

// Hotfix is a registered hotfix of the caller's organisation; publishers see those of
// all: GET /api/v1/hotfixes?product=P&version=V&channel=C. What counts is the signed
// record inside the zip.
type Hotfix struct {
	Name         string        `json:"name"` // ORG-hfN
	Product      string        `json:"product"`
	Version      string        `json:"version"`
	Channel      string        `json:"channel"`
	Levels       []int         `json:"levels" nullable:"false"` // that it fits, ascending
	Sequence     int           `json:"sequence"`
	Needs        []string      `json:"needs" nullable:"false"` // names, in the order they are applied
	Organisation string        `json:"organisation"`           // opaque id
	For          string        `json:"for"`                    // name people know
	Type         string        `json:"type"`                   // regular or security
	Description  string        `json:"description"`
	Restart      bool          `json:"restart"`
	Created      time.Time     `json:"created"`
	File         string        `json:"file"`   // name of the zip
	Size         int64         `json:"size"`   // bytes of the zip
	SHA256       digest.Digest `json:"sha256"` // of the zip
}

// HotfixAnswer says what was registered: POST /api/v1/publishing/hotfixes, the zip as its
// body.
type HotfixAnswer struct {
	Hotfix  Hotfix `json:"hotfix"`
	Already bool   `json:"already"` // the very same zip was registered before
}

// Organisation is who a hotfix is made for:
// GET /api/v1/publishing/organisations?name=NAME.
type Organisation struct {
	ID    string `json:"id"` // opaque
	Name  string `json:"name"`
	Short string `json:"short"` // as it stands in names of hotfixes; empty: none can be made of it
}

// Hotfixes lists the hotfixes of a line for the caller's organisation, by organisation
// and sequence.
func (c *Client) Hotfixes(ctx context.Context, line release.Line) ([]Hotfix, error) {
	var h []Hotfix
	query := url.Values{"product": {line.Product}, "version": {line.Version}, "channel": {line.Channel}}
	return h, c.get(ctx, "/hotfixes?"+query.Encode(), &h)
}

// HotfixZip opens the zip of a hotfix, by its name ORG-hfN, at offset and returns its
// whole size. One that is not there, or not for the caller, is of kind problem.Failed.
func (c *Client) HotfixZip(ctx context.Context, product, version, name string, offset int64) (io.ReadCloser, int64, error) {
	token, err := c.token(ctx)
	if err != nil {
		return nil, 0, err
	}
	address := HotfixesPath + "/" + url.PathEscape(product) + "/" + url.PathEscape(version) + "/" + url.PathEscape(name)
	return c.ranged(ctx, address, token, offset)
}

// RegisterHotfix gives the service the zip of a hotfix, size bytes from where it stands.
// The same again is no error; another zip of that name is of kind problem.Refused.
func (c *Client) RegisterHotfix(ctx context.Context, zip io.ReadSeeker, size int64) (HotfixAnswer, error) {
	var a HotfixAnswer
	answer, err := c.upload(ctx, http.MethodPost, RegisterHotfixPath, HotfixZip, zip, size)
	if err != nil {
		return a, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK || isPage(answer) {
		return a, c.refusal(answer)
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, MaxAnswer+1))
	if err != nil {
		return a, c.unreached(ctx, err)
	}
	return a, c.decode(answer, data, &a)
}

// Organisation finds an organisation by its name.
func (c *Client) Organisation(ctx context.Context, name string) (Organisation, error) {
	var o Organisation
	return o, c.get(ctx, "/publishing/organisations?"+url.Values{"name": {name}}.Encode(), &o)
}
