// Package redact takes out of texts what must not leave a customer's house: secrets,
// names of hosts and people, addresses. Each is replaced by a placeholder that is the
// same for the same value within one [Redactor], so that a reader can follow it without
// knowing it. docs/design/support.md lists what is found and how. It is pure: no files,
// no network, no clock.
package redact

import (
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"uplevel/internal/support/redact/known"
)

// The kinds of what is replaced; a placeholder is its kind, a hyphen and a number.
const (
	Secret = "secret" // known, or named as one by what stands before it
	Word   = "word"   // looks random
	Host   = "host"
	IP     = "ip"
	MAC    = "mac"
	Email  = "email"
	User   = "user"
	Digest = "sha256" // shortened to its first 12 digits, not replaced
)

// maxKnown bounds how many hosts and users are learned, each.
const maxKnown = 5000

// Config is what is known beforehand.
type Config struct {
	Secrets []string // redacted wherever they stand, in any encoding
	Users   []string
	Hosts   []string
	Domains []string // whatever lies in them is a host
	Keep    []string // addresses that stay: the vendor's service, support and portal
	Version string   // of the product: levels 1.2.3.4 of version 1.2.3 are no addresses
}

// Redactor redacts the texts of one bundle. It is not safe for concurrent use.
type Redactor struct {
	known   known.Set
	names   map[string][]name
	domains map[string]bool
	keep    map[string]bool
	version string
	given   map[string]map[string]string // kind → value → placeholder
	counts  map[string]int
	learned int
}

// New returns a redactor.
func New(c Config) *Redactor {
	r := &Redactor{
		names: map[string][]name{}, domains: map[string]bool{}, keep: map[string]bool{}, version: c.Version,
		given: map[string]map[string]string{}, counts: map[string]int{},
	}
	for _, k := range c.Keep {
		r.keepAddress(k)
	}
	for _, s := range c.Secrets {
		if !isPlaceholder(s) {
			r.known.Add(s)
		}
	}
	for _, h := range c.Hosts {
		r.learnHost(h)
	}
	for _, d := range c.Domains {
		if d = strings.ToLower(strings.Trim(d, ". ")); d != "" && !r.keepsBelow(d) {
			r.domains[d] = true
		}
	}
	for _, u := range c.Users {
		r.learnName(User, u)
	}
	return r
}

// keepAddress has an address of the vendor's stay: a URL, a host or an e-mail address.
func (r *Redactor) keepAddress(text string) {
	text = strings.ToLower(strings.TrimSpace(text))
	if u, err := url.Parse(text); err == nil && u.Hostname() != "" {
		text = u.Hostname()
	}
	text = strings.TrimPrefix(text, "mailto:")
	if text != "" {
		r.keep[text] = true
	}
	if _, host, ok := strings.Cut(text, "@"); ok {
		r.keep[host] = true
	}
}

// Counts returns how often each kind was replaced so far.
func (r *Redactor) Counts() map[string]int { return maps.Clone(r.counts) }

// Kinds returns the kinds, in order.
func Kinds() []string { return []string{Secret, Word, User, Email, Host, IP, MAC, Digest} }

// placeholder returns what stands for a value from now on.
func (r *Redactor) placeholder(kind, value string) string {
	if isPlaceholder(value) {
		return value
	}
	r.counts[kind]++
	if r.given[kind] == nil {
		r.given[kind] = map[string]string{}
	}
	p, ok := r.given[kind][value]
	if !ok {
		p = kind + "-" + strconv.Itoa(len(r.given[kind])+1)
		r.given[kind][value] = p
	}
	return p
}

func isPlaceholder(text string) bool {
	kind, number, ok := strings.Cut(text, "-")
	if !ok || !slices.Contains(Kinds(), kind) {
		return false
	}
	if kind == Digest {
		return len(number) == keptDigits
	}
	_, err := strconv.ParseUint(number, 10, 32)
	return err == nil
}

// Text redacts a text of one or more lines that is small enough to be held.
func (r *Redactor) Text(text string) string {
	var b strings.Builder
	s := stream{r: r, out: &b}
	for line := range strings.Lines(text) {
		s.line(line)
	}
	return b.String()
}

// line redacts one line. The order matters: what names a secret is looked at while the
// name still stands there, addresses before words.
func (r *Redactor) line(s string) string {
	s = r.knownSecrets(s)
	s = r.named(s)
	s = r.urls(s)
	s = r.people(s)
	s = r.runs(s, isHostByte, r.domainName) // whole, before a part of it is known
	s = r.knownNames(s)
	s = r.addresses(s)
	return r.words(s)
}

func (r *Redactor) knownSecrets(s string) string {
	return r.known.Replace(s, func(secret string) string { return r.placeholder(Secret, secret) })
}

// Learn notes the names in a line that are told there as such, so that they are found
// elsewhere too. Learn from everything before the first text is redacted.
func (r *Redactor) Learn(line string) {
	if strings.Contains(line, ":/") {
		for _, m := range urlHost().FindAllStringSubmatch(line, -1) {
			host := m[2]
			if i := strings.LastIndexByte(host, '@'); i >= 0 {
				host = host[i+1:]
			}
			r.learnHost(hostOnly(host))
		}
	}
	if strings.Contains(line, "lookup ") || strings.Contains(line, "dial ") || strings.Contains(line, "ost") || strings.Contains(line, "onnect") || strings.Contains(line, "valid for") {
		for _, m := range toldHost().FindAllStringSubmatch(line, -1) {
			if strings.HasPrefix(strings.ToLower(m[1]), "connect") || strings.HasPrefix(strings.ToLower(m[1]), "valid") {
				if !strings.ContainsAny(m[2], ".-0123456789") { // may be any word
					continue
				}
			}
			r.learnHost(m[2])
		}
	}
	lower := strings.ToLower(line)
	if strings.Contains(lower, "user") || strings.Contains(lower, "login") || strings.Contains(lower, "owner") || strings.Contains(line, "/home/") || strings.Contains(line, "-u") {
		for _, rule := range userRules() {
			for _, m := range rule.FindAllStringSubmatch(line, -1) {
				r.learnName(User, m[2])
			}
		}
	}
}

func hostOnly(text string) string {
	if i := strings.IndexAny(text, "/?#\"'\\ ,;<>"); i >= 0 {
		text = text[:i]
	}
	if host, _, err := net.SplitHostPort(text); err == nil {
		return host
	}
	return strings.Trim(text, "[]")
}

// learnHost learns a host's name, its short form, and the domain it is in.
func (r *Redactor) learnHost(host string) {
	host = strings.ToLower(strings.Trim(host, ". "))
	if len(host) < 3 || strings.HasPrefix(host, "localhost") || r.keep[host] || net.ParseIP(host) != nil || !hostShape().MatchString(host) || isPlaceholder(host) {
		return
	}
	r.learnName(Host, host)
	if short, domain, ok := strings.Cut(host, "."); ok && strings.Contains(domain, ".") {
		if !r.keepsBelow(domain) {
			r.domains[domain] = true
		}
		if len(short) >= 4 && short != "repo" && !ordinary()[short] {
			r.learnName(Host, short)
		}
	}
}

// keepsBelow reports whether an address that stays lies in the domain.
func (r *Redactor) keepsBelow(domain string) bool {
	for k := range r.keep {
		if k == domain || strings.HasSuffix(k, "."+domain) {
			return true
		}
	}
	return false
}

// ordinary are first labels that say nothing, and would take ordinary words out of texts.
func ordinary() map[string]bool {
	return map[string]bool{"proxy": true, "update": true, "updates": true, "mail": true, "smtp": true, "support": true, "service": true, "portal": true, "docs": true, "store": true, "data": true, "test": true, "files": true, "http": true}
}

// learnName learns the name of a host or person as it may stand anywhere.
func (r *Redactor) learnName(kind, text string) {
	text = strings.Trim(text, `"' `)
	lower := strings.ToLower(text)
	if len(text) < 2 || r.learned >= maxKnown || isPlaceholder(text) || r.keep[lower] || common()[lower] {
		return
	}
	atom := firstAtom(lower)
	for _, n := range r.names[atom] {
		if n.text == lower {
			return
		}
	}
	r.learned++
	r.names[atom] = append(r.names[atom], name{kind, lower, kind == User && len(text) < 3})
	slices.SortStableFunc(r.names[atom], func(a, b name) int { return len(b.text) - len(a.text) })
}

// common are names of users that say nothing about anybody.
func common() map[string]bool {
	return map[string]bool{"root": true, "system": true, "true": true, "false": true, "null": true, "nil": true, "none": true, "for": true, "the": true, "and": true, "password": true, "level": true, "update": true, "uplevel": true}
}
