package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"uplevel/internal/durable"
	"uplevel/internal/problem"
	"uplevel/internal/publish/signing"
	"uplevel/internal/trust"
)

// maxPublic bounds the bytes of a file with a public key.
const maxPublic = 64 << 10

func (p *program) keysRotate() *cobra.Command {
	var req signing.RotateRequest
	var with []string
	var out string
	cmd := &cobra.Command{
		Use: "rotate ROLE", Short: "Replace the keys that sign for a role",
		Long: `Replace the keys that sign for a role.

ROLE is root, targets, tool, hotfix, product.NAME, or online (the keys of the
service). What the old keys signed is signed again by the new ones. Where others
must sign too, all of it waits in a file: each runs keys sign with it, on a
machine of their own, and then anyone with a publisher's token runs keys submit.
Until then nothing changes for anybody.`,
		Example: `  A new key for a product; the old one counts no more:
    uplevel-publish keys rotate product.shop
  Three people hold a root key each, of whom two must sign:
    uplevel-publish keys rotate root --keep --with ben.pub --with cem.pub \
      --threshold 2 --out waiting.json
  One of several keys was lost or stolen (ids: keys status):
    uplevel-publish keys rotate root --drop 1a2b3c4d --with new.pub`,
		Args: exactly("ROLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Role = args[0]
			if !cmd.Flags().Changed("new") && len(with) == 0 && len(req.Drop) == 0 {
				req.New = 1
			}
			for _, name := range with {
				data, err := readNamed(name, maxPublic)
				if err != nil {
					return err
				}
				key, err := signing.ParsePublic(data, req.Role)
				if err != nil {
					return err
				}
				req.With = append(req.With, key)
			}
			if out == "" {
				out = filepath.Join(p.keys, "waiting-"+req.Role+".json")
			}
			return p.rotate(cmd.Context(), req, out)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&req.New, "new", 0, "how many keys to make in this folder (1, unless --with or --drop is given)")
	flags.StringArrayVar(&with, "with", nil, "`FILE` with a public key that keys new made elsewhere; may be repeated")
	flags.StringArrayVar(&req.Drop, "drop", nil, "`ID` of a key that counts no more, its first 8 characters at least; may be repeated (default: all before)")
	flags.BoolVar(&req.Keep, "keep", false, "the keys before count beside the new ones")
	flags.IntVar(&req.Threshold, "threshold", 0, "how many of them must sign (default: as before)")
	flags.StringVar(&out, "out", "", "`FILE` for what waits for signatures of others")
	return cmd
}

// rotate keeps the documents in a file until they are published, so that a run that was cut
// is continued by keys submit.
func (p *program) rotate(ctx context.Context, req signing.RotateRequest, out string) error {
	if _, err := os.Lstat(out); err == nil {
		return problem.New(problem.Refused, "Finish it with keys sign and keys submit, or remove the file and start anew.", "Something waits in %s already", out)
	}
	pub, err := p.publisher(ctx)
	if err != nil {
		return err
	}
	w, made, err := pub.Signer.Rotate(ctx, req)
	for _, name := range made {
		fmt.Fprintf(p.stdout, "Made the key %s.\n", filepath.Join(p.keys, name))
	}
	if err != nil {
		return err
	}
	if err := p.writeWaiting(out, w); err != nil {
		return err
	}
	met, err := p.showReview(pub.Signer, w)
	if err != nil {
		return err
	}
	if !met {
		p.sayWaiting(out)
		return nil
	}
	return p.publishWaiting(ctx, pub.Signer, w, out)
}

func (p *program) sayWaiting(file string) {
	fmt.Fprintf(p.stdout, "\nOthers must sign, and until then nothing has changed. Let each run, with a copy of the file:\n"+
		"  %s keys sign %s\nThen publish it:\n  %s keys submit %s\n", name, file, name, file)
}

// publishWaiting publishes, and removes the file that nothing waits in any more.
func (p *program) publishWaiting(ctx context.Context, signer *signing.Signer, w signing.Waiting, file string) error {
	if err := signer.Publish(ctx, w); err != nil {
		return err
	}
	if err := durable.Remove(file); err != nil {
		fmt.Fprintf(p.stderr, "%s: what waited is published, %s can be removed: %v\n", name, file, err)
	}
	fmt.Fprintln(p.stdout, "\nPublished.")
	return nil
}

func (p *program) writeWaiting(file string, w signing.Waiting) error {
	data, err := w.Bytes()
	if err != nil {
		return err
	}
	if err := durable.WriteFile(file, append(data, '\n'), 0o644); err != nil {
		return problem.New(problem.Failed, "Name another file with --out.", "Unable to write %s: %w", file, err)
	}
	return nil
}

func (p *program) keysNew() *cobra.Command {
	var out, root string
	cmd := &cobra.Command{
		Use: "new ROLE", Short: "Make one key here, and its public half for keys rotate --with",
		Long: `Make one key in this folder, and its public half for whoever runs keys rotate.

The key stays here, sealed by the passphrase. The public half is no secret; send
it to whoever runs keys rotate ROLE --with FILE. ROLE is as there, but online.`,
		Example: "  uplevel-publish keys new root --root root.json --out ben.pub",
		Args:    exactly("ROLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			signer := p.signer(cmd.Context())
			if root != "" {
				if err := p.adoptRoot(signer, root); err != nil {
					return err
				}
			}
			file, id, public, err := signer.NewKey(args[0])
			if err != nil {
				return err
			}
			if out == "" {
				out = strings.TrimSuffix(file, ".key") + ".pub"
			}
			if err := durable.WriteFile(out, public, 0o644); err != nil {
				return problem.New(problem.Failed, "Name another file with --out.", "Unable to write %s: %w", out, err)
			}
			fmt.Fprintf(p.stdout, "Made the key %s, id %s.\nIts public half is in %s: no secret, but it must reach the others unchanged.\n",
				filepath.Join(p.keys, file), signing.ShortID(id), out)
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "`FILE` for the public half (default: ROLE.pub here)")
	cmd.Flags().StringVar(&root, "root", "", "`FILE` with the vendor's root, for a folder that has none")
	return cmd
}

// adoptRoot lets a folder without a root start from this one, and says which it is.
func (p *program) adoptRoot(signer *signing.Signer, file string) error {
	data, err := readNamed(file, trust.MaxRoot)
	if err != nil {
		return err
	}
	fingerprint, err := trust.Fingerprint(data)
	if err != nil {
		return err
	}
	switch own, err := signer.Folder.Document(trust.RoleRoot); {
	case err == nil && !bytes.Equal(own, data):
		return problem.New(problem.Refused, "Leave out --root.", "%s trusts a root already", p.keys)
	case err == nil:
	case errors.Is(err, os.ErrNotExist):
		if err := signer.Folder.Keep(trust.RoleRoot, data); err != nil {
			return err
		}
	default:
		return err
	}
	fmt.Fprintf(p.stdout, "Root fingerprint: %s\nCompare it with what the others see.\n", fingerprint)
	return nil
}

func (p *program) keysSign() *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use: "sign FILE", Short: "Show what waits for signatures, and sign it with the keys here",
		Long: `Show what FILE changes, and add the signatures of the keys in this folder.

No network is needed. Nothing that changes more than keys is signed.`,
		Args: exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			signer := p.signer(cmd.Context())
			w, err := readWaiting(args[0])
			if err != nil {
				return err
			}
			if _, err := p.showReview(signer, w); err != nil {
				return err
			}
			if dry {
				return nil
			}
			signed, added, err := signer.Sign(w)
			if err != nil {
				return err
			}
			if added == 0 {
				return problem.New(problem.Refused, "If the key lies elsewhere, name its folder with --keys; if all have signed, run keys submit.",
					"%s waits for no key in %s, or they have signed it already", args[0], p.keys)
			}
			if err := p.writeWaiting(args[0], signed); err != nil {
				return err
			}
			signatures := "1 signature"
			if added > 1 {
				signatures = fmt.Sprintf("%d signatures", added)
			}
			fmt.Fprintf(p.stdout, "\nAdded %s to %s.\n", signatures, args[0])
			_, needs, err := signer.Review(signed)
			if err != nil {
				return err
			}
			p.showNeeds(needs)
			return nil
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show what the file changes, and sign nothing")
	return cmd
}

func (p *program) keysSubmit() *cobra.Command {
	return &cobra.Command{
		Use: "submit FILE", Short: "Publish what waited, once all have signed",
		Long: `Publish what waits in FILE, once it has all its signatures.

It says whose are missing, and removes FILE when all is published.`,
		Args: exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := readWaiting(args[0])
			if err != nil {
				return err
			}
			pub, err := p.publisher(cmd.Context())
			if err != nil {
				return err
			}
			if _, err := p.showReview(pub.Signer, w); err != nil {
				return err
			}
			return p.publishWaiting(cmd.Context(), pub.Signer, w, args[0])
		},
	}
}

func readWaiting(file string) (signing.Waiting, error) {
	data, err := readNamed(file, signing.MaxWaiting)
	if err != nil {
		return signing.Waiting{}, err
	}
	return signing.ParseWaiting(data)
}

func readNamed(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	var data []byte
	if err == nil {
		defer f.Close()
		data, err = io.ReadAll(io.LimitReader(f, limit+1))
	}
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("it is longer than %d bytes", limit)
	}
	if err != nil {
		return nil, problem.New(problem.Usage, "Name a file that can be read.", "Unable to read %s: %w", name, err)
	}
	return data, nil
}

// showReview prints what documents change, and reports whether nothing lacks.
func (p *program) showReview(signer *signing.Signer, w signing.Waiting) (met bool, err error) {
	changes, needs, err := signer.Review(w)
	if err != nil {
		return false, err
	}
	for _, c := range changes {
		fmt.Fprintf(p.stdout, "%s becomes version %d, until %s\n", c.Role, c.Facts.Version, c.Facts.Expires.Format(time.DateOnly))
		for _, h := range c.Holders {
			fmt.Fprintf(p.stdout, "  %s: %d of %d keys must sign (before: %d of %d)\n", h.Role, h.Threshold, len(h.Kept)+len(h.Added),
				h.WasThreshold, len(h.Kept)+len(h.Dropped))
			for _, group := range []struct {
				sign string
				ids  []string
			}{{"trusted from now on", h.Added}, {"trusted no more", h.Dropped}, {"trusted as before", h.Kept}} {
				for _, id := range group.ids {
					fmt.Fprintf(p.stdout, "    %s  %s\n", signing.ShortID(id), group.sign)
				}
			}
		}
	}
	for _, doc := range w.Documents {
		if doc.Role != trust.RoleRoot {
			continue
		}
		fingerprint, err := signing.FingerprintOf(doc.Data)
		if err != nil {
			return false, err
		}
		fmt.Fprintf(p.stdout, "Root fingerprint: %s\n", fingerprint)
	}
	return p.showNeeds(needs), nil
}

func (p *program) showNeeds(needs []signing.Need) (met bool) {
	met = true
	for _, n := range needs {
		met = met && n.Met()
		fmt.Fprintf(p.stdout, "  %s\n", n.Words())
		if !n.Met() {
			fmt.Fprintf(p.stdout, "    still needed: %s\n", n.Missing())
		}
	}
	return met
}
