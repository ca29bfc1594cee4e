package network

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"uplevel/test/lab"
)

// insideVariable tells this program that it is to be the machine whose name server is
// silent, by naming that machine's resolv.conf; its arguments are what runs there.
const insideVariable = "NETWORK_TEST_RESOLV"

func TestMain(m *testing.M) {
	resolv := os.Getenv(insideVariable)
	if resolv == "" {
		os.Exit(m.Run())
	}
	err := silentNames(resolv, os.Args[1:])
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(99)
	}
}

// silentNames runs a command on a machine, made of namespaces, whose name server takes
// questions and never answers.
func silentNames(resolv string, args []string) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := errors.Join(unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo), unix.Close(s)); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount(resolv, "/etc/resolv.conf", "", unix.MS_BIND, ""); err != nil {
		return err
	}
	server, err := net.ListenPacket("udp", "127.0.0.1:53")
	if err != nil {
		return err
	}
	defer server.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// silentNameServer tells who does not answer.
func (w *world) silentNameServer(t *testing.T) {
	s := w.site(t, w.certificate)
	resolv := w.Path("resolv.conf")
	w.write(resolv, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
	cmd := exec.CommandContext(t.Context(), os.Args[0], w.Path("bin", "uplevel"), "check", "--service", "https://updates.example")
	cmd.Dir, cmd.Env = s.home, append(append(w.Env, s.env...), insideVariable+"="+resolv)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	}
	out, err := cmd.CombinedOutput()
	exit, ended := errors.AsType[*exec.ExitError](err)
	if err != nil && !ended || ended && exit.ExitCode() == 99 {
		if os.Getenv("CI") == "" {
			t.Skipf("SKIPPED, and nothing was tried: no network of its own can be made here: run sudo make test: %v %s", err, out)
		}
		t.Fatalf("no network of its own can be made here: %v %s", err, out)
	}
	r := lab.Run{Exit: cmd.ProcessState.ExitCode(), Output: string(out)}
	if r.Exit != 13 || !strings.Contains(r.Output, "the name server does not answer") || !strings.Contains(r.Output, "Next: Check the network") {
		t.Errorf("exit %d:\n%s", r.Exit, r.Output)
	}
}
