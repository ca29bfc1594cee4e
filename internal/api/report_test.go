package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"uplevel/internal/problem"
)

// TestReportsAreSentAsTheirText compares what arrives with what is shown.
func TestReportsAreSentAsTheirText(t *testing.T) {
	t.Parallel()
	r := Report{Made: time.Date(2026, 11, 24, 1, 2, 3, 4e6, time.UTC), Installation: "i", Product: "shop", Hotfixes: []string{"<A&B>-hf1"}, Operation: "report", Outcome: "ok"}
	text, err := r.Text()
	if err != nil {
		t.Fatal(err)
	}
	var arrived []byte
	c, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		arrived, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusNoContent)
	})
	if err := c.Report(t.Context(), r); err != nil || string(arrived) != string(text) {
		t.Errorf("%v: %q arrived, %q is shown", err, arrived, text)
	}
	if !strings.Contains(string(text), `"made": "2026-11-24T01:02:03.004Z"`) || !strings.HasSuffix(string(text), "}\n") {
		t.Errorf("%s", text)
	}
}

func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	c, _ := newClient(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	})
	c.Patience = 50 * time.Millisecond
	began := time.Now()
	wantProblem(t, c.Report(t.Context(), Report{}), problem.Unreachable, "in time")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	c.Token = func(ctx context.Context) (string, error) {
		if _, limited := ctx.Deadline(); limited {
			t.Error("a person who types is timed")
		}
		return "upl_x", nil
	}
	_ = c.Report(t.Context(), Report{})
}

func TestUploadsAreAnsweredOneByOne(t *testing.T) {
	t.Parallel()
	answer := CarriedAnswer{Items: []ReportFate{{Fate: "new"}, {Fate: "known"}}}
	c, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		if r.URL.Path != "/api/v1/reports/carried" || string(data) != `{"reports":[{"newer":1},{}]}` {
			t.Errorf("%s %s", r.URL.Path, data)
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
	texts := []json.RawMessage{json.RawMessage(`{"newer": 1}`), json.RawMessage("{}")}
	if a, err := c.UploadReports(t.Context(), texts); err != nil || a.Items[1].Fate != "known" {
		t.Errorf("%+v, %v", a, err)
	}
	for _, strange := range [][]ReportFate{{{Fate: "new"}}, {{Fate: "new"}, {Fate: "great"}}, {{Fate: "new"}, {Fate: "refused", Text: "\x1b[2J"}}} {
		answer.Items = strange
		_, err := c.UploadReports(t.Context(), texts)
		wantProblem(t, err, problem.Unreachable, "other reports")
	}
}

func TestReadyBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	c, _ := newClient(t, func(http.ResponseWriter, *http.Request) { t.Error("something was sent") })
	if err := c.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	c.Base = "nowhere"
	wantProblem(t, c.Ready(t.Context()), problem.Usage, "cannot be used")
	c.Token = func(context.Context) (string, error) { return "", problem.New(problem.Usage, "Give one.", "no token") }
	wantProblem(t, c.Ready(t.Context()), problem.Usage, "no token")
}
