package refresh_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/trusttest"
)

// damages are what can become of a kept file.
var damages = map[string]func(t *testing.T, h *home, file string){
	"empty":     func(t *testing.T, _ *home, file string) { spill(t, file, nil) },
	"truncated": func(t *testing.T, _ *home, file string) { data := slurp(t, file); spill(t, file, data[:len(data)/2]) },
	"a flipped bit": func(t *testing.T, _ *home, file string) {
		data := slurp(t, file)
		data[len(data)/3] ^= 4
		spill(t, file, data)
	},
	"of another role": func(t *testing.T, h *home, file string) {
		other := "snapshot"
		if filepath.Base(file) == "snapshot.json" {
			other = "timestamp"
		}
		spill(t, file, h.cached(other))
	},
	"of its product": func(t *testing.T, h *home, file string) { spill(t, file, h.cached("product.wso2is")) },
	"of before":      func(t *testing.T, h *home, file string) { spill(t, file, h.repo.File("1."+filepath.Base(file))) },
	"null":           func(t *testing.T, _ *home, file string) { spill(t, file, []byte("null")) },
	"a folder": func(t *testing.T, _ *home, file string) {
		must(t, os.Remove(file))
		must(t, os.Mkdir(file, 0o755))
	},
	"a full folder": func(t *testing.T, _ *home, file string) {
		must(t, os.Remove(file))
		must(t, os.MkdirAll(filepath.Join(file, "x"), 0o755))
	},
	"a pipe": func(t *testing.T, _ *home, file string) {
		must(t, os.Remove(file))
		must(t, unix.Mkfifo(file, 0o644))
	},
	"a link to itself": func(t *testing.T, _ *home, file string) {
		must(t, os.Remove(file))
		must(t, os.Symlink(filepath.Base(file), file))
	},
	"a link to nowhere": func(t *testing.T, _ *home, file string) {
		must(t, os.Remove(file))
		must(t, os.Symlink("nowhere", file))
	},
	"a device without end": func(t *testing.T, _ *home, file string) {
		must(t, os.Remove(file))
		must(t, os.Symlink("/dev/zero", file))
	},
	"huge": func(t *testing.T, _ *home, file string) { must(t, os.Truncate(file, 1<<40)) },
	"not readable": func(t *testing.T, _ *home, file string) {
		must(t, os.Chmod(file, 0)) // who is root reads it all the same, which is no damage
	},
}

func spill(t *testing.T, file string, data []byte) {
	t.Helper()
	must(t, os.WriteFile(file, data, 0o644))
}

func slurp(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	must(t, err)
	return data
}

// TestEveryDamageOfTheCacheHeals: a cache is a hint. What only reads it says so or has the
// right answer, and the next refresh brings back what was there.
func TestEveryDamageOfTheCacheHeals(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"timestamp", "snapshot", "targets", "product.wso2is", is.Role(), "tool"} {
		for name, damage := range damages {
			t.Run(role+" "+name, func(t *testing.T) {
				t.Parallel()
				h := newHome(t)
				h.repo.AddTool("1.0", "linux/amd64", []byte("one"))
				h.repo.PublishOnline()
				h.refresh(is)
				before := h.folder()
				damage(t, h, filepath.Join(h.dir, trust.CacheName(role)))
				if view, err := h.client().Trusted(is); err != nil {
					refused(t, err, problem.Verification, "")
				} else if name != "of before" { // which lists what it did
					want(t, "levels", levels(t, view, is), []int{0, 1})
				}
				want(t, "levels", levels(t, h.refresh(is), is), []int{0, 1})
				view := h.refresh(is)
				want(t, "programs", len(view.Tools()), 1)
				if name != "not readable" {
					want(t, "folder", h.folder(), before)
				}
			})
		}
	}
}

// TestADamagedRootChainIsRefused, and not replaced by the pack's: that would bring back keys
// that were revoked since.
func TestADamagedRootChainIsRefused(t *testing.T) {
	t.Parallel()
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.repo.PublishRoot()
			h.refresh(is)
			file := filepath.Join(h.dir, "root.json")
			sound := slurp(t, file)
			damage(t, h, file)
			switch {
			case name == "not readable" && os.Geteuid() == 0, name == "of before":
				h.refresh(is) // an older root leads on to the newer
				return
			case name == "a link to nowhere":
				_, err := h.client().Refresh(context.Background(), is)
				if err == nil {
					return // as if absent: the pack's root leads on along the chain
				}
			}
			for range 2 {
				_, err := h.client().Refresh(context.Background(), is)
				refused(t, err, problem.Verification, "root.json is damaged")
			}
			must(t, os.RemoveAll(file))
			spill(t, file, sound)
			h.refresh(is)
		})
	}
}

// TestAFullDiskTakesNothingAway: what could not be replaced stays, the root above all.
func TestAFullDiskTakesNothingAway(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("a disk that is full needs root")
		}
		t.Skip("SKIPPED: a disk that is full needs root: run sudo make test")
	}
	h := newHome(t)
	must(t, os.MkdirAll(h.dir, 0o755))
	must(t, unix.Mount("uplevel-test", h.dir, "tmpfs", 0, "size=64k"))
	t.Cleanup(func() { must(t, unix.Unmount(h.dir, unix.MNT_DETACH)) })
	h.refresh(is)
	before := h.folder()
	ballast := filepath.Join(h.dir, ".ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o644); err == nil {
		t.Fatal("the disk is not full")
	}
	h.repo.PublishRoot()
	_, err := h.client().Refresh(context.Background(), is)
	refused(t, err, problem.Refused, "Unable to keep trusted metadata")
	must(t, os.Remove(ballast))
	want(t, "folder", h.folder(), before)
	want(t, "root", h.refresh(is).RootVersion(), int64(2))
}

// TestARefreshThatWasCutOffHidesNothing: killed between any two files, commands that only
// read find what was trusted last.
func TestARefreshThatWasCutOffHidesNothing(t *testing.T) {
	t.Parallel()
	newer := []string{"timestamp", "snapshot", "targets", "product.wso2is", is.Role()}
	for n := range len(newer) + 1 {
		t.Run(fmt.Sprintf("after %d files", n), func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.refresh(is)
			for _, role := range []string{"targets", "product.wso2is"} {
				h.repo.PublishRole(role)
			}
			h.repo.AddLevel(is, 2)
			h.repo.PublishOnline()
			for _, role := range newer[:n] {
				spill(t, filepath.Join(h.dir, trust.CacheName(role)), h.repo.Current(role))
			}
			view, err := h.client().Trusted(is)
			must(t, err)
			known := []int{0, 1}
			if n == len(newer) {
				known = []int{0, 1, 2}
			}
			want(t, "levels", levels(t, view, is), known)
			want(t, "levels", levels(t, h.refresh(is), is), []int{0, 1, 2})
		})
	}
}

// TestThousandsOfProducts: a vendor with 4,000 products, and a client that wants one line.
func TestThousandsOfProducts(t *testing.T) { //nolint:paralleltest // it measures memory
	h := newHome(t)
	key := trusttest.Key("product.wso2is")
	for n := range 4000 {
		product := fmt.Sprintf("product.p%d", n)
		h.repo.AddDelegation("targets", product, trust.ProductPaths(fmt.Sprintf("p%d", n)), trusttest.Key(fmt.Sprint("key of ", n)))
		h.repo.Roles[product].Signed.Version = 1
	}
	h.repo.Keys["product.wso2is"] = append(h.repo.Keys["product.wso2is"][:0:0], key)
	h.repo.PublishRole("targets")
	h.repo.PublishOnline()
	for _, role := range []string{"targets", "snapshot"} {
		size := int64(len(h.repo.Current(role)))
		t.Logf("%s: %d kB of %d kB", role, size>>10, trust.MaxLength(role)>>10)
		if size > trust.MaxLength(role) {
			t.Errorf("%s is longer than may be", role)
		}
	}
	took, peak := measured(func() { h.refresh(is) })
	t.Logf("first refresh: %v, %d MB", took, peak>>20)
	again, peakAgain := measured(func() { h.refresh(is) })
	t.Logf("again: %v, %d MB", again, peakAgain>>20)
	if most := max(peak, peakAgain); most > 48<<20 {
		t.Errorf("%d MB", most>>20)
	}
	view, err := h.client().Trusted(is)
	must(t, err)
	want(t, "levels", levels(t, view, is), []int{0, 1})
}

// measured runs work with a collector that is as eager as the tool's memory limit makes it,
// and returns its time and by how much the heap grew at most.
func measured(work func()) (time.Duration, uint64) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	base := m.HeapAlloc
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	var peak atomic.Uint64
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for tick := time.NewTicker(2 * time.Millisecond); ; {
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak.Store(max(peak.Load(), m.HeapAlloc-min(base, m.HeapAlloc)))
			}
		}
	}()
	began := time.Now()
	work()
	took := time.Since(began)
	close(done)
	<-stopped
	return took, peak.Load()
}

// TestTenMegabytesAreRefused, whatever role they are served for; no more than the role's
// limit is held.
func TestTenMegabytesAreRefused(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"timestamp", "snapshot", "targets", "product.wso2is", is.Role()} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.refresh(is)
			kept := h.cached(is.Role())
			h.repo.PublishRole("targets")
			h.repo.PublishRole("product.wso2is")
			h.repo.AddLevel(release.Line{Product: "wso2is", Version: "7.1.0", Channel: "full"}, 2)
			h.repo.PublishOnline()
			signed := h.repo.Current(role)
			name := "timestamp.json"
			if role != "timestamp" {
				version := h.repo.Snapshot.Signed.Version
				if role != "snapshot" {
					version = h.repo.Roles[role].Signed.Version
				}
				name = trust.FileName(role, version)
			}
			// Signed rightly: white space at the end is no part of what is signed.
			h.repo.Put(name, append(bytes.Clone(signed), bytes.Repeat([]byte(" "), 10<<20)...))
			_, err := h.client().Refresh(context.Background(), is)
			refused(t, err, problem.Verification, name+": it is longer than")
			if !bytes.Equal(kept, h.cached(is.Role())) {
				t.Error("the line changed")
			}
			h.repo.Put(name, signed)
			want(t, "levels", levels(t, h.refresh(is), is), []int{0, 1, 2})
		})
	}
}
