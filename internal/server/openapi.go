package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"uplevel/internal/api"
	"uplevel/internal/digest"
	"uplevel/internal/problem"
)

// openAPIPath is where the description of the API is served.
const openAPIPath = "/api/openapi.json"

// OpenAPI returns the description of API v1 as OpenAPI 3.1, indented JSON. It needs no
// running service.
func OpenAPI() ([]byte, error) { return describe((&Service{}).operations(http.NewServeMux())) }

func describe(a huma.API) ([]byte, error) {
	data, err := json.Marshal(a.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("describing the API: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, data, "", "  "); err != nil {
		return nil, fmt.Errorf("describing the API: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// config is huma's; its own pages, schema links and error model are not used. Fields
// that a newer program sends are no error.
func (s *Service) config() huma.Config {
	c := huma.DefaultConfig("Uplevel update service", "1")
	c.Info.Description = "What the update tool and the publisher ask of the service. Every error is a problem (RFC 9457). " +
		"The rules behind it are in docs/design/api.md."
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", ""
	c.CreateHooks = nil
	requests := huma.DefaultJSONFormat
	requests.Unmarshal = boundedJSON
	c.Formats = map[string]huma.Format{"application/json": requests, "json": requests}
	c.AllowAdditionalPropertiesByDefault = true
	c.Transformers = []huma.Transformer{s.ownProblem}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer"}}
	c.Components.Schemas.RegisterTypeAlias(reflect.TypeFor[digest.Digest](), reflect.TypeFor[digestText]())
	return c
}

// ownProblem turns huma's errors, about requests that do not fit the description, into
// the service's. What was sent is not repeated: it may be a password.
func (s *Service) ownProblem(ctx huma.Context, _ string, v any) (any, error) {
	e, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	details := make([]string, 0, len(e.Errors))
	for _, d := range e.Errors {
		details = append(details, strings.TrimPrefix(d.Location+": "+d.Message, ": "))
	}
	id := noteOf(ctx.Context()).id
	p := api.Problem{
		Title: "The request does not fit the API", Status: e.Status, Detail: e.Detail, Kind: problem.Usage.String(),
		Next: "Correct the request; " + openAPIPath + " describes it.", RequestID: id,
	}
	if len(details) > 0 {
		p.Detail += ": " + strings.Join(details[:min(len(details), 10)], "; ")
	}
	return p, nil
}

// digestText is how a digest looks in the description.
type digestText string

// Schema implements huma.SchemaProvider.
func (digestText) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Pattern: "^[0-9a-f]{64}$", Description: "SHA-256 of the content, hexadecimal"}
}

func problemResponse(o *huma.OpenAPI) *huma.Response {
	schema := o.Components.Schemas.Schema(reflect.TypeFor[api.Problem](), true, "Problem")
	return &huma.Response{Description: "What went wrong", Content: map[string]*huma.MediaType{problemType: {Schema: schema}}}
}

// describeRest adds what is served without huma: streams and public files.
func describeRest(o *huma.OpenAPI) {
	for _, unused := range []string{"ErrorModel", "ErrorDetail"} {
		delete(o.Components.Schemas.Map(), unused)
	}
	text := func(where, name string) *huma.Param {
		return &huma.Param{Name: name, In: where, Required: true, Schema: &huma.Schema{Type: huma.TypeString}}
	}
	bytesOf := func(kind string) map[string]*huma.MediaType {
		return map[string]*huma.MediaType{kind: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}}
	}
	add := func(op *huma.Operation, success, kind string) {
		op.Responses = map[string]*huma.Response{success: {Description: http.StatusText(http.StatusOK)}, "default": problemResponse(o)}
		if kind != "" {
			op.Responses[success].Content = bytesOf(kind)
		}
		o.AddOperation(op)
	}
	add(&huma.Operation{
		Method: http.MethodPut, Path: api.Prefix + "/publishing/objects/{digest}", OperationID: "put-publishing-objects-digest",
		Summary: "Upload an object in its stored form", Security: []map[string][]string{{"token": {}}},
		Parameters: []*huma.Param{text("path", "digest")}, RequestBody: &huma.RequestBody{Required: true, Content: bytesOf("application/zstd")},
	}, "204", "")
	describeHotfixes(o, add, text, bytesOf(api.HotfixZip))
	describeTools(add, text)
	add(&huma.Operation{
		Method: http.MethodGet, Path: api.ObjectsPath + "{digest}", OperationID: "get-object", Summary: "An object in its stored form, with ranges",
		Parameters: []*huma.Param{text("path", "digest"), text("query", "expires"), text("query", "key"), text("query", "signature")},
	}, "200", "application/zstd")
	add(&huma.Operation{
		Method: http.MethodGet, Path: api.MetadataPath + "{file}", OperationID: "get-metadata", Summary: "A file of the TUF repository",
		Parameters: []*huma.Param{text("path", "file")},
	}, "200", "application/json")
	add(&huma.Operation{
		Method: http.MethodGet, Path: api.TargetsPath + "{product}/{version}/{channel}/{file}", OperationID: "get-target", Summary: "A release record, by its consistent name",
		Parameters: []*huma.Param{text("path", "product"), text("path", "version"), text("path", "channel"), text("path", "file")},
	}, "200", "application/json")
}

func describeHotfixes(o *huma.OpenAPI, add func(op *huma.Operation, success, kind string), text func(where, name string) *huma.Param, zip map[string]*huma.MediaType) {
	token := []map[string][]string{{"token": {}}}
	add(&huma.Operation{
		Method: http.MethodGet, Path: api.HotfixesPath + "/{product}/{version}/{name}", OperationID: "get-hotfix-zip",
		Summary: "The zip of a hotfix of the caller's organisation, with ranges", Security: token,
		Parameters: []*huma.Param{text("path", "product"), text("path", "version"), text("path", "name")},
	}, "200", api.HotfixZip)
	register := &huma.Operation{
		Method: http.MethodPost, Path: api.RegisterHotfixPath, OperationID: "post-publishing-hotfixes",
		Summary: "Register the zip of a hotfix", Security: token, RequestBody: &huma.RequestBody{Required: true, Content: zip},
	}
	add(register, "200", "")
	answer := o.Components.Schemas.Schema(reflect.TypeFor[api.HotfixAnswer](), true, "HotfixAnswer")
	register.Responses["200"].Content = map[string]*huma.MediaType{"application/json": {Schema: answer}}
}
