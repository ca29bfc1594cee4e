package redact

import (
	"regexp"
	"strings"
	"sync"
)

// secretName is what the name of a secret has in it.
//
//nolint:gosec // names, no credentials
const secretName = `pass(?:word|wd|wort|phrase)?|pwd|\bpw\b|kennwort|secret|token|credential|api[-_.]?key|app[-_.]?key|access[-_.]?key|private[-_.]?key|client[-_.]?key|auth[-_.]?key|account[-_.]?key|session[-_.]?id|sessid|signature`

// value is how what is named may be written: in quotes, escaped quotes, or none.
const value = `\[[^\]]*(?:\]|$)|\\+".*?(?:\\+"|$)|\\+'.*?(?:\\+'|$)|"(?:[^"\\]|\\.)*(?:"|$)|'(?:[^'\\]|\\.)*(?:'|$)|(?:[^\s"'<>]|["'][^\s,;})\]"'])+`

// rule finds a secret: what the first group holds stays, the second goes, a third stays.
type rule struct {
	hints  []string // the line in small letters has one of them; nil: it has flags
	find   *regexp.Regexp
	wanted func(before, secret string) bool // nil: always
}

// rules are compiled once, when first wanted.
var rules = sync.OnceValue(func() []rule { //nolint:gochecknoglobals // compiled expressions
	names := []string{"pass", "pw", "kennwort", "secret", "token", "credential", "key", "sess", "signature"}
	return []rule{
		{[]string{"authorization", "cookie", "x-"}, regexp.MustCompile(
			`(?i)((?:authorization|\bcookie2?|set-cookie2?|\bx-[\w-]*(?:token|key|auth|secret)[\w-]*)\\*["']?\s*[:=]\s*\\*["'\[]*)(.+?)(\\*["'\])}]*[,;]?\s*)$`), nil},
		{[]string{"eyj"}, regexp.MustCompile(`()(eyJ[\w-]{8,}(?:\.[\w-]*)*)()`), nil},
		{[]string{"bearer", "basic", "negotiate", "ntlm", "digest"}, regexp.MustCompile(
			`(?i)(\b(?:bearer|basic|negotiate|ntlm|digest)\s+)([A-Za-z0-9+/=._~-]{6,})()`), looksEncoded},
		{names, regexp.MustCompile(`(?i)^(\s*(?:export\s+|set\s+)?["']?[\w.-]*(?:` + secretName + `)[\w.-]*["']?\s*[:=]\s*)([^\s"'\\].*?)(,?\s*)$`), isSecretName},
		{names, regexp.MustCompile(`(?i)(<[\w:.-]*(?:` + secretName + `)[\w:.-]*(?:\s[^<>]*)?>)([^<]+)()`), isSecretName},
		{names, regexp.MustCompile(`(?i)([\w.-]*(?:` + secretName + `)[\w.-]*\\*["']?\s{0,8}(?::|=>?|\s--?\s|\sis\s:?)\s{0,8})(` + value + `)()`), isSecretName},
		{names, regexp.MustCompile(`(?i)(\b(?:` + secretName + `)\s+)(` + value + `)()`), looksSecret},
		{names, regexp.MustCompile(`(?i)(--?[\w.-]*(?:` + secretName + `)[\w.-]*\\*["']?\s+)(` + value + `)()`), isSecretName},
		{names, regexp.MustCompile(`(?i)([?&;](?:key|sig|code|auth|sid)=)([^&\s"'<>]+)()`), nil},
		{nil, regexp.MustCompile(`((?:^|[\s"'\[])-[a-oq-zA-Z]{0,4}p[ =]?)(` + value + `)()`), isNoWord},
		{[]string{"-u", "user"}, regexp.MustCompile(`((?:\s-[a-tv-zA-Z]{0,4}u|--(?:proxy-)?user)[ =]["']?[^\s:"'/]+:)([^\s"']+)()`), nil},
		{[]string{"@"}, regexp.MustCompile(`([A-Za-z][\w+.-]{0,20}:(?:\\*/){2,3})(\S*)(@)`), nil},
		{[]string{"%40"}, regexp.MustCompile(`(?i)(%3a(?:%2f){2,3})(\S*)(%40)`), nil},
		{[]string{"@"}, regexp.MustCompile(`((?:^|[\s"'=(\[]))([^\s:@/"']{1,128}:[^\s@]\S*)(@)`), isNoAddress},
	}
})

// Named reports whether a key or variable of that name holds a secret.
func Named(key string) bool {
	return namedSecret().MatchString(key) && isSecretName(key, "x")
}

// hasFlags reports whether a group of flags may begin somewhere in a line.
func hasFlags(lower string) bool {
	for i := 1; i+1 < len(lower); i++ {
		if lower[i] == '-' && lower[i+1] >= 'a' && lower[i+1] <= 'z' && strings.IndexByte(" \t\"'[", lower[i-1]) >= 0 {
			return true
		}
	}
	return false
}

// isSecretName leaves out names that only speak of secrets, such as token-file, and
// values that are none.
func isSecretName(before, secret string) bool {
	switch strings.Trim(secret, `\"' ,`) {
	case "", "true", "false", "null", "nil", "<nil>", "none":
		return false
	}
	key := strings.ToLower(strings.TrimRight(before, "\\\"' \t:=>"))
	for _, end := range []string{"file", "stdin", "path", "type", "expires", "expires_in", "fingerprint", "-hint"} {
		if strings.HasSuffix(key, end) {
			return false
		}
	}
	return strings.Trim(secret, `*\"' `) != ""
}

// isNoWord leaves out a word that happens to begin like the flag -p.
func isNoWord(before, secret string) bool {
	return strings.HasSuffix(before, " ") || strings.HasSuffix(before, "=") || !plainWord().MatchString(secret)
}

// looksSecret tells a value that stands right after its name from the next word of a
// sentence: it is in quotes, or no plain word.
func looksSecret(_, secret string) bool {
	return strings.ContainsAny(secret[:1], `"'\`) || !sentence().MatchString(secret)
}

// isNoAddress leaves out an address whose credentials were replaced already.
func isNoAddress(_, secret string) bool { return !strings.Contains(secret, "//"+Secret+"-") }

// looksEncoded tells a credential from the next word of a sentence.
func looksEncoded(_, secret string) bool {
	return strings.ContainsAny(secret, "0123456789=+/") || strings.ToLower(secret[1:]) != secret[1:]
}

// named replaces secrets that stand after what names them.
func (r *Redactor) named(s string) string {
	lower := strings.ToLower(" " + s)
	for _, rule := range rules() {
		if hinted(lower, rule.hints) || rule.hints == nil && hasFlags(lower) {
			s = r.apply(rule, s)
		}
	}
	return s
}

func hinted(lower string, hints []string) bool {
	for _, h := range hints {
		if strings.Contains(lower, h) {
			return true
		}
	}
	return false
}

func (r *Redactor) apply(rule rule, s string) string {
	found := rule.find.FindAllStringSubmatchIndex(s, -1)
	if found == nil {
		return s
	}
	var b strings.Builder
	done := 0
	for _, m := range found {
		before, secret := s[m[2]:m[3]], s[m[4]:m[5]]
		if secret == "" || rule.wanted != nil && !rule.wanted(before, secret) {
			continue
		}
		open, inner, end := unquoted(secret)
		b.WriteString(s[done:m[4]] + open + r.placeholder(Secret, inner) + end)
		done = m[5]
	}
	return b.String() + s[done:]
}

// unquoted takes the quotes off a value, so that what is left of the text keeps its form.
func unquoted(text string) (open, inner, end string) {
	inner = strings.TrimLeft(text, `\`)
	if inner == "" || inner[0] != '"' && inner[0] != '\'' {
		return "", text, ""
	}
	quote := text[:len(text)-len(inner)+1]
	inner = inner[1:]
	if rest, ok := strings.CutSuffix(inner, quote); ok {
		return quote, rest, quote
	}
	return quote, inner, ""
}

//nolint:gochecknoglobals // compiled expressions
var (
	sentence = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(?:[(<-]?-*[\p{L}-]+[.,:;)>]*|[^\p{L}\p{N}]+|secret-\d+.*)$`)
	})
	openName = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)([\w.-]*(?:` + secretName + `)[\w.-]*)["']?\s*[:=]\s*(\[|\{|[|>][-+]?|)\s*$`)
	})
	namedSecret = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)` + secretName) })
	plainWord   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z-]+$`) })
	hostShape   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{N}._-]*$`) })
	urlHost     = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`([A-Za-z][\w+.-]{0,20}:(?:\\*/){2,3})([^\s/"'<>?#\\,;]+)`)
	})
	toldHost = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)(lookup |dial (?:tcp|udp)[46]? |unknown ?host(?:exception)?:? |resolve host:? |host(?:name)?["']?\s*[:=]\s*["']?|connect(?:ed|ing)? to |valid for )([\p{L}\p{N}][\p{L}\p{N}._-]*)`)
	})
	hostPort = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(@|\\\\\\\\|\\\\|lookup |dial (?:tcp|udp)[46]? )([\p{L}\p{N}][\p{L}\p{N}._-]*)`)
	})
	nearPort = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`((?:^|[\s"'=(,\[/]))([A-Za-z][A-Za-z0-9.-]*[A-Za-z0-9])(:(?:80|389|443|636|\d{4,5}))(?:$|[^\d:.])`)
	})
	mounted = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`((?:^|[\s"'=(,]))([A-Za-z0-9][A-Za-z0-9.-]+):/[^/]`)
	})
	userRules = sync.OnceValue(func() []*regexp.Regexp {
		return []*regexp.Regexp{
			regexp.MustCompile(`(?i)(\b(?:user(?:[-_]?name)?|login|owner|account)\\*["']?\s*[:=]\s*\\*["']?(?:[A-Z][A-Z0-9-]{1,14}\\{1,4})?)([\p{L}\p{N}_][\p{L}\p{N}._+-]*)`),
			regexp.MustCompile(`(\s-[a-tv-zA-Z]{0,4}u[ =]|\s--username[ =])\\*["']?([\p{L}\p{N}_][\p{L}\p{N}._+-]*)`),
			regexp.MustCompile(`((?i:[a-z]:\\+Users\\+))([^/\\"':]+)\\`),
			regexp.MustCompile(`(/(?:home|Users)/|(?i:[a-z]:\\+Users\\+))([^/\\\s"':]+)`),
		}
	})
	emailShape = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`[\p{L}\p{N}._%+-]*[\p{L}\p{N}_+-](?:@|%40)[\p{L}\p{N}](?:[\p{L}\p{N}.-]*[\p{L}\p{N}])?`)
	})
	afterSecret = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(secret-\d+(?:@|%40))([\p{L}\p{N}][\p{L}\p{N}._-]*)`)
	})
	uuidShape = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}`)
	})
	macShape  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)\b[0-9a-f]{2}(?:-[0-9a-f]{2}){5}\b`) })
	ipv4Shape = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\d{1,3}(?:\.\d{1,3}){3}`) })
)
