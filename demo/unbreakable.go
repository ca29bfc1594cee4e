package main

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// unbreakable shows what people fear: a zip that lies, and a kill -9 in the middle.
func (d *demo) unbreakable(ctx context.Context) error {
	d.title("What cannot be broken: zips that lie, and kill -9 in the middle of a change")
	d.changeDir(d.path("work"))
	d.home = d.path("work", "proof")
	defer func() { d.home = d.path("work", "allure-2") }()
	if err := d.steps(ctx,
		step{0, "uplevel-publish pack allure 2 --level 0 --out proof"},
		step{0, "uplevel create-update --dir proof --out genuine.zip && cp genuine.zip changed.zip"},
	); err != nil {
		return err
	}
	if err := errors.Join(flip(d.path("work", "changed.zip")), writeOutward(d.path("work", "outward.zip"))); err != nil {
		return err
	}
	d.note("(changed.zip is the genuine one but for one bit; outward.zip wants to write ../../outside)")
	if err := d.steps(ctx,
		step{14, "proof/bin/uplevel apply-update changed.zip"},
		step{14, "proof/bin/uplevel apply-update outward.zip"},
	); err != nil {
		return err
	}
	d.note("proven: both refused, nothing touched")
	if err := d.steps(ctx, step{0, "proof/bin/uplevel apply-update genuine.zip"}); err != nil {
		return err
	}
	return d.kills(ctx)
}

// kills goes back and forth between two levels and kills the tool in the middle each
// time; the next start must leave one of them, judged by a program that is not ours.
func (d *demo) kills(ctx context.Context) error {
	const most, wanted = 40, 8
	began := time.Now()
	levels := map[string]int{}
	killed := 0
	for try := 0; try < most && killed < wanted; try++ {
		line := "revert"
		if d.atLevel(ctx, "2.38.1") {
			line = "update"
		}
		open, err := d.killDuringCommit(ctx, line, time.Duration(try%4)*400*time.Microsecond)
		if err != nil {
			return err
		}
		if !open {
			continue
		}
		if killed++; killed == 1 {
			fmt.Fprintf(d.out, "\n$ proof/bin/uplevel %s\n   Killed\n   (that was kill -9, while it moved files into place)\n", line)
			if err := d.steps(ctx, step{0, "proof/bin/uplevel recover"}); err != nil {
				return err
			}
		} else if said, err := d.quietly(ctx, "recover"); err != nil {
			return fmt.Errorf("recovery failed: %w\n%s", err, said)
		}
		switch {
		case d.atLevel(ctx, "2.38.1"):
			levels["2.0"]++
		case d.atLevel(ctx, "2.42.0"):
			levels["2.4"]++
		default:
			return fmt.Errorf("after a kill the installation in %s is neither release 2.38.1 nor 2.42.0", d.home)
		}
	}
	if killed == 0 {
		d.note("(this machine was too quick: no kill came in the middle; make test kills at each system call instead)")
		return nil
	}
	d.note("proven: killed %d times in the middle, %d times wholly at 2.0 and %d times wholly at 2.4 afterwards, half done 0 times",
		killed, levels["2.0"], levels["2.4"])
	d.note("        (each compared by diff with the release that the vendor built; %.0f s)", time.Since(began).Seconds())
	d.note("make sweep does this at every system call, with power cuts, full and failing disks: docs/reliability.md")
	return nil
}

// killDuringCommit runs a command of the tool and kills it, wait after its commit was
// begun. It returns whether that left an open commit.
func (d *demo) killDuringCommit(ctx context.Context, line string, wait time.Duration) (bool, error) {
	journal := filepath.Join(d.home, "updates", "COMMITTING")
	cmd := exec.CommandContext(ctx, filepath.Join(d.home, "bin", "uplevel"), line)
	cmd.Env = d.stage.env
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return false, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			if err != nil {
				return false, fmt.Errorf("uplevel %s: %w\n%s", line, err, said.String())
			}
			return false, nil
		default:
		}
		if _, err := os.Lstat(journal); err == nil {
			time.Sleep(wait)
			_ = cmd.Process.Kill()
			<-ended
			_, err := os.Lstat(journal)
			return err == nil, nil
		}
		time.Sleep(50 * time.Microsecond)
	}
}

// atLevel reports whether the home equals a release, judged by diff.
func (d *demo) atLevel(ctx context.Context, release string) bool {
	return exec.CommandContext(ctx, "diff", "-rq", "--no-dereference", "--exclude=updates", "--exclude=uplevel*",
		d.path("releases", release), d.home).Run() == nil
}

func (d *demo) quietly(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(d.home, "bin", "uplevel"), args...)
	cmd.Env = d.stage.env
	said, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(said)), err
}

// writeOutward makes a zip whose one file would land outside of where it is unpacked.
func writeOutward(name string) error {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateHeader(&zip.FileHeader{Name: "../../outside", Method: zip.Store})
	if err == nil {
		_, err = w.Write([]byte("not the vendor's\n"))
	}
	if err := errors.Join(err, z.Close()); err != nil {
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}
