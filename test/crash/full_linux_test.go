package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"uplevel/test/lab"
	"uplevel/test/powercut"
)

// fillsUp has the disk really run full in the midst of an operation: it ends well, or says why
// not and leaves the old level; recovery needs no room; and once there is room again the
// same command ends well.
func (s *sweeper) fillsUp(t *testing.T, op operation) {
	for _, kind := range []powercut.Kind{powercut.Ext4, powercut.XFS} {
		u := s.subject(t, op, place{kind, plain})
		for _, n := range u.rand.Perm(u.calls["any"])[:min(s.few(3, 24, 1000), u.calls["any"])] {
			if !s.late() {
				s.full(t, u, disturbance{"any", n + 1, "fill", never})
			}
		}
	}
}

// full is one such run.
func (s *sweeper) full(t *testing.T, u *subject, d disturbance) {
	t.Helper()
	s.in(t, u.from, func(h *house) {
		name := fmt.Sprintf("%s on %s: %s", u.op.name, h.place, d)
		r, what, err := s.disturbed(t, h, u.op, u.op.run, d)
		if err != nil {
			s.bad(t, u, name, err.Error())
			return
		}
		s.tally.ran(u, d, what.Met)
		says := strings.Contains(r.Output, "no space left") || strings.Contains(r.Output, "Insufficient disk space")
		if r.Exit != u.op.ends && (!u.op.denied(r) || !says) {
			s.bad(t, u, name, fmt.Sprintf("exit %d: %s", r.Exit, r.Output))
		}
		// What lies open is recovered on the disk as full as it is; what is whole can wait for room.
		if lab.Exists(filepath.Join(h.home(), "updates/COMMITTING")) {
			s.settle(t, u, h, r, name)
		}
		if err := os.Remove(h.ballast()); err != nil {
			t.Error(err)
		}
		s.settle(t, u, h, r, name+", then with room again")
		if r.Exit == u.op.ends {
			return
		}
		if r, _, err = s.disturbed(t, h, u.op, u.op.run, disturbance{}); err != nil || r.Exit != u.op.ends {
			s.bad(t, u, name, fmt.Sprintf("once more, with room: exit %d, %v: %s", r.Exit, err, r.Output))
			return
		}
		s.settle(t, u, h, r, name+", then once more")
	})
}
