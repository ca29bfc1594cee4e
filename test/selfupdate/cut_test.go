package selfupdate_test

import (
	"strings"
	"testing"
	"time"

	"uplevel/test/faultproxy"
	"uplevel/test/lab"
)

// cut has the network end in the middle of the new tool: the old one stays, and the next
// run gets the rest of what it wants, and no more.
func (w *world) cut(t *testing.T) {
	var service string
	for _, e := range w.Env {
		if v, ok := strings.CutPrefix(e, "UPLEVEL_SERVICE="); ok {
			service = v
		}
	}
	now := time.Now()
	authority, err := lab.NewAuthority("Vendor CA", now, now.AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := authority.Certificate("127.0.0.1", now.Add(-time.Hour), now.AddDate(0, 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	p, err := faultproxy.New(faultproxy.Options{Service: service, Certificate: &certificate})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	w.write(w.Path("vendor-ca.pem"), string(authority.PEM))
	home := w.fresh(t)
	env := []string{"UPLEVEL_SERVICE=" + p.URL(), "UPLEVEL_CA_CERT=" + w.Path("vendor-ca.pem"), "UPLEVEL_CACHE=" + home + "-cache"}
	const below = "/tuf/targets/uplevel-tool/"
	const first = 1_000_000
	// The first request only asks how long it is.
	p.Set(faultproxy.Plan{{Path: below, First: 2, Times: 1, Fault: faultproxy.CutAt(first)}, {Path: below, First: 3, Fault: faultproxy.CutAt(0)}})
	w.with(t, home, env, "bin/"+tool, "self-update").ends(t, 13, "broke off")
	w.is(t, home, oldVersion, 0)
	p.Set(nil)
	w.with(t, home, env, "bin/"+tool, "self-update").ends(t, 0, "from version 1.0.0 to 1.1.0")
	w.is(t, home, newVersion, 0)
	rest := false
	for _, s := range p.Seen() {
		rest = rest || strings.HasPrefix(s.Path, below) && strings.HasPrefix(s.Range, "bytes=99")
	}
	if !rest {
		t.Errorf("the rest was not asked for: %+v", p.Seen())
	}
}
