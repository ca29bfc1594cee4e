package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"uplevel/test/lab"
	"uplevel/test/powercut"
)

// exhaustive are the calls at which every point is tried, sampled those at which some are.
func exhaustive() []string {
	return []string{"renameat", "linkat", "unlinkat", "mkdirat", "fsync", "syncfs", "symlinkat", "fchmod", "fchmodat", "ftruncate", "fchownat", "utimensat", "copy_file_range"}
}

func sampled() []string { return []string{"write", "openat"} }

// failures are the errors that calls are made to return. With + every later change fails
// alike, as on a disk that is full, failing or read-only from then on.
func failures() []string {
	return []string{"EIO", "ENOSPC", "EDQUOT", "EACCES", "EROFS", "EINTR", "ENOSPC+", "EIO+", "EROFS+"}
}

// disturbance is what happens at one call of a run.
type disturbance struct {
	call string
	nth  int    // 0: nothing happens, and the power is cut when the run has ended
	how  string // as the program disturb takes it; NAME/N: and N calls later a kill
	loss powercut.Loss
}

const never powercut.Loss = 0

// Cuts at which one of two disks loses its journal, and the other has just written its own out.
const (
	firstLost  powercut.Loss = 3
	secondLost powercut.Loss = 4
)

func (d disturbance) String() string {
	what := fmt.Sprintf("%s #%d %s", d.call, d.nth, d.how)
	if d.nth == 0 {
		what = "whole"
	}
	return what + lossNames()[d.loss]
}

func lossNames() map[powercut.Loss]string {
	return map[powercut.Loss]string{never: "", powercut.Flushed: ", then a cut, journal flushed", powercut.Unflushed: ", then a cut, journal lost", firstLost: ", then a cut, the first of two journals lost", secondLost: ", then a cut, the second of two journals lost"}
}

// sort is the kind of a disturbance, for the count at the end.
func (d disturbance) sort() string {
	what := d.how
	switch {
	case d.nth == 0 && d.loss == never:
		return "none"
	case d.nth == 0:
		what = "success"
	case d.how == "kill" || d.how == "term" || d.how == "short" || d.how == "fill" || strings.HasPrefix(d.how, "pair"):
	case strings.Contains(d.how, "/"):
		what = "kill in going back"
	default:
		what = "error " + d.how
	}
	return what + lossNames()[d.loss]
}

// seen is what the program disturb says of a run.
type seen struct {
	Calls map[string]int
	Met   bool
}

// disturbed runs the tool with args in a house under a disturbance.
func (s *sweeper) disturbed(t *testing.T, h *house, op operation, args []string, d disturbance) (lab.Run, seen, error) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	report := h.disks[0].Image + ".report"
	defer os.Remove(report)
	line := []string{"UPLEVEL_CACHE=" + h.on("cache"), s.lab.Path("bin", "disturb"), "-report", report, "-below", h.disks[0].At}
	if d.nth > 0 {
		how, then, _ := strings.Cut(d.how+"/0", "/")
		then, _, _ = strings.Cut(then, "/")
		line = append(line, "-call", d.call, "-nth", fmt.Sprint(d.nth), "-how", how, "-then", then, "-ballast", h.ballast())
	}
	line = append(line, s.program(h, op))
	for _, a := range args {
		line = append(line, strings.NewReplacer("$LAB", s.lab.Dir, "$HOUSE", h.on()).Replace(a))
	}
	r, err := s.lab.Do(ctx, h.home(), "env", line...)
	if ctx.Err() != nil {
		return r, seen{}, errors.New("it hangs")
	}
	var what seen
	data, readErr := os.ReadFile(report)
	if readErr != nil {
		return r, what, fmt.Errorf("%w: %w", readErr, err)
	}
	return r, what, json.Unmarshal(data, &what)
}

func (s *sweeper) program(h *house, op operation) string {
	if op.program != "" {
		return h.home() + "/" + op.program
	}
	return s.lab.Path("bin", "uplevel")
}

// recovered runs recover in a house, undisturbed.
func (s *sweeper) recovered(t *testing.T, h *house, op operation) error {
	t.Helper()
	r, err := s.lab.Do(t.Context(), h.home(), "env", "UPLEVEL_CACHE="+h.on("cache"), s.program(h, op), "recover")
	if r.Exit != 0 {
		return fmt.Errorf("recover: %w", err)
	}
	return nil
}
