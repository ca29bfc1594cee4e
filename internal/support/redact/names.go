package redact

import (
	"net"
	"net/netip"
	"regexp"
	"strings"
)

// name is a host's or user's, in small letters.
type name struct {
	kind, text string
	strict     bool // too short to be found beside a hyphen or dot
}

// urls replaces the hosts of addresses, and those after other marks of a host.
func (r *Redactor) urls(s string) string {
	if strings.Contains(s, ":/") || strings.Contains(s, `:\`) {
		s = r.groups(urlHost(), s, func(host string) string {
			credentials := ""
			if i := strings.LastIndexByte(host, '@'); i >= 0 {
				credentials, host = host[:i+1], host[i+1:]
			}
			return credentials + r.host(host)
		})
	}
	if strings.Contains(s, "@") || strings.Contains(s, `\\`) || strings.Contains(s, "lookup ") || strings.Contains(s, "dial ") {
		s = hostPort().ReplaceAllStringFunc(s, func(text string) string {
			m := hostPort().FindStringSubmatch(text)
			if m[1] == "@" || strings.HasPrefix(m[1], `\`) && !strings.Contains(m[2], ".") {
				return text // an e-mail address or an escape: both are looked at elsewhere
			}
			return m[1] + r.host(m[2])
		})
		s = r.groups(afterSecret(), s, r.host) // right after credentials that were replaced
	}
	if strings.Contains(s, ":") {
		s = r.groups(nearPort(), s, func(host string) string {
			if strings.Contains(host, ".") && isSource(host[strings.LastIndexByte(host, '.')+1:]) {
				return host
			}
			return r.host(host)
		})
		s = r.groups(mounted(), s, func(host string) string {
			if strings.Contains(" file jar classpath path dir home from to at in ", " "+strings.ToLower(host)+" ") {
				return host
			}
			return r.host(host)
		})
	}
	return s
}

// isSource reports whether a file of that ending has lines with numbers in messages.
func isSource(ending string) bool {
	return strings.Contains(" java go kt scala js ts py rb sh xml json yaml yml toml properties conf log jsp jag md txt c h cc cpp ", " "+strings.ToLower(ending)+" ")
}

// groups replaces the second group of each match.
func (r *Redactor) groups(find *regexp.Regexp, s string, by func(string) string) string {
	found := find.FindAllStringSubmatchIndex(s, -1)
	if found == nil {
		return s
	}
	var b strings.Builder
	done := 0
	for _, m := range found {
		b.WriteString(s[done:m[4]] + by(s[m[4]:m[5]]))
		done = m[5]
	}
	return b.String() + s[done:]
}

// host replaces a host that may have a port.
func (r *Redactor) host(text string) string {
	host, port := text, ""
	if h, p, err := net.SplitHostPort(text); err == nil {
		host, port = h, ":"+p
	}
	lower := strings.ToLower(strings.TrimSuffix(host, "."))
	if lower == "" || r.keep[lower] || strings.HasPrefix(lower, "localhost") || isPlaceholder(lower) {
		return text
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return text // as an address
	}
	if !hostShape().MatchString(lower) {
		return r.placeholder(Host, lower) // whatever it is, it stands where a host does
	}
	return r.placeholder(Host, lower) + port
}

// people replaces e-mail addresses and what is told to be a user.
func (r *Redactor) people(s string) string {
	if strings.Contains(s, "@") || strings.Contains(s, "%40") {
		s = emailShape().ReplaceAllStringFunc(s, func(text string) string {
			plain := strings.ToLower(strings.Replace(text, "%40", "@", 1))
			local, host, _ := strings.Cut(plain, "@")
			if r.keep[plain] || isPlaceholder(local) || isPlaceholder(host) && isPlaceholder(local) {
				return text
			}
			return r.placeholder(Email, plain)
		})
	}
	lower := strings.ToLower(s)
	if !hinted(lower, []string{"user", "login", "owner", "account", "/home/", "-u", "u "}) {
		return s
	}
	for _, rule := range userRules() {
		s = r.groups(rule, s, func(text string) string {
			if common()[strings.ToLower(text)] || isPlaceholder(text) {
				return text
			}
			return r.placeholder(User, strings.ToLower(text))
		})
	}
	return s
}

func firstAtom(lower string) string {
	for i := range len(lower) {
		if !isWordByte(lower[i]) {
			return lower[:i]
		}
	}
	return lower
}

// isWordByte counts letters of other alphabets as such.
func isWordByte(c byte) bool { return isAlnum(c) || c >= 0x80 }

// knownNames replaces hosts and users that are known, wherever they stand as words.
func (r *Redactor) knownNames(s string) string {
	if len(r.names) == 0 {
		return s
	}
	lower := lowerASCII(s)
	var b strings.Builder
	done := 0
	for i := 0; i < len(s); {
		if !isWordByte(s[i]) {
			i++
			continue
		}
		end := i + len(firstAtom(lower[i:]))
		for _, n := range r.names[lower[i:end]] {
			if stop := i + len(n.text); strings.HasPrefix(lower[i:], n.text) && n.alone(s, i, stop) && i >= done {
				b.WriteString(s[done:i] + r.placeholder(n.kind, n.text))
				done, end = stop, stop
				break
			}
		}
		if end < len(s) && s[end] == '-' && isPlaceholder(s[i:numberEnd(s, end+1)]) {
			end = numberEnd(s, end+1)
		}
		i = end
	}
	return b.String() + s[done:]
}

func numberEnd(s string, i int) int {
	for i < len(s) && isAlnum(s[i]) {
		i++
	}
	return i
}

// lowerASCII keeps the length, which lower-casing of other letters would not.
func lowerASCII(s string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'A' && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, s)
}

// alone reports whether the name at s[from:to] is a word of its own there.
func (n name) alone(s string, from, to int) bool {
	if to < len(s) && isWordByte(s[to]) {
		return false
	}
	if !n.strict {
		return true
	}
	return (from == 0 || !strings.ContainsRune("._-", rune(s[from-1]))) && (to == len(s) || !strings.ContainsRune("._-", rune(s[to])))
}
