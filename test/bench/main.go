// Bench measures what docs/performance.md states: the tool against peers in the same
// run, as ratios. `make bench` runs it and writes the document; with -short it uses
// small inputs and only shows that every measurement works.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"uplevel/test/lab"
)

// sizes are the inputs of one run.
type sizes struct {
	files    int   // of the product with many files
	fileSize int64 // bytes of each
	changed  int   // files a level changes
	big      int64 // bytes of the one big file
	repeats  int   // runs of which the median counts
}

// row is one line of the table.
type row struct{ what, ours, peer, ratio, goal string }

func main() {
	short := flag.Bool("short", false, "small inputs: show that every measurement works")
	only := flag.String("only", "", "measure one `PART` alone: bench, asking or deltas")
	out := flag.String("o", "", "write the tables between the markers of this Markdown file, and the plot beside it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *only, *short, *out)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, short bool, out string) error {
	known := false
	for _, part := range []struct {
		name string
		do   func(ctx context.Context, short bool, out string) error
	}{{"bench", measure}, {"asking", compareAsking}, {"deltas", compareDeltas}} {
		if only != "" && only != part.name {
			continue
		}
		known = true
		if err := part.do(ctx, short, out); err != nil {
			return err
		}
	}
	if !known {
		return fmt.Errorf("there is no part %q: there are bench, asking and deltas", only)
	}
	return nil
}

func measure(ctx context.Context, short bool, out string) error {
	s := sizes{files: 10_000, fileSize: 40 << 10, changed: 500, big: 1 << 30, repeats: 7}
	if short {
		s = sizes{files: 300, fileSize: 4 << 10, changed: 50, big: 32 << 20, repeats: 3}
	}
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	l, err := lab.New(ctx, root)
	if err != nil {
		return err
	}
	if err := asShipped(ctx, root, l); err != nil {
		return err
	}
	var rows []row
	for _, part := range []func(context.Context, *lab.Lab, sizes) ([]row, error){
		program, many, big,
	} {
		more, err := part(ctx, l, s)
		if err != nil {
			return fmt.Errorf("%w\n(everything lies in %s)", err, l.Dir)
		}
		rows = append(rows, more...)
	}
	if err := l.Close(); err != nil {
		return err
	}
	table := tableOf(rows)
	fmt.Print(table)
	fmt.Printf("\n%d passed, 0 failed\n", len(rows))
	if out == "" {
		return nil
	}
	return write(out, "bench", table)
}

func tableOf(rows []row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s with %d cores, %s, %s.\n\n", time.Now().Format("2006-01-02"), runtime.NumCPU(), runtime.GOOS+"/"+runtime.GOARCH, runtime.Version())
	b.WriteString("| what | uplevel | peer, same run | ratio | goal |\n| --- | --- | --- | --- | --- |\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.what, r.ours, r.peer, r.ratio, r.goal)
	}
	return b.String()
}

// write puts a table between its markers in the document.
func write(file, marker, table string) error {
	start, end := "<!-- "+marker+" -->\n", "<!-- /"+marker+" -->"
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(old), start)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no place for the table %s", file, marker)
	}
	return os.WriteFile(file, []byte(head+start+table+end+tail), 0o644)
}

// asShipped builds the tool anew in the way it is shipped.
func asShipped(ctx context.Context, root string, l *lab.Lab) error {
	build := exec.CommandContext(ctx, filepath.Join(root, "scripts", "build-uplevel"), l.Path("bin", "uplevel"))
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the tool: %w\n%s", err, said)
	}
	return nil
}
