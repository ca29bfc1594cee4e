package proxy

import (
	"net/http"
	"net/url"
	"strings"
)

// Transport sends requests the way the settings say: https through tunnels, http by the
// proxy itself, and both as they are where no proxy is named.
type Transport struct {
	settings Settings
	plain    *http.Transport // http addresses and SOCKS
	tunnels  *http.Transport // https addresses
}

// NewTransport returns a transport with the settings of base, which is not used itself.
func NewTransport(base *http.Transport, s Settings) *Transport {
	t := &Transport{settings: s, plain: base.Clone(), tunnels: base.Clone()}
	t.plain.Proxy = func(r *http.Request) (*url.URL, error) {
		p, err := s.For(r.URL)
		if err != nil || p == nil {
			return nil, err
		}
		return p.URL, nil
	}
	dialer := &Dialer{Settings: s, TLS: base.TLSClientConfig, Dial: base.DialContext}
	t.tunnels.Proxy, t.tunnels.DialContext = nil, dialer.DialContext
	return t
}

// CloseIdleConnections closes what no request uses.
func (t *Transport) CloseIdleConnections() {
	t.plain.CloseIdleConnections()
	t.tunnels.CloseIdleConnections()
}

// RoundTrip sends a request. What a proxy has against it is an [*Error].
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	p, err := t.settings.For(r.URL)
	if err != nil {
		return nil, err
	}
	if r.URL.Scheme == "https" && (p == nil || p.URL.Scheme != "socks5") {
		return t.tunnels.RoundTrip(r)
	}
	answer, err := t.plain.RoundTrip(r)
	if p == nil || p.URL.Scheme == "socks5" || r.URL.Scheme == "https" {
		return answer, err
	}
	return p.judge(answer, err)
}

// judge tells what the proxy itself said of an http address from what came through it.
func (p *Proxy) judge(answer *http.Response, err error) (*http.Response, error) {
	e := &Error{Proxy: p.Address(), Variable: p.Variable, Err: err}
	switch {
	case err != nil:
		if strings.Contains(err.Error(), "proxyconnect") {
			return nil, e
		}
		return nil, err
	case answer.StatusCode == http.StatusProxyAuthRequired:
		e.Status, e.Schemes, e.Reason = answer.StatusCode, offered(answer.Header), WantsUser
		if p.URL.User != nil {
			e.Reason = RefusedUser
			if !strings.Contains(strings.Join(e.Schemes, " "), schemeBasic) {
				e.Reason = OtherSchemes // NTLM is for tunnels, and there is none to an http address
			}
		}
	case answer.Header.Get("X-Squid-Error") != "" && answer.StatusCode >= http.StatusForbidden:
		e = e.judge(answer.StatusCode, answer.Header)
	default:
		return answer, nil
	}
	_ = answer.Body.Close()
	return nil, e
}
