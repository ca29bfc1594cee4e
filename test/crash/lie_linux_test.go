package crash

import (
	"testing"

	"uplevel/test/powercut"
)

// seesWhatIsNotSynced shows that the sweep can fail: where no sync is made, though each says that it
// is, a cut after an acknowledged success must be judged bad, on each kind of disk and with each loss.
func (s *sweeper) seesWhatIsNotSynced(t *testing.T, op operation) {
	for _, kind := range []powercut.Kind{powercut.Ext4, powercut.XFS} {
		u := s.subject(t, op, place{kind, plain})
		for _, loss := range []powercut.Loss{powercut.Flushed, powercut.Unflushed} {
			s.in(t, u.from, func(h *house) {
				r, what, err := s.disturbed(t, h, op, op.run, disturbance{"any", 1, "lie", loss})
				if err != nil || !what.Met || r.Exit != op.ends {
					t.Errorf("exit %d, %v: %s", r.Exit, err, r.Output)
					return
				}
				if err := h.cut(loss, true); err != nil {
					t.Error(err)
					return
				}
				if err := s.recovered(t, h, op); err != nil {
					return // bad, and seen
				}
				if state, wrong := u.judge(h, r); wrong == "" {
					t.Errorf("%s%s: without any sync the judge sees the %s state and nothing wrong", kind, lossNames()[loss], state)
				}
			})
		}
	}
}
