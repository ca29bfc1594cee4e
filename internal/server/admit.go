package server

import (
	"encoding/json"
	"maps"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"uplevel/internal/api"
	"uplevel/internal/bounded"
	"uplevel/internal/entitlement"
)

// principalKey carries who calls through the context, once that is known.
type principalKey struct{}

// admit looks at who calls before a byte of the body is read: reading and judging a
// body costs memory, and that is not for everybody to spend.
func (s *Service) admit(ctx huma.Context, next func(huma.Context)) {
	op := ctx.Operation()
	if len(op.Security) == 0 {
		s.tell(ctx, s.judge(ctx, s.rooms.customers, next))
		return
	}
	right, reading := entitlement.Right(""), s.rooms.customers
	if strings.HasPrefix(op.Path, api.Prefix+"/publishing/") {
		right, reading = entitlement.MayPublish, s.rooms.publishers
	}
	p, err := s.principal(ctx.Context(), ctx.Header("Authorization"))
	if err == nil && right != "" {
		err = p.May(s.Now(), right)
	}
	if err == nil {
		err = s.judge(huma.WithValue(ctx, principalKey{}, p), reading, next)
	}
	s.tell(ctx, err)
}

// tell answers a request that was not let in with the reason.
func (s *Service) tell(ctx huma.Context, err error) {
	if err == nil {
		return
	}
	a := s.answerTo(ctx.Context(), err)
	for name, values := range maps.All(a.GetHeaders()) {
		for _, v := range values {
			ctx.SetHeader(name, v)
		}
	}
	ctx.SetHeader("Content-Type", problemType)
	ctx.SetStatus(a.Status)
	_ = json.NewEncoder(ctx.BodyWriter()).Encode(a.Problem)
}

// maxStructure bounds the commas, colons and brackets of one request. The largest that
// our programs send have some thousands; what each may cost to judge is valueCost.
const maxStructure = 20_000

// boundedJSON reads a request.
func boundedJSON(data []byte, v any) error { return bounded.JSON(data, maxStructure, v) }
