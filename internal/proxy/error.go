package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// Reason is why nothing comes through a proxy.
type Reason int

// The reasons.
const (
	Unreachable  Reason = iota // it does not answer
	BadAddress                 // the variable cannot be used
	WantsUser                  // it wants a user and password, and none are given
	RefusedUser                // it refuses those given
	OtherSchemes               // it wants a way of logging in that is not spoken
	Forbidden                  // its rules forbid the address
	Upstream                   // it cannot reach the service itself
	NotAProxy                  // what answers is none
	Portal                     // it wants a person to log in, as captive portals do
)

// Error tells what a proxy said, without any credential.
type Error struct {
	Proxy    string // host:port; empty where no address could be read
	Variable string // the variable that names it
	Reason   Reason
	Status   int      // that it answered with; 0: none
	Schemes  []string // of logging in, that it offers
	Detail   string   // what it says of itself, short
	Err      error    // cause, may be nil
}

// Error returns what happened, as a part of a sentence.
func (e *Error) Error() string {
	at := fmt.Sprintf("%s, named by %s,", e.Proxy, e.Variable)
	switch e.Reason {
	case BadAddress:
		return fmt.Sprintf("the proxy's address cannot be used: %s is wrong: %v", e.Variable, e.Err)
	case WantsUser:
		return fmt.Sprintf("the proxy wants a user and password: %s takes %s", at, e.offers())
	case RefusedUser:
		return fmt.Sprintf("the proxy refuses the user and password: %s takes %s", at, e.offers())
	case OtherSchemes:
		return fmt.Sprintf("the proxy wants a way of logging in that this program does not speak: %s takes %s", at, e.offers())
	case Forbidden:
		return fmt.Sprintf("the proxy's rules forbid it: %s answers %s", at, e.answer())
	case Upstream:
		return fmt.Sprintf("the proxy cannot reach it: %s answers %s", at, e.answer())
	case NotAProxy:
		return fmt.Sprintf("what answers at the proxy's address is no proxy: %s answers %s", at, e.answer())
	case Portal:
		return fmt.Sprintf("the proxy wants a person to log in, as a captive portal does: %s answers %s", at, e.answer())
	case Unreachable:
	}
	return fmt.Sprintf("the proxy before it does not answer: %s %s", at, e.why())
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Next returns the step to take.
func (e *Error) Next() string {
	form := e.Variable + "=http://USER:PASSWORD@HOST:PORT"
	switch e.Reason {
	case BadAddress:
		return "Correct it: " + form + ", in single quotes."
	case WantsUser:
		return "Put them into the proxy's address: " + form + " (NTLM: DOMAIN\\USER), in single quotes."
	case RefusedUser:
		return "Check user and password in " + e.Variable + " (NTLM: DOMAIN\\USER); put it into single quotes, and write a % as %25."
	case OtherSchemes:
		return "Ask the proxy's administrator for Basic or NTLM, or put CNTLM in between and name it in " + e.Variable + "."
	case Forbidden:
		return "Have the proxy's administrator allow the endpoints that you see with doctor."
	case Upstream:
		return "Check the service's address; the proxy's administrator sees why it cannot be reached from there."
	case NotAProxy:
		return "Check host and port in " + e.Variable + "."
	case Portal:
		return "Log in with a browser on this machine, then run the command again."
	case Unreachable:
	}
	return "Check " + e.Variable + " and no_proxy, then run the command again."
}

// Lasting reports whether trying again in a moment is of no use.
func (e *Error) Lasting() bool { return e.Reason != Unreachable && e.Reason != Upstream }

func (e *Error) offers() string {
	if len(e.Schemes) == 0 {
		return "none that it names"
	}
	return strings.Join(e.Schemes, ", ")
}

// answer is what the proxy said.
func (e *Error) answer() string {
	text := e.Detail
	if e.Status != 0 {
		text = strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status)))
		if e.Detail != "" {
			text += " (" + e.Detail + ")"
		}
	}
	return text
}

// why tells a failure of the way to the proxy.
func (e *Error) why() string {
	var dns *net.DNSError
	var timeout net.Error
	var verify *tls.CertificateVerificationError
	switch {
	case errors.As(e.Err, &dns):
		return "is a name that is not known (DNS)"
	case errors.As(e.Err, &verify):
		return "has a TLS certificate that is not trusted"
	case errors.As(e.Err, &timeout) && timeout.Timeout():
		return "does not answer in time"
	case errors.Is(e.Err, io.EOF), errors.Is(e.Err, io.ErrUnexpectedEOF):
		return "closes the connection without an answer"
	case e.Err != nil && strings.Contains(e.Err.Error(), "refused"):
		return "refuses the connection"
	}
	return fmt.Sprintf("cannot be reached (%v)", e.Err)
}

// judge tells an answer of a proxy that lets nothing through.
func (e *Error) judge(code int, header http.Header) *Error {
	e.Status, e.Detail = code, plainWord(header.Get("X-Squid-Error"))
	switch {
	case code == http.StatusNetworkAuthenticationRequired, code >= 300 && code < 400:
		e.Reason = Portal
	case code == http.StatusForbidden, code == http.StatusUnavailableForLegalReasons:
		e.Reason = Forbidden
	case code == http.StatusBadGateway, code == http.StatusServiceUnavailable, code == http.StatusGatewayTimeout, code == http.StatusInternalServerError:
		e.Reason = Upstream
	default:
		e.Reason = NotAProxy
	}
	return e
}

// plainWord is a word of somebody else's, fit to be printed; empty if it is not.
func plainWord(text string) string {
	if len(text) > 60 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return text
}
