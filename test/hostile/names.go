package hostile

import (
	"strings"
)

// Name is a name that some system reads otherwise than it is written.
type Name struct {
	Name, Text string
	Harmless   bool // is only long or odd, and may be taken
	Windows    bool // harms only there
	Folder     bool // can be made on disk, not in a zip
	Disk       bool // can be made on a Linux disk
}

// Names are all of them.
func Names() []Name {
	plain := []Name{
		{Name: "parent", Text: "../x"},
		{Name: "parent twice", Text: "../../canary"},
		{Name: "parent inside", Text: "a/../../x"},
		{Name: "parent inside that stays", Text: "a/../b"},
		{Name: "parent at the end", Text: "a/.."},
		{Name: "dot", Text: "./x"},
		{Name: "dot inside", Text: "a/./b"},
		{Name: "absolute", Text: "/etc/uplevel-canary"},
		{Name: "double slash", Text: "//x"},
		{Name: "double slash inside", Text: "a//b"},
		{Name: "UNC", Text: `\\server\share\x`},
		{Name: "UNC with slashes", Text: "//server/share/x"},
		{Name: "device path", Text: `\\.\C:`},
		{Name: "backslash", Text: `a\b`, Disk: true},
		{Name: "backslash parent", Text: `..\x`, Disk: true},
		{Name: "drive", Text: "C:/x"},
		{Name: "drive relative", Text: "C:x", Disk: true, Windows: true},
		{Name: "empty", Text: ""},
		{Name: "slash", Text: "/"},
		{Name: "dots", Text: ".."},
		{Name: "NUL", Text: "a\x00b"},
		{Name: "NUL and parent", Text: "a\x00/../../x"},
		{Name: "newline", Text: "a\nb", Disk: true},
		{Name: "carriage return", Text: "a\rb", Disk: true},
		{Name: "tab", Text: "a\tb", Disk: true},
		{Name: "bell", Text: "a\ab", Disk: true},
		{Name: "escape clears", Text: "\x1b[2J\x1b[H", Disk: true},
		{Name: "escape title", Text: "\x1b]0;owned\a", Disk: true},
		{Name: "C1 control", Text: "a\u009b2Jb", Disk: true},
		{Name: "delete", Text: "a\x7fb", Disk: true},
		{Name: "not UTF-8", Text: "a\xff\xfe", Disk: true},
		{Name: "overlong slash", Text: "..\xc0\xafx", Disk: true},
		{Name: "half of a pair", Text: "a\xed\xa0\x80", Disk: true},
		{Name: "longer than a path", Text: strings.Repeat("a/", 600) + "x", Folder: true, Disk: true},
		{Name: "too long", Text: strings.Repeat("x", 1025)},
		{Name: "thousands deep", Text: strings.Repeat("d/", 4000) + "x"},
		{Name: "64 KiB", Text: strings.Repeat("y", 65000)},
	}
	return append(plain, windowsNames()...)
}

// windowsNames harm only on Windows.
func windowsNames() []Name {
	var all []Name
	for _, text := range []string{
		"CON", "con", "nul", "NUL.txt", "aux.tar.gz", "prn", "COM1", "com9.log", "LPT1", "com0", "COM\u00b9", "LPT\u00b2.txt", "com\u00b3", "CONIN$", "conout$.x",
		"lib/con", "con/x", "nul .txt", "x.", "x ", "x...", "dir./x", "dir /x", "x:stream", "x::$DATA", "a<b", "a|b", "a?b", "a*b", `a"b`, "a>b",
	} {
		all = append(all, Name{Name: "Windows " + text, Text: text, Windows: true, Disk: true})
	}
	return all
}
