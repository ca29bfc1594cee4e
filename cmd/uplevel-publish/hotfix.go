package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"uplevel/internal/problem"
	"uplevel/internal/publish"
	"uplevel/internal/release"
)

// hotfixOptions are the options of hotfix.
type hotfixOptions struct {
	judging
	organisation, id, level, notes, channel, out string
	also, after                                  []string
	sequence                                     int
}

func (p *program) hotfixCommand() *cobra.Command {
	var o hotfixOptions
	cmd := &cobra.Command{
		Use: "hotfix NAME VERSION", Short: "Make a signed hotfix of a level, for one organisation",
		Args: exactly("NAME", "VERSION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req, err := o.request(args)
			if err != nil {
				return err
			}
			pub, err := p.publisher(cmd.Context())
			if err != nil {
				return err
			}
			out, err := pub.Hotfix(cmd.Context(), req)
			p.warn(pub.Signer)
			return p.toldHotfix(out, err)
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *hotfixOptions) flags(cmd *cobra.Command) {
	o.judging.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.organisation, "for", "", "the organisation, by the name that the service has")
	f.StringVar(&o.id, "organisation-id", "", "its opaque id, instead of asking the service; --for is then the name in the hotfix")
	f.StringVar(&o.level, "level", "", "the level that the build is made on")
	f.StringArrayVar(&o.also, "also-level", nil, "another level that it fits, where the same stands in its place")
	f.StringArrayVar(&o.after, "after", nil, "zip of a hotfix that must be applied before, in order")
	f.IntVar(&o.sequence, "sequence", 0, "its place in the sequence (default: one more than the last of --after, else 1)")
	f.StringVar(&o.notes, "notes", "", "what it is for: notes with one update (YAML)")
	f.StringVar(&o.channel, "channel", release.DefaultChannel, "channel")
	f.StringVar(&o.out, "out", ".", "folder for the zip")
}

func (o *hotfixOptions) request(args []string) (req publish.HotfixRequest, err error) {
	switch {
	case o.organisation == "":
		return req, missing("for")
	case o.level == "":
		return req, missing("level")
	case o.dist == "":
		return req, missing("dist")
	case o.notes == "":
		return req, missing("notes")
	case o.sequence < 0:
		return req, problem.New(problem.Usage, "Leave --sequence out for the next one.", "--sequence %d is no place", o.sequence)
	}
	if req.Line, req.Level, err = levelOf(args, o.channel, o.level); err != nil {
		return req, err
	}
	for _, text := range o.also {
		_, level, err := levelOf(args, o.channel, text)
		if err != nil {
			return req, err
		}
		req.AlsoLevels = append(req.AlsoLevels, level)
	}
	req.For, req.OrganisationID, req.Dist, req.After, req.Sequence = o.organisation, o.id, o.dist, o.after, o.sequence
	req.Out, req.Strict, req.Accept = o.out, o.strict, o.accept
	req.Notes, err = readText(o.notes, "notes")
	return req, err
}

// toldHotfix prints what a hotfix is, also when it was refused.
func (p *program) toldHotfix(out publish.HotfixOutcome, err error) error {
	if out.Report.Hotfix == "" {
		return err
	}
	if out.Already {
		if err == nil {
			fmt.Fprintf(p.stdout, "Hotfix %s of %s is published already; its zip is %s.\n", out.Record.Name, out.Record.Line(), out.File)
		}
		return err
	}
	p.printReport(out.Report)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "Published hotfix %s of %s for %s: %s, %s.\n", out.Record.Name, out.Record.Line(), out.Record.For, out.File, bytesText(out.Size))
	return nil
}
