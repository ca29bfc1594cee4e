package hostile

import "strings"

// Text is what stands where a program reads settings, notes or records.
type Text struct{ Name, Content string }

// Texts are for every reader, whatever its form.
func Texts() []Text {
	var laughs strings.Builder
	laughs.WriteString("a: &a [x, x, x, x, x, x, x, x, x]\n")
	for c := byte('b'); c < 'z'; c++ {
		laughs.WriteString(string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+string(c-1)+", ", 9), ", ") + "]\n")
	}
	return []Text{
		{"NUL", "\x00"},
		{"escapes", "\x1b[2J\x1b]0;owned\a"},
		{"escapes in JSON", "{\"product\": \"\\u001b[2J\", \"\x1b[2J\": 1}"},
		{"escapes in YAML", "\"\\e[2J\": 1\n"},
		{"not UTF-8", "\xff\xfe\xfd"},
		{"a list", "[]"},
		{"null", "null"},
		{"a number", "1e999999"},
		{"a page", "<html>Please log in"},
		{"deep JSON", strings.Repeat("[", 50_000)},
		{"deep objects", strings.Repeat(`{"a":`, 50_000)},
		{"deep YAML", strings.Repeat("- ", 50_000) + "x"},
		{"deep flow", strings.Repeat("{a: ", 20_000)},
		{"laughs", laughs.String()},
		{"laughs below updates", "updates: &u\n - {id: 1, type: regular, description: &d [x]}\nz: [*u, *u]\n"},
		{"circular", "a: &a [*a]\n"},
		{"merge keys", "a: &a {<<: *a}\n"},
		{"keys twice", "{\"format\": 1, \"format\": 2}"},
		{"many documents", strings.Repeat("---\na: 1\n", 10_000)},
		{"tags", "!!python/object:os.system x\n"},
		{"binary", "a: !!binary AAAA\n"},
		{"long line", strings.Repeat("x", 1<<20)},
		{"many lines", strings.Repeat("x\n", 1<<19)},
		{"wide YAML", "[" + strings.Repeat("a,", 1<<18) + "]"},
		{"8 MB", strings.Repeat("a: 1\n", 8<<20/5)},
	}
}
