package fsck

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
)

// homePending is what the judge reads of updates/staging/pending.json.
type homePending struct {
	Held   bool `json:"held"`
	Staged map[string]struct {
		New string `json:"new"`
	} `json:"staged"`
	Sides []string `json:"sides"`
}

// pending judges a prepared change: it must wait for someone, and have all it needs.
func (j *homeJudge) pending() {
	var p homePending
	switch err := j.readJSON("updates/staging/pending.json", &p); {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err != nil:
		j.find("the prepared change: %v", err)
		return
	}
	if !p.Held {
		j.find("a prepared change is left that nobody waits for")
	}
	for _, path := range slices.Sorted(maps.Keys(p.Staged)) {
		if p.Staged[path].New != "" {
			j.there(p.Staged[path].New, "what is staged for "+path)
		}
	}
	for _, side := range p.Sides {
		j.there(side, "a side file of a conflict")
	}
}

func (j *homeJudge) there(rel, what string) {
	if _, err := os.Lstat(j.path(rel)); err != nil {
		j.find("%s is not at %s: %v", what, rel, err)
	}
}

// homeEntry is a path's entry in the history.
type homeEntry struct {
	Kind   string `json:"kind"`
	Sum    string `json:"sum"`
	Target string `json:"target"`
}

// stale names what stands as it stood before the last change, and what of it is lost.
func (j *homeJudge) stale(state homeState) {
	if state.History == 0 {
		return
	}
	var last struct {
		Files []struct {
			Path   string     `json:"path"`
			Before *homeEntry `json:"before"`
			After  *homeEntry `json:"after"`
		} `json:"files"`
	}
	if err := j.readJSON(fmt.Sprintf("updates/history/%06d.json", state.History), &last); err != nil {
		return // config says so
	}
	for _, f := range last.Files {
		j.lost(f.Path, f.Before, f.After)
		switch {
		case f.Before != nil && f.After != nil && *f.Before == *f.After: // its mode changed
		case f.Before == nil || f.Before.Kind == "dir": // a folder may stay for a foreign file
		case j.holds(f.Path, *f.Before):
			j.report.Stale = append(j.report.Stale, f.Path)
		}
	}
}

// lost names a file whose content a change replaced, when the store does not hold it. What
// could not be read has no digest: nobody has it.
func (j *homeJudge) lost(path string, before, after *homeEntry) {
	if before == nil || before.Kind != "file" || before.Sum == "" || after != nil && after.Sum == before.Sum {
		return
	}
	if _, err := os.Lstat(j.path("updates/store/" + before.Sum)); err != nil {
		j.report.Lost = append(j.report.Lost, path)
	}
}

// holds reports whether the file or link of an entry stands at path.
func (j *homeJudge) holds(path string, e homeEntry) bool {
	if e.Kind == "link" {
		target, err := os.Readlink(j.path(path))
		return err == nil && target == e.Target
	}
	sum, _, err := j.sum(path)
	return err == nil && sum == e.Sum
}
