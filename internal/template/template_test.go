package template_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	standard "text/template"

	"pgregory.net/rapid"

	"uplevel/internal/template"
)

type data struct {
	Added, Modified, Removed []string
	OS                       string
	hidden                   string //nolint:unused // a field that no template may see
}

func sample() data {
	return data{Added: []string{"bin/run.sh", `lib/a "b" & c.jar`, "ü"}, Modified: []string{}, OS: "linux"}
}

// printed returns what is printed, and whether all of it could be.
func printed(text string, value any) (string, error) {
	var out strings.Builder
	t, err := template.Parse(text)
	if err == nil {
		err = t.Execute(&out, value)
	}
	return out.String(), err
}

// judged returns what the standard library prints.
func judged(text string, value any) (string, error) {
	var out strings.Builder
	t, err := standard.New("template").Parse(text)
	if err == nil {
		err = t.Execute(&out, value)
	}
	return out.String(), err
}

type fataler interface {
	Fatalf(format string, args ...any)
}

// agree compares both, up to where they fail if they do.
func agree(t fataler, text string) (works bool) {
	got, err := printed(text, sample())
	want, wantErr := judged(text, sample())
	if got != want || (err == nil) != (wantErr == nil) {
		t.Fatalf("%s\nprints %q, %v\nwanted %q, %v", text, got, err, want, wantErr)
	}
	return err == nil
}

// working are templates that print something.
func working() []string {
	return []string{
		"", "text", "{{/* nothing */}}", "Modified: {{.Modified}}, Conflicts: {{.Removed}}", "{{.}}", "{{$}} {{$.OS}}", "{{len .Added}} {{.Added | len}}",
		"{{range .Added}}{{.}}\n{{end}}", "{{range $i, $path := .Added}}{{$i}}={{$path}};{{end}}", "{{range $path := .Added}}{{$path}}{{else}}none{{end}}",
		"{{range .Modified}}{{.}}{{else}}none{{end}}", "{{range .Removed}}{{.}}{{else}}none{{end}}",
		"{{range 3}}{{.}}{{end}}", "{{range $n := 2}}{{$n}}{{end}}", "{{range 0}}x{{else}}none{{end}}", "{{range index .OS 0}}.{{end}}", "{{template \"x\"}}{{define \"x\"}}{{range .}}x{{else}}none{{end}}{{end}}",
		"{{range $i, $p := .Added}}{{if eq $i 1}}{{continue}}{{end}}{{$p}}{{end}}", "{{range $i, $p := .Added}}{{if $i}}{{break}}{{end}}{{$p}}{{end}} after",
		"{{$n := 0}}{{range $n = .Added}}{{end}}{{$n}}", "{{$i := 0}}{{$p := \"\"}}{{range $i, $p = .Added}}{{end}}{{$i}}{{$p}}", "{{range $x, $x := .Added}}{{$x}}{{end}}",
		"{{if .Added}}yes{{else}}no{{end}}", "{{if .Removed}}yes{{else if .OS}}os{{else}}no{{end}}", "{{with .OS}}{{.}}{{end}}", "{{with $x := .OS}}{{$x}}{{$.Added}}{{else}}no{{end}}", "{{with .Removed}}x{{else with .OS}}{{.}}{{end}}",
		"{{if and .Added .Removed}}both{{end}}{{if or .Added .Nothing}}one{{end}}", "{{and 1 0 .Nothing}} {{or 0 \"\" nil}} {{.OS | and true}} {{not .OS}} {{not nil}}",
		"{{index .Added 1}} {{index .OS 0}} {{index .Added}} {{index .Added 0 2}}", "{{slice .Added 1}} {{slice .Added 1 2}} {{slice .Added 0 1 2}} {{slice .OS 1 3}} {{slice .OS}} {{slice .OS 5}}",
		"{{printf \"%s %v %q %03d\" .OS .Added .OS 7}} {{.OS | printf \"%-8s|\"}} {{print 1 2 .OS nil}} {{println .OS 1}}", "{{print}}{{println}}",
		"{{html .Added}} {{.Added | html}} {{js \"a'b<\"}} {{urlquery .OS \"a b\"}} {{html nil}}",
		"{{eq .OS \"windows\" \"linux\"}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt \"b\" \"a\"}} {{ge 1.5 2.5}} {{eq (index .OS 0) 108}} {{eq .Removed nil}} {{eq .Modified nil}} {{eq nil 1}} {{eq 1i 1i}} {{eq true false}}",
		"{{1}} {{-1}} {{0x1F}} {{1.5}} {{1e3}} {{'a'}} {{0x1p4}} {{1i}} {{1_000}} {{true}} {{`raw`}} {{\"\\t\"}}",
		"{{$x := 1}}{{$x}}{{$x = 2}}{{$x}}{{if true}}{{$x = 3}}{{$y := 4}}{{$y}}{{end}}{{$x}}", "{{(slice .Added 0 1) | len | printf \"%d\"}}", "{{with $}}{{(.).OS}}{{end}} {{($).OS | len}}",
		"{{template \"row\" .Added}}{{define \"row\"}}<{{.}}{{$}}>{{end}}", "{{block \"b\" .OS}}[{{.}}]{{end}}", "{{template \"x\"}}{{define \"x\"}}{{.}}{{.Foo.Bar}}{{end}}", "{{define \"x\"}}x{{end}}",
		"a {{- 1 -}} b", "{{define \"x\"}}{{if .}}{{len .}}{{template \"x\" (slice . 1)}}{{end}}{{end}}{{template \"x\" .Added}}", "{{range .Added}}{{range $.Added}}{{break}}{{end}}{{.}}{{end}}",
	}
}

// failing are templates that cannot be read, or ask for what is not there.
func failing() []string {
	return []string{
		"{{", "{{.Added", "{{nothing}}", "{{$x}}", "{{end}}", "{{break}}", "{{if}}{{end}}", "{{nil}}", "before {{.Nothing}} after", "{{.hidden}}", "{{.Added.Nothing}}", "{{.OS.Nothing}}", "{{.OS 1}}", "{{1 | .OS}}", "{{1 2}}", "{{(print) 1}}", "{{$ 1}}",
		"{{template \"x\"}}", "{{define \"x\"}}{{template \"x\"}}{{end}}{{template \"x\"}}", "{{range .OS}}{{end}}", "{{range .}}{{end}}", "{{range 1.5}}{{end}}", "{{range $i, $n := 3}}{{end}}", "{{range true}}{{end}}",
		"{{len}}", "{{len 1}}", "{{len nil}}", "{{len .}}", "{{len .Added .Added}}", "{{index}}", "{{index nil}}", "{{index .Added 3}}", "{{index .Added -1}}", "{{index .Added \"a\"}}", "{{index .Added nil}}", "{{index .Modified 0}}", "{{index .OS 5}}", "{{index 1 1}}",
		"{{slice nil}}", "{{slice 1}}", "{{slice .OS 1 2 3}}", "{{slice .Added 2 1}}", "{{slice .Added 0 2 1}}", "{{slice .Added 4}}", "{{slice .Added 0 1 2 3}}", "{{slice .Added \"a\"}}", "{{slice .OS 6}}",
		"{{printf}}", "{{printf 1}}", "{{printf nil}}", "{{printf .Added}}", "{{not}}", "{{not 1 2}}", "{{and}}", "{{or}}", "{{call}}", "{{call nil}}", "{{call .OS}}", "{{call .Added 1}}",
		"{{eq}}", "{{eq 1}}", "{{eq 1 \"a\"}}", "{{eq .Added .Added}}", "{{eq . .}}", "{{eq 1 1.0}}", "{{eq . .Removed}}", "{{ne 1}}", "{{lt 1}}", "{{lt 1 \"a\"}}", "{{lt true false}}", "{{lt nil 1}}", "{{lt 1i 2i}}", "{{le .Added .Added}}", "{{gt . .}}", "{{ge 1 2.0}}",
		"{{9223372036854775808}}", "{{if .Nothing}}{{end}}", "{{with .Nothing}}{{end}}", "{{$x := .Nothing}}", "{{template \"x\" .Nothing}}{{define \"x\"}}{{end}}", "{{html .Nothing}}", "{{and 1 .Nothing}}", "{{(.Nothing).OS}}", "{{print (.Nothing)}}",
	}
}

// TestItPrintsAsTheStandardLibraryDoes holds every part of the language against it.
func TestItPrintsAsTheStandardLibraryDoes(t *testing.T) {
	t.Parallel()
	for _, text := range working() {
		if !agree(t, text) {
			_, err := printed(text, sample())
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range failing() {
		if agree(t, text) {
			t.Errorf("%s: nothing is wrong with it", text)
		}
	}
}

// TestAnyTemplate makes up templates.
func TestAnyTemplate(t *testing.T) {
	t.Parallel()
	worked := 0
	rapid.Check(t, func(t *rapid.T) {
		if agree(t, "{{$x := 1}}"+nodes(t, 3)+`{{define "d"}}{{.}}{{end}}`) {
			worked++
		}
	})
	if worked == 0 {
		t.Error("no template worked")
	}
}

func nodes(t *rapid.T, depth int) string {
	var text strings.Builder
	for range rapid.IntRange(1, 3).Draw(t, "nodes") {
		forms := []string{"text", "{{%s}}", "{{$x = %s}}", "{{$y := %s}}{{$y}}", "{{template \"d\" %s}}"}
		if depth > 0 {
			forms = append(forms, "{{if %s}}%s{{end}}", "{{if %s}}%s{{else}}%s{{end}}", "{{with %s}}%s{{else}}%s{{end}}", "{{with $y := %s}}%s{{end}}",
				"{{range %s}}%s{{else}}%s{{end}}", "{{range $i, $y := %s}}%s{{$i}}{{$y}}{{end}}", "{{range $x = %s}}%s{{if .}}{{break}}{{end}}{{end}}", "{{range %s}}{{if .}}{{continue}}{{end}}%s{{end}}")
		}
		form := rapid.SampledFrom(forms).Draw(t, "form")
		for i := range strings.Count(form, "%s") {
			if i == 0 {
				form = strings.Replace(form, "%s", pipeline(t, 2), 1)
			} else {
				form = strings.Replace(form, "%s", nodes(t, depth-1), 1)
			}
		}
		text.WriteString(form)
	}
	return text.String()
}

func pipeline(t *rapid.T, depth int) string {
	commands := []string{command(t, depth)}
	for range rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "pipes") {
		commands = append(commands, rapid.SampledFrom([]string{"len", "print", "printf \"%v\"", "html", "not", "eq 3", "index .Added", "and 1", "or 0", "slice"}).Draw(t, "pipe"))
	}
	return strings.Join(commands, " | ")
}

func command(t *rapid.T, depth int) string {
	if rapid.Bool().Draw(t, "operand") {
		return operand(t, depth)
	}
	name := rapid.SampledFrom(strings.Fields("and or not len index slice print printf println html js urlquery eq ne lt le gt ge call")).Draw(t, "function")
	words := []string{name}
	for range rapid.IntRange(0, 3).Draw(t, "arguments") {
		words = append(words, operand(t, depth))
	}
	return strings.Join(words, " ")
}

func operand(t *rapid.T, depth int) string {
	simple := []string{".", "$", ".Added", ".Added", ".Modified", ".Removed", "$.OS", ".OS", "$x", "nil", "0", "1", "2", "2.5", "'a'", `"text"`, `"%v"`, "true", "false", ".Nothing"}
	if depth > 0 && rapid.IntRange(0, 3).Draw(t, "parentheses") == 0 {
		return "(" + pipeline(t, depth-1) + ")"
	}
	return rapid.SampledFrom(simple).Draw(t, "simple")
}

// TestErrorsNameThePlace: an operator sees what to correct.
func TestErrorsNameThePlace(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{{.Added":         "template: template:1: unclosed action",
		"a\n{{.Changed}}":  "template:2:2: <.Changed>: there is no field Changed",
		"{{len 1}}":        "template:1:2: <len>: int has no length",
		"{{.OS 1}}":        "template:1:2: <.OS 1>: .OS is no function and takes no arguments",
		"{{index .OS 99}}": "template:1:2: <index>: index 99 is out of range",
	} {
		if _, err := printed(text, sample()); err == nil || err.Error() != want {
			t.Errorf("%s: %v\nwanted %s", text, err, want)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, fmt.Errorf("full") }

// TestItStopsWhereItCannotWrite: neither text nor a value is lost in silence.
func TestItStopsWhereItCannotWrite(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"text", "{{.OS}}", "{{range .Added}}{{.}}{{end}}"} {
		parsed, err := template.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := parsed.Execute(full{}, sample()); err == nil || !strings.Contains(err.Error(), "full") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// FuzzTemplate holds any text against the standard library.
func FuzzTemplate(f *testing.F) {
	for _, text := range append(working(), failing()...) {
		f.Add(text)
	}
	// What loops for ever does so in both.
	long := regexp.MustCompile(`\d{3,}|\d_|\d[eExXpPbBoO]|'|range[\s\S]*range[\s\S]*range`)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 200 || long.MatchString(text) {
			t.Skip()
		}
		if _, err := printed(text, sample()); err != nil && strings.Contains(err.Error(), "takes no arguments") {
			t.Skip() // the standard library allows them for a field of nothing
		}
		agree(t, text)
	})
}
