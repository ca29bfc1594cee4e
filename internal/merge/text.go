package merge

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// encoding is how a text is written.
type encoding struct {
	name string
	mark string // byte-order mark
	wide binary.ByteOrder
}

// decoded are three sides as texts that can be compared, and how mine is written.
type decoded struct {
	base, mine, theirs string
	as                 encoding
	crlf               bool // every line of mine ends in CR LF
}

// decode makes texts of the sides.
func decode(s Sides) (decoded, error) {
	if max(len(s.Base), len(s.Mine), len(s.Theirs)) > MaxText {
		return decoded{}, fmt.Errorf("%w: it is larger than %d bytes", ErrWhole, MaxText)
	}
	var d decoded
	var err error
	if d.mine, d.as, err = text(s.Mine); err != nil {
		return decoded{}, err
	}
	var base, theirs encoding
	if d.base, base, err = text(s.Base); err != nil {
		return decoded{}, err
	}
	if d.theirs, theirs, err = text(s.Theirs); err != nil {
		return decoded{}, err
	}
	if mixed(d.as, d.mine, base, d.base) || mixed(d.as, d.mine, theirs, d.theirs) || mixed(base, d.base, theirs, d.theirs) {
		return decoded{}, fmt.Errorf("%w: its versions are written in different encodings", ErrWhole)
	}
	d.crlf = onlyCRLF(d.mine) || !strings.Contains(d.mine, "\n") && onlyCRLF(d.base)
	d.base, d.theirs = toLF(d.base), toLF(d.theirs)
	if d.crlf {
		d.mine = toLF(d.mine)
	}
	return d, nil
}

// text decodes one side.
func text(data []byte) (string, encoding, error) {
	for _, e := range []encoding{
		{name: "UTF-8", mark: "\xef\xbb\xbf"},
		{name: "UTF-16", mark: "\xff\xfe", wide: binary.LittleEndian},
		{name: "UTF-16", mark: "\xfe\xff", wide: binary.BigEndian},
	} {
		rest, ok := bytes.CutPrefix(data, []byte(e.mark))
		if !ok {
			continue
		}
		if e.wide == nil {
			return string(rest), e, binary8(rest)
		}
		out, err := fromWide(rest, e.wide)
		return out, e, err
	}
	return string(data), encoding{name: "UTF-8"}, binary8(data)
}

// binary8 refuses what is no text.
func binary8(data []byte) error {
	if bytes.IndexByte(data, 0) >= 0 {
		return fmt.Errorf("%w: it is not text", ErrWhole)
	}
	return nil
}

func fromWide(data []byte, order binary.ByteOrder) (string, error) {
	if len(data)%2 != 0 {
		return "", fmt.Errorf("%w: it is no whole UTF-16", ErrWhole)
	}
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	out := string(utf16.Decode(units))
	if strings.ContainsAny(out, "\x00\uFFFD") {
		return "", fmt.Errorf("%w: it is no valid UTF-16 text", ErrWhole)
	}
	return out, nil
}

// encode writes a text as mine is written.
func (d decoded) encode(out string) ([]byte, error) {
	if d.crlf {
		out = strings.ReplaceAll(toLF(out), "\n", "\r\n")
	}
	if d.as.wide == nil {
		return []byte(d.as.mark + out), nil
	}
	if !utf8.ValidString(out) {
		return nil, fmt.Errorf("%w: its versions are written in different encodings", ErrWhole)
	}
	units := utf16.Encode([]rune(out))
	data := make([]byte, 0, 2+2*len(units))
	data = append(data, d.as.mark...)
	for _, u := range units {
		data = append(data, 0, 0)
		d.as.wide.PutUint16(data[len(data)-2:], u)
	}
	return data, nil
}

// mixed reports whether two texts cannot stand in one file: the one is UTF-8, the other
// in an encoding that is not known, such as Latin-1.
func mixed(a encoding, textA string, b encoding, textB string) bool {
	if ascii(textA) || ascii(textB) {
		return false
	}
	return (a.wide == nil && !utf8.ValidString(textA)) != (b.wide == nil && !utf8.ValidString(textB))
}

func ascii(s string) bool { return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0 }

func onlyCRLF(s string) bool {
	n := strings.Count(s, "\n")
	return n > 0 && n == strings.Count(s, "\r\n")
}

// toLF gives a text whose lines all end in CR LF plain line ends; others stay.
func toLF(s string) string {
	if onlyCRLF(s) {
		return strings.ReplaceAll(s, "\r\n", "\n")
	}
	return s
}
