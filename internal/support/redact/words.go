package redact

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

const (
	keptDigits = 12 // of a SHA-256, for support to compare
	longWord   = 20 // bytes from which on a word may be random
)

// addresses replaces IP and MAC addresses.
func (r *Redactor) addresses(s string) string {
	if strings.Count(s, "-") >= 5 {
		s = macShape().ReplaceAllStringFunc(s, func(text string) string { return r.mac(text) })
	}
	var b strings.Builder
	done := 0
	for i := 0; i < len(s); {
		if !isAddressByte(s[i]) {
			i++
			continue
		}
		end := i
		for end < len(s) && isAddressByte(s[end]) {
			end++
		}
		if text := s[i:end]; strings.Count(text, ".") >= 2 || strings.Count(text, ":") >= 2 {
			if by := r.address(text, s, i); by != text {
				b.WriteString(s[done:i] + by)
				done = end
			}
		}
		i = end
	}
	return b.String() + s[done:]
}

func isAddressByte(c byte) bool { return isHex(c) || c == '.' || c == ':' }

// address replaces what is an address in a run of their characters at s[i:].
func (r *Redactor) address(text, s string, i int) string {
	before, after := byte(' '), byte(' ')
	if i > 0 {
		before = s[i-1]
	}
	if i+len(text) < len(s) {
		after = s[i+len(text)]
	}
	lone := !isAlnum(before) && !isAlnum(after)
	core := strings.Trim(text, ".")
	if strings.HasSuffix(core, ":") && !strings.HasSuffix(core, "::") {
		core = strings.TrimSuffix(core, ":")
	}
	if lone && strings.Count(core, ":") >= 2 {
		if a, err := netip.ParseAddr(core); err == nil {
			return strings.Replace(text, core, r.ip(a, core), 1)
		}
	}
	if hw, err := net.ParseMAC(core); lone && err == nil && (strings.Contains(core, ":") || len(hw) == 6) {
		return strings.Replace(text, core, r.mac(core), 1)
	}
	var b strings.Builder
	done := 0
	for _, m := range ipv4Shape().FindAllStringIndex(text, -1) {
		a, err := netip.ParseAddr(text[m[0]:m[1]])
		if err != nil || r.isNumber(text, m, s, i, a) {
			continue
		}
		b.WriteString(text[done:m[0]] + r.ip(a, text[m[0]:m[1]]))
		done = m[1]
	}
	return b.String() + text[done:]
}

// mac replaces one, however it is written.
func (r *Redactor) mac(text string) string {
	return r.placeholder(MAC, strings.ToLower(strings.NewReplacer(":", "", "-", "", ".", "").Replace(text)))
}

func (r *Redactor) ip(a netip.Addr, text string) string {
	if a.IsLoopback() || a.IsUnspecified() {
		return text // says nothing about anybody
	}
	return r.placeholder(IP, a.String())
}

// isNumber tells a level or version of four numbers from an address. What may be an
// address of an inner network counts as one.
func (r *Redactor) isNumber(text string, m []int, s string, i int, a netip.Addr) bool {
	from, to := i+m[0], i+m[1]
	more := m[0] > 0 && text[m[0]-1] == '.' && m[0] > 1 && isHex(text[m[0]-2]) || m[1]+1 < len(text) && text[m[1]] == '.' && isHex(text[m[1]+1])
	switch {
	case more: // five numbers or more
		return !a.IsPrivate()
	case a.IsPrivate(), to < len(s) && (s[to] == ':' || s[to] == '/'), from > 0 && (s[from-1] == '@' || s[from-1] == '/' && from > 1 && s[from-2] == '/'):
		return false
	case r.version != "" && strings.HasPrefix(text[m[0]:m[1]], r.version+"."):
		return true
	}
	named := from > 0 && (s[from-1] == '_' || s[from-1] == '-' || isAlnum(s[from-1]))
	for _, end := range []string{".jar", ".zip", ".war", ".car", "-"} {
		if named && strings.HasPrefix(s[to:], end) {
			return true
		}
	}
	return false
}

// words replaces those that look random.
func (r *Redactor) words(s string) string {
	if strings.Count(s, "-") >= 4 {
		s = uuidShape().ReplaceAllStringFunc(s, func(text string) string { return r.placeholder(Word, strings.ToLower(text)) })
	}
	return r.runs(s, isBase64OrTilde, r.longWord)
}

func isHostByte(c byte) bool      { return isWordByte(c) || c == '.' || c == '-' }
func isBase64OrTilde(c byte) bool { return isBase64(c) || c == '~' }

// runs replaces each run of some bytes by what is made of it.
func (r *Redactor) runs(s string, in func(byte) bool, by func(string) string) string {
	var b strings.Builder
	done := 0
	for i := 0; i < len(s); {
		if !in(s[i]) {
			i++
			continue
		}
		end := i
		for end < len(s) && in(s[end]) {
			end++
		}
		if text := s[i:end]; end-i >= 4 {
			if other := by(text); other != text {
				b.WriteString(s[done:i] + other)
				done = end
			}
		}
		i = end
	}
	return b.String() + s[done:]
}

// domainName replaces a name that ends as those of hosts do, or lies in a domain that
// is known.
func (r *Redactor) domainName(text string) string {
	lower := strings.ToLower(strings.Trim(text, ".-"))
	if !strings.Contains(lower, ".") || r.keep[lower] || len(lower) > 253 {
		return text
	}
	labels := strings.Split(lower, ".")
	end := len(labels)
	isHost := topDomain(labels[end-1]) && !packageRoot(labels[0])
	if to := r.inKnownDomain(labels); to > 0 {
		isHost, end = true, to
	}
	if !isHost {
		return text
	}
	name := strings.Join(labels[:end], ".")
	at := strings.Index(strings.ToLower(text), name)
	return text[:at] + r.placeholder(Host, name) + text[at+len(name):]
}

// inKnownDomain returns with which label a known domain ends in a name, 0 for none. More
// may follow it, as in the name of a file.
func (r *Redactor) inKnownDomain(labels []string) int {
	if len(r.domains) == 0 {
		return 0
	}
	for i := range labels {
		for j := min(len(labels), i+5); j > i; j-- {
			if r.domains[strings.Join(labels[i:j], ".")] {
				return j
			}
		}
	}
	return 0
}

// topDomain reports whether a name is the last label of hosts more often than of files.
func topDomain(label string) bool {
	const all = " com net org edu gov mil int biz info io cloud dev local localdomain internal lan corp intra intranet private home arpa example test invalid " +
		"ae ar at au be bg br ca ch cl cn co cz de dk ee es eu fi fr gr hk hu id ie il in it jp kr lk lt lu lv mx my nl no nz pe ph pt ro ru se sg si sk th tr tw ua uk us vn za bank "
	return strings.Contains(all, " "+label+" ")
}

// packageRoot reports whether a name begins as those of Java packages do.
func packageRoot(label string) bool {
	return strings.Contains(" org com net io java javax jakarta edu ", " "+label+" ")
}

// longWord replaces a long word that looks random, or the parts of a path that do.
func (r *Redactor) longWord(text string) string {
	if len(text) < longWord {
		return text
	}
	parts := strings.Split(text, "/")
	if strings.ContainsAny(text, "/+=") && !strings.ContainsAny(text, "-_~") && !slices.ContainsFunc(parts, isDigest) && random(text) {
		return r.placeholder(Word, text)
	}
	for i, p := range parts {
		parts[i] = r.randomPart(p)
	}
	return strings.Join(parts, "/")
}

func (r *Redactor) randomPart(p string) string {
	key, after, assigned := strings.Cut(strings.TrimRight(p, "="), "=")
	if assigned { // name=VALUE
		return key + "=" + r.randomPart(after) + p[len(strings.TrimRight(p, "=")):]
	}
	switch {
	case len(p) < 16:
		return p
	case isDigest(p):
		r.counts[Digest]++
		return Digest + "-" + strings.ToLower(p[:keptDigits])
	case hexRun(p) >= longWord || random(p):
		return r.placeholder(Word, p)
	}
	return p
}

func isDigest(p string) bool { return len(p) == 64 && hexRun(p) == 64 }

// hexRun is the length of the longest run of hexadecimal digits with both letters and
// numbers in it.
func hexRun(p string) int {
	longest := 0
	for i := 0; i < len(p); {
		end, digits, letters := i, false, false
		for end < len(p) && isHex(p[end]) {
			digits = digits || p[end] <= '9'
			letters = letters || p[end] > '9'
			end++
		}
		if digits && letters {
			longest = max(longest, end-i)
		}
		i = end + 1
	}
	return longest
}

// random judges a word by how often small letters, capitals and digits follow one
// another, which is far more often than in words and names that people make.
func random(p string) bool {
	letters, pairs, changes, digits := 0, 0, 0, 0
	for i := range len(p) {
		if !isAlnum(p[i]) {
			continue
		}
		letters++
		if i == 0 || !isAlnum(p[i-1]) {
			continue
		}
		pairs++
		a, b := class(p[i-1]), class(p[i])
		if a != b {
			changes++
			if a == 'd' || b == 'd' {
				digits++
			}
		}
	}
	if letters < 16 {
		return false
	}
	if digits == 0 {
		return letters >= longWord && 100*changes >= 42*pairs
	}
	return 100*changes >= 35*pairs || digits >= 4 && 100*digits >= 20*pairs
}

func class(c byte) byte {
	switch {
	case c <= '9':
		return 'd'
	case c >= 'a':
		return 'a'
	}
	return 'A'
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isBase64(c byte) bool {
	return isAlnum(c) || c == '+' || c == '/' || c == '=' || c == '-' || c == '_'
}
