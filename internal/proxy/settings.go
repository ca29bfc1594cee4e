// Package proxy takes exchanges with a service through the proxy that the environment
// names: which one, with which credentials, and what it means when it says no. The rules
// are in docs/design/network.md.
package proxy

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Settings reads the proxy variables, in small letters before capital ones, each time it
// is asked.
type Settings struct {
	Getenv func(string) string // nil: no proxy
}

// Proxy is the proxy that the settings name for an address.
type Proxy struct {
	URL      *url.URL // scheme http, https or socks5; host and port; the credentials
	Variable string   // the variable that names it, as it is spelled
}

// Address is the proxy's host and port.
func (p *Proxy) Address() string {
	if p.URL.Port() != "" {
		return p.URL.Host
	}
	ports := map[string]string{"http": "80", "https": "443", "socks5": "1080"}
	return net.JoinHostPort(p.URL.Hostname(), ports[p.URL.Scheme])
}

// String is the proxy's address without credentials.
func (p *Proxy) String() string { return p.URL.Scheme + "://" + p.URL.Host }

// variable returns the value of a variable and how its name is spelled.
func (s Settings) variable(name string) (value, spelled string) {
	if s.Getenv == nil {
		return "", name
	}
	for _, spelled := range []string{name, strings.ToUpper(name)} {
		if spelled == "HTTP_PROXY" && s.Getenv("REQUEST_METHOD") != "" {
			continue // of a CGI program: it is a header "Proxy:" that anybody may send
		}
		if v := strings.TrimSpace(s.Getenv(spelled)); v != "" {
			return v, spelled
		}
	}
	return "", name
}

// For returns the proxy for an address: https_proxy for https or, as U2's documentation
// has it, http_proxy where that alone is set; nil where none is to be used. A variable
// that cannot be used is an [*Error] that names it.
func (s Settings) For(address *url.URL) (*Proxy, error) {
	text, name := s.variable("http_proxy")
	if secure, spelled := s.variable("https_proxy"); address.Scheme == "https" && secure != "" {
		text, name = secure, spelled
	}
	if text == "" || s.without(address) != "" {
		return nil, nil //nolint:nilnil // no proxy is an answer, as net/http has it
	}
	u, err := parse(text)
	if err != nil {
		return nil, &Error{Variable: name, Reason: BadAddress, Err: err}
	}
	return &Proxy{URL: u, Variable: name}, nil
}

// Exempt tells why an address is asked for without a proxy although one is set: the
// variable, or "loopback"; empty where it is not.
func (s Settings) Exempt(address *url.URL) string {
	plain, _ := s.variable("http_proxy")
	secure, _ := s.variable("https_proxy")
	if plain == "" && (secure == "" || address.Scheme != "https") {
		return ""
	}
	return s.without(address)
}

// Here reports whether a host's name or address means this machine itself.
func Here(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// without returns what exempts an address: this machine itself, or no_proxy naming it
// exactly, as a domain above it, by address range, or with a port.
func (s Settings) without(address *url.URL) string {
	host := strings.TrimSuffix(strings.ToLower(address.Hostname()), ".")
	ip, _ := netip.ParseAddr(host)
	if Here(host) {
		return "loopback"
	}
	list, name := s.variable("no_proxy")
	port := address.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[address.Scheme]
	}
	if slices.ContainsFunc(items(list), func(item string) bool { return exempts(item, host, ip, port) }) {
		return name
	}
	return ""
}

// items are the entries of no_proxy: between commas or spaces.
func items(list string) []string {
	return strings.FieldsFunc(strings.ToLower(list), func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == ';' })
}

// exempts reports whether an entry of no_proxy names a host.
func exempts(item, host string, ip netip.Addr, port string) bool {
	if h, itemPort, err := net.SplitHostPort(item); err == nil {
		if itemPort != port {
			return false
		}
		item = h
	}
	item = strings.TrimSuffix(strings.Trim(item, "[]"), ".")
	if network, err := netip.ParsePrefix(item); err == nil {
		return ip.IsValid() && network.Contains(ip.Unmap().WithZone(""))
	}
	if address, err := netip.ParseAddr(item); err == nil {
		return ip.IsValid() && address.Unmap() == ip.Unmap()
	}
	domain := strings.TrimLeft(item, "*.")
	return item == "*" || item == host || domain != "" && strings.HasSuffix(host, "."+domain)
}

// Doubts lists entries of no_proxy that name nothing, such as a range with a wrong mask.
func (s Settings) Doubts() []string {
	list, _ := s.variable("no_proxy")
	var doubts []string
	for _, item := range items(list) {
		_, err := netip.ParsePrefix(item)
		if strings.Contains(item, "/") && err != nil || strings.Contains(strings.TrimPrefix(item, "*"), "*") {
			doubts = append(doubts, item)
		}
	}
	return doubts
}

// parse reads a proxy's address. User and password go up to the last @ and may be
// percent-encoded or not; they never appear in an error.
func parse(text string) (*url.URL, error) {
	scheme, rest := "http", text
	if before, after, ok := strings.Cut(text, "://"); ok && isWord(before) {
		scheme, rest = strings.ToLower(before), after
	}
	i := strings.LastIndexByte(rest, '@')
	host, _, _ := strings.Cut(rest[i+1:], "/")
	u := &url.URL{Scheme: scheme, Host: host}
	if i >= 0 {
		name, password, has := strings.Cut(rest[:i], ":")
		u.User = url.User(decoded(name))
		if has {
			u.User = url.UserPassword(decoded(name), decoded(password))
		}
	}
	switch scheme {
	case "http", "https", "socks5":
	default:
		return nil, errors.New("it begins with something else than http://, https:// or socks5://")
	}
	return u, checkHost(u)
}

// checkHost refuses a host that cannot be dialled.
func checkHost(u *url.URL) error {
	i := strings.LastIndexByte(u.Host, ':')
	if n, err := strconv.ParseUint(u.Host[i+1:], 10, 16); i > strings.LastIndexByte(u.Host, ']') && (err != nil || n == 0) {
		return errors.New("its port is no number from 1 to 65535")
	}
	if u.Hostname() == "" {
		return errors.New("it names no host")
	}
	plain, err := url.Parse(u.Scheme + "://" + u.Host)
	if err != nil || plain.Host != u.Host || strings.Count(u.Host, ":") > 1 && u.Host[0] != '[' {
		return errors.New("its host and port cannot be read") // without the cause, which would quote it
	}
	return nil
}

// isWord reports whether text may be a scheme: a password may hold :// as well.
func isWord(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '+' && r != '-' && r != '.'
	})
}

func decoded(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}
