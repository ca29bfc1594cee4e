package crash

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"uplevel/internal/fsck"
	"uplevel/test/lab"
)

// verdict judges what a later start made of a disturbed run. It shares no code with the installer:
// fsck, and a comparison of trees.
type verdict struct {
	op            operation
	before, after map[string]string
}

// judge returns which state a home is in, "old" or "new", or what is wrong with it; r is
// the disturbed run.
func (v verdict) judge(h *house, r lab.Run) (state, wrong string) {
	now, err := snapshot(h)
	if err != nil {
		return "", "looking at it: " + err.Error()
	}
	report, err := fsck.Home(h.home())
	if err != nil && !v.op.fresh() {
		return "", "fsck: " + err.Error()
	}
	done := v.op.acknowledged(r)
	isOld, isNew := maps.Equal(now, v.before), maps.Equal(now, v.after)
	switch {
	case len(report.Lost) > 0:
		return "", "the way back is lost for " + strings.Join(report.Lost, ", ")
	case len(report.Findings) > 0 && (!v.op.hurt || !isOld || done):
		return "", "fsck finds: " + strings.Join(report.Findings, "; ")
	case !isOld && !isNew && v.op.partly(r) && v.eachIsEither(now):
		return "new", ""
	case !isOld && !isNew:
		return "", "neither old nor new:\n" + difference(v.before, v.after, now)
	case !isNew && done:
		return "", "what was acknowledged was taken back"
	case !isOld && v.op.denied(r) && !v.op.saysItIsLeft(r):
		return "", fmt.Sprintf("exit %d said that nothing was changed", r.Exit)
	case v.op.waits && r.Exit == v.op.ends && !lab.Exists(filepath.Join(h.home(), "updates/staging/pending.json")):
		return "", "what was acknowledged as prepared is gone"
	case isNew && !v.op.stays:
		return "new", ""
	}
	return "old", ""
}

// eachIsEither reports whether every path is as before or as after.
func (v verdict) eachIsEither(now map[string]string) bool {
	for _, m := range []map[string]string{v.before, v.after, now} {
		for p := range m {
			if now[p] != v.before[p] && now[p] != v.after[p] {
				return false
			}
		}
	}
	return true
}

// fresh reports whether a home may have no state of its own yet.
func (op operation) fresh() bool { return op.name == "first start" }

// snapshot is every path of a home with mode and content, with what a link leads out to,
// and the level that the state says; the rest of updates/ is fsck's to judge.
func snapshot(h *house) (map[string]string, error) {
	seen := map[string]string{}
	err := walk(h.home(), "", seen)
	if err == nil && h.place.layout == outward {
		err = walk(h.on("elsewhere"), "elsewhere/", seen)
	}
	if err == nil && h.place.layout == overlay {
		err = walk(h.on("lower"), "lower/", seen)
	}
	if err != nil {
		return nil, err
	}
	report, _ := fsck.Home(h.home()) // the judge asks again
	seen["level"] = fmt.Sprint(report.Level, report.Hotfixes)
	return seen, nil
}

func walk(dir, prefix string, seen map[string]string) error {
	return filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		// Staging on another mount is as that in updates/: fsck says when it is left.
		if rel == "updates" || d.IsDir() && strings.HasPrefix(d.Name(), ".uplevel-staging-") {
			return fs.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content := ""
		switch {
		case d.Type().IsRegular():
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			content = string(data)
			if len(data) > 1<<10 {
				content = fmt.Sprintf("%d bytes, %x", len(data), sha256.Sum256(data))
			}
		case d.Type()&fs.ModeSymlink != 0:
			content, _ = os.Readlink(p)
		}
		seen[prefix+rel] = info.Mode().String() + " " + content
		return nil
	})
}

func difference(before, after, now map[string]string) string {
	var b strings.Builder
	paths := map[string]bool{}
	for _, m := range []map[string]string{before, after, now} {
		for p := range m {
			paths[p] = true
		}
	}
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		if now[p] != before[p] || now[p] != after[p] {
			fmt.Fprintf(&b, "  %s: old %.40q, new %.40q, now %.40q\n", p, before[p], after[p], now[p])
		}
	}
	return b.String()
}
