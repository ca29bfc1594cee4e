package proxy

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

// environment is what a table writes as NAME=VALUE NAME=VALUE.
func environment(text string) func(string) string {
	env := map[string]string{}
	for item := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(item, "=")
		env[name] = value
	}
	return func(name string) string { return env[name] }
}

// TestProxies shows which proxy is used for what.
func TestProxies(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ env, address, want string }{
		{"", "https://s.example/", ""},
		{"http_proxy=http://p:1", "https://s.example/", "http://p:1"},
		{"http_proxy=http://p:1", "http://s.example/", "http://p:1"},
		{"HTTP_PROXY=p:1", "https://s.example/", "http://p:1"},
		{"https_proxy=http://q:2 http_proxy=http://p:1", "https://s.example/", "http://q:2"},
		{"HTTPS_PROXY=http://q:2 http_proxy=http://p:1", "http://s.example/", "http://p:1"},
		{"https_proxy=http://q:2", "http://s.example/", ""},
		{"http_proxy=low:1 HTTP_PROXY=up:2", "https://s.example/", "http://low:1"},
		{"http_proxy=https://p:1/path", "https://s.example/", "https://p:1"},
		{"http_proxy=socks5://p:1", "https://s.example/", "socks5://p:1"},
		{"http_proxy=p:1 no_proxy=s.example", "https://s.example/", ""},
		{"http_proxy=p:1 NO_PROXY=.example", "https://s.example/", ""},
		{"http_proxy=p:1 no_proxy=example", "https://s.example/", ""},
		{"http_proxy=p:1 no_proxy=*.example", "https://S.Example/", ""},
		{"http_proxy=p:1 no_proxy=xample", "https://s.example/", "http://p:1"},
		{"http_proxy=p:1 no_proxy=s.example.org", "https://s.example/", "http://p:1"},
		{"http_proxy=p:1 no_proxy=*", "https://s.example/", ""},
		{"http_proxy=p:1 no_proxy=a,s.example:8443", "https://s.example:8443/", ""},
		{"http_proxy=p:1 no_proxy=a,s.example:8443", "https://s.example/", "http://p:1"},
		{"http_proxy=p:1 no_proxy=10.0.0.0/8", "https://10.1.2.3/", ""},
		{"http_proxy=p:1 no_proxy=10.0.0.0/8", "https://11.1.2.3/", "http://p:1"},
		{"http_proxy=p:1 no_proxy=,", "https://s.example/", "http://p:1"},
		{"http_proxy=p:1", "https://localhost:1/", ""},
		{"http_proxy=p:1", "https://127.0.0.9/", ""},
		{"http_proxy=p:1", "https://[::1]:1/", ""},
		{"http_proxy=http://u:secret@p:1", "https://s.example/", "http://u:secret@p:1"},
		{"http_proxy=http://u:se@cr@et@p:1", "https://s.example/", "http://u:se%40cr%40et@p:1"},
		{"http_proxy=http://u:se%40cret@p:1", "https://s.example/", "http://u:se%40cret@p:1"},
		{"http_proxy=http://u:100%@p:1/", "https://s.example/", "http://u:100%25@p:1"},
		{"http_proxy=http://u:a/b:c#d?e@p:1/", "https://s.example/", "http://u:a%2Fb%3Ac%23d%3Fe@p:1"},
		{"http_proxy=http://DOM\\u:p@p:1", "https://s.example/", "http://DOM%5Cu:p@p:1"},
		{"http_proxy=http://u@p:1", "https://s.example/", "http://u@p:1"},
		{"http_proxy=ftp://u:secret@p", "https://s.example/", "error"},
		{"http_proxy=http://u:secret@", "https://s.example/", "error"},
		{"http_proxy=http://u:secret@a%zz", "https://s.example/", "error"},
		{"http_proxy=u:p/a://b@p:1", "https://s.example/", "http://u:p%2Fa%3A%2F%2Fb@p:1"},
		{"http_proxy=http://u:%41b%@p:1", "https://s.example/", "http://u:%2541b%25@p:1"},
		{"http_proxy=http://u:%41b@p:1", "https://s.example/", "http://u:Ab@p:1"},
		{"http_proxy=http://u:$p`w'\"@p:1", "https://s.example/", "http://u:$p%60w%27%22@p:1"},
		{"http_proxy=http://jürgen:grüße@p:1", "https://s.example/", "http://j%C3%BCrgen:gr%C3%BC%C3%9Fe@p:1"},
		{"http_proxy=HTTP://p:1", "https://s.example/", "http://p:1"},
		{"http_proxy=http://[fd00::1]:3128", "https://s.example/", "http://[fd00::1]:3128"},
		{"http_proxy=p:1 no_proxy=10.1.2.3", "https://[::ffff:10.1.2.3]/", ""},
		{"http_proxy=p:1 no_proxy=fd00::/8", "https://[fd00::1]/", ""},
		{"http_proxy=p:1 no_proxy=[fd00::1]:8443", "https://[fd00::1]:8443/", ""},
		{"http_proxy=p:1 no_proxy=fd00::1", "https://[fd00:0::1]:8443/", ""},
		{"http_proxy=p:1 no_proxy=s.example:443", "https://s.example/", ""},
		{"http_proxy=p:1 no_proxy=s.example.", "https://s.example/", ""},
		{"http_proxy=p:1 no_proxy=s.example", "https://s.example./", ""},
		{"http_proxy=p:1 no_proxy=10.0.0.0/99", "https://10.1.2.3/", "http://p:1"},
		{"HTTP_PROXY=evil:1 REQUEST_METHOD=GET", "https://s.example/", ""},
		{"HTTP_PROXY=evil:1 http_proxy=p:1 REQUEST_METHOD=GET", "https://s.example/", "http://p:1"},
		{"http_proxy=p:1 no_proxy=.S.Example.:8443;FD00::/8", "https://a.s.example.:8443/", ""},
		{"http_proxy=p:1 no_proxy=fe80::/10", "https://[fe80::1%25eth0]/", ""},
		{"http_proxy=http://p:0", "https://s.example/", "error"},
		{"http_proxy=http://p:99999", "https://s.example/", "error"},
		{"http_proxy=http://p:31x", "https://s.example/", "error"},
		{"http_proxy=fd00::1:3128", "https://s.example/", "error"},
		{"https_proxy=http://u:secret@p\x01:1", "https://s.example/", "error"},
	} {
		address, err := url.Parse(tc.address)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		p, err := Settings{environment(tc.env)}.For(address)
		switch {
		case err != nil:
			got = "error"
			if strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), tc.env[:strings.Index(tc.env, "=")]+" is wrong") {
				t.Errorf("%s: %v tells the password, or not the variable", tc.env, err)
			}
		case p != nil:
			got = p.URL.String()
		}
		if got != tc.want {
			t.Errorf("%s for %s: %q, want %q", tc.env, tc.address, got, tc.want)
		}
	}
}

// TestSaying shows what is said of the settings, without credentials.
func TestSaying(t *testing.T) {
	t.Parallel()
	s := Settings{environment("HTTP_PROXY=http://u:secret@p no_proxy=a,10.0.0.0/99,b*c,*.ok,10.0.0.0/8")}
	address := &url.URL{Scheme: "https", Host: "s.example"}
	p, err := s.For(address)
	if err != nil || p.Variable != "HTTP_PROXY" || p.Address() != "p:80" || p.String() != "http://p" {
		t.Errorf("%+v, %v", p, err)
	}
	if got := s.Doubts(); !slices.Equal(got, []string{"10.0.0.0/99", "b*c"}) {
		t.Errorf("doubts %q", got)
	}
	for host, want := range map[string]string{"s.example": "", "x.ok": "no_proxy", "127.0.0.1:3": "loopback"} {
		if got := s.Exempt(&url.URL{Scheme: "https", Host: host}); got != want {
			t.Errorf("%s is exempt by %q, want %q", host, got, want)
		}
	}
	if got := (Settings{}).Exempt(address); got != "" {
		t.Errorf("without a proxy: %q", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"http://u:hunter2@p:1", "u:hunter2@@[::1]:1/x", "socks5://hunter2@h", "http://u:hunter2@h:port", "://@:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parse(text)
		if err != nil {
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%q: %v tells", text, err)
			}
			return
		}
		if _, err := url.Parse(u.String()); err != nil || u.Hostname() == "" {
			t.Errorf("%q gives %q, which is no address: %v", text, u, err)
		}
	})
}
