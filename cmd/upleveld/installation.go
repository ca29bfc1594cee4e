package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"uplevel/internal/api"
	"uplevel/internal/fleet"
	"uplevel/internal/problem"
	"uplevel/internal/server"
	"uplevel/internal/sqlstore"
)

// installationRow is one installation with whose it is.
type installationRow struct {
	Organisation string `json:"organisation"` // empty: the vendor's own staff
	api.Installation
}

func (p *program) installationList() *cobra.Command {
	var organisation, product, output string
	cmd := &cobra.Command{Use: "list", Short: "What installations reported", Args: exactly()}
	cmd.Flags().StringVar(&organisation, "organisation", "", "only this customer's")
	cmd.Flags().StringVar(&product, "product", "", "only this product's")
	cmd.Flags().StringVar(&output, "output", "table", "table or json")
	cmd.RunE = p.onDatabase(func(ctx context.Context, db *sqlstore.DB, _ []string) error {
		if output != "table" && output != "json" {
			return problem.New(problem.Usage, "give --output table or --output json", "--output %.40q is unknown", output)
		}
		q := fleet.Query{Everyone: organisation == "", Product: product}
		if organisation != "" {
			o, err := db.OrganisationByName(ctx, organisation)
			if err != nil {
				return err
			}
			q.Organisation = o.ID
		}
		rows, err := installationRows(ctx, db, q)
		if err != nil {
			return err
		}
		if output == "json" {
			e := json.NewEncoder(p.stdout)
			e.SetIndent("", "  ")
			return e.Encode(map[string]any{"installations": rows})
		}
		return p.tellInstallations(rows)
	})
	return cmd
}

func installationRows(ctx context.Context, db *sqlstore.DB, q fleet.Query) ([]installationRow, error) {
	found, err := db.Installations(ctx, q)
	if err != nil {
		return nil, err
	}
	names := map[string]string{"": ""}
	rows := make([]installationRow, 0, len(found))
	for _, i := range found {
		name, known := names[i.Organisation]
		if !known {
			o, err := db.OrganisationByID(ctx, i.Organisation)
			if err != nil {
				return nil, err
			}
			name = o.Name
			names[i.Organisation] = name
		}
		rows = append(rows, installationRow{name, server.Seen(i)})
	}
	return rows, nil
}

func (p *program) tellInstallations(rows []installationRow) error {
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ORGANISATION\tINSTALLATION\tPRODUCT\tLEVEL\tDRIFT\tLAST CHANGE\tLAST SEEN")
	for _, r := range rows {
		who := r.ID[:min(len(r.ID), 12)]
		if r.Host != "" {
			who += " " + r.Host
		}
		level := fmt.Sprintf("%d", r.Level)
		if r.Channel != "full" {
			level += " (" + r.Channel + ")"
		}
		if len(r.Hotfixes) > 0 {
			level += " + " + strings.Join(r.Hotfixes, ", ")
		}
		fmt.Fprintf(w, "%s\t%s\t%s-%s\t%s\t%s\t%s\t%s\n",
			orDash(r.Organisation), who, r.Product, r.Version, level, driftText(r.Drift), changeText(r.LastChange), r.Last.UTC().Format("2006-01-02 15:04"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	p.done("%d in all", len(rows))
	return nil
}

func driftText(d *api.ReportedDrift) string {
	switch {
	case d == nil:
		return "unknown"
	case d.Customised+d.Missing == 0:
		return "none"
	}
	return fmt.Sprintf("%d customised, %d missing", d.Customised, d.Missing)
}

func changeText(c *api.ReportedWork) string {
	if c == nil {
		return "-"
	}
	return fmt.Sprintf("%s %s %s", c.Operation, c.Outcome, c.At.UTC().Format(time.DateOnly))
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
