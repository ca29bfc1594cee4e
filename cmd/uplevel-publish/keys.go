package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"uplevel/internal/problem"
	"uplevel/internal/publish/signing"
	"uplevel/internal/trust"
	"uplevel/internal/trust/sign"
)

func (p *program) keysCommand() *cobra.Command {
	return group("keys", "The vendor's root and release keys", p.keysInit(), p.keysNew(), p.keysRotate(), p.keysSign(), p.keysSubmit(),
		p.keysRenew(), p.keysStatus())
}

func (p *program) keysInit() *cobra.Command {
	var req signing.InitRequest
	cmd := &cobra.Command{
		Use: "init", Short: "Make the vendor's root and first keys; give the service the root",
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
				fmt.Fprintln(p.stdout, "Publish the fingerprint where customers can compare it, and move the root and\ntargets key files to a safe place.")
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
			renewed, waiting, err := pub.Signer.Renew(cmd.Context(), all)
			for _, s := range renewed {
				fmt.Fprintf(p.stdout, "Renewed %s: version %d, until %s.\n", s.Role, s.Version, s.Expires.Format(time.DateOnly))
			}
			if len(waiting.Documents) > 0 {
				err = errors.Join(p.letSign(pub.Signer, waiting, filepath.Join(p.keys, "waiting-renew.json")), err)
			}
			if err == nil && len(renewed)+len(waiting.Documents) == 0 {
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

// letSign writes renewed documents that need signatures of others into a file.
func (p *program) letSign(signer *signing.Signer, w signing.Waiting, file string) error {
	// Others may have signed what waits there: as long as it is good, it stays.
	if before, err := readWaiting(file); err == nil {
		if _, _, err := signer.Review(before); err == nil {
			return problem.New(problem.Refused, "Finish it with keys sign and keys submit, or remove the file.", "Something waits in %s already", file)
		}
	}
	if err := p.writeWaiting(file, w); err != nil {
		return err
	}
	if _, err := p.showReview(signer, w); err != nil {
		return err
	}
	p.sayWaiting(file)
	return nil
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
			if err := p.printStatus(all); err != nil {
				return err
			}
			return p.printKeys(pub.Signer.Folder)
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

// printKeys lists who signs what: the ids are those that keys rotate --drop wants.
func (p *program) printKeys(folder *sign.Folder) error {
	roles, err := folder.Roles()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nROLE\tKEY ID\tFILE HERE")
	for _, role := range append([]string{trust.RoleHotfix}, roles...) {
		if sign.KeyRole(role) != role {
			continue // a line's keys are its product's
		}
		keys, err := folder.Held(role)
		if err != nil {
			return err
		}
		for _, key := range keys {
			fmt.Fprintf(w, "%s\t%s\t%s\n", role, signing.ShortID(key.ID), key.File)
		}
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
