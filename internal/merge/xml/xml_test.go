package xml_test

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
	"pgregory.net/rapid"

	"uplevel/internal/merge"
	"uplevel/internal/merge/xml"
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
			"a server's ports", "server.xml",
			[]string{`port="8080"`, `port="9090"`, `port="8005"`, `port='-1'`},
			[]string{`redirectPort="8443"`, `redirectPort="8443" maxParameterCount="1000"`, `shutdown="SHUTDOWN"`, `shutdown="STOP"`},
			[]string{
				`port="8080"`, `port="9090"`, `port="8005"`, `port='-1'`, `shutdown="SHUTDOWN"`, `shutdown="STOP"`,
				`redirectPort="8443"`, `redirectPort="8443" maxParameterCount="1000"`,
			},
		},
		{
			"listeners and valves come and go", "server.xml",
			[]string{`"APR"/>`, `"APR"/>` + "\n  <!-- ours -->\n  <Listener className=\"own.Audit\"/>", `rotatable="true"`, `rotatable="false"`},
			[]string{"  <!-- leaks -->\n  <Listener className=\"LeakListener\" />\n", "", "<!-- log -->", "<!-- the access log -->"},
			[]string{
				`"APR"/>`, `"APR"/>` + "\n  <!-- ours -->\n  <Listener className=\"own.Audit\"/>", `rotatable="true"`, `rotatable="false"`,
				"  <!-- leaks -->\n  <Listener className=\"LeakListener\" />\n", "", "<!-- log -->", "<!-- the access log -->",
			},
		},
		{
			"a comment is made an element", "server.xml",
			[]string{"<!--\n    <Executor name=\"pool\" maxThreads=\"150\"/>\n    -->", "<Executor name=\"pool\" maxThreads=\"300\"/>"},
			[]string{`autoDeploy="true"`, `autoDeploy="false"`},
			[]string{
				"<!--\n    <Executor name=\"pool\" maxThreads=\"150\"/>\n    -->", "<Executor name=\"pool\" maxThreads=\"300\"/>",
				`autoDeploy="true"`, `autoDeploy="false"`,
			},
		},
		{
			"filters by their names", "web.xml",
			[]string{"<param-value>*</param-value>", "<param-value>https://own.example</param-value>"},
			[]string{
				"  <!-- pages -->", "  <!-- headers -->\n  <filter>\n    <filter-name>headers</filter-name>\n" +
					"    <filter-class>org.example.Headers</filter-class>\n  </filter>\n\n  <!-- pages -->",
				"<session-timeout>30</session-timeout>", "<session-timeout>15</session-timeout>",
			},
			[]string{
				"<param-value>*</param-value>", "<param-value>https://own.example</param-value>",
				"  <!-- pages -->", "  <!-- headers -->\n  <filter>\n    <filter-name>headers</filter-name>\n" +
					"    <filter-class>org.example.Headers</filter-class>\n  </filter>\n\n  <!-- pages -->",
				"<session-timeout>30</session-timeout>", "<session-timeout>15</session-timeout>",
			},
		},
		{
			"values by order", "web.xml",
			[]string{"    <welcome-file>index.html</welcome-file>\n", "    <welcome-file>own.html</welcome-file>\n    <welcome-file>index.html</welcome-file>\n"},
			[]string{"    <welcome-file>index.jsp</welcome-file>\n", ""},
			[]string{
				"    <welcome-file>index.html</welcome-file>\n", "    <welcome-file>own.html</welcome-file>\n    <welcome-file>index.html</welcome-file>\n",
				"    <welcome-file>index.jsp</welcome-file>\n", "",
			},
		},
		{
			"loggers", "log4j2.xml",
			[]string{`<Root level="info">`, `<Root level="warn">`, `    <Logger name="org.noise" level="error"/> <!-- noisy -->` + "\n", ""},
			[]string{`fileName="logs/app.log"`, `fileName="logs/server.log"`, "<Loggers>", "<Loggers>\n    <Logger name=\"org.new\" level=\"warn\"/> <!-- new -->"},
			[]string{
				`<Root level="info">`, `<Root level="warn">`, `    <Logger name="org.noise" level="error"/> <!-- noisy -->` + "\n", "",
				`fileName="logs/app.log"`, `fileName="logs/server.log"`, "<Loggers>", "<Loggers>\n    <Logger name=\"org.new\" level=\"warn\"/> <!-- new -->",
			},
		},
		{
			"parameters and formatters", "axis2.xml",
			[]string{`<parameter name="hotdeployment">true</parameter>`, `<parameter name="hotdeployment" locked="true">false</parameter>`},
			[]string{
				`<messageFormatter contentType="text/xml"`, `<messageFormatter contentType="application/json" class="org.example.Soap"/>` +
					"\n        <messageFormatter contentType=\"text/xml\"",
				`<phase name="Security"/>`, `<phase name="Security"/><phase name="Audit"/>`,
			},
			[]string{
				`<parameter name="hotdeployment">true</parameter>`, `<parameter name="hotdeployment" locked="true">false</parameter>`,
				`<messageFormatter contentType="text/xml"`, `<messageFormatter contentType="application/json" class="org.example.Soap"/>` +
					"\n        <messageFormatter contentType=\"text/xml\"",
				`<phase name="Security"/>`, `<phase name="Security"/><phase name="Audit"/>`,
			},
		},
	} {
		base := sample(t, c.file)
		for _, end := range []string{"\n", "\r\n"} {
			full := strings.NewReplacer("\n", end)
			got, err := merge.Merge(sides(full.Replace(base), full.Replace(edit(t, base, c.mine...)), edit(t, base, c.theirs...)), xml.Format{})
			if err != nil || got.How != "by key (XML)" || len(got.Conflicts) > 0 {
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
		{"an empty element gets its first", `<a x="1"><b/></a>`, `<a x="2"><b/></a>`, `<a x="1"><b><c/></b></a>`, `<a x="2"><b><c/></b></a>`},
		{"both give it one", `<a></a>`, `<a><b/></a>`, `<a><c/></a>`, `<a><b/><c/></a>`},
		{"the last goes", `<a x="1"><b>t</b></a>`, `<a x="2"><b>t</b></a>`, `<a x="1"/>`, `<a x="2"/>`},
		{"the first attribute", `<a><b/><c/></a>`, `<a><b x="1"/><c/></a>`, `<a><b y="2"/><c z="3"/></a>`, `<a><b x="1" y="2"/><c z="3"/></a>`},
		{"spelling is no change", `<a x="&lt;">&amp;<b/></a>`, `<a x='&#60;'>&amp;<b/></a>`, `<a x="y">&amp;<b/></a>`, `<a x='y'>&amp;<b/></a>`},
		{"marked text", "<a><s>1</s><t>2</t></a>", "<a><s><![CDATA[<1>]]></s><t>2</t></a>", "<a><s>1</s><t>3</t></a>", "<a><s><![CDATA[<1>]]></s><t>3</t></a>"},
		{"prefixes", `<p:a xmlns:p="u"><p:b p:x="1">1</p:b></p:a>`, `<p:a xmlns:p="u"><p:b p:x="2">1</p:b></p:a>`, `<p:a xmlns:p="u"><p:b p:x="1">3</p:b></p:a>`, `<p:a xmlns:p="u"><p:b p:x="2">3</p:b></p:a>`},
		{
			"tabs stay", "<a>\n  <b>\n    <c/>\n  </b>\n</a>\n", "<a>\n\t<b x=\"1\">\n\t\t<c/>\n\t</b>\n</a>\n",
			"<a>\n  <b>\n    <c/>\n    <!-- new -->\n    <d/>\n  </b>\n</a>\n", "<a>\n\t<b x=\"1\">\n\t\t<c/>\n\t\t<!-- new -->\n\t\t<d/>\n\t</b>\n</a>\n",
		},
		{
			"names among elements without any", `<r><x>1</x><x>1</x><f name="a" v="1"/><y/></r>`, `<r><x>1</x><x>1</x><f name="a" v="2"/><y/><f name="own"/></r>`,
			`<r><x>1</x><x>2</x><f name="new"/><f name="a" v="1" w="1"/><y/></r>`, `<r><x>1</x><x>2</x><f name="new"/><f name="a" v="2" w="1"/><y/><f name="own"/></r>`,
		},
		{
			"of elements that repeat one changes", `<r><x p="1"/><z/></r>`, `<r><x p="1"/><x p="3"/><z/></r>`, `<r><x p="1"/><z q="1"/></r>`,
			`<r><x p="1"/><x p="3"/><z q="1"/></r>`,
		},
		{
			"a text over lines", "<r>\n  <x>a\n    b</x>\n  <y/>\n</r>", "<r>\n\t<x>a\n    b</x>\n\t<y p=\"1\"/>\n</r>", "<r>\n  <x>a\n    c</x>\n  <y/>\n</r>",
			"<r>\n\t<x>a\n    c</x>\n\t<y p=\"1\"/>\n</r>",
		},
		{
			"a document type from outside", "<!DOCTYPE a SYSTEM \"a.dtd\">\n<a><b>1</b><c>1</c></a>", "<!DOCTYPE a SYSTEM \"a.dtd\">\n<a><b>2</b><c>1</c></a>",
			"<!DOCTYPE a SYSTEM \"b.dtd\">\n<a><b>1</b><c>2</c></a>", "<!DOCTYPE a SYSTEM \"b.dtd\">\n<a><b>2</b><c>2</c></a>",
		},
		{
			"an old encoding", "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<a><b>\xe4</b><c \xf6=\"1\"/></a>",
			"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<a><b>\xfc</b><c \xf6=\"1\"/></a>",
			"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<a><b>\xe4</b><c \xf6=\"2\"/></a>",
			"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<a><b>\xfc</b><c \xf6=\"2\"/></a>",
		},
	} {
		got, err := merge.Merge(sides(c.base, c.mine, c.theirs), xml.Format{})
		if err != nil || got.How != "by key (XML)" || len(got.Conflicts) > 0 || string(got.Merged) != c.want {
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
			"server.xml",
			[]string{`port="8080"`, `port="9090"`},
			[]string{`port="8080"`, `port="8081"`, `"SHUTDOWN"`, `"STOP"`},
			[]string{`port="8080"`, `port="9090"`, `"SHUTDOWN"`, `"STOP"`},
			merge.Conflict{Key: "Server.Service[name=Catalina].Connector@port", Base: here("8080"), Mine: here("9090"), Theirs: here("8081")},
		},
		{
			"web.xml",
			[]string{"<filter-class>org.example.Cors", "<filter-class>own.Cors"},
			[]string{"<filter-class>org.example.Cors", "<filter-class>org.example.v2.Cors"},
			[]string{"<filter-class>org.example.Cors", "<filter-class>own.Cors"},
			merge.Conflict{
				Key: "web-app.filter[filter-name=cors].filter-class", Base: here("org.example.CorsFilter"), Mine: here("own.CorsFilter"),
				Theirs: here("org.example.v2.CorsFilter"),
			},
		},
		{
			"log4j2.xml",
			[]string{`    <Logger name="org.noise" level="error"/> <!-- noisy -->` + "\n", ""},
			[]string{`"org.noise" level="error"`, `"org.noise" level="warn"`},
			[]string{`    <Logger name="org.noise" level="error"/> <!-- noisy -->` + "\n", ""},
			merge.Conflict{
				Key: "Configuration.Loggers.Logger[name=org.noise]", Base: here(`<Logger name="org.noise" level="error"/> <!-- noisy -->`),
				Theirs: here(`<Logger name="org.noise" level="warn"/> <!-- noisy -->`),
			},
		},
	} {
		base := sample(t, c.file)
		got, err := merge.Merge(sides(base, edit(t, base, c.mine...), edit(t, base, c.theirs...)), xml.Format{})
		if err != nil || got.How != "by key (XML)" {
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

// What names nothing after a merge, or is not written as it says, is no merge: the whole
// file is asked for, or its lines.
func TestStaysXML(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, base, mine, theirs string }{
		{
			"a prefix that the vendor renamed and the operator used again",
			"<s xmlns:a='u'>\n<a:x/>\n<b/>\n</s>\n", "<s xmlns:a='u'>\n<a:x/>\n<b/>\n<a:y/>\n</s>\n", "<s xmlns:z='u'>\n<z:x/>\n<b/>\n</s>\n",
		},
		{
			"on an attribute",
			"<s xmlns:a='u'>\n<b a:x='1'/>\n<c/>\n<d/>\n</s>\n", "<s xmlns:a='u'>\n<b a:x='1'/>\n<c/>\n<d a:x='1'/>\n</s>\n", "<s>\n<b/>\n<c/>\n<d/>\n</s>\n",
		},
		{
			"an encoding that the vendor gave up",
			"<?xml version='1.0' encoding='ISO-8859-1'?>\n<a>\n<b>1</b>\n</a>\n", "<?xml version='1.0' encoding='ISO-8859-1'?>\n<a>\n<b>\xfc</b>\n</a>\n",
			"<?xml version='1.0' encoding='UTF-8'?>\n<a>\n<b>1</b>\n</a>\n",
		},
	} {
		got, err := merge.Merge(sides(c.base, c.mine, c.theirs), xml.Format{})
		if !errors.Is(err, merge.ErrWhole) {
			t.Errorf("%s: %v %s\n%s", c.name, err, got.How, got.Merged)
		}
	}
}

// A document type and processing instructions say something: they are no comments.
func TestProloguesAreMerged(t *testing.T) {
	t.Parallel()
	text := func(style, doctype, b string) string {
		return "<?xml version='1.0'?>\n<!-- of ours -->\n<?style " + style + "?>\n<!DOCTYPE a SYSTEM '" + doctype + "'>\n<a><b>" + b + "</b></a>\n"
	}
	got, err := merge.Merge(sides(text("1", "1", "1"), text("2", "2", "1"), text("1", "3", "4")), xml.Format{})
	if err != nil || got.How != "by key (XML)" || len(got.Conflicts) != 1 || got.Conflicts[0].Key != "<!DOCTYPE>" ||
		string(got.Merged) != text("2", "2", "4") || string(got.Theirs) != text("2", "3", "4") {
		t.Errorf("%v %s %+v\n%s", err, got.How, got.Conflicts, got.Merged)
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "text", "<a>", "<a></b>", "<a/><b/>", "<a/>text", "x<a/>", `<a x="1" x="2"/>`, "<a>&own;</a>", `<a x="&own;"/>`,
		"<a><!DOCTYPE b></a>", "<a/><!DOCTYPE a>", "<a x=1/>", "<a><b></a></b>", "<a>]]></a>", "<a", "</a>", "<!-- -- --><a/>",
		"<!DOCTYPE a [<!ENTITY b \"c\">]><a/>",
		"<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;&b;\">]><a>&c;</a>",
		strings.Repeat("<a>", 200) + strings.Repeat("</a>", 200), strings.Repeat("<a>", 1<<19),
		"<a>" + strings.Repeat("<b/>", merge.MaxNodes/2) + "</a>", "<a/><?xml version='2.0'?>",
		"<a><?p q?></a>", "<a/><?p q?>", "<p:a/>", "<a p:b=''/>", "<a><b xmlns:p='u'/><p:b/></a>", "<a>\xfc</a>",
	} {
		if _, err := (xml.Format{}).Parse(text); err == nil {
			t.Errorf("%.60q is taken apart", text)
		}
	}
}

func TestHostileTextsCostLittle(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"elements": "<a>" + strings.Repeat("<b x='1'/>\n", 3_700) + "</a>",
		"attributes": "<a" + func() string {
			var b strings.Builder
			for i := range 14_000 {
				fmt.Fprintf(&b, " a%d='%d'", i, i)
			}
			return b.String()
		}() + "/>",
		"comments":   "<a>" + strings.Repeat("<b/> <!-- x --> <!-- y -->\n", 3_700) + "</a>",
		"spaces":     "<a" + strings.Repeat(" ", 1<<20) + ">" + strings.Repeat(" ", 1<<20) + "</a>",
		"references": "<a>" + strings.Repeat("&amp;", 1<<18) + "</a>",
		"pieces":     "<a>x" + strings.Repeat("<![CDATA[x]]>y<b/>", 3_700) + "</a>",
	} {
		start := time.Now()
		n, err := (xml.Format{}).Parse(text)
		if err != nil || n.Text() != text {
			t.Error(name, err)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Error(name, "took", took)
		}
	}
}

// element draws the attributes and children of a root element, and its text.
func element(t *rapid.T) (map[string]string, string) {
	said := map[string]string{}
	space := rapid.SampledFrom([]string{"", "\n  ", "\n\t", "\n  <!-- c -->\n  "}).Draw(t, "space")
	quote := rapid.SampledFrom([]string{`"`, `'`}).Draw(t, "quote")
	value := rapid.SampledFrom([]string{"", "1", "&lt;2", "3"})
	names := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}), func(s string) string { return s })
	var b strings.Builder
	b.WriteString("<root")
	for _, k := range names.Draw(t, "attributes") {
		said["root@"+k] = value.Draw(t, k)
		b.WriteString(" " + k + "=" + quote + said["root@"+k] + quote)
	}
	b.WriteString(">")
	for _, k := range names.Draw(t, "children") {
		said["root."+k] = value.Draw(t, k)
		b.WriteString(space + "<" + k + ">" + said["root."+k] + "</" + k + ">")
	}
	b.WriteString("\n</root>\n")
	return said, b.String()
}

// read is what a text says, as element draws it.
func read(t *rapid.T, text string) map[string]string {
	n, err := (xml.Format{}).Parse(text)
	if err != nil {
		t.Fatal(text, err)
	}
	said := map[string]string{}
	root := n.Children[0]
	for _, a := range root.Children[0].Children {
		said["root@"+a.Key] = a.Raw
	}
	for _, c := range root.Children[1].Children {
		said["root."+c.Identity] = c.Children[1].Raw
	}
	return said
}

func TestWhatEachSideChangedIsInTheResult(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base, baseText := element(t)
		mine, mineText := element(t)
		theirs, theirsText := element(t)
		got, err := merge.Merge(sides(baseText, mineText, theirsText), xml.Format{})
		if err != nil {
			t.Fatal(err)
		}
		var clash []string
		for _, c := range got.Conflicts {
			clash = append(clash, c.Key)
		}
		if got.How == "unchanged" || slices.Contains(clash, "root") {
			return // the children stand in another order
		}
		if got.How != "by key (XML)" {
			t.Fatal(got.How, baseText, mineText, theirsText)
		}
		out := read(t, string(got.Merged))
		for _, side := range []map[string]string{base, mine, theirs} {
			for k := range side {
				want, ok := decide(base, mine, theirs, k)
				if !ok && !slices.Contains(clash, k) || ok && want != at(out, k) {
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
	for _, name := range []string{"server.xml", "web.xml", "log4j2.xml", "axis2.xml"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	for _, seed := range []string{
		"<a/>", "<a></a>", "<a x = 'y' />", "<a>x<b/>y</a>", "<a>\xe4</a>", "<?xml version='1.0' encoding='x'?><a:b c:d=''/>",
		"<a><![CDATA[]]></a>", "<!DOCTYPE a><a>&#65;</a>", "<a> <!-- x -->\n</a>\n<!-- y -->",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := xml.Format{}.Parse(text)
		if err == nil && n.Text() != text {
			t.Errorf("%q becomes %q", text, n.Text())
		}
	})
}
