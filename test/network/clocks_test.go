package network

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"uplevel/internal/trust/trusttest"
	"uplevel/test/faultproxy"
)

// clocks are a year off: what a machine that is ahead sees are metadata that ended a year
// ago. One that is behind sees good ones; who asks doctor is told of both.
func (w *world) clocks(t *testing.T) {
	s := w.site(t, w.certificate)
	old := trusttest.New(t, time.Now().AddDate(-1, 0, 0))
	must(t, os.RemoveAll(filepath.Join(s.home, "updates", "trust")))
	w.write(filepath.Join(s.home, "updates", "root.json"), string(old.File("1.root.json")))
	plan := faultproxy.Plan{{Path: "/tuf/2.root.json", Fault: faultproxy.Page(http.StatusNotFound, "application/json", "{}")}}
	for _, file := range []string{"timestamp.json", "1.snapshot.json", "1.targets.json"} {
		plan = append(plan, faultproxy.Rule{Path: "/tuf/" + file, Fault: faultproxy.Page(http.StatusOK, "application/json", string(old.File(file)))})
	}
	s.Set(plan)
	before := s.tree()
	s.want(14, []string{"timestamp.json is expired", "Check the clock of this machine", "Nothing was changed"}, "update")
	if s.tree() != before {
		t.Error("something was changed")
	}

	for _, year := range []int{-1, 1} {
		s.renew()
		says := time.Now().AddDate(year, 0, 0).UTC().Format(http.TimeFormat)
		s.Set(at("", faultproxy.Fault{Header: []string{"Date: " + says}}))
		s.want(14, []string{"days apart", "Set this machine's clock"}, "doctor")
	}
}
