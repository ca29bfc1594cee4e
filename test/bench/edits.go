package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"uplevel/internal/merge/formats"
)

// style is how a format is written, as far as a person with a text editor knows it.
type style struct {
	entry    *regexp.Regexp // indentation, key, what stands between, value, what ends it
	off      *regexp.Regexp // an entry that is switched off: indentation, the rest
	comment  string         // with %s for its text; empty: there are none
	rename   func(key string, n int) string
	indented bool // blanks may be doubled
}

// styleOf returns how the files of a name are written.
func styleOf(name string) style {
	plain := func(_ string, n int) string { return fmt.Sprintf("acme_option_%d", n) }
	s := style{
		entry:   regexp.MustCompile(`^(\s*)([\w.$-]+)(\s*=\s*)(\S.*?)()$`),
		off:     regexp.MustCompile(`^(\s*)[#;] ?([\w.$-]+\s*[=:].*)$`),
		comment: "# %s",
		rename:  plain,
	}
	switch filepath.Ext(name) {
	case ".ini":
		s.comment = "; %s"
	case ".yaml", ".yml":
		s.entry, s.indented = regexp.MustCompile(`^(\s*)([\w'@*/-]+)(:\s+)([^\s#|>&].*?)()$`), true
	case ".json":
		s.entry, s.off, s.comment, s.indented = regexp.MustCompile(`^(\s*)("[^"]+")(\s*:\s*)([^\[{\s].*?)(,?)$`), nil, "", true
		s.rename = func(_ string, n int) string { return fmt.Sprintf(`"acmeOption%d"`, n) }
	case ".xml":
		s.entry = regexp.MustCompile(`^(\s*)(<[\w:-]+)( [^<>]*?="|(?: [^<>]*)?>)([^<>"]+)("[^<>]*/>|"[^<>]*>|</[\w:-]+>|")$`)
		s.off, s.comment, s.indented = regexp.MustCompile(`^(\s*)<!-- *(<.*>) *-->$`), "<!-- %s -->", true
		s.rename = func(key string, _ int) string { return key }
	case ".info":
		s.entry = regexp.MustCompile(`^()([\w.-]+)(,[^,]+,[^,]+,)(\d+)(,(?:true|false))$`)
		s.rename = func(_ string, n int) string { return fmt.Sprintf("com.acme.extension%d", n) }
	}
	return s
}

// editor is one operator.
type editor struct {
	*rand.Rand
	style style
	done  map[string]int // edits by kind, over all operators
	made  int
}

// customise makes one to four edits, each of which leaves a file that parses; false: none
// was possible.
func (e *editor) customise(name string, text []byte) ([]byte, bool) {
	f := formats.For(name)
	lines := strings.SplitAfter(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")
	crlf := bytes.Contains(text, []byte("\r\n"))
	end := func(lines []string, crlf bool) []byte {
		out := strings.Join(lines, "")
		if crlf {
			out = strings.ReplaceAll(out, "\n", "\r\n")
		}
		return []byte(out)
	}
	wanted := 1 + e.IntN(4)
	for range 50 {
		if e.made == wanted {
			break
		}
		kind, next := e.edit(slices.Clone(lines))
		out := end(next, crlf != (kind == "line ends"))
		if kind == "line ends" && e.made == 0 && wanted > 1 {
			continue // nobody changes line ends and nothing else
		}
		if kind == "" || bytes.Equal(out, end(lines, crlf)) || f != nil && f.Check(string(out)) != nil {
			continue
		}
		if _, err := values(name, out); err != nil {
			continue
		}
		lines, crlf = next, crlf != (kind == "line ends")
		e.done[kind]++
		e.made++
	}
	return end(lines, crlf), e.made > 0
}

// edit makes one edit; its kind is empty where it was not possible.
func (e *editor) edit(lines []string) (string, []string) {
	at := e.find(lines, e.style.entry)
	if at < 0 {
		return "", lines
	}
	switch n := e.IntN(100); {
	case n < 45:
		return "change a value", e.change(lines, at)
	case n < 63:
		return "add a key", e.add(lines, at)
	case n < 69:
		return "remove a key", slices.Delete(lines, at, at+1)
	case n < 78:
		return e.uncomment(lines)
	case n < 88:
		return e.remark(lines, at)
	case n < 94:
		return e.swap(lines, at)
	case n < 97:
		return "line ends", lines
	case e.style.indented:
		for i, line := range lines {
			body := strings.TrimLeft(line, " ")
			lines[i] = strings.Repeat(" ", len(line)-len(body)) + line
		}
		return "re-indent", lines
	}
	return "", lines
}

// find returns a line of a kind, or -1.
func (e *editor) find(lines []string, kind *regexp.Regexp) int {
	var all []int
	for i, line := range lines {
		if kind != nil && kind.MatchString(strings.TrimSuffix(line, "\n")) {
			all = append(all, i)
		}
	}
	if len(all) == 0 {
		return -1
	}
	return all[e.IntN(len(all))]
}

func (e *editor) parts(line string) []string {
	return e.style.entry.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
}

func (e *editor) change(lines []string, at int) []string {
	p := e.parts(lines[at])
	lines[at] = p[1] + p[2] + p[3] + e.value(p[4]) + p[5] + "\n"
	return lines
}

// value returns what an operator may write instead: another port, the other switch, a name
// or path of the site.
func (e *editor) value(old string) string {
	switches := map[string]string{"true": "false", "false": "true", "on": "off", "off": "on", "yes": "no", "no": "yes", "True": "False", "False": "True"}
	if other, ok := switches[old]; ok {
		return other
	}
	if n, err := strconv.Atoi(old); err == nil {
		return strconv.Itoa(n + 1 + e.IntN(1000))
	}
	for _, quote := range []string{`"`, `'`} {
		if rest, ok := strings.CutSuffix(old, quote); ok {
			return rest + "-acme" + strconv.Itoa(e.IntN(10)) + quote
		}
	}
	return old + "-acme" + strconv.Itoa(e.IntN(10))
}

// add puts a key of the operator's in front of or behind one that is there or, as people
// do, at the end.
func (e *editor) add(lines []string, at int) []string {
	p := e.parts(lines[at])
	entry := p[1] + e.style.rename(p[2], e.IntN(1000)) + p[3] + e.value(p[4]) + p[5] + "\n"
	to := at
	switch e.IntN(4) {
	case 0:
		to = len(lines)
		for to > 0 && strings.TrimSpace(lines[to-1]) == "" {
			to--
		}
	case 1, 2:
		to = at + 1
	}
	return slices.Insert(lines, to, entry)
}

func (e *editor) uncomment(lines []string) (string, []string) {
	at := e.find(lines, e.style.off)
	if at < 0 {
		return "", lines
	}
	p := e.style.off.FindStringSubmatch(strings.TrimSuffix(lines[at], "\n"))
	lines[at] = p[1] + p[2] + "\n"
	return "uncomment", lines
}

func (e *editor) remark(lines []string, at int) (string, []string) {
	if e.style.comment == "" {
		return "", lines
	}
	text := fmt.Sprintf(e.style.comment, fmt.Sprintf("ACME: see OPS-%d", 100+e.IntN(900)))
	return "add a comment", slices.Insert(lines, at, e.parts(lines[at])[1]+text+"\n")
}

func (e *editor) swap(lines []string, at int) (string, []string) {
	if at+1 >= len(lines) {
		return "", lines
	}
	a, b := e.parts(lines[at]), e.parts(lines[at+1])
	if b == nil || a[1] != b[1] || a[5] != b[5] {
		return "", lines
	}
	lines[at], lines[at+1] = lines[at+1], lines[at]
	return "reorder", lines
}
