package json_test

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"uplevel/internal/merge"
	"uplevel/internal/merge/json"
)

type file struct{ name, base, mine, theirs, want string }

func TestMergesByKey(t *testing.T) {
	t.Parallel()
	for _, c := range []file{
		{
			"both change", "{\n  \"a\": 1,\n  \"b\": 2\n}\n", "{\n  \"a\": 10,\n  \"b\": 2\n}\n",
			"{\n  \"a\": 1,\n  \"b\": 20\n}\n", "{\n  \"a\": 10,\n  \"b\": 20\n}\n",
		},
		{
			"a key is added behind what is the last one here", "{\n  \"a\": 1\n}\n", "{\n  \"a\": 2\n}\n",
			"{\n  \"a\": 1,\n  \"b\": {\"c\": []}\n}\n", "{\n  \"a\": 2,\n  \"b\": {\"c\": []}\n}\n",
		},
		{
			"the last member goes", "{\n  \"a\": 1,\n  \"b\": 2\n}\n", "{\n  \"a\": 3,\n  \"b\": 2\n}\n",
			"{\n  \"a\": 1\n}\n", "{\n  \"a\": 3\n}\n",
		},
		{
			"the only member goes", `{"x": {"a": 1}, "y": 1}`, `{"x": {"a": 1}, "y": 2}`, `{"x": {}, "y": 1}`,
			`{"x": {}, "y": 2}`,
		},
		{
			"an empty object gets its first member", "{\n  \"x\": {},\n  \"y\": 1\n}\n", "{\n  \"x\": {},\n  \"y\": 2\n}\n",
			"{\n  \"x\": {\n    \"a\": 1\n  },\n  \"y\": 1\n}\n", "{\n  \"x\": {\n    \"a\": 1\n  },\n  \"y\": 2\n}\n",
		},
		{
			"tabs stay", "{\n  \"x\": {\n    \"a\": 1\n  }\n}\n", "{\n\t\"x\": {\n\t\t\"a\": 2\n\t}\n}\n",
			"{\n  \"x\": {\n    \"a\": 1,\n    \"b\": 3\n  }\n}\n", "{\n\t\"x\": {\n\t\t\"a\": 2,\n\t\t\"b\": 3\n\t}\n}\n",
		},
		{
			"order and spacing stay", "{\"a\":1,\"b\":2,\"c\":3}", "{ \"c\": 3, \"b\" :2 , \"a\": 1 }",
			"{\"a\":1,\"b\":4,\"c\":3}", "{ \"c\": 3, \"b\" :4 , \"a\": 1 }",
		},
		{
			"elements with names", "[\n  {\"id\": \"a\", \"p\": 1},\n  {\"id\": \"b\", \"p\": 2}\n]",
			"[\n  {\"id\": \"a\", \"p\": 10},\n  {\"id\": \"b\", \"p\": 2},\n  {\"id\": \"mine\"}\n]",
			"[\n  {\"id\": \"new\"},\n  {\"id\": \"a\", \"p\": 1},\n  {\"id\": \"b\", \"p\": 20}\n]",
			"[\n  {\"id\": \"new\"},\n  {\"id\": \"a\", \"p\": 10},\n  {\"id\": \"b\", \"p\": 20},\n  {\"id\": \"mine\"}\n]",
		},
		{
			"elements by order", `{"files": ["bin", "lib"], "v": "1.0"}`, `{"files": ["bin", "lib", "own"], "v": "1.0"}`,
			`{"files": ["README", "bin", "lib"], "v": "1.1"}`, `{"files": ["README", "bin", "lib", "own"], "v": "1.1"}`,
		},
		{
			"CR LF", "{\r\n  \"a\": 1,\r\n  \"b\": 2\r\n}\r\n", "{\r\n  \"a\": 10,\r\n  \"b\": 2\r\n}\r\n",
			"{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}\n", "{\r\n  \"a\": 10,\r\n  \"b\": 2,\r\n  \"c\": 3\r\n}\r\n",
		},
		{
			"a manifest of packages",
			"{\n  \"version\": \"1.0.0\",\n  \"dependencies\": {\n    \"@scope/a\": \"1\",\n    \"b\": \"1\"\n  }\n}\n",
			"{\n  \"version\": \"1.0.0\",\n  \"dependencies\": {\n    \"@scope/a\": \"1\",\n    \"b\": \"1-own\"\n  },\n  \"private\": true\n}\n",
			"{\n  \"version\": \"1.1.0\",\n  \"dependencies\": {\n    \"@scope/a\": \"2\",\n    \"b\": \"1\"\n  }\n}\n",
			"{\n  \"version\": \"1.1.0\",\n  \"dependencies\": {\n    \"@scope/a\": \"2\",\n    \"b\": \"1-own\"\n  },\n  \"private\": true\n}\n",
		},
		{
			"spelling is no change", `{"a": "é", "b": 1}`, `{"a": "\u00e9", "b": 1}`, `{"a": "x", "b": 1}`, `{"a": "x", "b": 1}`,
		},
		{"both add the same", `{"a": 1}`, `{"a": 1, "b": 2, "c": 3}`, `{"a": 1, "b":2}`, `{"a": 1, "b": 2, "c": 3}`},
	} {
		got, err := merge.Merge(merge.Sides{Base: []byte(c.base), Mine: []byte(c.mine), Theirs: []byte(c.theirs)}, json.Format{})
		if err != nil || got.How != "by key (JSON)" || len(got.Conflicts) > 0 {
			t.Errorf("%s: %v %s %+v", c.name, err, got.How, got.Conflicts)
		}
		if diff := cmp.Diff(c.want, string(got.Merged)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestConflictsAreNamed(t *testing.T) {
	t.Parallel()
	here := func(s string) merge.Value { return merge.Value{Text: s, Present: true} }
	for _, c := range []struct {
		base, mine, theirs, want, wantTheirs string
		conflict                             merge.Conflict
	}{
		{
			`{"server": {"port": 1, "tls": false}}`, `{"server": {"port": 2, "tls": false}}`, `{"server": {"port": 3, "tls": true}}`,
			`{"server": {"port": 2, "tls": true}}`, `{"server": {"port": 3, "tls": true}}`,
			merge.Conflict{Key: "server.port", Base: here("1"), Mine: here("2"), Theirs: here("3")},
		},
		{
			`{"users": [{"name": "web", "role": "a"}]}`, `{"users": [{"name": "web", "role": "b"}, {"name": "own"}]}`,
			`{"users": [{"name": "web", "role": "c"}]}`,
			`{"users": [{"name": "web", "role": "b"}, {"name": "own"}]}`, `{"users": [{"name": "web", "role": "c"}, {"name": "own"}]}`,
			merge.Conflict{Key: "users[name=web].role", Base: here(`"a"`), Mine: here(`"b"`), Theirs: here(`"c"`)},
		},
		{
			`{"a": {"@x/y": 1}, "b": 1}`, `{"a": {}, "b": 1}`, `{"a": {"@x/y": 2}, "b": 2}`, `{"a": {}, "b": 2}`, `{"a": {"@x/y": 2}, "b": 2}`,
			merge.Conflict{Key: `a."@x/y"`, Base: here("1"), Theirs: here("2")},
		},
		{
			`{"l": [1, 2]}`, `{"l": [1, 2, 3]}`, `{"l": [2, 1]}`, `{"l": [1, 2, 3]}`, `{"l": [2, 1]}`,
			merge.Conflict{Key: "l", Base: here(`"l": [1, 2]`), Mine: here(`"l": [1, 2, 3]`), Theirs: here(`"l": [2, 1]`)},
		},
	} {
		got, err := merge.Merge(merge.Sides{Base: []byte(c.base), Mine: []byte(c.mine), Theirs: []byte(c.theirs)}, json.Format{})
		if err != nil || got.How != "by key (JSON)" {
			t.Errorf("%s: %v %s", c.mine, err, got.How)
		}
		want := merge.Result{How: "by key (JSON)", Merged: []byte(c.want), Theirs: []byte(c.wantTheirs), Conflicts: []merge.Conflict{c.conflict}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.mine, diff)
		}
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "{", `{"a":1,}`, `{"a":1} x`, "{// c\n}", `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `[{"x":{"b":1,"b":1}}]`, `{'a':1}`,
		strings.Repeat("[", 200) + strings.Repeat("]", 200), strings.Repeat("[", 1<<20),
		"[" + strings.Repeat("1,", merge.MaxNodes) + "1]",
	} {
		if _, err := (json.Format{}).Parse(text); err == nil {
			t.Errorf("%.40q is taken apart", text)
		}
	}
	for _, text := range []string{`{"a":1,"a":2}`, "[]", "1"} {
		if err := (json.Format{}).Check(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// By line nothing else would see that each side added the same key in another place.
func TestNoKeyIsGivenOnceMore(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range merge.MaxNodes + 1 {
		fmt.Fprintf(&b, "\"key%d\": {\"x\": 1},\n", i)
	}
	text := func(first, last string) []byte {
		return []byte("{\n" + first + b.String() + last + "\"end\": [\"x\", 1]\n}\n")
	}
	for theirs, whole := range map[string]bool{"\"x\": 2,\n": true, "\"y\": 2,\n": false} {
		got, err := merge.Merge(merge.Sides{Base: text("", ""), Mine: text("\"x\": 1,\n", ""), Theirs: text("", theirs)}, json.Format{})
		if errors.Is(err, merge.ErrWhole) != whole || !whole && got.How != "by line" {
			t.Errorf("%q: %v %s", theirs, err, got.How)
		}
	}
}

func TestManyKeysCostLittle(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("{")
	for i := range merge.MaxNodes - 10 {
		fmt.Fprintf(&b, "\"key%d\": \"value\",\n", i)
	}
	base := b.String() + `"end": {}}`
	start := time.Now()
	got, err := merge.Merge(merge.Sides{
		Base: []byte(base), Mine: []byte(strings.Replace(base, `"key7": "value"`, `"key7": "mine"`, 1)),
		Theirs: []byte(strings.Replace(base, `"key8": "value"`, `"key8": "theirs"`, 1)),
	}, json.Format{})
	if err != nil || got.How != "by key (JSON)" || !strings.Contains(string(got.Merged), "\"mine\",\n\"key8\": \"theirs\"") {
		t.Error(err, got.How)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Error("it took", took)
	}
}

// object draws an object and its text.
func object(t *rapid.T, label string) (map[string]int, string) {
	keys := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}), func(s string) string { return s }).Draw(t, label)
	values := map[string]int{}
	parts := []string{}
	space := rapid.SampledFrom([]string{"", " ", "\n  ", "\n\t"}).Draw(t, "space")
	for _, k := range keys {
		values[k] = rapid.IntRange(0, 2).Draw(t, k)
		parts = append(parts, fmt.Sprintf("%s%q:%s%d", space, k, rapid.SampledFrom([]string{"", " "}).Draw(t, "gap"), values[k]))
	}
	return values, "{" + strings.Join(parts, ",") + strings.Trim(space, " \t") + "}"
}

func TestWhatEachSideChangedIsInTheResult(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base, baseText := object(t, "base")
		mine, mineText := object(t, "mine")
		theirs, theirsText := object(t, "theirs")
		for _, text := range []string{baseText, mineText, theirsText} {
			if n, err := (json.Format{}).Parse(text); err != nil || n.Text() != text {
				t.Fatal(text, err)
			}
		}
		got, err := merge.Merge(merge.Sides{Base: []byte(baseText), Mine: []byte(mineText), Theirs: []byte(theirsText)}, json.Format{})
		if err != nil {
			t.Fatal(err)
		}
		if got.How == "by line" {
			t.Fatal("not by key", baseText, mineText, theirsText)
		}
		if got.How == "unchanged" {
			return
		}
		clash := []string{}
		for _, c := range got.Conflicts {
			clash = append(clash, c.Key)
		}
		out := map[string]int{}
		if err := stdjson.Unmarshal(got.Merged, &out); err != nil {
			t.Fatal(err)
		}
		for _, k := range []string{"a", "b", "c", "d", "e", "f"} {
			want := decide(base, mine, theirs, k)
			if want == "" != slices.Contains(clash, k) {
				t.Fatalf("%s: conflict %v\n%s\n%s\n%s", k, clash, baseText, mineText, theirsText)
			}
			if want != "" && want != at(out, k) {
				t.Fatalf("%s is %s, not %s", k, at(out, k), want)
			}
		}
	})
}

// elements draws what a side makes of a list whose elements have unique words in them.
func elements(t *rapid.T, base []string, side string) []string {
	var out []string
	next := 0
	put := func() {
		next++
		word := fmt.Sprintf("%s%d", side, next)
		out = append(out, rapid.SampledFrom([]string{
			fmt.Sprintf(`{"v": %q}`, word), fmt.Sprintf(`{"id": %q, "v": "x"}`, word), fmt.Sprintf(`%q`, word),
		}).Draw(t, "element"))
	}
	for _, e := range base {
		switch rapid.IntRange(0, 5).Draw(t, "what") {
		case 0: // it goes
		case 1:
			put()
			out = append(out, e)
		case 2:
			next++
			out = append(out, strings.Replace(e, `"}`, fmt.Sprintf(`", "w%s": "%s%d"}`, side, side, next), 1))
		default:
			out = append(out, e)
		}
	}
	if rapid.Bool().Draw(t, "more") {
		put()
	}
	return out
}

func TestNothingIsLostInLists(t *testing.T) {
	t.Parallel()
	words := regexp.MustCompile(`"[bmt]\d+"`)
	rapid.Check(t, func(t *rapid.T) {
		base := elements(t, []string{`"b10"`, `{"id": "b11", "v": "x"}`, `{"v": "b12"}`, `{"id": "b13", "v": "x"}`}, "b")
		mine, theirs := elements(t, base, "m"), elements(t, base, "t")
		text := func(all []string) string { return "[" + strings.Join(all, ", ") + "]" }
		got, err := merge.Merge(merge.Sides{Base: []byte(text(base)), Mine: []byte(text(mine)), Theirs: []byte(text(theirs))}, json.Format{})
		if err != nil || got.How == "by line" {
			t.Fatal(got.How, err)
		}
		if len(got.Conflicts) > 0 || got.How == "unchanged" {
			return
		}
		var want []string
		for _, w := range slices.Concat(words.FindAllString(text(mine), -1), words.FindAllString(text(theirs), -1)) {
			inBase, inMine, inTheirs := strings.Contains(text(base), w), strings.Contains(text(mine), w), strings.Contains(text(theirs), w)
			if inMine && inTheirs || !inBase {
				want = append(want, w)
			}
		}
		slices.Sort(want)
		out := words.FindAllString(string(got.Merged), -1)
		slices.Sort(out)
		if diff := cmp.Diff(slices.Compact(want), out); diff != "" {
			t.Fatalf("(-want +got):\n%s\n%s\n%s\n%s\n%s", diff, text(base), text(mine), text(theirs), got.Merged)
		}
	})
}

func at(m map[string]int, key string) string {
	v, ok := m[key]
	return fmt.Sprint(v, ok)
}

// decide is what stands at a key; empty: a conflict.
func decide(base, mine, theirs map[string]int, key string) string {
	b, m, t := at(base, key), at(mine, key), at(theirs, key)
	switch {
	case m == t, t == b:
		return m
	case m == b:
		return t
	}
	return ""
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"{}", "[]", " 1 ", `{"a": [1, {"id": "x"}], "b": "\ud800"}`, "{\r\n\t\"a\" : null ,\n \"b\":[ ]\n}\n",
		`{"name": "x", "scripts": {"test": "echo \"no\" && exit 1"}}`, `[{"id":1},{"id":"1"}]`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := json.Format{}.Parse(text)
		if err == nil && n.Text() != text {
			t.Errorf("%q becomes %q", text, n.Text())
		}
		if err == nil && !stdjson.Valid([]byte(text)) {
			t.Errorf("%q is no JSON", text)
		}
	})
}
