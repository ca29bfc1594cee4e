package main

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"uplevel/internal/problem"
	"uplevel/internal/publish/signing"
	"uplevel/internal/trust"
	"uplevel/internal/trust/sign"
)

func (p *program) keysCommand() *cobra.Command {
	return group("keys", "The vendor's root and release keys", p.keysInit(), p.keysRenew(), p.keysStatus())
}

func (p *program) keysInit() *cobra.Command {
	var req signing.InitRequest
	cmd := &cobra.Command{
		Use: "init", Short: "Make the vendor's root and first keys, and give the service the root",
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			pub, err := p.publisher(cmd.Context())
			if err != nil {
				return err
			}
			fingerprint, already, err := pub.Signer.Init(cmd.Context(), req)
			if err != nil {
				return err
			}
			if already {
				fmt.Fprintf(p.stdout, "The keys in %s are those of this service.\n", p.keys)
			} else {
				fmt.Fprintf(p.stdout, "The vendor's root and keys are in %s.\n", p.keys)
			}
			fmt.Fprintf(p.stdout, "Root fingerprint: %s\n", fingerprint)
			if !already {
				fmt.Fprintln(p.stdout, "Publish the fingerprint where customers can compare it, and move the root and targets key files to a safe place.")
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&req.RootKeys, "root-keys", 1, "how many root keys to make")
	cmd.Flags().IntVar(&req.Threshold, "threshold", 1, "how many of them must sign the next root")
	return cmd
}

func (p *program) keysRenew() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "renew", Short: "Sign again what runs out within 60 days",
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			pub, err := p.publisher(cmd.Context())
			if err != nil {
				return err
			}
			renewed, err := pub.Signer.Renew(cmd.Context(), all)
			for _, s := range renewed {
				fmt.Fprintf(p.stdout, "Renewed %s: version %d, until %s.\n", s.Role, s.Version, s.Expires.Format(time.DateOnly))
			}
			if err == nil && len(renewed) == 0 {
				fmt.Fprintln(p.stdout, "Nothing runs out within 60 days.")
			}
			var known *problem.Error
			if len(renewed) > 0 && errors.As(err, &known) {
				return known.Standing("What is named above is renewed and visible.")
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "sign everything again whose key is there")
	return cmd
}

func (p *program) keysStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "What is signed, until when, and the root's fingerprint",
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			pub, err := p.publisher(cmd.Context())
			if err != nil {
				return err
			}
			all, stale, err := pub.Signer.Status(cmd.Context())
			if err != nil {
				return err
			}
			root, err := pub.Signer.Folder.Document(trust.RoleRoot)
			if err != nil {
				return err
			}
			fingerprint, err := trust.Fingerprint(root)
			if err != nil {
				return err
			}
			fmt.Fprintf(p.stdout, "Root fingerprint: %s\n\n", fingerprint)
			if stale != nil {
				fmt.Fprintf(p.stderr, "%s: This is what was seen last: %v\n", name, stale)
			}
			return p.printStatus(all)
		},
	}
}

func (p *program) printStatus(all []sign.Status) error {
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ROLE\tVERSION\tEXPIRES\tDAYS LEFT\tKEY\t")
	for _, s := range all {
		key := "here"
		if len(s.Keys) == 0 {
			key = "not here"
		}
		note := ""
		switch {
		case s.Left == 0:
			note = "EXPIRED: run keys renew"
		case s.Warn > 0:
			note = fmt.Sprintf("WARNING: less than %d days left, run keys renew", s.Warn)
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%s\t%s\n", s.Role, s.Version, s.Expires.Format(time.DateOnly), int(s.Left.Hours()/24), key, note)
	}
	return w.Flush()
}

// warn says on standard error what runs out soon, as far as the folder knows.
func (p *program) warn(signer *signing.Signer) {
	roles, err := signer.Folder.Roles()
	if err != nil {
		return // a folder that cannot be read is told by the command itself
	}
	for _, role := range roles {
		if s, err := signer.Folder.Status(role, p.now()); err == nil && s.Warn > 0 {
			fmt.Fprintf(p.stderr, "%s: WARNING: %s runs out on %s, in less than %d days: run keys renew\n",
				name, role, s.Expires.Format(time.DateOnly), s.Warn)
		}
	}
}
