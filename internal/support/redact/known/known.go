// Package known finds secrets whose values are known, in any encoding that texts have
// them in.
package known

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Bounds of known secrets, in bytes.
const (
	shortSecret = 3    // shorter ones are found only where they are named as secrets
	looseSecret = 6    // shorter ones are found only as words of their own
	secretPiece = 1024 // longer ones are looked for in pieces of this length
)

// known is a secret whose value was given.
type known struct {
	text  string
	exact bool   // found as it stands only: it is an encoding itself
	value string // the secret that it stands for
}

// Set is a number of secrets.
type Set struct {
	known []known
	first [256]bool // bytes that a known secret may begin with
}

// Add adds a secret: whole, and each of its lines. One of fewer than three bytes is not
// looked for.
func (set *Set) Add(secret string) {
	secret = strings.ReplaceAll(secret, "\x00", "") // lines have none
	for _, s := range append([]string{secret}, strings.Split(secret, "\n")...) {
		s = strings.Trim(s, "\r\n")
		for len(s) > secretPiece {
			set.add(s[:secretPiece], secret)
			s = s[secretPiece:]
		}
		set.add(s, secret)
	}
}

func (set *Set) add(s, secret string) {
	if len(s) < shortSecret {
		return
	}
	for _, k := range set.known {
		if k.text == s {
			return
		}
	}
	if !ordinary(s) {
		set.known = append(set.known, known{text: s, value: secret})
		for _, c := range []byte{s[0], '%', '\\', '+', '&'} {
			set.first[c] = true
		}
	}
	if len(s) < looseSecret {
		return
	}
	for _, e := range encodings(s) {
		set.known = append(set.known, known{text: e, exact: true, value: secret})
		set.first[e[0]] = true
	}
}

// ordinary reports whether a secret stands in every bundle for something else: a word of
// the tool's own, or a number as short as a year or a count. To take it out wherever it
// stands would leave nothing to read, and show what it is; it is found where it is named.
func ordinary(s string) bool {
	if len(s) <= 4 && strings.Trim(s, "0123456789") == "" {
		return true
	}
	const words = " admin administrator apply available bundle cache change changes channel check checks clock command config conflicts contents " +
		"count created credentials customised damaged debug default detail digest directory doctor downloads empty entries error errors expires failed " +
		"failure false features file files folder format free from full history home host hotfix hotfixes https http info installed json kind level levels " +
		"linux lock logs manifest members merged message metadata missing mode name network next null number objects offline path paths " +
		"password pending permissions plan policy process product products program proxy reading ready redacted release report reports revert " +
		"root secret service services shop signed size staging state states status store summary support system target targets temporary test text time timestamp " +
		"title tool token true trust trusted type unread update updated updates upgrade uplevel user users vendor verify version warning wrong "
	return strings.Contains(words, " "+strings.ToLower(s)+" ")
}

// encodings are the texts in which a secret's digits in hexadecimal stand, or its base64
// within something longer, such as user and password: without the characters that depend
// on what is around it.
func encodings(s string) []string {
	all := []string{hex.EncodeToString([]byte(s)), strings.ToUpper(hex.EncodeToString([]byte(s)))}
	for _, bigEndian := range []bool{false, true} {
		if e := wide(s, bigEndian); e != s && len(e) >= shortSecret {
			all = append(all, e)
		}
	}
	for shift := range 3 {
		padded := append(make([]byte, shift), s...)
		from, to := (shift*8+5)/6, len(padded)*8/6
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			if piece := e.EncodeToString(padded)[from:to]; len(piece) >= looseSecret {
				all = append(all, piece)
			}
		}
	}
	return all
}

// wide is a text in UTF-16 without its zero bytes, which no line has: what is ASCII
// stands there as it is, and what is of Latin-1 as that has it.
func wide(s string, bigEndian bool) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(s)) {
		pair := [2]byte{byte(unit & 0xff), byte(unit >> 8)}
		if bigEndian {
			pair[0], pair[1] = pair[1], pair[0]
		}
		for _, c := range pair {
			if c != 0 {
				b.WriteByte(c)
			}
		}
	}
	return b.String()
}

// Replace puts what by makes of a secret in the place of each.
func (set *Set) Replace(s string, by func(secret string) string) string {
	if len(set.known) == 0 {
		return s
	}
	var b strings.Builder
	done := 0
	for i := 0; i < len(s); i++ {
		if !set.first[s[i]] {
			continue
		}
		for _, k := range set.known {
			n := k.match(s, i)
			if n == 0 {
				continue
			}
			from, to := i, i+n
			if k.exact { // all of the text in that encoding
				for from > done && isBase64(s[from-1]) {
					from--
				}
				for to < len(s) && isBase64(s[to]) {
					to++
				}
			}
			b.WriteString(s[done:from])
			b.WriteString(by(k.value))
			done, i = to, to-1
			break
		}
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

// match returns how many bytes of s at i are the secret, 0 for none: as it stands, or
// with any of its bytes percent-encoded (also twice), escaped as in JSON and Go, or as
// entities.
func (k known) match(s string, i int) int {
	n := 0
	switch {
	case strings.HasPrefix(s[i:], k.text):
		n = len(k.text)
	case !k.exact:
		n = decoded(s[i:], k.text)
	}
	if n > 0 && len(k.text) < looseSecret && (i > 0 && isAlnum(s[i-1]) || i+n < len(s) && isAlnum(s[i+n])) {
		return 0
	}
	return n
}

// decoded returns how many bytes of s stand for secret, 0 if it does not begin with it.
// It follows every way to read s at once: a backslash may be one, or half of one.
func decoded(s, secret string) int {
	k := 0
	for k < len(s) && k < len(secret) && s[k] == secret[k] {
		k++
	}
	if !strings.ContainsAny(s[:min(k+1, len(s))], `%\+&`) {
		return 0 // what differs is no encoding
	}
	reached := make([][]int, 0, 8) // by how much of the secret was read: where in s
	reached = append(reached, []int{0})
	for j := 0; j < len(reached) && j < len(secret); j++ {
		slices.Sort(reached[j])
		for _, i := range slices.Compact(reached[j]) {
			steps(s[i:], secret[j:], func(n, m int) {
				for len(reached) <= j+m {
					reached = append(reached, nil)
				}
				reached[j+m] = append(reached[j+m], i+n)
			})
		}
	}
	if len(reached) <= len(secret) || len(reached[len(secret)]) == 0 {
		return 0
	}
	return slices.Max(reached[len(secret)])
}

// maxRun bounds how many backslashes in a row are followed.
const maxRun = 32

// steps calls step with each number of bytes at the beginning of s that stand for bytes
// at the beginning of secret.
func steps(s, secret string, step func(n, m int)) {
	if s == "" {
		return
	}
	if s[0] == secret[0] {
		step(1, 1)
	}
	if s[0] == '\\' && secret[0] == '\\' { // however often it was escaped
		for n := 2; n <= min(run(s, '\\'), maxRun); n++ {
			step(n, 1)
		}
	}
	try := func(text string, n int) {
		if n > 0 && text != "" && strings.HasPrefix(secret, text) {
			step(n, len(text))
		}
	}
	if s[0] != '%' {
		try(unit(s))
		return
	}
	for i := 1; i < maxRun; i += 2 { // however often it was encoded
		text, n := hexByte(s, i)
		try(text, n)
		if text == "+" { // a form's way first
			try(" ", n)
		}
		if text != "%" {
			return
		}
	}
}

// unit decodes what stands at the beginning of s, if it is an encoding of something but
// with a percent sign.
func unit(s string) (text string, length int) {
	switch s[0] {
	case '+':
		return " ", 1
	case '\\':
		return escaped(s, run(s, '\\'))
	case '&':
		if end := strings.IndexByte(s[:min(len(s), 10)], ';'); end > 0 {
			return entity(s[1:end]), end + 1
		}
	}
	return "", 0
}

// entity decodes those that writers of HTML and XML make.
func entity(name string) string {
	if number, ok := strings.CutPrefix(name, "#"); ok {
		base := 10
		if rest, is := strings.CutPrefix(strings.ToLower(number), "x"); is {
			number, base = rest, 16
		}
		n, err := strconv.ParseUint(number, base, 16)
		if err != nil {
			return ""
		}
		return string(rune(n))
	}
	for i, known := range []string{"amp", "lt", "gt", "quot", "apos"} {
		if name == known {
			return "&<>\"'"[i : i+1]
		}
	}
	return ""
}

// escaped decodes what stands after i backslashes.
func escaped(s string, i int) (text string, length int) {
	if i >= len(s) {
		return "", 0
	}
	switch c := s[i]; c {
	case 'u':
		if len(s) >= i+5 {
			if n, err := strconv.ParseUint(s[i+1:i+5], 16, 32); err == nil {
				return pair(s, rune(n), i+5) //nolint:gosec // 16 bits
			}
		}
	case 'x':
		return hexByte(s, i+1)
	case 'n':
		return "\n", i + 1
	case 't':
		return "\t", i + 1
	default:
		return string(c), i + 1
	}
	return "", 0
}

// pair decodes a rune, or both halves of one that takes two escapes.
func pair(s string, r rune, end int) (text string, length int) {
	if utf16.IsSurrogate(r) {
		next := end + run(s[end:], '\\')
		if next > end && len(s) >= next+5 && s[next] == 'u' {
			if n, err := strconv.ParseUint(s[next+1:next+5], 16, 32); err == nil {
				return string(utf16.DecodeRune(r, rune(n))), next + 5 //nolint:gosec // 16 bits
			}
		}
	}
	return string(r), end
}

func hexByte(s string, i int) (text string, length int) {
	if len(s) < i+2 {
		return "", 0
	}
	n, err := strconv.ParseUint(s[i:i+2], 16, 8)
	if err != nil {
		return "", 0
	}
	return string([]byte{byte(n)}), i + 2
}

func run(s string, c byte) int { return len(s) - len(strings.TrimLeft(s, string(c))) }

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isBase64(c byte) bool {
	return isAlnum(c) || c == '+' || c == '/' || c == '=' || c == '-' || c == '_'
}
