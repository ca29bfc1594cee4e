package server

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"uplevel/internal/api"
)

// reported is a report of an installation that a number names.
func reported(n int) api.Report {
	return api.Report{
		Made: today.Add(-time.Hour), Installation: fmt.Sprintf("%064d", n), Product: "shop", Version: "1.0", Channel: "full", Level: n, Operation: "report", Outcome: "ok",
	}
}

func TestCarriedReportsAreJudgedOneByOne(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t)
	h := s.Handler(RoleAPI)
	bad, timeless, old := reported(2), reported(3), reported(4)
	bad.Installation = "short"
	timeless.Made = time.Time{}
	old.Made = today.Add(-2 * time.Hour)
	body := asJSON(t, api.CarriedReports{Reports: []api.Report{reported(1), bad, timeless, reported(4), old}})
	got := ask(h, "POST", "/api/v1/reports/carried", "report", strings.Replace(body, `"level":1`, `"level":1,"of a newer tool":[1]`, 1))
	var a api.CarriedAnswer
	if err := json.Unmarshal(got.Body.Bytes(), &a); err != nil || got.Code != 200 || len(a.Items) != 5 {
		t.Fatalf("%d %s", got.Code, got.Body)
	}
	fates := ""
	for _, item := range a.Items {
		fates += " " + item.Fate
	}
	if fates != " new refused refused new older" || !strings.Contains(a.Items[1].Text, "installation id") || !strings.Contains(a.Items[2].Text, "when it was made") {
		t.Errorf("%+v", a.Items)
	}
	if len(w.reports) != 3 {
		t.Errorf("%d reports are kept", len(w.reports))
	}
	for name, text := range map[string]string{
		"too many": asJSON(t, api.CarriedReports{Reports: make([]api.Report, api.MaxReports+1)}), "none": `{"reports":[]}`, "null": `{"reports":null}`, "no JSON": "x",
	} {
		if got := ask(h, "POST", "/api/v1/reports/carried", "report", text); got.Code/100 != 4 {
			t.Errorf("%s: %d %s", name, got.Code, got.Body)
		}
	}
}

// TestInstallationsAreTheOrganisationsOwn goes through the pages.
func TestInstallationsAreTheOrganisationsOwn(t *testing.T) {
	t.Parallel()
	_, s := newWorld(t)
	h := s.Handler(RoleAPI)
	for n := range 7 {
		r := reported(n)
		r.Operation, r.Customised = "update", n
		if n == 3 {
			r.Product = "other"
		}
		ask(h, "POST", "/api/v1/reports", "operator", asJSON(t, r))
	}
	ask(h, "POST", "/api/v1/reports", "other", asJSON(t, reported(99)))
	var all []api.Installation
	next := ""
	for pages := 1; ; pages++ {
		got := ask(h, "GET", "/api/v1/installations?product=shop&limit=2&after="+url.QueryEscape(next), "security", "")
		var page api.Installations
		if err := json.Unmarshal(got.Body.Bytes(), &page); err != nil || got.Code != 200 || len(page.Items) > 2 {
			t.Fatalf("%d %s", got.Code, got.Body)
		}
		all = append(all, page.Items...)
		if next = page.Next; next == "" {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
	}
	if len(all) != 6 || all[5].Level != 6 || all[5].LastChange == nil || all[5].LastChange.Operation != "update" || all[5].Drift == nil || all[5].Drift.Customised != 6 ||
		!all[5].Received.Equal(today) || all[5].Made == nil || !all[5].Last.Equal(today) {
		t.Errorf("%d: %+v", len(all), all)
	}
	for _, bad := range []string{"limit=0", "limit=1001", "limit=x"} {
		if got := ask(h, "GET", "/api/v1/installations?"+bad, "operator", "").Code; got != 422 {
			t.Errorf("%s: %d", bad, got)
		}
	}
}

// TestAnOddClockPoisonsNoList sends times that JSON can say and Go cannot write in UTC: the
// list of the organisation's installations is there all the same.
func TestAnOddClockPoisonsNoList(t *testing.T) {
	t.Parallel()
	_, s := newWorld(t)
	h := s.Handler(RoleAPI)
	for n, made := range []string{"0000-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+01:00", "1970-01-01T00:00:00Z"} {
		text := strings.Replace(asJSON(t, reported(n)), today.Add(-time.Hour).Format(time.RFC3339), made, 1)
		ask(h, "POST", "/api/v1/reports/carried", "report", `{"reports":[`+text+`]}`)
		ask(h, "POST", "/api/v1/reports", "report", text)
		got := ask(h, "GET", "/api/v1/installations", "security", "")
		var page api.Installations
		if err := json.Unmarshal(got.Body.Bytes(), &page); err != nil || got.Code != 200 || n == 3 && len(page.Items) != 2 {
			t.Errorf("%s: %d %s", made, got.Code, got.Body)
		}
	}
}
