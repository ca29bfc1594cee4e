package merging

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// chapter is a folder of cases.
type chapter struct{ folder, title, about string }

// chapters in the order of the page. Every folder of testdata must be named here.
func chapters() []chapter {
	return []chapter{
		{"properties", "Properties", "`.properties`: by key. Comments right above a key belong to it; a comment that a blank line sets apart stands for itself."},
		{"ini", "INI", "`.ini`, `.cfg`: by section and key."},
		{"toml", "TOML", "`.toml`: by table and key; tables of an array by `id`, `name`, `key` or `class`, otherwise by their order. A template `.toml.j2` is no TOML yet: see [by line](#by-line)."},
		{"yaml", "YAML", "`.yaml`, `.yml`: by key path; lists by identity, otherwise by order. A file with anchors and aliases is merged by line."},
		{"json", "JSON", "`.json`: by key path; lists as in YAML."},
		{"xml", "XML", "`.xml`, `.xsl`, `.xslt`, `.xsd`, `.wsdl`: by element and attribute; elements of one name by `id`, `name`, `key` or `class`. A DTD that declares something is never read: such a file is merged by line."},
		{"bundles", "Bundle lists", "`bundles.info`: by the bundle's name. Version and location are one value, start level and autostart one each."},
		{"lines", "By line", "Everything else that is text, templates (`.j2`, `.vm`, `.erb`, `.tmpl`, `.ftl`), and what a format cannot be read for: by line, as `git merge-file` does it."},
		{"whole", "Only as a whole", "What is no text, is too large, or would break: nothing inside is merged, the whole file is the conflict."},
	}
}

// widest is how wide a block may be that shows sides beside each other.
const widest = 116

// Page writes the manual.
func Page(all map[string][]*Case) string {
	var b strings.Builder
	b.WriteString(introduction)
	for _, ch := range chapters() {
		fmt.Fprintf(&b, "- [%s](#%s): %d cases\n", ch.title, anchor(ch.title), len(all[ch.folder]))
	}
	for _, ch := range chapters() {
		fmt.Fprintf(&b, "\n## %s\n%s\n", ch.title, ch.about)
		for _, c := range all[ch.folder] {
			c.show(&b)
		}
	}
	return b.String()
}

func anchor(title string) string {
	return strings.ReplaceAll(strings.ToLower(title), " ", "-")
}

// panel is what one side has.
type panel struct {
	title string
	lines []string
}

func (c *Case) show(b *strings.Builder) {
	fmt.Fprintf(b, "\n### %s\n%s\n`%s`, merged %s", c.Title, c.Why, c.File, c.How)
	if c.texts[whole] != "" {
		b.WriteString(": " + strings.TrimSpace(c.texts[whole]))
	}
	b.WriteString("\n\n")
	panels := c.panels()
	for len(panels) > 0 {
		n := len(panels)
		for n > 1 && width(panels[:n]) > widest || n == 3 && len(panels) == 4 {
			n--
		}
		beside(b, panels[:n])
		panels = panels[n:]
	}
	c.asked(b)
}

func (c *Case) panels() []panel {
	var all []panel
	if _, ok := c.texts[base]; !ok {
		all = append(all, panel{"as shipped", []string{"(not there)"}})
	}
	titles := map[string]string{
		base: "as shipped", mine: "yours", theirs: "the vendor's new", result: "result", vendors: "result, vendor's answer",
	}
	if _, ok := c.texts[vendors]; ok {
		titles[result] = "result, your answer"
	}
	for _, name := range c.order {
		title, shown := titles[name]
		if !shown {
			continue
		}
		if e := c.encodings[name]; e != "" {
			title += " (" + e + ")"
		}
		text := strings.ReplaceAll(strings.TrimSuffix(c.texts[name], "\n"), "\t", "    ")
		all = append(all, panel{title, strings.Split(text, "\n")})
	}
	return all
}

func (p panel) width() int {
	w := utf8.RuneCountInString(p.title)
	for _, line := range p.lines {
		w = max(w, utf8.RuneCountInString(line))
	}
	return w
}

const between = " │ "

func width(panels []panel) int {
	w := 3 * (len(panels) - 1)
	for _, p := range panels {
		w += p.width()
	}
	return w
}

// beside shows panels in one block, side by side.
func beside(b *strings.Builder, panels []panel) {
	rows := 0
	for _, p := range panels {
		rows = max(rows, len(p.lines))
	}
	b.WriteString("```text\n")
	row := func(cell func(panel) string) {
		var line strings.Builder
		for i, p := range panels {
			if i > 0 {
				line.WriteString(between)
			}
			text := cell(p)
			line.WriteString(text + strings.Repeat(" ", p.width()-utf8.RuneCountInString(text)))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	row(func(p panel) string { return p.title })
	row(func(p panel) string { return strings.Repeat("─", p.width()) })
	for i := range rows {
		row(func(p panel) string {
			if i < len(p.lines) {
				return p.lines[i]
			}
			return ""
		})
	}
	b.WriteString("```\n")
}

// asked shows the conflicts.
func (c *Case) asked(b *strings.Builder) {
	if c.texts[conflicts] == "" {
		return
	}
	b.WriteString("\nAsked:\n\n| key | as shipped | yours | the vendor's new |\n| --- | --- | --- | --- |\n")
	for four := range slices.Chunk(strings.Split(strings.TrimSuffix(c.texts[conflicts], "\n"), "\n"), 4) {
		fmt.Fprintf(b, "| %s |", code(four[0]))
		for _, side := range four[1:] {
			_, value, has := strings.Cut(side, " = ")
			switch {
			case !has:
				b.WriteString(" *nothing* |")
			case value == "":
				b.WriteString(" *empty* |")
			default:
				b.WriteString(" " + code(value) + " |")
			}
		}
		b.WriteString("\n")
	}
}

// code quotes a value for a cell of a table.
func code(s string) string {
	return "`" + strings.ReplaceAll(s, "|", "\\|") + "`"
}
