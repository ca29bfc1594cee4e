package update

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"uplevel/internal/release"
)

// changelogName and summaryName are the files' names below updates/, as U2 has them.
func changelogName(from, to int) string { return fmt.Sprintf("changelog-%04d-%04d.md", from, to) }

func summaryName(from, to int) string { return fmt.Sprintf("update-summary-%04d-%04d.md", from, to) }

// changelog writes which files a change added, updated and removed, in U2's form.
func changelog(r *Result) []byte {
	var b strings.Builder
	b.WriteString("# Changelog\n\n")
	fmt.Fprintf(&b, "Product: %s-%s\n\n", r.Product, r.Version)
	fmt.Fprintf(&b, "Update level: %d to %d\n", r.From.Level, r.To.Level)
	if r.From.Channel != r.To.Channel || r.To.Channel != release.DefaultChannel {
		fmt.Fprintf(&b, "\nChannel: %s to %s\n", r.From.Channel, r.To.Channel)
	}
	for _, section := range []struct {
		title string
		paths []string
	}{{"Added", r.Files.Added}, {"Updated", sorted(r.Files.Modified, r.Files.Conflicts)}, {"Removed", r.Files.Removed}} {
		fmt.Fprintf(&b, "\n## %s Files (%d)\n\n", section.title, len(section.paths))
		if len(section.paths) == 0 {
			b.WriteString("_None_\n")
		}
		for _, p := range section.paths {
			fmt.Fprintf(&b, "- %s\n", p)
		}
	}
	return []byte(b.String())
}

func sorted(lists ...[]string) []string {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return slices.Compact(all)
}

// SummaryText is the summary of the updates that r brought, as Markdown.
func (r *Result) SummaryText() []byte { return summary(r) }

// summary writes the descriptions of all updates between two levels as Markdown.
func summary(r *Result) []byte {
	var b strings.Builder
	b.WriteString("# Update Summary\n\n")
	fmt.Fprintf(&b, "Product: %s-%s\n\n", r.Product, r.Version)
	fmt.Fprintf(&b, "Update level: %d to %d\n\n", r.From.Level, r.To.Level)
	fmt.Fprintf(&b, "Security updates: %d, regular updates: %d\n", r.Gain.Security, r.Gain.Regular)
	for _, f := range r.Gain.Floors {
		fmt.Fprintf(&b, "\n**Level %d must not be missed:** %s\n", f.Level, f.Reason)
	}
	level := -1
	for _, n := range r.Gain.Updates {
		if n.Level != level {
			level = n.Level
			fmt.Fprintf(&b, "\n## Update level %d\n", level)
		}
		writeNote(&b, n)
	}
	if len(r.Gain.Updates) == 0 {
		b.WriteString("\n_None_\n")
	}
	return []byte(b.String())
}

func writeNote(b *strings.Builder, n UpdateNote) {
	fmt.Fprintf(b, "\n### Update %d (%s)\n", n.ID, n.Type)
	for _, part := range []struct{ title, text string }{
		{"", n.Description},
		{"Implementation", n.Implementation},
		{"Impact", n.Impact},
		{"Instructions", n.Instructions},
	} {
		text := strings.TrimSpace(part.text)
		switch {
		case text == "":
		case part.title == "":
			fmt.Fprintf(b, "\n%s\n", text)
		default:
			fmt.Fprintf(b, "\n#### %s\n\n%s\n", part.title, text)
		}
	}
	if len(n.BugFixes) > 0 {
		b.WriteString("\n#### Bug fixes\n\n")
		for _, key := range slices.Sorted(maps.Keys(n.BugFixes)) {
			fmt.Fprintf(b, "- %s: %s\n", key, n.BugFixes[key])
		}
	}
	if len(n.Advisories) > 0 {
		fmt.Fprintf(b, "\nAdvisories: %s\n", strings.Join(n.Advisories, ", "))
	}
}
