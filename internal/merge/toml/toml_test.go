package toml_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	gotoml "github.com/pelletier/go-toml/v2"
	"pgregory.net/rapid"

	"uplevel/internal/merge"
	"uplevel/internal/merge/mergetest"
	"uplevel/internal/merge/toml"
)

const deployment = `[server]
hostname = "localhost"
node_ip = "127.0.0.1"
base_path = "https://$ref{server.hostname}:${carbon.management.port}"

[super_admin]
username = "admin"
password = "admin"
create_admin_account = true

# Databases

[database.identity_db]
type = "h2"
url = "jdbc:h2:./repository/database/WSO2IDENTITY_DB;DB_CLOSE_ON_EXIT=FALSE;LOCK_TIMEOUT=60000"
username = "wso2carbon"

[database.identity_db.pool_options]
maxActive = "80"

[keystore.primary]
file_name = "wso2carbon.jks" # replace in production

[[event_handler]]
name = "userPostSelfRegistration"
subscriptions = ["POST_ADD_USER"]

# mails
[[event_handler]]
name = "mail"
subscriptions = [
    "POST_ADD_USER",
    "POST_UPDATE_CREDENTIAL"
]
[event_handler.properties]
enable = true

[[resource.access_control]]
context = "(.*)/api/a(.*)"
secure = "false"

[[resource.access_control]]
context = "(.*)/api/b(.*)"
secure = "true"
`

func edit(text string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(text) }

func TestMergeDeployment(t *testing.T) {
	t.Parallel()
	const (
		own    = "\n[[event_handler]]\nname = \"audit\"\nsubscriptions = [\"ALL\"]\n"
		newer  = "# new: tokens\n[[event_handler]]\nname = \"token\"\nsubscriptions = []\n\n"
		access = "\n[[resource.access_control]]\ncontext = \"(.*)/api/c(.*)\"\nsecure = \"true\"\n"
		table  = "\n# how long codes live\n[recovery]\nexpiry = 10\n"
	)
	mergetest.Run(t, toml.Format{}, []mergetest.Case{
		{
			Name: "hostname, database and keystore of the operator; new settings and tables of the vendor",
			Base: deployment,
			Mine: edit(deployment, `"localhost"`, `'iam.acme.com'`, `type = "h2"`, `type = "postgre"`, `"wso2carbon.jks"`, `"acme.p12"`, "maxActive = \"80\"\n", "maxActive = \"200\"\n"),
			Theirs: edit(deployment, "[super_admin]", "[super_admin]\n# since 7.1", "pool_options]\n", "pool_options]\nminIdle = \"5\"\n",
				"replace in production", "must be replaced", "\n[keystore", table+"\n[keystore", `node_ip = "127.0.0.1"`, "# where it listens\nnode_ip = \"0.0.0.0\"\noffset = 0"),
			Want: edit(deployment, `"localhost"`, `'iam.acme.com'`, `type = "h2"`, `type = "postgre"`, `"wso2carbon.jks"`, `"acme.p12"`,
				"pool_options]\nmaxActive = \"80\"\n", "pool_options]\nminIdle = \"5\"\nmaxActive = \"200\"\n",
				"[super_admin]", "[super_admin]\n# since 7.1", "replace in production", "must be replaced", "\n[keystore", table+"\n[keystore",
				`node_ip = "127.0.0.1"`, "# where it listens\nnode_ip = \"0.0.0.0\"\noffset = 0"),
		},
		{
			Name:   "tables of an array by name: changed, added, and their own tables",
			Base:   deployment,
			Mine:   edit(deployment, "enable = true", "enable = false") + own,
			Theirs: edit(deployment, "# mails\n", newer+"# mails\n", "enable = true\n", "enable = true\nretries = 3\n", `["POST_ADD_USER"]`, `["PRE_ADD_USER"]`),
			Want:   edit(deployment, "enable = true", "enable = false\nretries = 3", "# mails\n", newer+"# mails\n", `["POST_ADD_USER"]`, `["PRE_ADD_USER"]`) + own,
		},
		{
			Name:   "tables of an array that went one by one, on this side and on that",
			Base:   "a = 1\n\n[[u]]\nname = 'x'\n\n[[u]]\nname = 'y'\n\n[t]\nb = 1\n",
			Mine:   "a = 1\n\n[[u]]\nname = 'y'\n\n[t]\nb = 1\n",
			Theirs: "a = 1\n\n[[u]]\nname = 'x'\n\n[t]\nb = 2\n",
			Want:   "a = 1\n\n[t]\nb = 2\n",
		},
		{
			Name:   "elements of an array on lines of their own",
			Base:   deployment,
			Mine:   edit(deployment, "    \"POST_ADD_USER\",\n", "    \"POST_ADD_USER\",\n    \"MINE\", # ours\n"),
			Theirs: edit(deployment, "\"POST_UPDATE_CREDENTIAL\"\n", "\"POST_UPDATE_CREDENTIAL\",\n    \"POST_UPDATE_USER\"\n"),
			Want:   edit(deployment, "    \"POST_ADD_USER\",\n", "    \"POST_ADD_USER\",\n    \"MINE\", # ours\n", "\"POST_UPDATE_CREDENTIAL\"\n", "\"POST_UPDATE_CREDENTIAL\",\n    \"POST_UPDATE_USER\"\n"),
		},
		{
			Name:       "an array in one line is one value",
			Base:       deployment,
			Mine:       edit(deployment, `["POST_ADD_USER"]`, `["POST_ADD_USER", "MINE"]`),
			Theirs:     edit(deployment, `["POST_ADD_USER"]`, `["POST_ADD_USER", "THEIRS"]`, `"80"`, `"90"`),
			Want:       edit(deployment, `["POST_ADD_USER"]`, `["POST_ADD_USER", "MINE"]`, `"80"`, `"90"`),
			WantTheirs: edit(deployment, `["POST_ADD_USER"]`, `["POST_ADD_USER", "THEIRS"]`, `"80"`, `"90"`),
			Conflicts:  []string{`event_handler[name=userPostSelfRegistration].subscriptions: ["POST_ADD_USER"] | ["POST_ADD_USER", "MINE"] | ["POST_ADD_USER", "THEIRS"]`},
		},
		{
			Name:   "tables of an array without identity, by their order",
			Base:   deployment,
			Mine:   edit(deployment, `secure = "false"`, `secure = "true"`),
			Theirs: deployment + access,
			Want:   edit(deployment, `secure = "false"`, `secure = "true"`) + access,
		},
		{
			Name: "the password that both changed",
			Base: deployment,
			Mine: edit(deployment, `password = "admin"`, `password = "$secret{admin}"`),
			Theirs: edit(deployment, `password = "admin"`, `password = "change-me"`,
				"# Databases\n", "# The databases\n"),
			Want:       edit(deployment, `password = "admin"`, `password = "$secret{admin}"`, "# Databases\n", "# The databases\n"),
			WantTheirs: edit(deployment, `password = "admin"`, `password = "change-me"`, "# Databases\n", "# The databases\n"),
			Conflicts:  []string{`super_admin.password: "admin" | "$secret{admin}" | "change-me"`},
		},
		{
			Name:       "a table that the operator dropped and the vendor changed",
			Base:       deployment,
			Mine:       edit(deployment, "[keystore.primary]\nfile_name = \"wso2carbon.jks\" # replace in production\n\n", ""),
			Theirs:     edit(deployment, "wso2carbon.jks", "wso2carbon.p12"),
			Want:       edit(deployment, "[keystore.primary]\nfile_name = \"wso2carbon.jks\" # replace in production\n\n", ""),
			WantTheirs: edit(deployment, "wso2carbon.jks", "wso2carbon.p12"),
			Conflicts: []string{"keystore.primary: [keystore.primary]\nfile_name = \"wso2carbon.jks\" # replace in production | — | " +
				"[keystore.primary]\nfile_name = \"wso2carbon.p12\" # replace in production"},
		},
		{
			Name:   "a table that the vendor dropped, its comments left alone",
			Base:   deployment,
			Mine:   deployment + own,
			Theirs: edit(deployment, "# mails\n[[event_handler]]\nname = \"mail\"\nsubscriptions = [\n    \"POST_ADD_USER\",\n    \"POST_UPDATE_CREDENTIAL\"\n]\n[event_handler.properties]\nenable = true\n\n", ""),
			Want:   edit(deployment, "# mails\n[[event_handler]]\nname = \"mail\"\nsubscriptions = [\n    \"POST_ADD_USER\",\n    \"POST_UPDATE_CREDENTIAL\"\n]\n[event_handler.properties]\nenable = true\n\n", "") + own,
		},
	})
}

func TestMerge(t *testing.T) {
	t.Parallel()
	mergetest.Run(t, toml.Format{}, []mergetest.Case{
		{
			Name:   "keys before the first table",
			Base:   "title = \"a\"\n\n[t]\nx = 1\n",
			Mine:   "title = \"b\"\n\n[t]\nx = 1\n",
			Theirs: "title = \"a\"\n# new\nn = 1\n\n[t]\nx = 1\n",
			Want:   "title = \"b\"\n# new\nn = 1\n\n[t]\nx = 1\n",
		},
		{
			Name:   "the first keys before the first table",
			Base:   "[t]\nx = 1\n",
			Mine:   "[t]\nx = 2\n",
			Theirs: "n = 1\n\n[t]\nx = 1\n",
			Want:   "n = 1\n\n[t]\nx = 2\n",
		},
		{
			Name:   "inline tables by key",
			Base:   "db = { type = \"h2\", pool = 5 }\n",
			Mine:   "db = { type = \"mysql\", pool = 5, own.x = 1 } # ours\n",
			Theirs: "db = { type = \"h2\", pool = 9, new = true }\n",
			Want:   "db = { type = \"mysql\", pool = 9, new = true, own.x = 1 } # ours\n",
		},
		{
			Name:       "an array of inline tables by id",
			Base:       "users = [\n  { id = \"a\", role = 1 },\n  { id = \"b\", role = 1 },\n]\n",
			Mine:       "users = [\n  { id = \"a\", role = 2 },\n  { id = \"b\", role = 1 },\n  { id = \"mine\", role = 1 },\n]\n",
			Theirs:     "users = [\n  { id = \"b\", role = 3 },\n  # new\n  { id = \"t\", role = 1 },\n]\n",
			Want:       "users = [\n  { id = \"a\", role = 2 },\n  { id = \"b\", role = 3 },\n  # new\n  { id = \"t\", role = 1 },\n  { id = \"mine\", role = 1 },\n]\n",
			WantTheirs: "users = [\n  { id = \"b\", role = 3 },\n  # new\n  { id = \"t\", role = 1 },\n  { id = \"mine\", role = 1 },\n]\n",
			Conflicts:  []string{`users[id=a]: { id = "a", role = 1 }, | { id = "a", role = 2 }, | —`},
		},
		{
			Name:   "dotted and quoted keys are one key however they are written",
			Base:   "a.b = 1\n\"c d\".e = 1\n",
			Mine:   "a . \"b\" = 1\n\"c d\".e = 2\n",
			Theirs: "a.b = 5\n'c d'.e = 1\n\"a.b\" = 7\n",
			Want:   "a . \"b\" = 5\n'c d'.e = 2\n\"a.b\" = 7\n",
		},
		{
			Name:   "quotes and numbers in another spelling are no change",
			Base:   "a = \"x\"\nn = 1000\nd = 2020-01-01T00:00:00Z\ns = \"l\"\n",
			Mine:   "a = 'x'\nn = 1_000\nd = 2020-01-01 00:00:00Z\ns = \"m\"\n",
			Theirs: "a = \"y\"\nn = 2000\nd = 2021-01-01T00:00:00Z\ns = \"l\"\n",
			Want:   "a = 'y'\nn = 2000\nd = 2021-01-01T00:00:00Z\ns = \"m\"\n",
		},
		{
			Name:   "an integer is no string",
			Base:   "a = 1\nb = 1\n",
			Mine:   "a = \"1\"\nb = 1\n",
			Theirs: "a = 1\nb = \"1\"\n",
			Want:   "a = \"1\"\nb = \"1\"\n",
		},
		{
			Name:   "strings of several lines",
			Base:   "a = \"\"\"\n# no comment\n[no.table]\n\"\"\"\nb = 1\n",
			Mine:   "a = \"\"\"\n# no comment\n[no.table]\nmine\n\"\"\"\nb = 1\n",
			Theirs: "a = \"\"\"\n# no comment\n[no.table]\n\"\"\"\nb = 2\n",
			Want:   "a = \"\"\"\n# no comment\n[no.table]\nmine\n\"\"\"\nb = 2\n",
		},
		{
			Name:   "an array that other tables stand in",
			Base:   "[[x]]\nname = \"a\"\n[y]\nz = 1\n[[x]]\nname = \"b\"\n",
			Mine:   "[[x]]\nname = \"a\"\nv = 1\n[y]\nz = 1\n[[x]]\nname = \"b\"\n",
			Theirs: "[[x]]\nname = \"a\"\n[y]\nz = 2\n[[x]]\nname = \"b\"\nw = 1\n[[x]]\nname = \"c\"\n",
			Want:   "[[x]]\nname = \"a\"\nv = 1\n[y]\nz = 2\n[[x]]\nname = \"b\"\nw = 1\n[[x]]\nname = \"c\"\n",
		},
		{
			Name:   "CR LF, and a last line without end",
			Base:   "[a]\r\nx = 1\r\n\r\n[b]\r\ny = 1",
			Mine:   "[a]\r\nx = 2\r\n\r\n[b]\r\ny = 1",
			Theirs: "[a]\nx = 1\n\n[b]\ny = 1\nz = 1\n\n[c]",
			Want:   "[a]\r\nx = 2\r\n\r\n[b]\r\ny = 1\r\nz = 1\r\n\r\n[c]",
		},
		{
			Name:   "settings left out at the end of a table stay in it",
			Base:   "[a]\nx = 1\n# y = 1\n\n# Title\n\n[b]\nz = 1\n",
			Mine:   "[a]\nx = 1\n# y = 1\n# own = 1\n\n# Title\n\n[b]\nz = 2\n",
			Theirs: "[a]\nx = 1\n# y = 1\n\n[n]\nm = 1\n\n# Title\n\n[b]\nz = 1\n",
			Want:   "[a]\nx = 1\n# y = 1\n# own = 1\n\n[n]\nm = 1\n\n# Title\n\n[b]\nz = 2\n",
		},
		{
			Name:       "a table here, a dotted key there: by line, as it would be no TOML",
			How:        "by line",
			Base:       "x = 1\n\n\n[z]\n",
			Mine:       "x = 1\n\n\n[z]\na.b = 1\n",
			Theirs:     "x = 2\n\n\n[z]\n[z.a]\n",
			Want:       "x = 2\n\n\n[z]\na.b = 1\n",
			WantTheirs: "x = 2\n\n\n[z]\n[z.a]\n",
			Conflicts:  []string{"line 5: — | a.b = 1\n | [z.a]\n"},
		},
	})
}

func texts() []string {
	return []string{
		deployment, "", "\n", "a", "a=", "a=1", "[", "[a]", "[[a]]", "[a]\n[a]", "a=1\na=2", "a.b=1\na.c=2\n[a]", "[a.b]\n[a]\n[a.b.c]", "a=[1,\n2]", "a=[\n1,\n2 # x\n]#\n",
		"a=[\n[\n1\n],\n{a=1}]\n", "a=[\n{a=1,b={c=2}},\n\n# x\n{a=[1,2]}\n,\n]\n", "a={\nb=1,\n}\n", "a = {b=1,}\n", "a={}\nb=[]\nc=[\n]\n", "'a.b'.\"\\u0000\" = '''\n'''\n",
		"[[a]]\n[[a.b]]\n[a.b.c]\n[[a.b]]\n# z\n[[a]]\nx=1\n# t\n\n[a.c]\n", "[[a]]\n[b]\n[a.c]\n", "[[a]]\n[b]\n[[a]]\nid=1\n", "a=2020-02-30\n", "a=99999999999999999999", "a=inf\nb=-nan\nc=+1.5e3\nd=0xFF\ne=07:32:00\n",
		"[ a . b ] # x\r\nc = \"\"\"\r\n x\r\n\"\"\"\r\n", "a=\"\\uD800\"", "a='\xff'", "# \x01", "a=1\r", "a = [ # c\n  'x', # [\n\n  'y'\n  # ]\n] # z", "a=[\n1\n,\n2\n]\n", "a=[,]", "\ufeffa=1",
		"a={b.c=1,b.d=2}\n", "a={b=1,b=2}\n", "[a]\nb.c=1\n[a.b.d]\n", "a=[{b=1}]\n[[a]]\n", "[a]\n[[a]]\n", "[a.b]\nx=1\n[a]\nb.y=1\n", "a.b.c=1\na.b=2\n",
	}
}

func TestTextsAreWhole(t *testing.T) {
	t.Parallel()
	for _, text := range texts() {
		mergetest.Whole(t, toml.Format{}, text)
	}
	rapid.Check(t, func(t *rapid.T) { mergetest.Whole(t, toml.Format{}, text(t)) })
}

// text draws something that is TOML often enough.
func text(t *rapid.T) string {
	values := rapid.SampledFrom([]string{
		"1", "'x'", "\"\\n\"", "[1,2]", "[\n 1,\n 2\n]", "{a=1, b.c=2}", "[{id=1},{id=2}]", "[\n{id=1}, # x\n{id=2}\n]", "\"\"\"\n#\n\"\"\"", "1979-05-27", "[\n[\n],\n[1\n]]", "{ }", "{\n}", "1.0",
	})
	keys := rapid.StringMatching(`[abc](\.[abc])?|"a b"`)
	lines := rapid.SliceOf(rapid.Custom(func(t *rapid.T) string {
		end := rapid.SampledFrom([]string{"\n", "\n", "\r\n", " # c\n", "\n\n", "\n# c\n", "\n\n# c\n\n", ""}).Draw(t, "end")
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			return "[" + keys.Draw(t, "key") + "]" + end
		case 1:
			return "[[" + keys.Draw(t, "key") + "]]" + end
		}
		return keys.Draw(t, "key") + " = " + values.Draw(t, "value") + end
	}))
	return strings.Join(lines.Draw(t, "lines"), "")
}

// agrees sees that a text is refused where go-toml refuses it, and that otherwise the
// nodes say what go-toml reads.
func agrees(t rapid.TB, text string) {
	t.Helper()
	var doc map[string]any
	refused := gotoml.Unmarshal([]byte(text), &doc)
	if err := (toml.Format{}).Check(text); (err == nil) != (refused == nil) {
		t.Fatalf("%q\ngo-toml: %v\nwe: %v", text, refused, err)
	}
	n, err := toml.Format{}.Parse(text)
	if refused != nil || err != nil {
		return
	}
	if _, err := (toml.Format{}).Parse(n.Text()); err != nil {
		t.Fatal(err)
	}
	want, got := map[string]int{}, map[string]int{}
	leaves(want, doc)
	says(got, n)
	// An array or inline table may be one value: it counts for what it holds.
	for key := range got {
		if strings.HasPrefix(key, "[") || strings.HasPrefix(key, "{") {
			return
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%q\ngo-toml reads %v\nthe nodes say %v", text, want, got)
	}
}

func leaves(all map[string]int, v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, c := range v {
			leaves(all, c)
		}
	case []any:
		for _, c := range v {
			leaves(all, c)
		}
	case string:
		all["string "+strings.ReplaceAll(v, "\r\n", "\n")]++
	case bool:
		all[fmt.Sprintf("boolean %v", v)]++
	default:
		all[fmt.Sprintf("%T %v", v, v)]++
	}
}

func says(all map[string]int, n *merge.Node) {
	if n.Kind == merge.Scalar && !n.Remark {
		all[n.Value]++
	}
	for _, c := range n.Children {
		says(all, c)
	}
}

func TestAgreesWithTheJudge(t *testing.T) {
	t.Parallel()
	for _, text := range texts() {
		agrees(t, text)
	}
	rapid.Check(t, func(t *rapid.T) { agrees(t, text(t)) })
}

func TestNotByKey(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a table of an array's element stands apart from it": "[[a]]\n[b]\n[a.c]\n",
		"too deep":       "a = " + strings.Repeat("[", 200) + strings.Repeat("]", 200),
		"too many parts": "[a" + strings.Repeat(".a", 200) + "]",
	} {
		if err := (toml.Format{}).Check(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := (toml.Format{}).Parse(text); err == nil {
			t.Errorf("%s: merged by key", name)
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
			b.WriteString("# " + e.Remark + "\n")
			if e.Apart {
				b.WriteString("\n")
			}
		}
		b.WriteString(e.Key + " = '" + e.Value + "'\n")
	}
	return b.String()
}

// renderArray makes each section's entries inline tables and tables of an array.
func renderArray(all []mergetest.Entry) string {
	var b strings.Builder
	for _, e := range all {
		if e.Section == "" {
			b.WriteString(e.Key + " = {x = '" + e.Value + "', y = 1}\n")
		}
	}
	b.WriteString("list = [\n")
	for _, e := range all {
		if e.Section == "one" {
			b.WriteString("  {id = '" + e.Key + "', v = '" + e.Value + "'}, # " + e.Remark + "\n")
		}
	}
	b.WriteString("]\n")
	for _, e := range all {
		if e.Section == "two" {
			b.WriteString("\n# " + e.Remark + "\n[[two]]\nname = '" + e.Key + "'\n[two.sub]\nv = '" + e.Value + "'\n")
		}
	}
	return b.String()
}

func TestEveryKeyIsDecided(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base, mine, theirs := mergetest.Sides(t, true)
		mergetest.Decided(t, toml.Format{}, render(base), render(mine), render(theirs))
	})
}

func TestEveryElementIsDecided(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base, mine, theirs := mergetest.Sides(t, true)
		mergetest.Decided(t, toml.Format{}, renderArray(base), renderArray(mine), renderArray(theirs))
	})
}

func TestHostileTextsTakeLinearTime(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("a.", 99) + "a"
	mergetest.Hard(t, toml.Format{}, map[string]string{
		"keys":          mergetest.Many(30_000, "key%d = 1\n"),
		"tables":        mergetest.Many(30_000, "[table%d]\na=1\n"),
		"array tables":  mergetest.Many(30_000, "[[table]]\nid='%d'\n"),
		"two arrays":    mergetest.Many(20_000, "[[a]]\nid='%d'\n[[b]]\n"),
		"nested arrays": mergetest.Many(30_000, "[[a.b]]\nid='%d'\n[[a.b.c]]\n"),
		"deep tables":   mergetest.Many(3_000, "["+deep+".t%d]\n"),
		"deep arrays":   "[[a]]\n" + mergetest.Many(3_000, "[["+deep+".t%d]]\n"),
		"one array":     "a = [" + strings.Repeat("1,", merge.MaxKeyed/8) + "]",
		"one list":      "a = [\n" + mergetest.Many(30_000, "  %d,\n") + "]",
		"one table":     "a = {" + mergetest.Many(30_000, "k%d=1,") + "z=1}",
		"nested":        "a = " + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000),
		"too nested":    "a = " + strings.Repeat("[", merge.MaxKeyed-10),
		"nested tables": "a = " + strings.Repeat("{a=", 50_000),
		"wide and deep": "a = " + strings.Repeat("[", 99) + strings.Repeat(`"\"",`, 50_000) + strings.Repeat("]", 99),
		"one string":    "a = '" + strings.Repeat("x", merge.MaxKeyed-10) + "'",
		"one key":       strings.Repeat("a.", merge.MaxKeyed/2-10) + "a=1",
		"dotted keys":   mergetest.Many(4_000, deep+"%d=1\n"),
		"remarks":       strings.Repeat("#\n\n", 60_000),
		"blank lines":   strings.Repeat("\n", merge.MaxKeyed-10),
		"blanks":        strings.Repeat(" ", merge.MaxKeyed-10),
	})
}

func FuzzParse(f *testing.F) {
	for _, text := range texts() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		mergetest.Whole(t, toml.Format{}, text)
		agrees(t, text)
	})
}
