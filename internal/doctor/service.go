package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"uplevel/internal/api"
	"uplevel/internal/problem"
)

func (r *run) lookAnswer(ctx context.Context) finding {
	v, err := r.Service.API.Vendor(ctx)
	if err != nil {
		return failed(problem.Unreachable, "Check the address, and whether a captive portal or proxy stands between.", err)
	}
	if v.Name == "" {
		return fine("it is an update service (API v1)")
	}
	return fine("it is the update service of %q (API v1)", fmt.Sprintf("%.100s", v.Name))
}

func (r *run) lookSigned(ctx context.Context) finding {
	view, err := r.Service.Refresh(ctx)
	if err != nil {
		return failed(problem.Verification, "Tell your vendor.", err)
	}
	r.way.view = view
	return r.fresh(view)
}

func (r *run) lookCredentials(ctx context.Context) finding {
	if r.Service.Credentials == nil {
		return skip("none given; with --username and a password, or --token-file, they are tried")
	}
	if err := r.Service.Credentials(ctx); err != nil {
		return failed(problem.Credentials, "", err)
	}
	return fine("the service accepts them")
}

func (r *run) lookEntitlement(ctx context.Context) finding {
	line := r.product.Line
	answer, err := r.Service.API.Check(ctx, api.CheckRequest{Product: line.Product, Version: line.Version, Channel: line.Channel, Level: r.product.Number, Tool: r.Version})
	if err != nil {
		return failed(problem.NotEntitled, "Ask your vendor.", err)
	}
	r.way.answer = answer
	e := answer.Entitlement
	text := fmt.Sprintf("%s subscription for %s, %s", e.Kind, line.ProductVersion(), e.State)
	if e.Until != nil {
		text += ", until " + e.Until.UTC().Format(time.DateOnly)
	}
	if answer.MaxLevel != nil {
		text += ", up to level " + line.LevelName(*answer.MaxLevel)
	}
	var said strings.Builder
	for _, m := range answer.Messages {
		said.WriteString("; " + oneLine(m.Text))
	}
	text += said.String()
	if e.State != "active" {
		return doubt("Have the subscription renewed.", "%s", text)
	}
	return fine("%s", text)
}

func (r *run) lookTool(context.Context) finding {
	least := r.way.answer.MinimumTool
	switch {
	case least == "":
		return fine("%s; the service takes any", r.Version)
	case older(r.Version, least):
		return wrong(problem.Refused, "Run self-update.", "%s; the service wants at least %.40s", r.Version, least)
	}
	return fine("%s; the service wants at least %.40s", r.Version, least)
}

// older compares versions by their numbers; what follows them is a release before it.
func older(a, b string) bool {
	na, restA := numbers(a)
	nb, restB := numbers(b)
	for i := range max(len(na), len(nb)) {
		var x, y int
		if i < len(na) {
			x = na[i]
		}
		if i < len(nb) {
			y = nb[i]
		}
		if x != y {
			return x < y
		}
	}
	return restA && !restB
}

func numbers(v string) (list []int, rest bool) {
	v, _, rest = strings.Cut(strings.TrimPrefix(v, "v"), "-")
	for part := range strings.SplitSeq(v, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return list, true
		}
		list = append(list, n)
	}
	return list, rest
}

// lookDelivery asks for the record of the installed level and reads its first byte.
func (r *run) lookDelivery(ctx context.Context) finding {
	line := r.product.Line
	level, err := r.way.view.Level(line, r.product.Number)
	if err != nil {
		return skip("the vendor does not list the installed level")
	}
	request := api.DeliveryRequest{Product: line.Product, Version: line.Version, Channel: line.Channel, Level: level.Level}
	request.Objects = append(request.Objects, level.Record.Sum)
	answer, err := r.Service.API.Deliveries(ctx, request)
	if err != nil {
		return failed(problem.Unreachable, "Tell your vendor.", err)
	}
	if len(answer.Items) != 1 {
		return wrong(problem.Unreachable, "Tell your vendor.", "the service answers %d addresses for one object", len(answer.Items))
	}
	at := answer.Items[0].URL
	if u, err := url.Parse(at); err == nil && u.Host != "" && u.Host != r.way.address.Host {
		r.way.delivery = u
	}
	body, _, err := r.Service.API.Object(ctx, at, 0)
	if err != nil {
		return failed(problem.Unreachable, "Have the endpoints below allowed.", err)
	}
	defer body.Close()
	if _, err := io.ReadFull(body, make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) {
		return wrong(problem.Unreachable, "Have the endpoints below allowed.", "a download breaks off: %v", err)
	}
	return fine("they come from %s", r.deliveryHost())
}

func (r *run) deliveryHost() string {
	if r.way.delivery != nil {
		return r.way.delivery.Host
	}
	return "the service itself"
}

// endpoints lists what must be let through, as far as it is known.
func (r *run) endpoints() {
	u, err := url.Parse(r.Service.Address)
	if err != nil || u.Hostname() == "" {
		return
	}
	add := func(u *url.URL, purpose string, paths ...string) {
		_, port, err := net.SplitHostPort(hostPort(u))
		n, numErr := strconv.Atoi(port)
		if err == nil && numErr == nil {
			r.report.Endpoints = append(r.report.Endpoints, Endpoint{Host: u.Hostname(), Port: n, Scheme: u.Scheme, Purpose: purpose, Paths: append([]string{}, paths...)})
		}
	}
	add(u, "questions: credentials, what there is, reports", api.Prefix+"/")
	add(u, "signed metadata", api.MetadataPath)
	if d := r.way.delivery; d != nil {
		add(d, "downloads")
		return
	}
	add(u, "downloads", api.ObjectsPath)
}
