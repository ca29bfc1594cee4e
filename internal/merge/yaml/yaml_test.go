package yaml_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	stdyaml "go.yaml.in/yaml/v4"
	"pgregory.net/rapid"

	"uplevel/internal/merge"
	"uplevel/internal/merge/yaml"
)

// edit is a text with replacements: old, new, old, new.
func edit(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		if strings.Count(text, pairs[i]) != 1 {
			t.Fatalf("%q stands %d times", pairs[i], strings.Count(text, pairs[i]))
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}

func sample(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func sides(base, mine, theirs string) merge.Sides {
	return merge.Sides{Base: []byte(base), Mine: []byte(mine), Theirs: []byte(theirs)}
}

func TestMergesByKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, file         string
		mine, theirs, want []string // edits of the file
	}{
		{
			"values", "application.yml",
			[]string{"port: 8080  # https is 8443", "port: 9090  # https is 8443", "'INFO'", "\"INFO\""},
			[]string{"timeout: 30s", "timeout: 60s", "'INFO'", "'WARN'"},
			[]string{"port: 8080  # https is 8443", "port: 9090  # https is 8443", "'INFO'", "\"WARN\"", "timeout: 30s", "timeout: 60s"},
		},
		{
			"keys with their comments", "application.yml",
			[]string{"  # how long\n  timeout: 30s\n", "", "spring:", "# ours\nown:\n  a: 1\n\nspring:"},
			[]string{"    enabled: true\n", "    enabled: true\n    # smaller answers\n    min-size: 2KB # each\n", "# the server\n", "# the server of pages\n"},
			[]string{
				"  # how long\n  timeout: 30s\n", "", "spring:", "# ours\nown:\n  a: 1\n\nspring:",
				"    enabled: true\n", "    enabled: true\n    # smaller answers\n    min-size: 2KB # each\n", "# the server\n", "# the server of pages\n",
			},
		},
		{
			"at the end", "application.yml",
			[]string{"port: 8080", "port: 1"},
			[]string{"root: 'INFO'\n", "root: 'INFO'\n  org: DEBUG\n\nnew:\n- a\n"},
			[]string{"port: 8080", "port: 1", "root: 'INFO'\n", "root: 'INFO'\n  org: DEBUG\n\nnew:\n- a\n"},
		},
		{
			"a whole block goes", "application.yml",
			[]string{"port: 8080", "port: 1"},
			[]string{"  compression:\n    enabled: true\n    # kinds\n    types: [text/html, text/css]\n", ""},
			[]string{"port: 8080", "port: 1", "  compression:\n    enabled: true\n    # kinds\n    types: [text/html, text/css]\n", ""},
		},
		{
			"elements with names", "deployment.yaml",
			[]string{"value: \"512m\"", "value: \"2g\"", "        - name: sidecar\n          image: example/sidecar:1\n", ""},
			[]string{"example/server:1.0", "example/server:1.1", "            - name: HEAP", "            - name: OPTS\n              value: -x\n            - name: HEAP"},
			[]string{
				"value: \"512m\"", "value: \"2g\"", "        - name: sidecar\n          image: example/sidecar:1\n", "",
				"example/server:1.0", "example/server:1.1", "            - name: HEAP", "            - name: OPTS\n              value: -x\n            - name: HEAP",
			},
		},
		{
			"texts of many lines", "deployment.yaml",
			[]string{"  replicas: 1", "  replicas: 3"},
			[]string{"    exec server\n", "    # start\n    exec server \"$@\"\n"},
			[]string{"  replicas: 1", "  replicas: 3", "    exec server\n", "    # start\n    exec server \"$@\"\n"},
		},
		{
			"elements by order", "deployment.yaml",
			[]string{"  - --verbose\n", "  - --verbose\n  - --own\n"},
			[]string{"  - serve\n", "  - start\n"},
			[]string{"  - --verbose\n", "  - --verbose\n  - --own\n", "  - serve\n", "  - start\n"},
		},
	} {
		base := sample(t, c.file)
		for _, end := range []string{"\n", "\r\n"} {
			full := strings.NewReplacer("\n", end)
			got, err := merge.Merge(sides(full.Replace(base), full.Replace(edit(t, base, c.mine...)), edit(t, base, c.theirs...)), yaml.Format{})
			if err != nil || got.How != "by key (YAML)" || len(got.Conflicts) > 0 {
				t.Errorf("%s: %v %s %+v", c.name, err, got.How, got.Conflicts)
			}
			if diff := cmp.Diff(full.Replace(edit(t, base, c.want...)), string(got.Merged)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.name, diff)
			}
		}
	}
}

func TestMergesSmall(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, base, mine, theirs, want string }{
		{"no end of the last line", "a: 1", "a: 2", "a: 1\nb: 3", "a: 2\nb: 3"},
		{"indentation stays", "a:\n  b: 1\n", "a:\n    b: 2\n", "a:\n  b: 1\n  # c\n  c: 3\n", "a:\n    b: 2\n    # c\n    c: 3\n"},
		{"dashes stay in", "a:\n- x: 1\n  id: 1\n", "a:\n  - x: 2\n    id: 1\n", "a:\n- x: 1\n  id: 1\n- x: 3\n  id: 2\n", "a:\n  - x: 2\n    id: 1\n  - x: 3\n    id: 2\n"},
		{"dashes stay out", "a:\n  - x: 1\n    id: 1\n", "a:\n- x: 2\n  id: 1\n", "a:\n  - x: 1\n    id: 1\n  - x: 3\n    id: 2\n", "a:\n- x: 2\n  id: 1\n- x: 3\n  id: 2\n"},
		{"nothing becomes a value", "a:\nb: 1\n", "a:\nb: 2\n", "a: x\nb: 1\n", "a: x\nb: 2\n"},
		{"an empty one becomes a block", "a: {}\nb: 1\n", "a: {}\nb: 2\n", "a:\n  c: 1\nb: 1\n", "a:\n  c: 1\nb: 2\n"},
		{"a block becomes empty", "a:\n  c: 1\nb: 1\n", "a:\n  c: 1\nb: 2\n", "a: []\nb: 1\n", "a: []\nb: 2\n"},
		{"the last key goes", "a: 1\nb: 1\n", "a: 2\nb: 1\n", "a: 1\n", "a: 2\n"},
		{"order stays", "a: 1\nb: 2\n", "b: 2\na: 1\n", "a: 1\nb: 3\nc: 4\n", "b: 3\nc: 4\na: 1\n"},
		{"quotes are no change", "a: x\nb: 1\n", "a: 'x'\nb: 1\n", "a: x\nb: 2\n", "a: 'x'\nb: 2\n"},
		{"a document's marks", "---\na: 1\nb: 1\n...\n", "---\na: 2\nb: 1\n...\n", "---\na: 1\nb: 2\n...\n", "---\na: 2\nb: 2\n...\n"},
		{"sequences in sequences", "- - a\n  - b\n- c\n", "- - a\n  - b\n- d\n", "- - a\n  - x\n- c\n", "- - a\n  - x\n- d\n"},
		{"a list of a file", "- name: a\n  p: 1\n\n- name: b\n  p: 1\n", "- name: a\n  p: 2\n\n- name: b\n  p: 1\n", "- name: a\n  p: 1\n\n- name: b\n  p: 2\n", "- name: a\n  p: 2\n\n- name: b\n  p: 2\n"},
		{"a comment deep at the end", "a:\n  b: 1\n  # c: 2\nd: 1\n", "a:\n  b: 2\n  # c: 2\nd: 1\n", "a:\n  b: 1\n  # c: 3\nd: 2\n", "a:\n  b: 2\n  # c: 3\nd: 2\n"},
		{"quoted keys", "'a b': 1\n\"c\": 2\n", "'a b': 3\n\"c\": 2\n", "a b: 1\nc: 4\n", "a b: 3\nc: 4\n"},
		{"over lines", "a: x\n  y\nb: \"x\n  # y\"\nc: 1\n", "a: x\n  y\nb: \"x\n  # y\"\nc: 2\n", "a: x\n  z\nb: \"x\n  # z\"\nc: 1\n", "a: x\n  z\nb: \"x\n  # z\"\nc: 2\n"},
		{"what keeps its lines", "a: |+\n  x\n\nb: 1\n", "a: |+\n  x\n\nb: 2\n", "a: |+\n  x\n\n\nb: 1\n", "a: |+\n  x\n\n\nb: 2\n"},
		{"flow over lines", "a: [x, # }\n  \"]\"]\nb: 1\n", "a: [x, # }\n  \"]\"]\nb: 2\n", "a: [x, # }\n  \"]\", y]\nb: 1\n", "a: [x, # }\n  \"]\", y]\nb: 2\n"},
	} {
		got, err := merge.Merge(sides(c.base, c.mine, c.theirs), yaml.Format{})
		if err != nil || got.How != "by key (YAML)" || len(got.Conflicts) > 0 || string(got.Merged) != c.want {
			t.Errorf("%s: %v %s %+v\n%s", c.name, err, got.How, got.Conflicts, got.Merged)
		}
	}
}

func TestConflictsAreNamed(t *testing.T) {
	t.Parallel()
	here := func(s string) merge.Value { return merge.Value{Text: s, Present: true} }
	for _, c := range []struct {
		file               string
		mine, theirs, want []string
		conflict           merge.Conflict
	}{
		{
			"application.yml",
			[]string{"8080", "9090"},
			[]string{"8080", "'8080'", "30s", "60s"},
			[]string{"8080", "9090", "30s", "60s"},
			merge.Conflict{Key: "server.port", Base: here("8080"), Mine: here("9090"), Theirs: here("'8080'")},
		},
		{
			"deployment.yaml",
			[]string{"\"512m\"", "\"2g\""},
			[]string{"\"512m\"", "\"1g\"", "replicas: 1", "replicas: 2"},
			[]string{"\"512m\"", "\"2g\"", "replicas: 1", "replicas: 2"},
			merge.Conflict{
				Key:  "spec.template.spec.containers[name=server].env[name=HEAP].value",
				Base: here("\"512m\""), Mine: here("\"2g\""), Theirs: here("\"1g\""),
			},
		},
	} {
		base := sample(t, c.file)
		got, err := merge.Merge(sides(base, edit(t, base, c.mine...), edit(t, base, c.theirs...)), yaml.Format{})
		if err != nil || got.How != "by key (YAML)" {
			t.Errorf("%s: %v %s", c.file, err, got.How)
		}
		if diff := cmp.Diff([]merge.Conflict{c.conflict}, got.Conflicts); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.file, diff)
		}
		if diff := cmp.Diff(edit(t, base, c.want...), string(got.Merged)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.file, diff)
		}
		if diff := cmp.Diff(edit(t, base, c.theirs...), string(got.Theirs)); diff != "" {
			t.Errorf("%s, theirs (-want +got):\n%s", c.file, diff)
		}
	}
}

func TestValuesOfOtherKindsDiffer(t *testing.T) {
	t.Parallel()
	value := func(text string) string {
		n, err := yaml.Format{}.Parse("a: " + text + "\n")
		if err != nil {
			t.Fatal(text, err)
		}
		return n.Children[0].Value
	}
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"8080", "'8080'", false},
		{"x", "\"x\"", true},
		{"true", "True", true},
		{"true", "'true'", false},
		{"~", "", true},
		{"null", "'null'", false},
		{"yes", "'yes'", false},
		{"1:30", "'1:30'", false},
		{"[a, 'b']", "[ \"a\", b ]", true},
		{"{a: 1, b: 2}", "{b: 2, a: 1}", true},
		{"[a, b]", "[b, a]", false},
		{"[[a], b]", "[[a, b]]", false},
		{"|\n  x", "\"x\\n\"", true},
	} {
		if got := value(c.a) == value(c.b); got != c.same {
			t.Errorf("%q and %q are the same: %v", c.a, c.b, got)
		}
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	laughs := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'z'; c++ {
		laughs += fmt.Sprintf("%c: &%c [%s*%c]\n", c, c, strings.Repeat(fmt.Sprintf("*%c, ", c-1), 8), c-1)
	}
	for _, text := range []string{
		"a: &x 1\nb: *x\n", "<<: {a: 1}\nb: 1\n", "a: 1\n---\nb: 1\n", "a: 1\na: 2\n", "a: 1\n'a': 2\n", "a: {b: 1, b: 2}\n", "a:\n\t- b\n",
		"a: !x 1\n", "a: !!str 1\n", "!x\na: 1\n", "? a\n: b\n", "[a, b]\n", "a\n", "a: b: c\n", "a: [\n", "a: 1\rb: 2\r", "a: 1\u2028b: 2\n",
		"a: |2\n   x\n", "--- a\n", "%YAML 1.2\n---\na: 1\n", "{a: 1}\n", "a:\n - b\n c: 1\n", laughs,
		"a: " + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "\n", strings.Repeat("- ", 200) + "a\n", strings.Repeat("- ", 1<<19),
		strings.Repeat("- a\n", merge.MaxNodes+1),
	} {
		start := time.Now()
		if _, err := (yaml.Format{}).Parse(text); err == nil {
			t.Errorf("%.60q is taken apart", text)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%.60q took %s", text, took)
		}
	}
	for _, text := range []string{"a: 1\n---\nb: 1\n", laughs, "", "a: &x 1\nb: *x\n<<: *x\n"} {
		if err := (yaml.Format{}).Check(text); err != nil {
			t.Errorf("%.60q: %v", text, err)
		}
	}
	for _, text := range []string{"a: [", "a: 1\na: 2\n", "a: 1\n---\nb: 1\nb: 1\n"} {
		if err := (yaml.Format{}).Check(text); err == nil {
			t.Errorf("%.60q is YAML", text)
		}
	}
}

// What the loader would need too much memory for is not looked into, nor merged by line:
// nobody could tell whether it is YAML any more.
func TestTooManyValuesStayWhole(t *testing.T) {
	t.Parallel()
	text := func(a, b int) []byte {
		return fmt.Appendf(nil, "a: %d\nlist: [%s1]\nb: %d\n", a, strings.Repeat("1, ", 4*merge.MaxNodes), b)
	}
	got, err := merge.Merge(merge.Sides{Base: text(1, 1), Mine: text(2, 1), Theirs: text(1, 2)}, yaml.Format{})
	if !errors.Is(err, merge.ErrWhole) || !errors.Is(err, merge.ErrBound) {
		t.Errorf("%v %s", err, got.How)
	}
}

func TestHostileTextsCostLittle(t *testing.T) {
	t.Parallel()
	var keys, deep strings.Builder
	for i := range 7_000 {
		fmt.Fprintf(&keys, "key%d: %d # c\n", i, i)
	}
	for i := range 90 {
		deep.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	for name, text := range map[string]string{
		"keys":          keys.String(),
		"deep":          deep.String(),
		"comments":      "a: 1\n" + strings.Repeat("# c\n", 1<<18) + "b: 1\n" + strings.Repeat("# c\n", 1<<17),
		"blank":         "a: |\n  x\n" + strings.Repeat("\n", 1<<19) + "b: 1\n",
		"dashes":        "a:\n" + strings.Repeat("-\n", 14_000),
		"below":         "a:\n" + strings.Repeat("-\n\n # c\n\n  b: 1\n", 3_000),
		"spaces":        "a:\n" + strings.Repeat(" ", 1<<19) + "b: 1\n",
		"plain":         "a: " + strings.Repeat("x ", 1<<19) + "\n",
		"flow":          "a: [" + strings.Repeat("'x', ", 50_000) + "]\n",
		"nested":        "a: " + strings.Repeat("[", 90) + strings.Repeat("'x', ", 50_000) + strings.Repeat("]", 90) + "\n",
		"comment tails": "a:\n  b: 1\n" + strings.Repeat("    # c\n", 1<<16) + "c: 1\n",
	} {
		start := time.Now()
		n, err := (yaml.Format{}).Parse(text)
		if err != nil || n.Text() != text {
			t.Error(name, err)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Error(name, "took", took)
		}
	}
}

// block draws a mapping with a mapping in it, and its text.
func block(t *rapid.T) (map[string]string, string) {
	said := map[string]string{}
	names := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}), func(s string) string { return s })
	value := rapid.SampledFrom([]string{"1", "x", "'y z'", "[p, q]", "|\n     t\n     # u"})
	remark := rapid.SampledFrom([]string{"", " # r"})
	above := rapid.SampledFrom([]string{"", "\n", "%s# about\n", "# far\n\n"})
	indent := rapid.SampledFrom([]string{"  ", "    "}).Draw(t, "indent")
	var b strings.Builder
	put := func(space, path, k string) {
		v := value.Draw(t, k)
		said[path+k] = v
		b.WriteString(strings.ReplaceAll(above.Draw(t, "above"), "%s", space) + space + k + ": " + v)
		if !strings.Contains(v, "\n") {
			b.WriteString(remark.Draw(t, "remark"))
		}
		b.WriteString("\n")
	}
	for _, k := range names.Draw(t, "outer") {
		put("", "", k)
	}
	b.WriteString("in:" + remark.Draw(t, "remark") + "\n")
	put(indent, "in.", "first")
	for _, k := range names.Draw(t, "inner") {
		put(indent, "in.", k)
	}
	return said, b.String()
}

// read is what a text says, as block draws it.
func read(t *rapid.T, text string) map[string]string {
	n, err := (yaml.Format{}).Parse(text)
	if err != nil || n.Text() != text {
		t.Fatal(text, err)
	}
	said := map[string]string{}
	for _, c := range n.Children {
		said[c.Key] = c.Value
		for _, d := range c.Children {
			said[c.Key+"."+d.Key] = d.Value
		}
	}
	return said
}

func TestWhatEachSideChangedIsInTheResult(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		_, baseText := block(t)
		_, mineText := block(t)
		_, theirsText := block(t)
		base, mine, theirs := read(t, baseText), read(t, mineText), read(t, theirsText)
		got, err := merge.Merge(sides(baseText, mineText, theirsText), yaml.Format{})
		if err != nil {
			t.Fatal(err)
		}
		if got.How == "unchanged" {
			return
		}
		if got.How != "by key (YAML)" {
			t.Fatalf("%s\n%s\n%s\n%s", got.How, baseText, mineText, theirsText)
		}
		var clash []string
		for _, c := range got.Conflicts {
			clash = append(clash, c.Key)
		}
		out := read(t, string(got.Merged))
		for _, side := range []map[string]string{base, mine, theirs} {
			for k := range side {
				want, ok := decide(base, mine, theirs, k)
				if ok == slices.Contains(clash, k) || ok && want != at(out, k) {
					t.Fatalf("%s: want %q, got %q, conflicts %q\n%s\n%s\n%s", k, want, at(out, k), clash, baseText, mineText, theirsText)
				}
			}
		}
	})
}

func at(m map[string]string, key string) string {
	v, ok := m[key]
	return fmt.Sprint(ok, v)
}

// decide is what stands at a key; false: a conflict.
func decide(base, mine, theirs map[string]string, key string) (string, bool) {
	b, m, t := at(base, key), at(mine, key), at(theirs, key)
	switch {
	case m == t, t == b:
		return m, true
	case m == b:
		return t, true
	}
	return "", false
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"application.yml", "deployment.yaml"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	for _, seed := range []string{
		"", "# c", "---\n# c\n\na:\n- b\n-\n- - c\n  - d: |+\n\n     x\n\n\n  # e\n...\n", "a: 'x''y' # z\n\"b\" : \"\\\"\"\n", "a: [b, {c: d}]\n",
		"a: b\n c\n\n d # e\n", "-\n  a: 1\n- # x\n  b: 2\n", "é: >-\n x\n#y\n", "a: &b c\n", "? a\n: b\n", "...\na: 1\n", "a:\r\n  b: 1\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := yaml.Format{}.Parse(text)
		if err != nil {
			return
		}
		if n.Text() != text {
			t.Errorf("%q becomes %q", text, n.Text())
		}
		if count(t, text) != leaves(n) {
			t.Errorf("%q has other values", text)
		}
	})
}

// count is the number of values of a text that are one piece here.
func count(t *testing.T, text string) int {
	t.Helper()
	var doc stdyaml.Node
	if err := stdyaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Errorf("%q: %v", text, err)
	}
	var in func(n *stdyaml.Node) int
	in = func(n *stdyaml.Node) int {
		if n.Kind == stdyaml.ScalarNode || n.Style&stdyaml.FlowStyle != 0 {
			return 1
		}
		sum := 0
		for i, c := range n.Content {
			if n.Kind != stdyaml.MappingNode || i%2 == 1 {
				sum += in(c)
			}
		}
		return sum
	}
	if len(doc.Content) == 1 && doc.Content[0].Kind == stdyaml.ScalarNode {
		return 0
	}
	return in(&doc)
}

func leaves(n *merge.Node) int {
	if n.Kind == merge.Scalar {
		return 1
	}
	sum := 0
	for _, c := range n.Children {
		sum += leaves(c)
	}
	return sum
}
