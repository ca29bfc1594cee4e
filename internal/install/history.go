package install

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// Change is one entry of the history: what a commit did.
type Change struct {
	Format   int           `json:"format"` // 1
	ID       int           `json:"id"`
	Kind     plan.Kind     `json:"kind"`
	RevertTo int           `json:"revert_to,omitempty"` // a revert: the oldest change that it took back
	Time     time.Time     `json:"time"`
	From     plan.Point    `json:"from"`
	To       plan.Point    `json:"to"`
	User     string        `json:"user,omitempty"`
	Outcome  string        `json:"outcome"`
	Files    []FileChange  `json:"files"`
	Kept     []release.Ref `json:"kept,omitempty"` // records of the level left behind
}

// FileChange is what a change did at one path.
type FileChange struct {
	Path       string          `json:"path"`
	Before     *manifest.Entry `json:"before,omitempty"`
	After      *manifest.Entry `json:"after,omitempty"`
	Customised bool            `json:"customised,omitempty"` // it was the operator's before
	Why        string          `json:"why,omitempty"`        // merged, resolved, renamed, … as the plan said
}

// History returns every change of the installation, the oldest first.
func (h *Home) History() ([]Change, error) {
	entries, err := fs.ReadDir(h.root.FS(), historyDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the history: %w", err)
	}
	var all []Change
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		data, err := h.read(historyDir+"/"+e.Name(), 1024*manifest.MaxEntries)
		if err != nil {
			return nil, fmt.Errorf("reading the history: %w", err)
		}
		var c Change
		if err := json.Unmarshal(data, &c); err != nil || c.Format != 1 {
			return nil, problem.New(problem.Verification, "Bring updates/history/"+e.Name()+" back from a backup; without one move it away: what it tells, and the way back over it, is lost.",
				"updates/history/%s is damaged: %w", e.Name(), orUnknown(err))
		}
		all = append(all, c)
	}
	return all, nil
}

func historyName(id int) string { return fmt.Sprintf("%s/%06d.json", historyDir, id) }
