package properties_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"uplevel/internal/merge"
	"uplevel/internal/merge/mergetest"
	"uplevel/internal/merge/properties"
)

const log4j2 = `#
# Copyright of the vendor
#

# list of all appenders
appenders = CARBON_CONSOLE, CARBON_LOGFILE

# CARBON_CONSOLE is set to be a ConsoleAppender using a PatternLayout.
appender.CARBON_CONSOLE.type = Console
appender.CARBON_CONSOLE.layout.pattern = [%d] %5p {%c} - %m%ex%n

# CARBON_LOGFILE
appender.CARBON_LOGFILE.type = RollingFile
appender.CARBON_LOGFILE.policies.size.size=10MB
appender.CARBON_LOGFILE.strategy.max = 20

# Loggers
loggers = AUDIT_LOG, trace-messages
rootLogger.level = INFO
`

func edit(text string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(text) }

func TestMerge(t *testing.T) {
	t.Parallel()
	mergetest.Run(t, properties.Format{}, []mergetest.Case{
		{
			Name:   "log4j2: another level here, another size there, a new setting with its comment",
			Base:   log4j2,
			Mine:   edit(log4j2, "level = INFO", "level = WARN", "size.size=10MB", "size.size=100MB"),
			Theirs: edit(log4j2, "max = 20\n", "max = 30\n# keep for a month\nappender.CARBON_LOGFILE.strategy.age = P30D\n", "# CARBON_LOGFILE\n", "# The main log\n"),
			Want: edit(log4j2, "level = INFO", "level = WARN", "size.size=10MB", "size.size=100MB",
				"max = 20\n", "max = 30\n# keep for a month\nappender.CARBON_LOGFILE.strategy.age = P30D\n", "# CARBON_LOGFILE\n", "# The main log\n"),
		},
		{
			Name:       "a list of names is one value",
			Base:       log4j2,
			Mine:       edit(log4j2, "trace-messages", "trace-messages, org-acme", "INFO\n", "INFO\nlogger.org-acme.name = org.acme\n"),
			Theirs:     edit(log4j2, "trace-messages", "trace-messages, org-wso2", "= 20", "= 25"),
			Want:       edit(log4j2, "trace-messages", "trace-messages, org-acme", "INFO\n", "INFO\nlogger.org-acme.name = org.acme\n", "= 20", "= 25"),
			WantTheirs: edit(log4j2, "trace-messages", "trace-messages, org-wso2", "INFO\n", "INFO\nlogger.org-acme.name = org.acme\n", "= 20", "= 25"),
			Conflicts:  []string{"loggers: AUDIT_LOG, trace-messages | AUDIT_LOG, trace-messages, org-acme | AUDIT_LOG, trace-messages, org-wso2"},
		},
		{
			Name:   "the licence stays where the first entry goes",
			Base:   "# Licence\n\n# old\na=1\nb=2\n",
			Mine:   "# Licence\n\n# old\na=1\nb=3\n",
			Theirs: "# Licence\n\nb=2\n",
			Want:   "# Licence\n\nb=3\n",
		},
		{
			Name:   "a new first entry stands below the licence",
			Base:   "# Licence\n\na=1\nb=2\n",
			Mine:   "# Licence\n\na=1\nb=3\n",
			Theirs: "# Licence\n\n# new\nz=0\na=1\nb=2\n",
			Want:   "# Licence\n\n# new\nz=0\na=1\nb=3\n",
		},
		{
			Name:   "a removed section goes with its title, what was added to it stays",
			Base:   "a=1\n\n# Section\n\nb=2\nc=3\n",
			Mine:   "a=1\n\n# Section\n\nb=2\nmine=1\nc=3\n",
			Theirs: "a=1\n",
			Want:   "a=1\nmine=1\n",
		},
		{
			Name:   "spelling, spaces and continued lines stay as they are where the value does",
			Base:   "a = 1\nhosts = one,two\nb=2\n",
			Mine:   "a:1\nhosts = one,\\\n    two\nb=2\n",
			Theirs: "a = 1\nhosts = one,two\nb=5\n",
			Want:   "a:1\nhosts = one,\\\n    two\nb=5\n",
		},
		{
			Name:       "removed here, changed there",
			Base:       "a=1\nb=2\nc=3\n",
			Mine:       "a=1\nc=4\n",
			Theirs:     "a=1\nb=9\nc=3\n",
			Want:       "a=1\nc=4\n",
			WantTheirs: "a=1\nb=9\nc=4\n",
			Conflicts:  []string{"b: 2 | — | 9"},
		},
		{
			Name:   "removed there, left alone here",
			Base:   "a=1\n# b\nb=2\nc=3\n",
			Mine:   "a=1\n# b\nb=2\nc=4\n",
			Theirs: "a=1\nc=3\n",
			Want:   "a=1\nc=4\n",
		},
		{
			Name:   "a last line without end",
			Base:   "a=1\nb=2",
			Mine:   "a=1\nb=3",
			Theirs: "a=1\nb=2\nc=4",
			Want:   "a=1\nb=3\nc=4",
		},
		{
			Name:   "CR LF",
			Base:   "# x\r\n\r\na=1\r\nb=2\r\n",
			Mine:   "# x\r\n\r\na=2\r\nb=2\r\n",
			Theirs: "# x\n\na=1\nb=2\n\n# new\nc=3\n",
			Want:   "# x\r\n\r\na=2\r\nb=2\r\n\r\n# new\r\nc=3\r\n",
		},
		{
			Name:   "Latin-1 passes through",
			Base:   "name=Z\xfcrich\nb=1\n",
			Mine:   "name=Z\xfcrich\nb=2\n",
			Theirs: "# f\xfcr alle\nname=Gen\xe8ve\nb=1\nc=\xe9\n",
			Want:   "# f\xfcr alle\nname=Gen\xe8ve\nb=2\nc=\xe9\n",
		},
		{
			Name:   "a comment that was made a setting",
			Base:   "a=1\n# proxy=none\nb=2\n",
			Mine:   "a=1\nproxy=squid\nb=2\n",
			Theirs: "a=1\n# proxy=none\nb=2\nc=3\n",
			Want:   "a=1\nproxy=squid\nb=2\nc=3\n",
		},
		{
			Name:       "both added, differently",
			Base:       "a=1\n",
			Mine:       "a=1\nport=1\n",
			Theirs:     "a=1\nport=2\nd=1\n",
			Want:       "a=1\nport=1\nd=1\n",
			WantTheirs: "a=1\nport=2\nd=1\n",
			Conflicts:  []string{"port: — | 1 | 2"},
		},
		{
			Name:   "both added the file",
			Mine:   "a=1\nb=2\n",
			Theirs: "a=1\nc=2\n",
			Want:   "a=1\nc=2\nb=2\n",
		},
		{
			Name:   "a key that is given twice: by line",
			How:    "by line",
			Base:   "a=1\na=2\n\nb=1\n",
			Mine:   "a=1\na=3\n\nb=1\n",
			Theirs: "a=1\na=2\n\nb=2\n",
			Want:   "a=1\na=3\n\nb=2\n",
		},
	})
}

// Texts are what java.util.Properties has to say something about.
func texts() []string {
	return []string{
		log4j2, "", "\n", "a", "a=", "=b", "a b\\", "a = b \n c:d", "! x\na\\ b\\=c = d\\\n   e\\\\\n", "k \\\n  = \\\r\n v\r\n",
		"a=\\u00e9\\u0041\n", "a=\\u00g0", "a=\\u1", "\\\n# x\n", "a=1\rb=2", "\f a=1\n\n", "a=1\\\n\nb=2\n", "# c\\\na=1\n", "\\", "\x00", "\xff=\xfe\n",
	}
}

func TestTextsAreWhole(t *testing.T) {
	t.Parallel()
	for _, text := range texts() {
		mergetest.Whole(t, properties.Format{}, text)
	}
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom([]string{"a", "b", "=", ":", " ", "\\", "\n", "\r\n", "#", "!", "\\u0041", "\t", "\xe9"}))
		mergetest.Whole(t, properties.Format{}, strings.Join(parts.Draw(t, "parts"), ""))
	})
}

// Of a key that is given twice the last counts: both sides' must not stand in one file
// because each put it in another place.
func TestNoKeyIsGivenOnceMore(t *testing.T) {
	t.Parallel()
	const base = "a=1\na=2\nb=1\nc=1\nd=1\n"
	for _, c := range []struct {
		mine, theirs string
		whole        bool
	}{
		{"x=1\n" + base, base + "x\\u003a=1\n", false},
		{"x=1\n" + base, base + "y=1\na=3\n", false},
		{"x=1\n" + base, base + "x=2\n", true},
		{"\\u0078 1\n" + base, base + "x=2\n", true},
	} {
		got, err := merge.Merge(merge.Sides{Base: []byte(base), Mine: []byte(c.mine), Theirs: []byte(c.theirs)}, properties.Format{})
		if errors.Is(err, merge.ErrWhole) != c.whole || !c.whole && err != nil {
			t.Errorf("%q and %q: %v\n%s", c.mine, c.theirs, err, got.Merged)
		}
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a=b":                            "a|b",
		"  a  :  b ":                     "a|b ",
		"a b=c":                          "a|b=c",
		"a\\ b\\=c\\:d = e":              "a b=c:d|e",
		"a=one,\\\n   two,\\\r\n\tthree": "a|one,two,three",
		"a=b\\\\":                        `a|b\`,
		"a=b\\\\\n":                      `a|b\`,
		"a=\\t\\n\\q\\u0041":             "a|\t\nqA",
		"a=\\u00E9":                      "a|\x00" + "00e9",
		"k\\\n  ey = v":                  "key|v",
		"a=1\\\n# no comment":            "a|1# no comment",
		"a":                              "a|",
		"=v":                             "|v",
		"a\\":                            "a|",
	} {
		n, err := properties.Format{}.Parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if c := n.Children[0]; len(n.Children) != 1 || c.Key+"|"+c.Value != want {
			t.Errorf("%q says %q", text, c.Key+"|"+c.Value)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a=1\nb=\\u12x4\n", "\\u=1"} {
		if (properties.Format{}).Check(text) == nil {
			t.Errorf("%q is accepted", text)
		}
	}
	for _, text := range []string{"a=1\na:2\n", "a=1\n\\u0061=2\n", "a=1\rb=2\n", "\\\n#b=1\n"} {
		if _, err := (properties.Format{}).Parse(text); err == nil {
			t.Errorf("%q is merged by key", text)
		}
	}
}

func render(all []mergetest.Entry) string {
	var b strings.Builder
	for _, e := range all {
		if e.Apart {
			b.WriteString("\n")
		}
		if e.Remark != "" {
			b.WriteString("# " + e.Remark + "\n")
			if e.Apart {
				b.WriteString("\n")
			}
		}
		b.WriteString(e.Key + " = " + e.Value + "\n")
	}
	return b.String()
}

func TestEveryKeyIsDecided(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base, mine, theirs := mergetest.Sides(t, false)
		mergetest.Decided(t, properties.Format{}, render(base), render(mine), render(theirs))
	})
}

func TestHostileTextsTakeLinearTime(t *testing.T) {
	t.Parallel()
	mergetest.Hard(t, properties.Format{}, map[string]string{
		"keys":           mergetest.Many(50_000, "key.%d = value\n"),
		"one line":       "a=" + strings.Repeat("x", merge.MaxKeyed-2),
		"continued":      "a=" + strings.Repeat("\\\n", merge.MaxKeyed/2-1),
		"backslashes":    strings.Repeat(`\`, merge.MaxKeyed),
		"blank lines":    strings.Repeat("\n", merge.MaxKeyed),
		"remarks":        strings.Repeat("#\n\n", 60_000),
		"blanks":         strings.Repeat(" ", merge.MaxKeyed),
		"continued keys": strings.Repeat("a\\\n", merge.MaxKeyed/3),
	})
}

func FuzzParse(f *testing.F) {
	for _, text := range texts() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { mergetest.Whole(t, properties.Format{}, text) })
}
