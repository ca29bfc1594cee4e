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
)

// program measures the tool itself: its size, and its start beside /bin/true.
func program(ctx context.Context, l *lab, s sizes) ([]row, error) {
	info, err := os.Stat(l.path("bin", "uplevel"))
	if err != nil {
		return nil, err
	}
	start := func(name string, args ...string) (run, error) {
		return median(4*s.repeats+1, func() (run, error) { return l.do(ctx, l.dir, name, args...) })
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
		{"start (`uplevel version`)", ms(ours.wall), "/bin/true " + ms(peer.wall), "+" + ms(ours.wall-peer.wall), "< 30 ms over /bin/true"},
	}, nil
}

// many measures a product of many files: scanning, checking, committing, publishing.
func many(ctx context.Context, l *lab, s sizes) ([]row, error) {
	if err := makeMany(l.path("many-0"), s, 0); err != nil {
		return nil, err
	}
	if err := makeMany(l.path("many-1"), s, s.changed); err != nil {
		return nil, err
	}
	home, published, err := publishTwo(ctx, l, "many")
	if err != nil {
		return nil, err
	}
	rows := []row{publishRow(published, s)}
	scan, err := scanRows(ctx, l, home, s)
	if err != nil {
		return nil, err
	}
	rows = append(rows, scan...)
	commit, err := l.do(ctx, home, "uplevel", "update", "--output", "json", "--progress", "none")
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
func big(ctx context.Context, l *lab, s sizes) ([]row, error) {
	for i, name := range []string{"big-0", "big-1"} {
		if err := writeFile(l.path(name, "data", "image.bin"), uint64(1000+i), s.big); err != nil {
			return nil, err
		}
	}
	home, _, err := publishTwo(ctx, l, "big")
	if err != nil {
		return nil, err
	}
	r, err := l.do(ctx, home, "uplevel", "update", "--progress", "none")
	if err != nil {
		return nil, err
	}
	return []row{{
		fmt.Sprintf("peak memory of an update, one file of %s changed", mb(s.big)),
		mb(r.peakKB << 10), "", "", "≤ 64 MB",
	}}, nil
}

// publishTwo publishes NAME-0 and NAME-1 as levels 0 and 1 and unpacks level 0 for an
// operator; it returns the home and the two publishing runs.
func publishTwo(ctx context.Context, l *lab, name string) (string, []run, error) {
	notes := l.path("notes.yaml")
	if err := os.WriteFile(notes, []byte("updates:\n  - {id: 1, type: regular, description: Measured change., files: ['**']}\n"), 0o644); err != nil {
		return "", nil, err
	}
	if !exists(l.path("keys")) {
		if _, err := l.do(ctx, l.dir, "uplevel-publish", "keys", "init"); err != nil {
			return "", nil, err
		}
		if _, err := l.do(ctx, l.dir, "upleveld", "admin", "organisation", "add", "Bench"); err != nil {
			return "", nil, err
		}
		if _, err := l.do(ctx, l.dir, "sh", "-c", "printf %s 'bench passw0rd' | upleveld admin user add bench@example.com --organisation Bench --role operator --password-stdin"); err != nil {
			return "", nil, err
		}
		l.set("UPDATE_TOOL_USERNAME", "bench@example.com")
		l.set("UPDATE_TOOL_PASSWORD", "bench passw0rd")
	}
	var runs []run
	for _, args := range [][]string{
		{"uplevel-publish", "product", "add", name, "1", "--dist", l.path(name + "-0")},
		{"uplevel-publish", "level", name, "1", "--dist", l.path(name + "-1"), "--notes", notes},
		{"uplevel-publish", "pack", name, "1", "--level", "0", "--out", l.path(name + "-home")},
		{"upleveld", "admin", "subscription", "add", "--organisation", "Bench", "--product", name, "--kind", "paid", "--eula-accepted-by", "Bench"},
	} {
		r, err := l.do(ctx, l.dir, args[0], args[1:]...)
		if err != nil {
			return "", nil, err
		}
		runs = append(runs, r)
	}
	return l.path(name + "-home"), runs[:2], nil
}

func publishRow(published []run, s sizes) row {
	return row{
		fmt.Sprintf("publish a level, %d of %d files changed", s.changed, s.files),
		sec(published[1].wall), "level 0, all files: " + sec(published[0].wall),
		ratio(published[1].wall, published[0].wall), "linear in changed content",
	}
}

// scanRows measures `verify` (reads all), and `plan` the first and the second time,
// beside sha256sum over the same files on as many cores.
func scanRows(ctx context.Context, l *lab, home string, s sizes) ([]row, error) {
	list := l.path("list")
	if err := listFiles(l.path("many-0"), list); err != nil {
		return nil, err
	}
	peer, err := median(s.repeats, func() (run, error) {
		return l.do(ctx, l.path("many-0"), "xargs", "-0", "-a", list, "-n", "500", "-P", strconv.Itoa(runtime.NumCPU()), "sha256sum")
	})
	if err != nil {
		return nil, err
	}
	verify, err := median(s.repeats, func() (run, error) { return l.do(ctx, home, "uplevel", "verify", "--progress", "none") })
	if err != nil {
		return nil, err
	}
	bytes := float64(s.files) * float64(s.fileSize) / 1e6
	return []row{
		{
			fmt.Sprintf("scan and judge every file (`verify`), %d files, %.0f MB", s.files, bytes), sec(verify.wall),
			"sha256sum on as many cores " + sec(peer.wall), fmt.Sprintf("%.0f %% of its speed", 100*peer.wall.Seconds()/verify.wall.Seconds()), "≥ 80 %",
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

func commitRow(r run, s sizes) row {
	var said struct {
		CommitMS float64 `json:"commit_ms"`
	}
	shown := "not told"
	if i := strings.IndexByte(r.output, '{'); i >= 0 && json.Unmarshal([]byte(r.output[i:]), &said) == nil {
		shown = ms(time.Duration(said.CommitMS * float64(time.Millisecond)))
	}
	return row{fmt.Sprintf("commit phase, %d changed files, syncs included", s.changed), shown, "", "", "≤ 100 ms per 500 files"}
}

// checkRow counts what `check` with nothing to do moves, the token's request left out.
func checkRow(ctx context.Context, l *lab, home string) (row, error) {
	through := append([]string{}, l.env...)
	l.env = append(l.env, "UPLEVEL_SERVICE=https://"+l.door.Addr().String())
	defer func() { l.env = through }()
	token, err := l.do(ctx, home, "upleveld", "admin", "token", "add", "--user", "bench@example.com", "--name", "bench")
	if err != nil {
		return row{}, err
	}
	file := l.path("token")
	if err := os.WriteFile(file, []byte(token.output), 0o600); err != nil {
		return row{}, err
	}
	l.env = append(l.env, "UPDATE_TOOL_USERNAME=", "UPDATE_TOOL_PASSWORD=", "UPLEVEL_TOKEN_FILE="+file)
	if _, err := l.do(ctx, home, "uplevel", "check"); err != nil {
		return row{}, err
	}
	requests := countRequests(l.path("service.log"))
	before := l.wire.Load()
	r, err := l.do(ctx, home, "uplevel", "check")
	if err != nil {
		return row{}, err
	}
	return row{
		"`check` with nothing to do, on the wire", fmt.Sprintf("%d requests, %d bytes, TLS included", countRequests(l.path("service.log"))-requests, l.wire.Load()-before),
		"", sec(r.wall), "≤ 3 requests, ≤ 6 KB after the token",
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
		if err := writeFile(name, seed, s.fileSize); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "LICENSE"), []byte("Apache License 2.0\n"), 0o644)
}

func mb(n int64) string               { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
func ms(d time.Duration) string       { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
func sec(d time.Duration) string      { return fmt.Sprintf("%.2f s", d.Seconds()) }
func ratio(a, b time.Duration) string { return fmt.Sprintf("%.2f", a.Seconds()/b.Seconds()) }
