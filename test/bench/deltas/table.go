package deltas

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Tables returns what was measured as Markdown: bytes, making, applying.
func (r Report) Tables() string {
	var b strings.Builder
	b.WriteString("Bytes that travel; in brackets their ratio to the fewest of any tool but Uplevel.\n\n")
	r.table(&b, []string{"changed files", "goal for Uplevel"}, func(row Row) []string {
		return []string{strconv.Itoa(row.Changed), row.Goal}
	}, func(row Row, result Result) string {
		return fmt.Sprintf("%s (%s)", thousands(result.Bytes), ratio(result.Bytes, row.best()))
	})
	for _, row := range r.Rows {
		if len(row.Marks) > 0 {
			fmt.Fprintf(&b, "\nFixed marks of %s, from another day: %s.\n", row.Name, marks(row))
		}
	}
	if len(r.Missing) > 0 {
		fmt.Fprintf(&b, "\nNot installed, and so not measured: %s.\n", strings.Join(r.Missing, ", "))
	}
	none := func(Row) []string { return nil }
	b.WriteString("\nMaking: seconds by the clock; of the processors; MB of memory at most.\n\n")
	r.table(&b, nil, none, func(_ Row, result Result) string { return result.Make.String() })
	b.WriteString("\nApplying, likewise.\n\n")
	r.table(&b, nil, none, func(_ Row, result Result) string { return result.Apply.String() })
	return b.String()
}

// table writes a table of pairs and tools, with what is told of a pair before them.
func (r Report) table(b *strings.Builder, heads []string, told func(Row) []string, cell func(Row, Result) string) {
	heads = slices.Concat([]string{"pair"}, heads, r.Tools)
	writeLine(b, heads)
	b.WriteString("|" + strings.Repeat(" --- |", len(heads)) + "\n")
	for _, row := range r.Rows {
		cells := append([]string{row.Name}, told(row)...)
		for _, result := range row.Results {
			cells = append(cells, cell(row, result))
		}
		writeLine(b, cells)
	}
}

func writeLine(b *strings.Builder, cells []string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// best is the fewest bytes of any tool but the first; 0: there is no other.
func (row Row) best() int64 {
	best := int64(0)
	for _, result := range row.Results[1:] {
		if best == 0 || result.Bytes < best {
			best = result.Bytes
		}
	}
	return best
}

func marks(row Row) string {
	var all []string
	for _, m := range row.Marks {
		all = append(all, fmt.Sprintf("%s %s bytes (ratio %s), making %s s of the processor, applying %s s and %d MB",
			m.Tool, thousands(m.Bytes), ratio(row.Results[0].Bytes, m.Bytes), seconds(m.Make), seconds(m.Apply), m.PeakMB))
	}
	return strings.Join(all, "; ")
}

// String returns seconds by the clock, seconds of the processors, and MB.
func (c Cost) String() string {
	memory := "–"
	if c.PeakKB > 0 {
		memory = strconv.FormatInt((c.PeakKB<<10+500_000)/1_000_000, 10)
	}
	return fmt.Sprintf("%s; %s; %s", seconds(c.Wall), seconds(c.CPU), memory)
}

func seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.2f", d.Seconds())
	}
	return fmt.Sprintf("%.1f", d.Seconds())
}

func ratio(ours, theirs int64) string {
	if theirs == 0 {
		return "–"
	}
	r := float64(ours) / float64(theirs)
	if r >= 10 {
		return strconv.FormatFloat(r, 'f', 0, 64)
	}
	return strconv.FormatFloat(r, 'f', max(2, 1-int(math.Floor(math.Log10(r)))), 64)
}

// thousands writes a number with commas.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}
