package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"uplevel/internal/problem"
	"uplevel/internal/trust"
)

// Bounds of what is enough. What a change really needs, plan tells.
const (
	littleSpace = 1 << 30  // bytes: some updates need more
	noSpace     = 64 << 20 // bytes: no update fits
	littleFiles = 10_000   // inodes
	noFiles     = 500
	clockOff    = 5 * time.Minute // against the service's
	clockWrong  = 24 * time.Hour
)

// Disk is a file system as far as it matters.
type Disk struct {
	Free      int64  // bytes that this user may write
	FreeFiles int64  // files that may still be made; -1: not counted
	Kind      string // such as ext4 or nfs; empty: not known
	ReadOnly  bool
}

// local are the checks that need no network.
func (r *run) local() []look {
	return []look{
		{"product", "Product", nil, r.lookProduct},
		{"permissions", "Permissions", []string{"product"}, r.lookPermissions},
		{"disk-home", "Disk, product", []string{"product"}, func(context.Context) finding { return r.disk(r.product.Home) }},
		{"disk-cache", "Disk, downloads", nil, r.lookCache},
		{"disk-temp", "Disk, temporary files", nil, func(context.Context) finding { return r.folder(r.Temp) }},
		{"file-system", "File system", []string{"product"}, r.lookFileSystem},
		{"clock", "Clock", nil, r.lookClock},
		{"root", "Trusted root", nil, r.lookRoot},
		{"metadata", "Metadata kept", []string{"product", "root"}, r.lookMetadata},
	}
}

func (r *run) lookProduct(context.Context) finding {
	p, err := r.Product()
	if err != nil {
		return failed(problem.Refused, "Give the product's folder with --dir.", err)
	}
	r.product = p
	what := fmt.Sprintf("%s at level %s in %s", p.Line.ProductVersion(), p.Line.LevelName(p.Number), p.Home)
	switch {
	case p.Home == "":
		return skip("none here; give its folder with --dir to have it looked at")
	case p.Locked != "":
		return doubt("Wait for it to end.", "%s; at work on it: %s", what, p.Locked)
	case p.Cut:
		return wrong(problem.Refused, "Run recover: it completes or undoes the change.", "%s; a change of it was interrupted", what)
	case p.Conflicts > 0:
		return doubt("Run conflicts to see them, or run revert to drop the change.", "%s; a change to level %s waits for %s", what, p.Pending, plural(p.Conflicts, "decision"))
	case p.Pending != "":
		return doubt("Run apply to commit it, or run revert to drop it.", "%s; a change to level %s is prepared", what, p.Pending)
	}
	return fine("%s", what)
}

// lookPermissions asks for what every update writes; the folders that one really
// changes, --dry-run looks at.
func (r *run) lookPermissions(context.Context) finding {
	for _, dir := range []string{"", "updates"} {
		at := filepath.Join(r.product.Home, dir)
		if err := r.Writable(at); err != nil {
			return wrong(problem.Refused, "Run it as the user who owns the product's folder, on a disk that may be written.",
				"%s may not write %s: %v", r.User, at, err)
		}
	}
	bin := filepath.Join(r.product.Home, "bin")
	if err := r.Writable(bin); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return doubt("See to it that its owner updates the tool.", "%s may write the product, but not %s: the tool cannot update itself (%v)", r.User, bin, err)
	}
	return fine("%s may write the product's folder, updates and bin", r.User)
}

func (r *run) lookCache(context.Context) finding {
	if r.Cache == "" {
		return doubt("Name a folder with UPLEVEL_CACHE to keep downloads.", "this user has no cache folder: downloads are thrown away after each run")
	}
	return r.folder(r.Cache)
}

// folder looks at a folder, or the one above it where it will be made.
func (r *run) folder(dir string) finding {
	at := dir
	for {
		if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			break
		}
		at = filepath.Dir(at)
	}
	if err := r.Writable(at); err != nil {
		return doubt("Name a folder that can be written with UPLEVEL_CACHE or TMPDIR.", "%s may not write %s: %v", r.User, at, err)
	}
	f := r.disk(at)
	if at != dir && f.state == OK {
		f.found += " (for " + dir + ", which will be made)"
	}
	return f
}

func (r *run) disk(dir string) finding {
	d, err := r.Disk(dir)
	if err != nil {
		return wrong(problem.Refused, "See what is wrong with the disk.", "%s cannot be looked at: %v", dir, err)
	}
	what := fmt.Sprintf("%s free in %s", size(d.Free), dir)
	if d.FreeFiles >= 0 {
		what += fmt.Sprintf(", room for %d files", d.FreeFiles)
	}
	switch {
	case d.Free < noSpace:
		return wrong(problem.Refused, "Free some space; what a change needs you see with plan.", "Insufficient disk space: %s", what)
	case d.FreeFiles >= 0 && d.FreeFiles < noFiles:
		return wrong(problem.Refused, "Remove files that nobody needs: the disk has space, but no room for more of them (inodes).", "Insufficient disk space: %s", what)
	case d.Free < littleSpace, d.FreeFiles >= 0 && d.FreeFiles < littleFiles:
		return doubt("Check what the change needs with plan.", "%s: a large update may not fit", what)
	}
	return fine("%s", what)
}

func (r *run) lookFileSystem(context.Context) finding {
	d, err := r.Disk(r.product.Home)
	if err != nil {
		return wrong(problem.Refused, "See what is wrong with the disk.", "%s cannot be looked at: %v", r.product.Home, err)
	}
	what := "of a kind that this system does not tell"
	if d.Kind != "" {
		what = d.Kind
	}
	if n := len(r.product.Mounts); n > 0 {
		what += fmt.Sprintf(", with %s mounted below the product: %.200s", plural(n, "other"), strings.Join(r.product.Mounts, ", "))
	}
	switch {
	case d.ReadOnly:
		return wrong(problem.Refused, "Mount it so that it can be written.", "%s, mounted read-only", what)
	case d.Kind == "nfs", d.Kind == "cifs", d.Kind == "smb", d.Kind == "9p", d.Kind == "fuse":
		return doubt("Update from one machine at a time.", "%s: locks and what survives a power cut are up to its server", what)
	case d.Kind == "tmpfs", d.Kind == "ramfs":
		return doubt("Move the product to a disk if it is to stay.", "%s: gone when this machine restarts", what)
	case d.Kind == "overlay":
		what += " (of a container: what is not on a volume goes with it)"
	}
	return fine("%s", what)
}

// lookClock compares with what was done last: a clock that went back is wrong now or was
// wrong then.
func (r *run) lookClock(context.Context) finding {
	now, last := r.Now(), r.product.LastChange
	text := now.Local().Format("2006-01-02 15:04 MST")
	if last.After(now.Add(clockOff)) {
		return doubt("Set this machine's clock (NTP); signatures and certificates are judged by it.",
			"%s, but the last change here was made on %s", text, last.Local().Format("2006-01-02 15:04 MST"))
	}
	return fine("%s", text)
}

func (r *run) lookRoot(context.Context) finding {
	fingerprint, from, err := r.Root()
	if err != nil {
		return failed(problem.Verification, "Bring it back from the vendor's pack.", err)
	}
	if fingerprint == "" && r.product.Home == "" {
		return skip("none here, as there is no product; give it with --root to have the service's metadata verified")
	}
	if fingerprint == "" {
		return wrong(problem.Verification, "Give it with --root, or put root.json from the vendor's pack into updates/.",
			"there is none: nothing that comes can be verified")
	}
	return fine("%s (%s); compare with what your vendor publishes", fingerprint, from)
}

func (r *run) lookMetadata(context.Context) finding {
	view, err := r.Trusted()
	if errors.Is(err, fs.ErrNotExist) {
		return fine("none yet; they come with the first check or update")
	}
	if err != nil {
		return failed(problem.Verification, "Run check to fetch them anew.", err)
	}
	return r.fresh(view)
}

// fresh tells until when metadata are good. Expired ones are renewed by the next check;
// they fail only where the service has no newer ones.
func (r *run) fresh(view *trust.View) finding {
	role, at := view.Expires()
	text := fmt.Sprintf("root version %d; good until %s (%s)", view.RootVersion(), at.UTC().Format("2006-01-02 15:04 MST"), role)
	if view.Expired() {
		return doubt("Run check with the network at hand, or carry in newer ones.", "%s: over, so no new level is accepted until they are renewed", text)
	}
	return fine("%s", text)
}

// size is a number of bytes as people read it.
func size(n int64) string {
	switch {
	case n < 1_000_000:
		return fmt.Sprintf("%.1f KB", float64(n)/1e3)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
