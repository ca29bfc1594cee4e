package selfupdate_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"uplevel/internal/trust/trusttest"
)

// TestToolRenewsItself is the life of a tool in the order it happens: nothing newer, a
// newer one, one that is demanded, a broken one.
//
//nolint:tparallel // one after the other: more and more is published
func TestToolRenewsItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	t.Run("nothing newer", func(t *testing.T) {
		home := w.fresh(t)
		w.run(t, home, "bin/"+tool, "self-update").ends(t, 0, "version 1.0.0, is the newest")
		w.run(t, home, "bin/"+tool).ends(t, 0, "from level 1.0 to 1.1")
		w.is(t, home, oldVersion, 1)
	})
	w.publish(newVersion)
	t.Run("newer", func(t *testing.T) { w.newer(t) })
	t.Run("cut on the way", func(t *testing.T) { w.cut(t) })
	t.Run("carried in", func(t *testing.T) { w.carried(t) })
	t.Run("where it lies", func(t *testing.T) { w.places(t) })
	t.Run("other users", func(t *testing.T) { w.others(t) })
	t.Run("something waits", func(t *testing.T) { w.waits(t) })
	t.Run("trouble", func(t *testing.T) { w.trouble(t) })
	w.must("upleveld", "admin", "vendor", "set", "--minimum-tool", newVersion)
	t.Run("demanded", func(t *testing.T) { w.demanded(t) })
	w.must("upleveld", "admin", "vendor", "set", "--minimum-tool", "")
	root, err := filepath.Abs("testdata/broken")
	if err != nil {
		t.Fatal(err)
	}
	w.build(brokenVersion, root, "main.go")
	w.publish(brokenVersion)
	t.Run("broken", func(t *testing.T) { w.broken(t) })
	t.Run("broken, carried in", func(t *testing.T) { w.carriedBroken(t) })
	if said := w.must("upleveld", "check", "--deep"); !strings.Contains(said, "3 programs of the update tool") {
		t.Error(said)
	}
}

// newer tries the three ways of --self-update, and the command.
func (w *world) newer(t *testing.T) {
	for what, run := range map[string]func(t *testing.T, home string){
		"auto": func(t *testing.T, home string) {
			w.run(t, home, "bin/"+tool, "--template", "Modified: {{.Modified}}").ends(t, 0, "from version 1.0.0 to 1.1.0", "from level 1.0 to 1.1", "\nModified: [conf/a.properties]\n")
			w.is(t, home, newVersion, 1)
		},
		"options in the environment": func(t *testing.T, home string) {
			env := []string{"UPLEVEL_TEMPLATE=Modified: {{.Modified}}"}
			w.with(t, home, env, "bin/"+tool).ends(t, 0, "from version 1.0.0 to 1.1.0", "\nModified: [conf/a.properties]\n")
			w.is(t, home, newVersion, 1)
		},
		"exit": func(t *testing.T, home string) {
			w.run(t, home, "bin/"+tool, "--self-update=exit").ends(t, 2, "updated from version 1.0.0 to 1.1.0", "Run the command again")
			w.is(t, home, newVersion, 0)
			w.run(t, home, "bin/"+tool, "--self-update=exit").ends(t, 0, "from level 1.0 to 1.1")
		},
		"exit in JSON": func(t *testing.T, home string) {
			e := w.run(t, home, "bin/"+tool, "--self-update=exit", "--output", "json")
			if said := e.says(t); e.exit != 2 || said["to"] != newVersion || said["from"] != oldVersion || said["outcome"] != "replaced" {
				t.Errorf("%v", said)
			}
		},
		"auto in JSON": func(t *testing.T, home string) {
			e := w.run(t, home, "bin/"+tool, "update", "--output", "json")
			if said := e.says(t); e.exit != 0 || said["outcome"] != "done" {
				t.Errorf("%v", said)
			}
		},
		"never": func(t *testing.T, home string) {
			w.with(t, home, []string{"UPLEVEL_SELF_UPDATE=never"}, "bin/"+tool).ends(t, 0, "from level 1.0 to 1.1")
			w.is(t, home, oldVersion, 1)
		},
		"nothing else to do": func(t *testing.T, home string) {
			w.run(t, home, "bin/"+tool, "--self-update", "never").ends(t, 0)
			w.run(t, home, "bin/"+tool).ends(t, 0, "from version 1.0.0 to 1.1.0", "nothing to do")
			w.is(t, home, newVersion, 1)
		},
		"password on standard input": func(t *testing.T, home string) {
			run := "printf '%s' \"$UPDATE_TOOL_PASSWORD\" | env -u UPDATE_TOOL_PASSWORD bin/" + tool + " --password-stdin"
			w.run(t, home, "sh", "-c", run).ends(t, 0, "from version 1.0.0 to 1.1.0", "from level 1.0 to 1.1")
		},
		"a copy": func(t *testing.T, home string) {
			w.run(t, home, "bin/"+tool, "--to", home+"-copy").ends(t, 0, "from version 1.0.0 to 1.1.0", "from level 1.0 to 1.1")
			w.is(t, home, newVersion, 0)
			w.is(t, home+"-copy", newVersion, 1)
		},
		"the same failure after it": func(t *testing.T, home string) {
			w.run(t, home, "bin/"+tool, "-p", "wrong").ends(t, 11, "from version 1.0.0 to 1.1.0", "Invalid credentials")
			w.is(t, home, newVersion, 0)
		},
		"no such level": func(t *testing.T, home string) {
			w.run(t, home, "bin/"+tool, "--level", "9").ends(t, 1, "Invalid update level")
			w.is(t, home, oldVersion, 0)
		},
		"dry run": func(t *testing.T, home string) {
			w.run(t, home, "bin/"+tool, "--dry-run").ends(t, 0)
			w.is(t, home, oldVersion, 0)
		},
		"command": func(t *testing.T, home string) {
			w.run(t, home, "bin/"+tool, "check").ends(t, 0, "There is a newer update tool: 1.1.0")
			w.run(t, home, "bin/"+tool, "self-update", "--dry-run").ends(t, 0, "would go from version 1.0.0 to 1.1.0")
			w.is(t, home, oldVersion, 0)
			if said := w.run(t, home, "bin/"+tool, "self-update", "--output", "json").says(t); said["outcome"] != "replaced" || said["to"] != newVersion {
				t.Errorf("%v", said)
			}
			w.is(t, home, newVersion, 0)
			w.run(t, home, "bin/"+tool, "self-update").ends(t, 0, "is the newest")
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			run(t, w.fresh(t))
		})
	}
}

// places has the tool lie elsewhere, be called through a link, and belong to others.
func (w *world) places(t *testing.T) {
	t.Run("link", func(t *testing.T) {
		t.Parallel()
		home := w.fresh(t)
		link := filepath.Join(t.TempDir(), "uplevel")
		if err := os.Symlink(filepath.Join(home, "bin", tool), link); err != nil {
			t.Fatal(err)
		}
		w.run(t, home, link).ends(t, 0, "from level 1.0 to 1.1", "uplevel: The update tool renewed itself")
		w.is(t, home, newVersion, 1)
		if target, err := os.Readlink(link); err != nil || target != filepath.Join(home, "bin", tool) {
			t.Errorf("the link leads to %s, %v", target, err)
		}
	})
	t.Run("on the path", func(t *testing.T) {
		t.Parallel()
		home, path := w.fresh(t), t.TempDir()
		if err := os.Rename(filepath.Join(home, "bin", tool), filepath.Join(path, "updater")); err != nil {
			t.Fatal(err)
		}
		w.with(t, home, []string{"PATH=" + path + ":" + os.Getenv("PATH")}, "sh", "-c", "updater").ends(t, 0, "from level 1.0 to 1.1", "updater: The update tool renewed itself")
		w.run(t, home, filepath.Join(path, "updater"), "version").ends(t, 0, "updater 1.1.0")
	})
	t.Run("on the path, another's product", func(t *testing.T) { w.outside(t) })
	t.Run("no product", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		if out, err := exec.Command("cp", w.Path("tools", tool), w.Path("tools/vendor.json"), dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		file := filepath.Join(dir, tool)
		w.run(t, dir, file, "--dir", dir, "self-update").ends(t, 1, "Unable to identify the product")
		w.run(t, dir, file, "self-update", "--dry-run").ends(t, 0, "would go from version 1.0.0 to 1.1.0")
		w.with(t, dir, []string{"UPLEVEL_SERVICE="}, file, "self-update").ends(t, 0, "went from version 1.0.0 to 1.1.0")
		w.run(t, dir, file, "version").ends(t, 0, "1.1.0")
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
			t.Errorf("%v, %v", entries, err)
		}
	})
	t.Run("where everybody may write", func(t *testing.T) {
		t.Parallel()
		if os.Geteuid() != 0 {
			missing(t, "giving files away needs root: run sudo make test")
		}
		dir := t.TempDir()
		for owner, says := range map[string]string{"4711": "Move the tool", "0": "would go from version 1.0.0 to 1.1.0"} {
			script := "cp \"$1\" \"$2\" \"$3\" && chmod 1777 \"$3\" && chown \"$4\" \"$3/vendor.json\""
			w.run(t, dir, "sh", "-c", script, "sh", w.Path("tools", tool), w.Path("tools/vendor.json"), dir, owner).ends(t, 0)
			exit := map[string]int{"4711": 15}[owner]
			w.run(t, dir, filepath.Join(dir, tool), "self-update", "--dry-run").ends(t, exit, says)
		}
	})
	t.Run("owner and mode", func(t *testing.T) {
		t.Parallel()
		home := w.fresh(t)
		file := filepath.Join(home, "bin", tool)
		if os.Geteuid() != 0 {
			missing(t, "giving files away needs root: run sudo make test")
		}
		if out, err := exec.Command("chown", "-R", "4711:4712", home).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if err := os.Chmod(file, 0o751); err != nil {
			t.Fatal(err)
		}
		w.run(t, home, file).ends(t, 0, "from version 1.0.0 to 1.1.0")
		w.is(t, home, newVersion, 1)
		var st unix.Stat_t
		if err := unix.Stat(file, &st); err != nil || st.Uid != 4711 || st.Gid != 4712 || st.Mode&0o7777 != 0o751 {
			t.Errorf("%d:%d %o, %v", st.Uid, st.Gid, st.Mode, err)
		}
	})
}

// outside has root's tool, on the path, meet a home that is another user's: what that home
// trusts must not become what root runs, unless it is what the tool's own vendor signs.
func (w *world) outside(t *testing.T) {
	if os.Geteuid() != 0 {
		missing(t, "giving files away needs root: run sudo make test")
	}
	vendor, err := os.ReadFile(w.Path("tools/vendor.json"))
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		owner, beside string
		content       []byte
		says, version string
		exit          int // of self-update
	}{
		"whose trust nobody knows":   {"4711", "none", nil, "belongs to another user than the tool", oldVersion, 15},
		"of the tool's vendor":       {"4711", "vendor.json", vendor, "renewed itself", newVersion, 0},
		"of another vendor":          {"0", "root.json", trusttest.New(t, time.Now()).File("1.root.json"), "names other root keys", oldVersion, 15},
		"of a vendor who is damaged": {"0", "vendor.json", []byte("{"), "cannot be used", oldVersion, 1},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			home, path := w.fresh(t), t.TempDir()
			updater := filepath.Join(path, "updater")
			script := "mv \"$1\" \"$2\" && chown -R \"$3\" \"$4\""
			w.run(t, home, "sh", "-c", script, "sh", filepath.Join(home, "bin", tool), updater, c.owner, home).ends(t, 0)
			w.write(filepath.Join(path, c.beside), string(c.content))
			w.run(t, home, updater).ends(t, 0, c.says, "from level 1.0 to 1.1")
			w.run(t, home, updater, "version").ends(t, 0, "updater "+c.version)
			w.run(t, home, updater, "self-update").ends(t, c.exit)
		})
	}
}

// others has users without rights of their own run tools that belong to somebody.
func (w *world) others(t *testing.T) {
	if os.Geteuid() != 0 {
		missing(t, "being several users needs root: run sudo make test")
	}
	for what, c := range map[string]struct {
		owner, of, version, says string
	}{
		"own file, another group": {"65534:0", tool, newVersion, "from version 1.0.0 to 1.1.0"},
		"folder of another":       {"0:0", ".", oldVersion, "permission denied"},
		"file of another":         {"0:0", tool, oldVersion, "it would belong to somebody else"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			home, err := os.MkdirTemp("", "uplevel-others-*") //nolint:usetesting // below the test's folder nobody else gets
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(home) })
			script := "cp -a \"$1/.\" \"$2\" && chmod 755 \"$2\" && chown -R 65534:65534 \"$2\" && chown \"$3\" \"$2/bin/$4\" && cp \"$5\" \"$2/ca.pem\" && chmod 644 \"$2/ca.pem\""
			w.run(t, home, "sh", "-c", script, "sh", w.pack, home, c.owner, c.of, w.Path("service/dev-ca.pem")).ends(t, 0)
			env := []string{"HOME=" + home, "UPLEVEL_CACHE=", "UPLEVEL_CA_CERT=" + filepath.Join(home, "ca.pem")}
			w.with(t, home, env, "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "bin/"+tool).ends(t, 0, c.says, "from level 1.0 to 1.1")
			w.is(t, home, c.version, 1)
			if info, err := os.Stat(filepath.Join(home, "bin", tool)); err != nil || info.Mode() != 0o755 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
		})
	}
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip("SKIPPED: " + what)
}

// waits has a change wait for decisions: the tool stays until that is over.
func (w *world) waits(t *testing.T) {
	home := w.fresh(t)
	w.write(filepath.Join(home, "conf/a.properties"), "a=mine")
	w.run(t, home, "bin/"+tool, "--self-update", "never").ends(t, 3)
	w.run(t, home, "bin/"+tool, "self-update").ends(t, 15, "A prepared change waits")
	w.run(t, home, "bin/"+tool).ends(t, 3)
	w.is(t, home, oldVersion, 0)
	w.run(t, home, "bin/"+tool, "resolve", "conf/a.properties", "--mine").ends(t, 0)
	w.run(t, home, "bin/"+tool, "--continue").ends(t, 0)
	w.is(t, home, oldVersion, 1)
	w.run(t, home, "bin/"+tool).ends(t, 0, "from version 1.0.0 to 1.1.0")
	w.is(t, home, newVersion, 1)
}

// trouble has renewing fail: the update goes on with the old tool.
func (w *world) trouble(t *testing.T) {
	t.Run("read-only bin", func(t *testing.T) {
		t.Parallel()
		home := w.fresh(t)
		bin := filepath.Join(home, "bin")
		mounted(t, bin, bin, "", unix.MS_BIND, "")
		if err := unix.Mount("", bin, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
		w.run(t, home, "bin/"+tool, "self-update").ends(t, 15, "cannot be replaced", "read-only")
		w.run(t, home, "bin/"+tool).ends(t, 0, "stays at version 1.0.0", "from level 1.0 to 1.1")
		w.is(t, home, oldVersion, 1)
	})
	t.Run("full disk", func(t *testing.T) {
		t.Parallel()
		home := w.fresh(t)
		bin := filepath.Join(home, "bin")
		content, err := os.ReadFile(filepath.Join(bin, tool))
		if err != nil {
			t.Fatal(err)
		}
		mounted(t, "tmpfs", bin, "tmpfs", 0, "size=24m")
		if err := os.WriteFile(filepath.Join(bin, tool), content, 0o755); err != nil {
			t.Fatal(err)
		}
		w.run(t, home, "bin/"+tool, "self-update").ends(t, 15, "no space left", "Make room in "+bin)
		w.run(t, home, "bin/"+tool).ends(t, 0, "stays at version 1.0.0", "from level 1.0 to 1.1")
		w.is(t, home, oldVersion, 1)
	})
	t.Run("another renews it", func(t *testing.T) {
		t.Parallel()
		home := w.fresh(t)
		done := make(chan ended)
		for range 3 {
			go func() { done <- w.run(t, home, "bin/"+tool, "self-update") }()
		}
		for range 3 {
			if e := <-done; e.exit != 0 && e.exit != 15 {
				t.Errorf("%+v", e)
			}
		}
		w.is(t, home, newVersion, 0)
	})
	t.Run("left by a cut", func(t *testing.T) {
		t.Parallel()
		home := w.fresh(t)
		for _, name := range []string{".wso2update_linux.renewing", ".wso2update_linux.new", "..wso2update_linux.new.partial-123", ".wso2update_linux.old"} {
			w.write(filepath.Join(home, "bin", name), "half")
		}
		w.run(t, home, "bin/"+tool, "recover").ends(t, 0)
		w.is(t, home, oldVersion, 0)
	})
}

func mounted(t *testing.T, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "mounting needs root: run sudo make test")
	}
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// demanded has the service refuse old tools.
func (w *world) demanded(t *testing.T) {
	home := w.fresh(t)
	w.run(t, home, "bin/"+tool, "check").ends(t, 0, "is older than 1.1.0, the oldest that may go on")
	w.run(t, home, "bin/"+tool, "plan").ends(t, 15, "is older than 1.1.0", "self-update")
	w.run(t, home, "bin/"+tool, "--self-update", "never").ends(t, 15, "is older than 1.1.0", "self-update")
	w.is(t, home, oldVersion, 0)
	w.run(t, home, "bin/"+tool).ends(t, 0, "from version 1.0.0 to 1.1.0", "from level 1.0 to 1.1")
	w.is(t, home, newVersion, 1)
	t.Run("and cannot be", func(t *testing.T) {
		home := w.fresh(t)
		bin := filepath.Join(home, "bin")
		mounted(t, bin, bin, "", unix.MS_BIND, "")
		if err := unix.Mount("", bin, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
		w.run(t, home, "bin/"+tool).ends(t, 15, "is older than 1.1.0", "it could not be renewed", "as who may write into "+bin)
		w.is(t, home, oldVersion, 0)
	})
	r, err := w.Do(t.Context(), w.Dir, "upleveld", "admin", "vendor", "set", "--minimum-tool", "2.0")
	if r.Exit != 15 || !strings.Contains(r.Output, "no update tool 2.0 or newer is published") {
		t.Errorf("exit %d: %v", r.Exit, err)
	}
}

// broken has the newest tool not work: the old one goes on.
func (w *world) broken(t *testing.T) {
	for _, how := range []string{"exits", "lies", "crashes"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			home := w.fresh(t)
			env := []string{"BROKEN=" + how}
			w.with(t, home, env, "bin/"+tool, "self-update").ends(t, 14, "does not work here and was not taken")
			w.is(t, home, oldVersion, 0)
			w.with(t, home, env, "bin/"+tool).ends(t, 0, "stays at version 1.0.0", "from level 1.0 to 1.1")
			w.is(t, home, oldVersion, 1)
		})
	}
}
