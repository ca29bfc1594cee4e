package unified

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever Diff writes, patch must be able to apply.
func TestPatchAppliesIt(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("patch"); err != nil {
		t.Fatal("patch is missing; install it with: make deps")
	}
	random := rand.New(rand.NewPCG(4, 2))
	for i := range 150 {
		a := text(random, 40)
		b := edited(random, a)
		dir := t.TempDir()
		file := filepath.Join(dir, "f")
		if err := os.WriteFile(file, []byte(a), 0o600); err != nil {
			t.Fatal(err)
		}
		diff := Diff("a/f", "b/f", []byte(a), []byte(b))
		if a == b {
			if diff != "" {
				t.Fatalf("%d: equal texts differ: %s", i, diff)
			}
			continue
		}
		cmd := exec.Command("patch", "-s", file)
		cmd.Stdin = strings.NewReader(diff)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%d: patch: %v %s\n%s", i, err, out, diff)
		}
		got, err := os.ReadFile(file)
		if err != nil || string(got) != b {
			t.Fatalf("%d: patch gives %q, want %q (%v)\n%s", i, got, b, err, diff)
		}
	}
}

func text(random *rand.Rand, n int) string {
	var b strings.Builder
	for range random.IntN(n) + 1 {
		fmt.Fprintf(&b, "line %d\n", random.IntN(12))
	}
	if random.IntN(3) == 0 {
		b.WriteString("no end")
	}
	return b.String()
}

func edited(random *rand.Rand, s string) string {
	lines := strings.SplitAfter(s, "\n")
	for range random.IntN(5) {
		i := random.IntN(len(lines))
		switch random.IntN(3) {
		case 0:
			lines[i] = fmt.Sprintf("new %d\n", random.IntN(9))
		case 1:
			lines[i] = ""
		default:
			lines[i] += fmt.Sprintf("more %d\n", random.IntN(9))
		}
	}
	return strings.Join(lines, "")
}

func TestWhatCannotBeShown(t *testing.T) {
	t.Parallel()
	if got := Diff("a", "b", []byte("x\x00"), []byte("y")); !strings.Contains(got, "Binary") {
		t.Error(got)
	}
	if got := Diff("a", "b", make([]byte, 0), []byte(strings.Repeat("x", MaxSize+1))); !strings.Contains(got, "Too large") {
		t.Error(got)
	}
}
