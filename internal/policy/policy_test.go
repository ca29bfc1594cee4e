package policy_test

import (
	"strings"
	"testing"
	"time"

	"uplevel/internal/policy"
	"uplevel/internal/problem"
)

func TestPolicies(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"":                                   0,
		"# nothing yet\n":                    0,
		"---\n":                              0,
		"freshness: 45d\n":                   45 * 24 * time.Hour,
		"freshness: 12h # twice a day\n":     12 * time.Hour,
		"# ours\n\"freshness\": ' 99999d'\n": 99999 * 24 * time.Hour,
	} {
		p, err := policy.Parse([]byte(text))
		if err != nil || p.Freshness != want {
			t.Errorf("%q: %s, %v", text, p.Freshness, err)
		}
	}
}

func TestWhatIsNotUnderstoodIsRefused(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"fresh: 45d\n":                     `line 1: this tool does not know the key "fresh"`,
		"freshness: 45d\nwindow: night\n":  `line 2: this tool does not know the key "window"`,
		"freshness: 45\n":                  `"45" is no length of time`,
		"freshness: 0d\n":                  "no length of time",
		"freshness: -3d\n":                 "no length of time",
		"freshness: 1d\nfreshness: 2d\n":   "freshness",
		"freshness: [45d]\n":               "wants one value",
		"freshness:\n":                     "no length of time",
		"- freshness\n":                    "no list of keys",
		"freshness: 1d\n---\nfresh: 2d\n":  "more than one document",
		"freshness: {":                     "no YAML",
		strings.Repeat("# a\n", 20_000):    "longer than",
		"a: &a [*a]\n":                     `the key "a"`,
		"freshness: 1d\n<<: {window: 1}\n": `the key "<<"`,
	} {
		_, err := policy.Parse([]byte(text))
		if problem.KindOf(err) != problem.Refused || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40q: %v, want %q", text, err, says)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("freshness: 45d\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if p, err := policy.Parse(text); err == nil && p.Freshness < 0 {
			t.Fatal(p)
		}
	})
}
