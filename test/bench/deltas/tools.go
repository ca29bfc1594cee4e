package deltas

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"uplevel/test/lab"
)

// tool makes what has to travel between two trees, and applies it.
type tool struct {
	name          string
	programs      []string
	whole         bool // it writes the whole new tree; otherwise the changed files into a copy of the rest
	create, apply func(context.Context, *trial) error
}

// trial is one tool on one pair.
type trial struct {
	lab       *lab.Lab
	old, next string // trees
	changed   []change
	patch     string // folder: all that is in it travels
	out       string // the new tree as the tool makes it
	work      string // folder for anything else
	spent     Cost
}

// run runs a program of which the costs count.
func (t *trial) run(ctx context.Context, dir string, command ...string) error {
	r, err := t.lab.Do(ctx, dir, command[0], command[1:]...)
	t.spent.add(r)
	return err
}

// tools returns Uplevel and its peers.
func tools() []tool {
	return []tool{
		trees("Uplevel", "uplevel-delta"),
		{name: "changed files zipped", programs: []string{"zip", "unzip"}, create: zipChanged, apply: unzipChanged},
		{name: "casync", programs: []string{"casync"}, whole: true, create: casyncMake, apply: casyncExtract},
		// The application header would hold the names of the files.
		perFile("xdelta3 -9 -S lzma", "xdelta3", "xdelta3",
			func(old, next, patch string) []string {
				return []string{"-e", "-9", "-S", "lzma", "-A=", "-s", old, next, patch}
			},
			func(old, patch, out string) []string { return []string{"-d", "-s", old, patch, out} }),
		perFile("bsdiff", "bsdiff", "bspatch",
			func(old, next, patch string) []string { return []string{old, next, patch} },
			func(old, patch, out string) []string { return []string{old, out, patch} }),
		trees("wharf, optimised", "wharf"),
		perFile("zstd -19 --patch-from", "zstd", "zstd",
			func(old, next, patch string) []string {
				return []string{"-q", "-19", "--patch-from=" + old, next, "-o", patch}
			},
			func(old, patch, out string) []string {
				return []string{"-q", "-d", "--patch-from=" + old, patch, "-o", out}
			}),
	}
}

// missing names the first program that is not installed; empty: none is missing.
func (t tool) missing(l *lab.Lab) string {
	for _, name := range t.programs {
		if _, err := exec.LookPath(name); err != nil && !lab.Exists(l.Path("bin", name)) {
			return name
		}
	}
	return ""
}

// trees is a tool whose program works on whole trees.
func trees(name, program string) tool {
	return tool{
		name: name, programs: []string{program}, whole: true,
		create: func(ctx context.Context, t *trial) error {
			return t.run(ctx, t.work, program, "make", t.old, t.next, filepath.Join(t.patch, "patch"))
		},
		apply: func(ctx context.Context, t *trial) error {
			return t.run(ctx, t.work, program, "apply", t.old, filepath.Join(t.patch, "patch"), t.out)
		},
	}
}

// perFile is a tool whose programs work on one file. A new file is made of one of one byte:
// none of these programs takes an empty one.
func perFile(name, maker, applier string, create, apply func(a, b, c string) []string) tool {
	each := func(t *trial, do func(old, next, patch, out string) error) error {
		nothing := filepath.Join(t.work, "nothing")
		if err := os.WriteFile(nothing, []byte{0}, 0o644); err != nil {
			return err
		}
		for i, c := range t.changed {
			old := filepath.Join(t.old, c.path)
			if c.fresh {
				old = nothing
			}
			err := do(old, filepath.Join(t.next, c.path), filepath.Join(t.patch, strconv.Itoa(i)), filepath.Join(t.out, c.path))
			if err != nil {
				return err
			}
		}
		return nil
	}
	return tool{
		name: name, programs: []string{maker, applier},
		create: func(ctx context.Context, t *trial) error {
			return each(t, func(old, next, patch, _ string) error {
				return t.run(ctx, t.work, append([]string{maker}, create(old, next, patch)...)...)
			})
		},
		apply: func(ctx context.Context, t *trial) error {
			return each(t, func(old, _, patch, out string) error {
				return t.run(ctx, t.work, append([]string{applier}, apply(old, patch, out)...)...)
			})
		},
	}
}

// zipChanged packs the changed files as an updater does that sends whole files.
func zipChanged(ctx context.Context, t *trial) error {
	stage := filepath.Join(t.work, "changed")
	for _, c := range t.changed {
		if err := copyFile(filepath.Join(t.next, c.path), filepath.Join(stage, c.path)); err != nil {
			return err
		}
	}
	return t.run(ctx, stage, "zip", "-9", "-q", "-r", "-X", "-D", filepath.Join(t.patch, "changed.zip"), ".")
}

func unzipChanged(ctx context.Context, t *trial) error {
	return t.run(ctx, t.work, "unzip", "-q", "-o", filepath.Join(t.patch, "changed.zip"), "-d", t.out)
}

// casyncMake makes a chunk store of the new tree, and lets its index and those chunks travel
// that the old tree does not have. Of both trees only what Uplevel keeps is stored.
func casyncMake(ctx context.Context, t *trial) error {
	chunk := func(tree, store, index string) []string {
		return []string{"casync", "make", "--with=permissions", "--with=symlinks", "--store=" + store, index, tree}
	}
	have, store := filepath.Join(t.work, "have.castr"), filepath.Join(t.patch, "new.castr")
	if err := t.run(ctx, t.work, chunk(t.next, store, filepath.Join(t.patch, "new.caidx"))...); err != nil {
		return err
	}
	old := chunk(t.old, have, filepath.Join(t.work, "have.caidx"))
	if _, err := t.lab.Do(ctx, t.work, old[0], old[1:]...); err != nil {
		return err
	}
	return filepath.WalkDir(store, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && lab.Exists(have+strings.TrimPrefix(name, store)) {
			err = os.Remove(name)
		}
		return err
	})
}

// casyncExtract makes the new tree of the old one and of what travelled.
func casyncExtract(ctx context.Context, t *trial) error {
	return t.run(ctx, t.work, "casync", "extract", "--store="+filepath.Join(t.patch, "new.castr"), "--seed="+t.old, filepath.Join(t.patch, "new.caidx"), t.out)
}
