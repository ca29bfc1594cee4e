package proxy

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/go-ntlmssp"
)

// The ways of logging in that are spoken, the safest first: none sends a password that a
// safer one, offered beside it, would not have to.
const (
	schemeNTLM      = "NTLM"
	schemeNegotiate = "Negotiate" // NTLM messages, as they are
	schemeBasic     = "Basic"
)

func spoken() []string { return []string{schemeNTLM, schemeNegotiate, schemeBasic} }

// challenge is one of those that a 407 lists: a scheme and what it says, in lines of their
// own or between commas.
type challenge struct{ scheme, rest string }

func challenges(h http.Header) []challenge {
	var all []challenge
	for _, line := range h.Values("Proxy-Authenticate") {
		for _, piece := range pieces(line) {
			name, rest, _ := strings.Cut(strings.TrimSpace(piece), " ")
			if name = plainWord(name); name == "" || strings.ContainsAny(name, `="`) {
				continue // a parameter of the one before
			}
			for _, known := range append(spoken(), "Digest", "Kerberos", "Bearer") {
				if strings.EqualFold(name, known) {
					name = known
				}
			}
			all = append(all, challenge{name, strings.TrimSpace(rest)})
		}
	}
	return all
}

// pieces splits at commas outside of quoted strings.
func pieces(line string) []string {
	var all []string
	begin, quoted := 0, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			all = append(all, line[begin:i])
			begin = i + 1
		}
	}
	return append(all, line[begin:])
}

// offered lists the schemes of a 407, each once, in their order.
func offered(h http.Header) []string {
	var schemes []string
	for _, c := range challenges(h) {
		if !slices.Contains(schemes, c.scheme) {
			schemes = append(schemes, c.scheme)
		}
	}
	return schemes
}

// token returns what a 407 carries for a scheme; nil when it only names it.
func token(h http.Header, scheme string) []byte {
	for _, c := range challenges(h) {
		if data, err := base64.StdEncoding.DecodeString(c.rest); c.scheme == scheme && err == nil && len(data) > 0 {
			return data
		}
	}
	return nil
}

// basic is the header's value with user and password in clear.
func (p *Proxy) basic() string {
	password, _ := p.URL.User.Password()
	return schemeBasic + " " + base64.StdEncoding.EncodeToString([]byte(p.URL.User.Username()+":"+password))
}

// hello is the first message of NTLM. It names neither this machine nor its domain.
func hello(scheme string) (string, error) {
	message, err := ntlmssp.NewNegotiateMessage("", "")
	return scheme + " " + base64.StdEncoding.EncodeToString(message), err
}

// response is the last message of NTLM: the proof of the password for a challenge; empty
// where there is no challenge, or none that can be met.
func (p *Proxy) response(scheme string, challenge []byte) (text string) {
	defer func() {
		if recover() != nil { // a challenge is whatever the other side sends
			text = ""
		}
	}()
	password, _ := p.URL.User.Password()
	message, err := ntlmssp.NewAuthenticateMessage(challenge, p.URL.User.Username(), password, nil)
	if err != nil {
		return ""
	}
	return scheme + " " + base64.StdEncoding.EncodeToString(message)
}
