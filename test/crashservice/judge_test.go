package crashservice

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"uplevel/internal/fsck"
)

// judge starts the service anew and looks at everything that was promised.
func (sw *sweeper) judge(t *testing.T, s *site, op operation, p point, r ran, said string) {
	t.Helper()
	if op.dev && !sw.devAgain(t, s, op, p) {
		return
	}
	if up, err := s.begin(s.serve()...); !up {
		sw.fail(t, op, p, "the service does not come up again: %v: %s", err, s.service.log)
		return
	}
	sw.sound(t, s, op, p, "after it")
	there, err := op.there(s)
	switch {
	case err != nil:
		sw.fail(t, op, p, "it cannot be asked for: %v", err)
		return
	case there:
		sw.new++
	case r.exit == 0:
		sw.fail(t, op, p, "what was acknowledged is gone: %s%s\n%s", r.out, r.err, said)
		return
	default:
		sw.old++
	}
	if !op.empty {
		sw.customer(t, s, op, p)
	}
	if !op.serves {
		sw.again(t, s, op, p, there)
	}
	if *sweep || sw.rand.IntN(3) == 0 {
		sw.next(t, s, op, p)
		sw.sound(t, s, op, p, "after the next publication")
	}
}

// devAgain: a folder that a cut first start left is refused with the next step, or empty
// still; a plain start takes it either way.
func (sw *sweeper) devAgain(t *testing.T, s *site, op operation, p point) bool {
	t.Helper()
	up, err := s.begin(op.run(s)...)
	switch {
	case err != nil:
		sw.fail(t, op, p, "started again with --dev: %v", err)
		return false
	case up:
		s.kill()
	default:
		code := s.service.cmd.ProcessState.ExitCode()
		if log := s.service.log.String(); code != 15 || !strings.Contains(log, "next: name a new folder") {
			sw.fail(t, op, p, "started again with --dev: exit %d: %s", code, log)
			return false
		}
	}
	return true
}

// sound has the store judged.
func (sw *sweeper) sound(t *testing.T, s *site, op operation, p point, when string) {
	t.Helper()
	if r := s.run(t.Context(), "upleveld", "check", "--deep"); r.exit != 0 || strings.Contains(r.out, "DAMAGE") {
		sw.fail(t, op, p, "%s check --deep ends with %d: %s%s", when, r.exit, r.out, r.err)
	}
}

// customer updates from level 0: to whatever is newest, wholly.
func (sw *sweeper) customer(t *testing.T, s *site, op operation, p point) {
	t.Helper()
	home := s.path("customer")
	if out, err := exec.Command("cp", "-a", s.path("home"), home).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r := s.run(t.Context(), "uplevel", "--dir", home, "update", "--yes")
	if op.revokes {
		if r.exit != 0 && r.exit != 12 {
			sw.fail(t, op, p, "a customer's update ends with %d: %s%s", r.exit, r.out, r.err)
		}
		return
	}
	report, err := fsck.Home(home)
	if r.exit != 0 || err != nil || len(report.Findings)+len(report.Customised)+len(report.Missing) > 0 || report.Level < op.least {
		sw.fail(t, op, p, "a customer's update ends with %d at level %d: %v %v: %s%s", r.exit, report.Level, report, err, r.out, r.err)
		return
	}
	if text, err := os.ReadFile(home + "/bin/start"); err != nil || string(text) != fmt.Sprintf("shop %d", report.Level) {
		sw.fail(t, op, p, "a customer at level %d has %q, %v", report.Level, text, err)
	}
}

// again runs the same command again: it must do, and it must be there afterwards.
func (sw *sweeper) again(t *testing.T, s *site, op operation, p point, there bool) {
	t.Helper()
	r := s.run(t.Context(), op.run(s)...)
	if r.exit != 0 && (!there || !op.twice(r)) {
		sw.fail(t, op, p, "the same command again ends with %d (it was there before: %v): %s%s\n%s", r.exit, there, r.out, r.err, s.service.log)
		return
	}
	if there, err := op.there(s); !there || err != nil {
		sw.fail(t, op, p, "the same command again ends well, and it is not there: %v", err)
	}
}

// next publishes something else: nothing of what happened may be in its way.
func (sw *sweeper) next(t *testing.T, s *site, op operation, p point) {
	t.Helper()
	lines := [][]string{{"uplevel-publish", "level", "shop", "1", "--dist", s.Path("shop 3"), "--notes", s.Path("notes.yaml")}}
	if op.empty {
		if err := admit(s); err != nil {
			sw.fail(t, op, p, "%v", err)
			return
		}
		lines = [][]string{{"uplevel-publish", "keys", "init"}, {"uplevel-publish", "product", "add", "shop", "1", "--platform", "unix", "--dist", s.Path("shop 0")}}
	}
	for _, line := range append(lines, []string{"uplevel-publish", "keys", "status"}) {
		if r := s.run(t.Context(), line...); r.exit != 0 {
			sw.fail(t, op, p, "what comes next, %v, ends with %d: %s%s\n%s", line[:3], r.exit, r.out, r.err, s.service.log)
			return
		}
	}
}

// The files with the tokens of who asks.
const (
	customerToken  = "customer.token"
	publisherToken = "publisher.token"
)

// ask asks the API, and returns the status and the answer.
func (s *site) ask(path, as string) (int, string, error) {
	r, err := http.NewRequest(http.MethodGet, s.env["UPLEVEL_SERVICE"]+"/api/v1/"+path, nil)
	if err != nil {
		return 0, "", err
	}
	token, err := os.ReadFile(s.path(as))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	answer, err := s.http.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}
