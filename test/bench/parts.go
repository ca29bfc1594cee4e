package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"uplevel/test/lab"
)

// program measures the tool itself: its size, and its start beside /bin/true.
func program(ctx context.Context, l *lab.Lab, s sizes) ([]row, error) {
	info, err := os.Stat(l.Path("bin", "uplevel"))
	if err != nil {
		return nil, err
	}
	start := func(name string, args ...string) (lab.Run, error) {
		return lab.Median(4*s.repeats+1, func() (lab.Run, error) { return l.Do(ctx, l.Dir, name, args...) })
	}
	ours, err := start("uplevel", "version")
	if err != nil {
		return nil, err
	}
	peer, err := start("/bin/true")
	if err != nil {
		return nil, err
	}
	return []row{
		{"size of `uplevel`, stripped", mb(info.Size()), "", "", "≤ 16 MB"},
		{"start (`uplevel version`)", ms(ours.Wall), "/bin/true " + ms(peer.Wall), "+" + ms(ours.Wall-peer.Wall), "< 30 ms over /bin/true"},
	}, nil
}

// many measures a product of many files: scanning, checking, committing, publishing.
func many(ctx context.Context, l *lab.Lab, s sizes) ([]row, error) {
	if err := makeMany(l.Path("many-0"), s, 0); err != nil {
		return nil, err
	}
	if err := makeMany(l.Path("many-1"), s, s.changed); err != nil {
		return nil, err
	}
	home, published, err := l.PublishTwo(ctx, "many", l.Path("many-0"), l.Path("many-1"))
	if err != nil {
		return nil, err
	}
	rows := []row{publishRow(published, s)}
	scan, err := scanRows(ctx, l, home, s)
	if err != nil {
		return nil, err
	}
	rows = append(rows, scan...)
	commit, err := l.Do(ctx, home, "uplevel", "update", "--output", "json", "--progress", "none")
	if err != nil {
		return nil, err
	}
	rows = append(rows, commitRow(commit, s))
	check, err := checkRow(ctx, l, home)
	if err != nil {
		return nil, err
	}
	return append(rows, check), nil
}

// big measures an update with one big file that changed.
func big(ctx context.Context, l *lab.Lab, s sizes) ([]row, error) {
	for i, name := range []string{"big-0", "big-1"} {
		if err := lab.WriteFile(l.Path(name, "data", "image.bin"), uint64(1000+i), s.big); err != nil {
			return nil, err
		}
	}
	home, _, err := l.PublishTwo(ctx, "big", l.Path("big-0"), l.Path("big-1"))
	if err != nil {
		return nil, err
	}
	r, err := l.Do(ctx, home, "uplevel", "update", "--progress", "none")
	if err != nil {
		return nil, err
	}
	return []row{{
		fmt.Sprintf("peak memory of an update, one file of %s changed", mb(s.big)),
		mb(r.PeakKB << 10), "", "", "≤ 64 MB",
	}}, nil
}

func publishRow(published []lab.Run, s sizes) row {
	return row{
		fmt.Sprintf("publish a level, %d of %d files changed", s.changed, s.files),
		sec(published[1].Wall), "level 0, all files: " + sec(published[0].Wall),
		ratio(published[1].Wall, published[0].Wall), "linear in changed content",
	}
}

// scanRows measures `verify` (reads all), and `plan` the first and the second time,
// beside sha256sum over the same files on as many cores.
func scanRows(ctx context.Context, l *lab.Lab, home string, s sizes) ([]row, error) {
	list := l.Path("list")
	if err := listFiles(l.Path("many-0"), list); err != nil {
		return nil, err
	}
	peer, err := lab.Median(s.repeats, func() (lab.Run, error) {
		return l.Do(ctx, l.Path("many-0"), "xargs", "-0", "-a", list, "-n", "500", "-P", strconv.Itoa(runtime.NumCPU()), "sha256sum")
	})
	if err != nil {
		return nil, err
	}
	verify, err := lab.Median(s.repeats, func() (lab.Run, error) { return l.Do(ctx, home, "uplevel", "verify", "--progress", "none") })
	if err != nil {
		return nil, err
	}
	bytes := float64(s.files) * float64(s.fileSize) / 1e6
	return []row{
		{
			fmt.Sprintf("scan and judge every file (`verify`), %d files, %.0f MB", s.files, bytes), sec(verify.Wall),
			"sha256sum on as many cores " + sec(peer.Wall), fmt.Sprintf("%.0f %% of its speed", 100*peer.Wall.Seconds()/verify.Wall.Seconds()), "≥ 80 %",
		},
	}, nil
}

func listFiles(dir, list string) error {
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			rel, _ := filepath.Rel(dir, path)
			b.WriteString(rel + "\x00")
		}
		return err
	})
	if err != nil {
		return err
	}
	return os.WriteFile(list, []byte(b.String()), 0o644)
}

func commitRow(r lab.Run, s sizes) row {
	var said struct {
		CommitMS float64 `json:"commit_ms"`
	}
	shown := "not told"
	if i := strings.IndexByte(r.Output, '{'); i >= 0 && json.Unmarshal([]byte(r.Output[i:]), &said) == nil {
		shown = ms(time.Duration(said.CommitMS * float64(time.Millisecond)))
	}
	return row{fmt.Sprintf("commit phase, %d changed files, syncs included", s.changed), shown, "", "", "≤ 100 ms per 500 files"}
}

// checkRow counts what `check` with nothing to do moves, the token's request left out.
func checkRow(ctx context.Context, l *lab.Lab, home string) (row, error) {
	through := append([]string{}, l.Env...)
	l.Env = append(l.Env, "UPLEVEL_SERVICE=https://"+l.Door.Addr().String())
	defer func() { l.Env = through }()
	token, err := l.Do(ctx, home, "upleveld", "admin", "token", "add", "--user", lab.Operator, "--name", "bench")
	if err != nil {
		return row{}, err
	}
	file := l.Path("token")
	if err := os.WriteFile(file, []byte(token.Output), 0o600); err != nil {
		return row{}, err
	}
	l.Env = append(l.Env, "UPDATE_TOOL_USERNAME=", "UPDATE_TOOL_PASSWORD=", "UPLEVEL_TOKEN_FILE="+file)
	if _, err := l.Do(ctx, home, "uplevel", "check"); err != nil {
		return row{}, err
	}
	requests := countRequests(l.Path("service.log"))
	before := l.Wire.Load()
	r, err := l.Do(ctx, home, "uplevel", "check")
	if err != nil {
		return row{}, err
	}
	return row{
		"`check` with nothing to do, on the wire", fmt.Sprintf("%d requests, %d bytes, TLS included", countRequests(l.Path("service.log"))-requests, l.Wire.Load()-before),
		"", sec(r.Wall), "≤ 3 requests, ≤ 6 KB after the token",
	}, nil
}

func countRequests(log string) int {
	text, err := os.ReadFile(log)
	if err != nil {
		return 0
	}
	return strings.Count(string(text), `"msg":"request"`)
}

// makeMany writes a product of many files; the first `changed` of them differ from
// those of level 0.
func makeMany(dir string, s sizes, changed int) error {
	for i := range s.files {
		seed := uint64(i)
		if i < changed {
			seed += 1 << 20
		}
		name := filepath.Join(dir, fmt.Sprintf("lib/part-%02d/file-%05d.bin", i%50, i))
		if err := lab.WriteFile(name, seed, s.fileSize); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "LICENSE"), []byte("Apache License 2.0\n"), 0o644)
}

func mb(n int64) string               { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
func ms(d time.Duration) string       { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
func sec(d time.Duration) string      { return fmt.Sprintf("%.2f s", d.Seconds()) }
func ratio(a, b time.Duration) string { return fmt.Sprintf("%.2f", a.Seconds()/b.Seconds()) }
