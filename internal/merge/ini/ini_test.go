package ini_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"uplevel/internal/merge"
	"uplevel/internal/merge/ini"
	"uplevel/internal/merge/mergetest"
)

const carbon = `; Carbon agent
; shipped by the vendor

timeout = 30

[server]
; where the console listens
host = localhost
port: 9443
#offset = 1

;---- Databases ----

[database]
url = jdbc:h2:./repository/db ; embedded
user = wso2carbon

# the pool
pool.max = 50
`

func edit(text string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(text) }

func TestMerge(t *testing.T) {
	t.Parallel()
	const added = "\n; keep connections\n[pool]\nidle = 5\n"
	mergetest.Run(t, ini.Format{}, []mergetest.Case{
		{
			Name: "both changed sections, the vendor added one, with its comment",
			Base: carbon,
			Mine: edit(carbon, "localhost", "iam.acme.com", "port: 9443", "port: 443"),
			Theirs: edit(carbon, "pool.max = 50", "pool.max = 100", "user = wso2carbon\n", "user = wso2carbon\n; never empty\npassword = x\n",
				"timeout = 30\n", "timeout = 60\nretries = 3\n", "\n;---- Data", added+"\n;---- Data"),
			Want: edit(carbon, "localhost", "iam.acme.com", "port: 9443", "port: 443",
				"pool.max = 50", "pool.max = 100", "user = wso2carbon\n", "user = wso2carbon\n; never empty\npassword = x\n",
				"timeout = 30\n", "timeout = 60\nretries = 3\n", "\n;---- Data", added+"\n;---- Data"),
		},
		{
			Name:       "one value changed on both sides, all else merged",
			Base:       carbon,
			Mine:       edit(carbon, "pool.max = 50", "pool.max=200", "30", "31"),
			Theirs:     edit(carbon, "pool.max = 50", "pool.max = 100", "# the pool", "# The pool's size"),
			Want:       edit(carbon, "pool.max = 50", "pool.max=200", "30", "31", "# the pool", "# The pool's size"),
			WantTheirs: edit(carbon, "pool.max = 50", "pool.max=100", "30", "31", "# the pool", "# The pool's size"),
			Conflicts:  []string{"database.pool.max: 50 | 200 | 100"},
		},
		{
			Name:   "a section that the vendor dropped",
			Base:   carbon,
			Mine:   edit(carbon, "30", "31"),
			Theirs: carbon[:strings.Index(carbon, "\n;---- Data")],
			Want:   edit(carbon[:strings.Index(carbon, "\n;---- Data")], "30", "31"),
		},
		{
			Name:       "a section that the vendor dropped and the operator changed",
			Base:       "[a]\nx=1\n[b]\ny=1\n",
			Mine:       "[a]\nx=1\n[b]\ny=2\n",
			Theirs:     "[a]\nx=1\nz=1\n",
			Want:       "[a]\nx=1\nz=1\n[b]\ny=2\n",
			WantTheirs: "[a]\nx=1\nz=1\n",
			Conflicts:  []string{"b: [b]\ny=1 | [b]\ny=2 | —"},
		},
		{
			Name:   "a setting that was left out is switched on",
			Base:   carbon,
			Mine:   edit(carbon, "#offset = 1", "offset = 2"),
			Theirs: edit(carbon, "9443", "9444", ";---- Databases ----", ";==== Databases ===="),
			Want:   edit(carbon, "#offset = 1", "offset = 2", "9443", "9444", ";---- Databases ----", ";==== Databases ===="),
		},
		{
			Name:   "new keys take the indentation of the operator's section",
			Base:   "[core]\n  a = 1\n  b = 2\n",
			Mine:   "[core]\n\ta = 1\n\tb = 3\n",
			Theirs: "[core]\n  a = 1\n  # new\n  n = 1\n  b = 2\n",
			Want:   "[core]\n\ta = 1\n\t# new\n\tn = 1\n\tb = 3\n",
		},
		{
			Name:   "CR LF, Latin-1, and a last line without end",
			Base:   "[a]\r\nx = \xe9\r\ny = 1",
			Mine:   "[a]\r\nx = \xe9\r\ny = 2",
			Theirs: "[a]\nx = \xe8\ny = 1\n[b]\nz = \xfc",
			Want:   "[a]\r\nx = \xe8\r\ny = 2\r\n[b]\r\nz = \xfc",
		},
		{
			Name:   "keys without value",
			Base:   "[mysqld]\nskip-networking\nport=1\n",
			Mine:   "[mysqld]\nport=2\n",
			Theirs: "[mysqld]\nskip-networking\nport=1\nskip-name-resolve\n",
			Want:   "[mysqld]\nport=2\nskip-name-resolve\n",
		},
		{
			Name:   "a key that is given twice: by line",
			How:    "by line",
			Base:   "[php]\nextension=a\nextension=b\n\n[x]\ny=1\n",
			Mine:   "[php]\nextension=a\nextension=c\n\n[x]\ny=1\n",
			Theirs: "[php]\nextension=a\nextension=b\n\n[x]\ny=2\n",
			Want:   "[php]\nextension=a\nextension=c\n\n[x]\ny=2\n",
		},
		{
			Name:   "continued lines: by line",
			How:    "by line",
			Base:   "[a]\nlist = x\n  y = 1\n\n[b]\nz=1\n",
			Mine:   "[a]\nlist = x\n  y = 2\n\n[b]\nz=1\n",
			Theirs: "[a]\nlist = x\n  y = 1\n\n[b]\nz=2\n",
			Want:   "[a]\nlist = x\n  y = 2\n\n[b]\nz=2\n",
		},
	})
}

func TestNoKeyIsGivenOnceMore(t *testing.T) {
	t.Parallel()
	const base = "[s]\na=1\na=2\nb=1\nc=1\nd=1\n"
	for theirs, whole := range map[string]bool{"x=2\n": true, "[t]\nx=2\n": false} {
		mine := strings.Replace(base, "[s]\n", "[s]\nx=1\n", 1)
		got, err := merge.Merge(merge.Sides{Base: []byte(base), Mine: []byte(mine), Theirs: []byte(base + theirs)}, ini.Format{})
		if errors.Is(err, merge.ErrWhole) != whole || !whole && err != nil {
			t.Errorf("%q: %v\n%s", theirs, err, got.Merged)
		}
	}
}

func texts() []string {
	return []string{
		carbon, "", "[", "[]", "[a] x", "[a] ; x\nb", "=", "a=b=c\r\n", " a = b \n[ s ]\n  c: d\n  e\n\n# z", "[a]\n[a]\n", "x\\\ny",
		"a=\\\ny", "[a]b]", ";\n\n;\n[a]\n;b\n\n;c", "a\rb", "\xe9 = \xff\n", "\x00",
	}
}

func TestTextsAreWhole(t *testing.T) {
	t.Parallel()
	for _, text := range texts() {
		mergetest.Whole(t, ini.Format{}, text)
	}
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom([]string{"a", "b", "=", ":", " ", "\\", "\n", "\n", "\r\n", "#", ";", "[a]\n", "[b]", "\t", "\xe9"}))
		mergetest.Whole(t, ini.Format{}, strings.Join(parts.Draw(t, "parts"), ""))
	})
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"[a\nb=1\n", "[a] b\n", "= 1\n", " : 1"} {
		if (ini.Format{}).Check(text) == nil {
			t.Errorf("%q is accepted", text)
		}
	}
	for _, text := range []string{"[a]\nb=1\nb:2\n", "[a]\n[b]\n[a]\n", "[]\n", "a=1\n  b=2\n", "a=b\\\nc\n", "a=1\rb=2\n", "allow a\ndeny all\n"} {
		if _, err := (ini.Format{}).Parse(text); err == nil {
			t.Errorf("%q is merged by key", text)
		}
		if err := (ini.Format{}).Check(text); err != nil {
			t.Errorf("%q is refused: %v", text, err)
		}
	}
}

func render(all []mergetest.Entry) string {
	var b strings.Builder
	in := ""
	for _, e := range all {
		if e.Section != in {
			b.WriteString("\n[" + e.Section + "]\n")
			in = e.Section
		}
		if e.Apart {
			b.WriteString("\n")
		}
		if e.Remark != "" {
			b.WriteString("; " + e.Remark + "\n")
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
		base, mine, theirs := mergetest.Sides(t, true)
		mergetest.Decided(t, ini.Format{}, render(base), render(mine), render(theirs))
	})
}

func TestHostileTextsTakeLinearTime(t *testing.T) {
	t.Parallel()
	mergetest.Hard(t, ini.Format{}, map[string]string{
		"keys":        "[a]\n" + mergetest.Many(50_000, "key.%d = value\n"),
		"sections":    mergetest.Many(30_000, "[s%d]\na=1\n"),
		"one line":    "a=" + strings.Repeat("x", merge.MaxKeyed-2),
		"open":        strings.Repeat("[", merge.MaxKeyed),
		"blank lines": strings.Repeat("\n", merge.MaxKeyed),
		"remarks":     strings.Repeat(";\n\n", 60_000),
		"blanks":      strings.Repeat(" ", merge.MaxKeyed),
	})
}

func FuzzParse(f *testing.F) {
	for _, text := range texts() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { mergetest.Whole(t, ini.Format{}, text) })
}
