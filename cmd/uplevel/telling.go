package main

import (
	"context"

	"uplevel/internal/api"
)

// telling is the service of a command that reports besides: for the report nobody is asked
// for a password.
type telling struct {
	*api.Client
	quiet *api.Client
}

// Report tells with what is at hand.
func (s telling) Report(ctx context.Context, r api.Report) error { return s.quiet.Report(ctx, r) }

func (t *tool) reporting(c *api.Client) telling {
	quiet := *c
	quiet.Token = t.credentials.quiet
	return telling{c, &quiet}
}

// quiet returns the token if none must be asked for at a prompt. It ends with ctx, whatever
// is read: a file may be a pipe into which nobody writes, a command may never end.
func (c *credentials) quiet(ctx context.Context) (string, error) {
	if c.token != "" {
		return c.token, nil
	}
	o := &c.tool.options
	from := o.passwordFrom()
	known := o.username != "" || c.tool.home != nil && c.tool.home.ConfigText("username") != ""
	typed := from == "" || from == "password-stdin" && c.password == "" && c.tool.onTerminal()
	if !o.tokenCounts() && (typed || !known) {
		return "", usage("Give --token-file, or --username and a password.", "No credentials are at hand")
	}
	type answer struct {
		token string
		err   error
	}
	own, got := *c, make(chan answer, 1)
	go func() {
		token, err := own.get(ctx)
		got <- answer{token, err}
	}()
	select {
	case a := <-got:
		c.token = a.token
		return a.token, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
