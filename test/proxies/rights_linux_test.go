package proxies

import (
	"os"
	"os/exec"
	"syscall"
)

const nobody = 65534

// withoutRights has a program started by root run as nobody.
func withoutRights(cmd *exec.Cmd) {
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
}
