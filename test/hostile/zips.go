package hostile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Zip is one case: an archive, and what of it a careful reader may do.
type Zip struct {
	Kind, Name string
	Data       []byte
	Harmless   bool // is to be taken: it only looks odd
	ByRule     bool // its form is good; a rule of publishing refuses what is in it
}

// Zips are all archives that are small. Each holds next to what is hostile a plain file.
func Zips() []Zip {
	all := slices.Concat(kinds(), doubles(), links(), lies(), frames(), wides(), streams(), bombs(), cuts())
	for _, n := range Names() {
		if n.Folder {
			continue // a zip has no such thing
		}
		z := Zip{Kind: "name", Name: n.Name, Data: with(File(n.Text, "x")), Harmless: n.Harmless, ByRule: n.Windows && n.Text != "C:x"}
		all = append(all, z)
	}
	return all
}

// with is an archive of a plain file and others, in no common folder.
func with(members ...Member) []byte { return Archive{Members: pair(members...)}.Bytes() }

func pair(members ...Member) []Member {
	return append([]Member{File("LICENSE", "free"), Deflated("lib/a.txt", strings.Repeat("a", 2000))}, members...)
}

func kinds() []Zip {
	var all []Zip
	for name, mode := range map[string]uint32{"pipe": fifoMode, "socket": socketMode, "character device": charMode, "block device": blockMode, "folder that is named as a file": dirMode} {
		all = append(all, Zip{Kind: "kind", Name: name, Data: with(Kind("x", "", mode))})
	}
	for name, mode := range map[string]uint32{"set-user-id": setUserMode, "set-both-ids": setBothMode} {
		all = append(all, Zip{Kind: "kind", Name: name, Data: with(Kind("su", "#!", mode)), ByRule: true})
	}
	slices.SortFunc(all, func(a, b Zip) int { return strings.Compare(a.Name, b.Name) })
	return append(all,
		Zip{Kind: "kind", Name: "sticky", Data: with(Kind("x", "", stickyMode)), Harmless: true},
		Zip{Kind: "kind", Name: "folder with content", Data: with(Kind("d/", "x", dirMode))},
		Zip{Kind: "kind", Name: "file that is named as a folder", Data: with(Kind("d/", "", fileMode))},
		Zip{Kind: "kind", Name: "link that is named as a folder", Data: with(Link("d/", "lib"))})
}

func doubles() []Zip {
	z := func(name string, members ...Member) Zip {
		return Zip{Kind: "double", Name: name, Data: with(members...)}
	}
	rule := func(name string, members ...Member) Zip {
		return Zip{Kind: "double", Name: name, Data: with(members...), ByRule: true}
	}
	return []Zip{
		z("the same name twice", File("x", "1"), File("x", "2")),
		z("file and folder", File("x", "1"), Kind("x/", "", dirMode)),
		z("file and what is below it", File("x", "1"), File("x/y", "2")),
		z("below it first", File("x/y", "2"), File("x", "1")),
		rule("case", File("Readme", "1"), File("README", "2")),
		rule("case of a folder", File("Conf/a", "1"), File("conf/a", "2")),
		rule("composed and decomposed", File("caf\u00e9", "1"), File("cafe\u0301", "2")),
		rule("long s", File("lib/bus", "1"), File("lib/bu\u017f", "2")),
		rule("Kelvin sign", File("k1", "1"), File("\u212a1", "2")),
		rule("sharp s", File("stra\u00dfe", "1"), File("strasse", "2")),
		rule("sharp s, large", File("STRASSE", "1"), File("stra\u00dfe", "2")),
		rule("ligature", File("\ufb01x", "1"), File("fix", "2")),
	}
}

func links() []Zip {
	z := func(name string, members ...Member) Zip { return Zip{Kind: "link", Name: name, Data: with(members...)} }
	rule := func(name string, members ...Member) Zip {
		return Zip{Kind: "link", Name: name, Data: with(members...), ByRule: true}
	}
	return []Zip{
		rule("outward", Link("x", "../../canary")), rule("absolute", Link("x", "/etc/passwd")), rule("drive", Link("x", `C:\windows`)),
		rule("empty", Link("x", "")), rule("with NUL", Link("x", "lib\x00/../../..")), rule("control", Link("x", "a\x1b[2J")),
		z("long", Link("x", strings.Repeat("a/", 600))), rule("not UTF-8", Link("x", "a\xff")),
		rule("together", File("d/e/f", "1"), Link("up", "d/.."), Link("d/e/up", "../.."), Link("out", "d/e/up/..")),
		rule("link to a link", Link("a", "b"), Link("b", "../..")),
		z("link, then a file below it", Link("x", "lib"), File("x/y", "2")),
		z("outward link, then a file below it", Link("x", "../.."), File("x/canary", "2")),
		z("file below, then the link", File("x/y", "2"), Link("x", "../..")),
		z("folder replaced by a link", Kind("x/", "", dirMode), Link("x", "../.."), File("x/canary", "2")),
		z("link and file of one name", Link("x", "../../canary"), File("x", "written through")),
		rule("deflated target", Member{}.link("x", "../../canary")),
	}
}

// link is a link whose target is compressed.
func (Member) link(name, target string) Member {
	m := Deflated(name, target)
	m.Mode = linkMode
	return m
}

// lies are headers that do not agree with one another or with the content.
func lies() []Zip {
	x := Deflated("x", strings.Repeat("x", 5000))
	at := func(n uint32) *uint32 { return &n }
	z := func(name string, m ...Member) Zip { return Zip{Kind: "lie", Name: name, Data: with(m...)} }
	size := func(n uint32) func(*Side) { return func(s *Side) { s.Size = n } }
	packed := func(n uint32) func(*Side) { return func(s *Side) { s.Packed = n } }
	moved := func(m Member, to uint32) Member { m.Offset = at(to); return m }
	return []Zip{
		z("other local name", x.local(func(s *Side) { s.Name = "../x" })), z("other central name", x.central(func(s *Side) { s.Name = "y" })),
		z("other local method", x.local(func(s *Side) { s.Method = 0 })), z("other local size", x.local(size(7))), z("other local packed size", x.local(packed(7))),
		z("other local checksum", x.local(func(s *Side) { s.CRC++ })), z("wrong checksum", x.both(func(s *Side) { s.CRC++ })),
		z("too small", x.both(size(4999))), z("too large", x.both(size(5001))), z("huge", x.both(size(math.MaxUint32-1))),
		z("packed too long", x.both(packed(math.MaxUint32-1))), z("packed too short", x.both(packed(3))),
		z("no content", x.both(packed(0))), z("offset outside", moved(x, 1<<31)), z("offset in the directory", moved(x, directory()+10)),
		z("offset of another", moved(x, 0)), z("offset between headers", moved(x, 1)), z("only in the directory", absent(x)),
		z("two of one content", File("a", "same"), moved(absent(File("b", "same")), 0)),
		z("encrypted", x.both(func(s *Side) { s.Flags |= 1 })), z("encrypted by the local header", x.local(func(s *Side) { s.Flags |= 1 })),
		z("strongly encrypted", x.both(func(s *Side) { s.Flags |= 1 | 1<<6 })), z("masked headers", x.both(func(s *Side) { s.Flags |= 1 << 13 })),
		z("patch data", x.both(func(s *Side) { s.Flags |= 1 << 5 })), z("AES", x.both(func(s *Side) { s.Method = 99 })),
		z("LZMA", x.both(func(s *Side) { s.Method = 14 })), z("bzip2", x.both(func(s *Side) { s.Method = 12 })), z("zstd", x.both(func(s *Side) { s.Method = 93 })),
		z("stored of two sizes", File("x", "abcd").both(size(400))), z("no deflate", x.both(func(s *Side) { s.CRC = 0 }).data("\xff\xff\xff\xff")),
		z("more after the content", x.data(string(x.Data)+"more").both(packed(uint32(len(x.Data)+4)))),
		z("hidden local header", hidden(File("secret", "1"))), z("another name in an extra field", x.both(func(s *Side) { s.Extra = unicodeName("../x") })),
		z("extra field cut off", x.both(func(s *Side) { s.Extra = []byte{1, 0, 99, 0} })),
	}
}

// directory is where the directory of a plain archive begins.
func directory() uint32 {
	plain := with()
	return binary.LittleEndian.Uint32(plain[len(plain)-6:])
}

func absent(m Member) Member { m.Absent = true; return m }
func hidden(m Member) Member { m.Hidden = true; return m }

func (m Member) data(text string) Member { m.Data = []byte(text); return m }

// unicodeName is the extra field of Info-ZIP that gives a member another name.
func unicodeName(name string) []byte {
	b := binary.LittleEndian.AppendUint16(nil, 0x7075)
	return append(append(binary.LittleEndian.AppendUint16(b, uint16(5+len(name))), 1, 0, 0, 0, 0), name...)
}

// frames are archives around which, or between whose members, something stands.
func frames() []Zip {
	plain := Archive{Members: pair()}
	z := func(name string, change func(*Archive)) Zip {
		a := plain
		change(&a)
		return Zip{Kind: "frame", Name: name, Data: a.Bytes()}
	}
	put := func(at int, with ...byte) func(*Archive) {
		return func(a *Archive) { a.End = func(r []byte) { copy(r[at:], with) } }
	}
	odd := z("comment of 64 KiB", func(a *Archive) { a.Comment = strings.Repeat("c", math.MaxUint16) })
	odd.Harmless = true
	return []Zip{
		odd,
		{Kind: "frame", Name: "empty file", Data: nil},
		{Kind: "frame", Name: "empty archive", Data: Archive{}.Bytes()},
		{Kind: "frame", Name: "no archive", Data: []byte("<html>Not found")},
		{Kind: "frame", Name: "end alone, many times", Data: bytes.Repeat(Archive{}.Bytes(), 3000)},
		z("prefix", func(a *Archive) { a.Prefix = []byte("#!/bin/sh\n") }),
		z("archive before the archive", func(a *Archive) { a.Prefix = plain.Bytes() }),
		z("suffix", func(a *Archive) { a.Suffix = []byte("more") }),
		z("archive after the archive", func(a *Archive) { a.Suffix = plain.Bytes() }),
		z("archive in the comment", func(a *Archive) { a.Comment = string(Archive{Members: []Member{File("z", "z")}}.Bytes()) }),
		z("end in the comment", func(a *Archive) { a.Comment = "PK\x05\x06" + strings.Repeat("\x00", 18) }),
		z("comment cut off", func(a *Archive) { a.End = func(r []byte) { r[20] = 9 } }),
		z("gap before the directory", func(a *Archive) { a.Gap = []byte("hidden") }),
		z("gap after the directory", func(a *Archive) { a.End64 = []byte("hidden") }),
		z("directory elsewhere", put(16, 1, 0, 0, 0)), z("directory too long", put(12, 0xff, 0xff, 0xff, 0x7f)),
		z("fewer members counted", put(8, 1, 0, 1, 0)), z("more members counted", put(8, 9, 0, 9, 0)),
		z("part of several", put(4, 1, 0, 1, 0)), z("two counts", put(8, 1, 0, 2, 0)),
	}
}

// wides are lies with the records of zip64.
func wides() []Zip {
	x := File("x", "abcd")
	full := func(s *Side) { s.Size, s.Packed = math.MaxUint32, math.MaxUint32 }
	z := func(name string, m Member) Zip { return Zip{Kind: "zip64", Name: name, Data: with(m)} }
	var at uint32 = math.MaxUint32
	far := x.central(func(s *Side) { s.Extra = wide(math.MaxUint64) })
	far.Offset = &at
	end := func(name string, record []byte, saturate bool) Zip {
		a := Archive{Members: pair(), End64: record}
		if saturate {
			a.End = func(r []byte) { copy(r[8:], "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff") }
		}
		return Zip{Kind: "zip64", Name: name, Data: a.Bytes()}
	}
	return []Zip{
		z("field missing", x.both(full)), z("field of a petabyte", x.both(full).both(func(s *Side) { s.Extra = wide(1<<50, 1<<50) })),
		z("negative size", x.both(full).both(func(s *Side) { s.Extra = wide(math.MaxUint64, 4) })),
		z("two fields", x.both(full).both(func(s *Side) { s.Extra = append(wide(4, 4), wide(9, 9)...) })),
		z("other local field", x.both(full).central(func(s *Side) { s.Extra = wide(4, 4) }).local(func(s *Side) { s.Extra = wide(1<<40, 4) })),
		z("offset without end", far),
		end("end without record", nil, true), end("record that points outside", end64(2, 100, 0, 1<<40), true),
		end("record of another directory", end64(1, 46, 0, 0), false), end("directory of exabytes", end64(1<<60, 1<<60, 0, uint64(directory())+128), true),
	}
}

// streams are members whose sizes follow their content.
func streams() []Zip {
	x := Deflated("x", strings.Repeat("x", 5000))
	s, f := x.Streamed(false), File("stored", "abcd").Streamed(false)
	lie := func(at int) Member {
		m := s
		m.After = bytes.Clone(m.After)
		m.After[at]++
		return m
	}
	cut := func(n int) Member { m := s; m.After = m.After[:n]; return m }
	bare := s
	bare.After = s.After[4:]
	z := func(name string, m Member) Zip { return Zip{Kind: "stream", Name: name, Data: with(m)} }
	good := func(name string, m ...Member) Zip {
		return Zip{Kind: "stream", Name: name, Data: with(m...), Harmless: true}
	}
	return []Zip{
		good("as zip writes to a pipe", s), good("the size known before", x.Streamed(true)), good("without signature", bare), good("stored", f),
		z("lying checksum", lie(4)), z("lying packed size", lie(8)), z("lying size", lie(12)), z("no signature", lie(0)),
		z("cut off", cut(9)), z("missing", cut(0)), z("announced by one header", s.central(func(s *Side) { s.Flags = 0 })),
		z("not announced", s.both(func(s *Side) { s.Flags = 0 })),
	}
}

// cuts are an archive cut off at sampled places, and with bits flipped there.
func cuts() []Zip {
	whole := with(Deflated("x", strings.Repeat("xyz", 100)), Link("l", "lib"))
	var all []Zip
	for i := 1; i < len(whole); i += 41 {
		all = append(all, Zip{Kind: "cut", Name: fmt.Sprintf("after %d bytes", i), Data: whole[:i]})
	}
	return all
}
