package concurrent

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"uplevel/test/lab"
)

// nobody is a user that owns nothing.
const nobody = 65534

// own gives a home to nobody.
func own(t *testing.T, home string) {
	t.Helper()
	err := filepath.WalkDir(home, func(p string, _ os.DirEntry, err error) error {
		if err != nil || filepath.Base(p) == "lock" {
			return err
		}
		return os.Lchown(p, nobody, nobody)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// asNobody runs the tool as another user.
func asNobody(t *testing.T, l *lab.Lab, home string, exit int, says []string, args ...string) {
	t.Helper()
	cache := t.TempDir()
	program := filepath.Join(cache, "uplevel") // where this user may read it
	if said, err := exec.Command("cp", l.Path("bin", "uplevel"), program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if err := os.Chown(cache, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	for p := cache; p != "/" && p != os.TempDir(); p = filepath.Dir(p) {
		if err := os.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = home
	for _, v := range l.Env { // what root's lab keeps private is not for this user
		if !strings.HasPrefix(v, "UPLEVEL_CA_CERT=") && !strings.HasPrefix(v, "UPLEVEL_TOKEN_FILE=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "HOME="+cache, "UPLEVEL_CACHE="+cache)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	said, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != exit {
		t.Errorf("%q as another user: %v\n%s", args, err, said)
	}
	mustSay(t, string(said), says...)
}

// mount shows a folder at a second place, where this user may; it reports whether.
func mount(t *testing.T, from, to string) bool {
	t.Helper()
	if err := os.Mkdir(to, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount(from, to, "", syscall.MS_BIND, ""); err != nil {
		if os.Getenv("CI") != "" && os.Getuid() == 0 {
			t.Fatalf("nothing can be mounted: %v", err)
		}
		t.Logf("NOT TRIED: a home by a bind mount: %v", err)
		return false
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(to, 0); err != nil {
			t.Error(err)
		}
	})
	return true
}
