package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"uplevel/internal/problem"
	"uplevel/internal/publish"
	"uplevel/internal/release"
)

// judging are the options of commands that judge a build.
type judging struct {
	dist   string
	strict bool
	accept []string
}

func (j *judging) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&j.dist, "dist", "", "the build: a zip, of which one top-level folder is dropped, or the folder of the product home")
	cmd.Flags().BoolVar(&j.strict, "strict", false, "warnings refuse too")
	cmd.Flags().StringArrayVar(&j.accept, "accept", nil, "RULE=REASON: accept what a rule finds; recorded in the signed notes")
}

func (p *program) productCommand() *cobra.Command {
	var j judging
	var rules, platform, until string
	add := &cobra.Command{
		Use: "add NAME VERSION", Short: "Publish level 0 of a product version from its first release",
		Args: exactly("NAME", "VERSION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := publish.ProductRequest{Dist: j.dist, SupportedUntil: until, Strict: j.strict, Accept: j.accept}
			var err error
			if req.Line, err = lineOf(args, release.DefaultChannel); err != nil {
				return err
			}
			if req.Platform, err = platformOf(platform); err != nil {
				return err
			}
			if j.dist == "" {
				return missing("dist")
			}
			if req.Rules, err = readRules(rules); err != nil {
				return err
			}
			pub, err := p.publisher(cmd.Context())
			if err != nil {
				return err
			}
			out, err := pub.AddProduct(cmd.Context(), req)
			p.warn(pub.Signer)
			return p.told(out, err)
		},
	}
	j.flags(add)
	add.Flags().StringVar(&rules, "rules", "", "file with the globs generated, data and keep_pristine (YAML)")
	add.Flags().StringVar(&platform, "platform", "any", "any or unix: whether names must be usable on Windows")
	add.Flags().StringVar(&until, "supported-until", "", "last day of support, YYYY-MM-DD")
	return group("product", "Products", add)
}

func platformOf(text string) (string, error) {
	switch text {
	case "any":
		return "", nil
	case release.Unix:
		return release.Unix, nil
	}
	return "", problem.New(problem.Usage, "Use any or unix.", "--platform %.40q is not known", text)
}

func readRules(file string) (release.Rules, error) {
	if file == "" {
		return release.Rules{}, nil
	}
	text, err := readText(file, "rules")
	if err != nil {
		return release.Rules{}, err
	}
	return publish.ParseRules(text)
}

func readText(file, flag string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, problem.New(problem.Failed, "Name a file that can be read with --"+flag+".", "Unable to read the %s: %w", flag, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, release.MaxNotes+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	return text, nil
}

func lineOf(args []string, channel string) (release.Line, error) {
	line := release.Line{Product: args[0], Version: args[1], Channel: channel}
	if err := line.Check(); err != nil {
		return line, problem.New(problem.Usage, "Write NAME VERSION, for example wso2is 7.1.0.", "%w", err)
	}
	return line, nil
}

// levelOptions are the options of level and validate.
type levelOptions struct {
	judging
	notes, channel, state, reason, platform string
	number                                  int
	floor                                   bool
}

func (o *levelOptions) request(args []string) (req publish.LevelRequest, err error) {
	if req.Line, err = lineOf(args, o.channel); err != nil {
		return req, err
	}
	req.State, err = release.ParseState(o.state)
	switch {
	case err != nil:
		return req, problem.New(problem.Usage, "Use testing, verifying or live.", "--state: %w", err)
	case o.dist == "":
		return req, missing("dist")
	case o.floor && o.reason == "":
		return req, missing("reason")
	case o.reason != "" && !o.floor:
		return req, problem.New(problem.Usage, "Add --floor, or leave --reason out.", "--reason goes with --floor")
	case o.number < 0:
		return req, problem.New(problem.Usage, "Leave --number out for the next level.", "--number %d is no level", o.number)
	}
	req.Dist, req.Number, req.Floor, req.Strict, req.Accept = o.dist, o.number, o.reason, o.strict, o.accept
	if o.notes != "" {
		req.Notes, err = readText(o.notes, "notes")
	}
	return req, err
}

func (o *levelOptions) flags(cmd *cobra.Command) {
	o.judging.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.notes, "notes", "", "the level's notes (YAML)")
	f.IntVar(&o.number, "number", 0, "the level's number (default: the highest plus one)")
	f.StringVar(&o.channel, "channel", release.DefaultChannel, "channel")
	f.StringVar(&o.state, "state", string(release.Live), "testing, verifying or live")
	f.BoolVar(&o.floor, "floor", false, "the level's instructions must not be missed by who passes over it")
	f.StringVar(&o.reason, "reason", "", "why it is a floor")
}

func (p *program) levelCommand() *cobra.Command {
	var o levelOptions
	cmd := &cobra.Command{
		Use: "level NAME VERSION", Short: "Publish the next level from a build and its notes",
		Args: exactly("NAME", "VERSION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req, err := o.request(args)
			if err != nil {
				return err
			}
			if o.notes == "" {
				return missing("notes")
			}
			pub, err := p.publisher(cmd.Context())
			if err != nil {
				return err
			}
			out, err := pub.Level(cmd.Context(), req)
			p.warn(pub.Signer)
			return p.told(out, err)
		},
	}
	o.flags(cmd)
	return cmd
}

func (p *program) validateCommand() *cobra.Command {
	var o levelOptions
	cmd := &cobra.Command{
		Use: "validate NAME VERSION", Short: "Judge a build as product add or level would, and publish nothing",
		Args: exactly("NAME", "VERSION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req, err := o.request(args)
			if err != nil {
				return err
			}
			platform, err := platformOf(o.platform)
			if err != nil {
				return err
			}
			pub, err := p.publisher(cmd.Context())
			if err != nil {
				return err
			}
			report, err := pub.Validate(cmd.Context(), req, platform)
			if err != nil {
				return err
			}
			p.printReport(report)
			if err := report.Error(); err != nil {
				return err
			}
			fmt.Fprintf(p.stdout, "Level %s of %s may be published.\n", req.Line.LevelName(report.Level), req.Line)
			return nil
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.platform, "platform", "any", "any or unix, for a product version that is not published yet")
	return cmd
}

func (p *program) promoteCommand() *cobra.Command {
	var channel, state, tested string
	cmd := &cobra.Command{
		Use: "promote NAME VERSION LEVEL", Short: "Move a level to another state",
		Args: exactly("NAME", "VERSION", "LEVEL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			to, err := release.ParseState(state)
			if err != nil || to == release.Withdrawn {
				return problem.New(problem.Usage, "Use testing, verifying or live; withdraw has its own command.", "--state %.40q is not a state to promote to", state)
			}
			return p.setState(cmd, args, channel, publish.StateRequest{State: to, Tested: tested})
		},
	}
	cmd.Flags().StringVar(&channel, "channel", release.DefaultChannel, "channel")
	cmd.Flags().StringVar(&state, "state", string(release.Live), "testing, verifying or live")
	cmd.Flags().StringVar(&tested, "tested", "", "what was tested, text or URL; shown with the level")
	return cmd
}

func (p *program) withdrawCommand() *cobra.Command {
	var channel, reason string
	cmd := &cobra.Command{
		Use: "withdraw NAME VERSION LEVEL", Short: "Withdraw a level; every tool that has seen this refuses it",
		Args: exactly("NAME", "VERSION", "LEVEL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return missing("reason")
			}
			return p.setState(cmd, args, channel, publish.StateRequest{State: release.Withdrawn, Reason: reason})
		},
	}
	cmd.Flags().StringVar(&channel, "channel", release.DefaultChannel, "channel")
	cmd.Flags().StringVar(&reason, "reason", "", "why; customers are told")
	return cmd
}

func (p *program) setState(cmd *cobra.Command, args []string, channel string, req publish.StateRequest) error {
	var err error
	if req.Line, req.Level, err = levelOf(args[:2], channel, args[2]); err != nil {
		return err
	}
	pub, err := p.publisher(cmd.Context())
	if err != nil {
		return err
	}
	out, err := pub.SetState(cmd.Context(), req)
	p.warn(pub.Signer)
	if err != nil {
		return err
	}
	if out.Already {
		fmt.Fprintf(p.stdout, "Level %s of %s is %s already.\n", out.Line.LevelName(out.Level), out.Line, out.State)
	} else {
		fmt.Fprintf(p.stdout, "Level %s of %s is %s.\n", out.Line.LevelName(out.Level), out.Line, out.State)
	}
	return nil
}

// levelOf reads NAME VERSION and a level, as 4 or 7.1.0.4.
func levelOf(args []string, channel, text string) (release.Line, int, error) {
	line, err := lineOf(args, channel)
	if err != nil {
		return line, 0, err
	}
	level, err := line.ParseLevel(text)
	if err != nil {
		return line, 0, problem.New(problem.Failed, "Write a number such as "+line.LevelName(4)+" or 4.", "%w", err)
	}
	return line, level, nil
}
