package bundles_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"uplevel/internal/merge"
	"uplevel/internal/merge/bundles"
	"uplevel/internal/merge/mergetest"
)

const info = `#encoding=UTF-8
#version=1
axiom,1.2.11.wso2v6,../plugins/axiom_1.2.11.wso2v6.jar,4,true
axis2,1.6.1.wso2v38,../plugins/axis2_1.6.1.wso2v38.jar,4,true
org.eclipse.equinox.ds,1.4.400,../plugins/org.eclipse.equinox.ds_1.4.400.jar,2,true
org.wso2.carbon.core,4.6.0,../plugins/org.wso2.carbon.core_4.6.0.jar,4,true
`

const patched = "org.wso2.carbon.core,4.6.1,../plugins/org.wso2.carbon.core_4.6.1.jar,4,true\n"

func edit(text string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(text) }

func TestMerge(t *testing.T) {
	t.Parallel()
	own := "com.acme.audit,1.0.0,../dropins/com.acme.audit_1.0.0.jar,4,true\n"
	mergetest.Run(t, bundles.Format{}, []mergetest.Case{
		{
			Name:   "an own bundle, an own start level; newer and new bundles of the vendor",
			Base:   info,
			Mine:   edit(info, "1.4.400.jar,2,true", "1.4.400.jar,1,true") + "# audit\n" + own,
			Theirs: edit(info, "4.6.0", "4.6.1", "org.eclipse.equinox.ds,", "joda,2.9,../plugins/joda_2.9.jar,4,true\norg.eclipse.equinox.ds,"),
			Want: edit(info, "1.4.400.jar,2,true", "1.4.400.jar,1,true", "4.6.0", "4.6.1",
				"org.eclipse.equinox.ds,", "joda,2.9,../plugins/joda_2.9.jar,4,true\norg.eclipse.equinox.ds,") + "# audit\n" + own,
		},
		{
			Name:   "start level here, version there, of one bundle",
			Base:   info,
			Mine:   edit(info, "core_4.6.0.jar,4,true", "core_4.6.0.jar,5,false"),
			Theirs: edit(info, "4.6.0", "4.6.1"),
			Want:   edit(info, "core_4.6.0.jar,4,true", "core_4.6.1.jar,5,false", "core,4.6.0", "core,4.6.1"),
		},
		{
			Name:       "both changed the version",
			Base:       info,
			Mine:       edit(info, "4.6.0", "4.6.0.acme1", "axiom", "AXIOM"),
			Theirs:     edit(info, "4.6.0", "4.6.1"),
			Want:       edit(info, "4.6.0", "4.6.0.acme1", "axiom", "AXIOM"),
			WantTheirs: edit(info, "4.6.0", "4.6.1", "axiom", "AXIOM"),
			Conflicts: []string{"org.wso2.carbon.core[version,location]: 4.6.0,../plugins/org.wso2.carbon.core_4.6.0.jar | " +
				"4.6.0.acme1,../plugins/org.wso2.carbon.core_4.6.0.acme1.jar | 4.6.1,../plugins/org.wso2.carbon.core_4.6.1.jar"},
		},
		{
			Name:   "the vendor drops the first bundle, the preamble stays in front",
			Base:   info,
			Mine:   info + own,
			Theirs: edit(info, "axiom,1.2.11.wso2v6,../plugins/axiom_1.2.11.wso2v6.jar,4,true\n", ""),
			Want:   edit(info, "axiom,1.2.11.wso2v6,../plugins/axiom_1.2.11.wso2v6.jar,4,true\n", "") + own,
		},
		{
			Name:   "the vendor puts a bundle in front",
			Base:   info,
			Mine:   info + own,
			Theirs: edit(info, "axiom,", "activation,1,../plugins/activation.jar,4,true\naxiom,"),
			Want:   edit(info, "axiom,", "activation,1,../plugins/activation.jar,4,true\naxiom,") + own,
		},
		{
			Name:   "two versions of one bundle are two bundles",
			Base:   info + patched,
			Mine:   edit(info+patched, "core_4.6.0.jar,4,true", "core_4.6.0.jar,4,false"),
			Theirs: edit(info+patched, "core_4.6.1.jar,4,true", "core_4.6.1.jar,3,true"),
			Want:   edit(info+patched, "core_4.6.0.jar,4,true", "core_4.6.0.jar,4,false", "core_4.6.1.jar,4,true", "core_4.6.1.jar,3,true"),
		},
		{
			Name:       "the operator added a second version of what the vendor replaces: by line",
			How:        "by line",
			Base:       info,
			Mine:       info + patched,
			Theirs:     edit(info, "4.6.0", "4.6.2"),
			Want:       info + patched,
			WantTheirs: edit(info, "4.6.0", "4.6.2"),
			Conflicts: []string{"lines 6–7: org.wso2.carbon.core,4.6.0,../plugins/org.wso2.carbon.core_4.6.0.jar,4,true\n | " +
				"org.wso2.carbon.core,4.6.0,../plugins/org.wso2.carbon.core_4.6.0.jar,4,true\n" + patched +
				" | org.wso2.carbon.core,4.6.2,../plugins/org.wso2.carbon.core_4.6.2.jar,4,true\n"},
		},
		{
			Name:   "CR LF, and a last line without end",
			Base:   "#version=1\r\na,1,a.jar,4,true\r\nb,1,b.jar,4,true",
			Mine:   "#version=1\r\na,1,a.jar,4,false\r\nb,1,b.jar,4,true",
			Theirs: "#version=1\na,1,a.jar,4,true\nb,1,b.jar,4,true\nc,1,c.jar,4,true",
			Want:   "#version=1\r\na,1,a.jar,4,false\r\nb,1,b.jar,4,true\r\nc,1,c.jar,4,true",
		},
		{
			Name:   "one bundle twice in one version: by line",
			How:    "by line",
			Base:   "a,1,a.jar,4,true\na,1,a.jar,4,true\nb,1,b.jar,4,true\nc,1,c.jar,4,true\n",
			Mine:   "a,1,a.jar,4,false\na,1,a.jar,4,true\nb,1,b.jar,4,true\nc,1,c.jar,4,true\n",
			Theirs: "a,1,a.jar,4,true\na,1,a.jar,4,true\nb,1,b.jar,4,true\nc,2,c.jar,4,true\n",
			Want:   "a,1,a.jar,4,false\na,1,a.jar,4,true\nb,1,b.jar,4,true\nc,2,c.jar,4,true\n",
		},
	})
}

func texts() []string {
	return []string{
		info, info + patched, "", "\n", "#", "#encoding=UTF-8", "a,b", "a,1,x,4,true", " a , 1 , x , 4 , true \r\n\n# z\n", "a,1,x,y,4,true\n",
		"a,,x,4,true", "a,1,x,4,true\na,1,x,4,true\n", "a,1,a,1,1\nb,b,b,b,b", "#version=1\n# l\n\n# a\na,1,x,4,true\n\n\n", "\x00\xff,1,1,1,1", "a\r,1,1,1,1",
	}
}

func TestTextsAreWhole(t *testing.T) {
	t.Parallel()
	for _, text := range texts() {
		mergetest.Whole(t, bundles.Format{}, text)
	}
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom([]string{"a,1,x,4,true", "b , 1, x , 4,true ", "a,2,x,4,true", "\n", "\n", "\r\n", "#version=1\n", "# a", " "}))
		mergetest.Whole(t, bundles.Format{}, strings.Join(parts.Draw(t, "parts"), ""))
	})
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a,1,x,4\n", "a,1,x,4,true,false\n", "a,1,x,,true\n", "a"} {
		if (bundles.Format{}).Check(text) == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func render(all []mergetest.Entry) string {
	b := strings.Builder{}
	b.WriteString("#encoding=UTF-8\n#version=1\n")
	for _, e := range all {
		if e.Remark != "" {
			b.WriteString("# " + e.Remark + "\n")
			if e.Apart {
				b.WriteString("\n")
			}
		}
		b.WriteString(e.Key + "," + e.Value + ",plugins/" + e.Key + "_" + e.Value + ".jar,4,true\n")
	}
	return b.String()
}

func TestEveryBundleIsDecided(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base, mine, theirs := mergetest.Sides(t, false)
		mergetest.Decided(t, bundles.Format{}, render(base), render(mine), render(theirs))
	})
}

func TestHostileTextsTakeLinearTime(t *testing.T) {
	t.Parallel()
	mergetest.Hard(t, bundles.Format{}, map[string]string{
		"bundles":  mergetest.Many(25_000, "org.bundle%d,1.0.0,../plugins/x.jar,4,true\n"),
		"one name": mergetest.Many(25_000, "org.bundle,1.%d,../plugins/x.jar,4,true\n"),
		"one line": "a,1," + strings.Repeat("x", merge.MaxKeyed/2) + ",4,true",
		"commas":   strings.Repeat(",", merge.MaxKeyed),
		"remarks":  strings.Repeat("#\n\n", 60_000),
		"preamble": strings.Repeat("#version=1\n", 100_000),
	})
}

func FuzzParse(f *testing.F) {
	for _, text := range texts() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { mergetest.Whole(t, bundles.Format{}, text) })
}
