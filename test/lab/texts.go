package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf16"
)

// OddText is a file that is hard on whoever merges it, as the vendor ships it twice and
// as the operator changed it.
type OddText struct {
	Path               string
	Base, Mine, Theirs string
}

// OddTexts are large, deep, hostile and badly written files. Their sizes follow unit: the
// number of keys of the largest.
func OddTexts(unit int) []OddText {
	many := func(line string) string {
		var b strings.Builder
		for i := range unit {
			fmt.Fprintf(&b, line, i, i)
		}
		return b.String()
	}
	both := func(path, text, first, mine, last, theirs string) OddText {
		return OddText{path, text, strings.Replace(text, first, mine, 1), strings.Replace(text, last, theirs, 1)}
	}
	end := fmt.Sprint(unit - 1)
	deep := strings.Repeat("[", 20*unit) + strings.Repeat("]", 20*unit)
	var laughs strings.Builder
	laughs.WriteString("a: &a [x, x, x, x, x, x, x, x, x]\n")
	for c := 'b'; c < 'z'; c++ {
		fmt.Fprintf(&laughs, "%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c, ", c-1), 8), ", "))
	}
	long := strings.Repeat("0123456789", 20*unit) + "\n"
	return []OddText{
		both("keys.properties", many("key%d=%d\n"), "key0=0", "key0=mine", "key"+end+"="+end, "key"+end+"=theirs"),
		both("keys.toml", many("key%d = %d\n"), "key0 = 0", "key0 = 'mine'", "key"+end+" = "+end, "key"+end+" = 'theirs'"),
		both("keys.yaml", many("key%d: %d\n"), "key0: 0", "key0: mine", "key"+end+": "+end, "key"+end+": theirs"),
		both("keys.ini", "[s]\n"+many("key%d=%d\n"), "key0=0", "key0=mine", "key"+end+"="+end, "key"+end+"=theirs"),
		both("keys.xml", "<r>\n"+many("<e id='%d'>%d</e>\n")+"</r>\n", ">0<", ">mine<", ">"+end+"<", ">theirs<"),
		both("keys.json", "{\n"+many("\"key%d\": %d,\n")+"\"end\": 1}\n", "\"key0\": 0", "\"key0\": \"mine\"", "\"end\": 1", "\"end\": \"theirs\""),
		{"deep.json", deep, `["mine",` + deep + "]", `["theirs",` + deep + "]"},
		{"laughs.yaml", laughs.String(), laughs.String() + "mine: 1\n", "theirs: 1\n" + laughs.String()},
		both("entities.xml", "<!DOCTYPE r [<!ENTITY e SYSTEM 'file:///etc/passwd'><!ENTITY f '&e;&e;&e;'>]>\n<r>\n<a>&f;</a>\n\n\n<b>1</b>\n</r>\n",
			"<a>&f;</a>", "<a>mine</a>", "<b>1</b>", "<b>theirs</b>"),
		both("line.txt", "first\n\n"+long+"\nlast\n", "first", "mine", "last", "theirs"),
		both("mixed.txt", "first\r\nx\n\ny\r\nlast\n", "first", "mine", "last", "theirs"),
		both("twice.properties", "a=1\nb=1\na=2\nz=1\n", "b=1", "b=mine", "z=1", "z=theirs"),
		both("latin1.properties", "a=\xe4\nb=1\n\nc=1\n", "b=1", "b=mine\xf6", "c=1", "c=theirs"),
		both("broken.txt", "first \xff\xfe\n\nlast \xff\n", "first", "mine", "last", "theirs"),
		{"nul.conf", "a\x00b", "a\x00mine", "a\x00theirs"},
		both("wide.ini", wide("a=1\r\nb=1\r\n\r\nc=1\r\n"), wide("a=1")[2:], wide("a=mine")[2:], wide("c=1")[2:], wide("c=theirs")[2:]),
	}
}

// wide is a text in UTF-16 with its mark.
func wide(s string) string {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

// WriteTexts writes one version of each below dir.
func WriteTexts(dir string, texts []OddText, version func(OddText) string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, t := range texts {
		if err := os.WriteFile(filepath.Join(dir, t.Path), []byte(version(t)), 0o644); err != nil {
			return err
		}
	}
	return nil
}
