package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// names are the calls that are told apart: those that change what is on disk, and openat.
func names() map[uint64]string {
	return map[uint64]string{
		unix.SYS_RENAMEAT: "renameat", unix.SYS_RENAMEAT2: "renameat", unix.SYS_RENAME: "renameat", unix.SYS_LINKAT: "linkat", unix.SYS_UNLINKAT: "unlinkat",
		unix.SYS_MKDIRAT: "mkdirat", unix.SYS_SYMLINKAT: "symlinkat", unix.SYS_FSYNC: "fsync", unix.SYS_FDATASYNC: "fsync", unix.SYS_SYNCFS: "syncfs",
		unix.SYS_FCHMOD: "fchmod", unix.SYS_FCHMODAT: "fchmodat", unix.SYS_FCHMODAT2: "fchmodat", unix.SYS_FTRUNCATE: "ftruncate",
		unix.SYS_FCHOWNAT: "fchownat", unix.SYS_UTIMENSAT: "utimensat", unix.SYS_COPY_FILE_RANGE: "copy_file_range", unix.SYS_SENDFILE: "sendfile",
		unix.SYS_WRITE: "write", unix.SYS_PWRITE64: "write", unix.SYS_OPENAT: "openat", unix.SYS_OPENAT2: "openat",
	}
}

// errnos are the errors that calls are made to return.
func errnos() map[string]syscall.Errno {
	return map[string]syscall.Errno{
		"EIO": syscall.EIO, "ENOSPC": syscall.ENOSPC, "EDQUOT": syscall.EDQUOT, "EACCES": syscall.EACCES, "EROFS": syscall.EROFS, "EINTR": syscall.EINTR,
	}
}

func (t *tracer) known() error {
	switch t.how {
	case "kill", "term", "short", "lie", "fill":
		return nil
	}
	if _, ok := errnos()[strings.TrimSuffix(t.how, "+")]; !ok {
		return fmt.Errorf("no way to disturb is named %s", t.how)
	}
	return nil
}

// lasting reports whether the trouble stays once it is there, as a full disk does.
func (t *tracer) lasting() bool {
	return t.how == "short" || t.how == "lie" || strings.HasSuffix(t.how, "+")
}

// counts reports whether a call is one of those that are counted: of writes only those to
// files below the folder.
func (t *tracer) counts(thread int, name string, s call) bool {
	if name != "write" {
		return true
	}
	to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", thread, s.args[0]))
	return err == nil && strings.HasPrefix(to, t.below)
}

// changes reports whether a call changes what is on disk; opening for reading does not.
func changes(name string, s call) bool {
	return name != "openat" || s.number == unix.SYS_OPENAT && s.args[2]&(unix.O_WRONLY|unix.O_RDWR|unix.O_CREAT) != 0
}

// disturb does at a call what was asked for.
func (t *tracer) disturb(thread int, name string, c call) {
	first := !t.Met
	t.Met = true
	switch {
	case t.how == "kill":
		_ = syscall.Kill(t.pid, syscall.SIGKILL)
	case t.how == "term":
		_ = syscall.Kill(t.pid, syscall.SIGTERM)
	case t.how == "fill":
		t.fill()
	case t.how == "lie":
		if name == "fsync" || name == "syncfs" {
			t.refuse(thread, c, 0) // it says that it is done
		}
	case t.how == "short" && first && c.args[2] > 1:
		_ = c.shorten(thread)
	case t.how == "short":
		if name == "write" || name == "copy_file_range" || name == "sendfile" {
			t.refuse(thread, c, syscall.ENOSPC) // the disk is full by now
		}
	default:
		t.refuse(thread, c, errnos()[strings.TrimSuffix(t.how, "+")])
	}
}

// fill takes all the room that is left.
func (t *tracer) fill() {
	size := int64(0)
	for step := int64(1) << 40; step >= 512; step /= 2 {
		for unix.Fallocate(int(t.ballast.Fd()), 0, size, step) == nil {
			size += step
		}
	}
}

// refuse has a call return an error without being made.
func (t *tracer) refuse(thread int, c call, errno syscall.Errno) {
	r := c.regs
	r.Orig_rax, r.Rax = ^uint64(0), uint64(-int64(errno))
	_ = syscall.PtraceSetRegs(thread, &r)
}

// shorten halves the count of a write: the kernel really writes less.
func (c call) shorten(thread int) error {
	c.regs.Rdx /= 2
	return syscall.PtraceSetRegs(thread, &c.regs)
}

// call is a thread that enters a system call.
type call struct {
	number uint64
	args   [3]uint64
	regs   syscall.PtraceRegs
}

func look(thread int) (call, error) {
	var c call
	if err := syscall.PtraceGetRegs(thread, &c.regs); err != nil {
		return c, err
	}
	c.number, c.args = c.regs.Orig_rax, [3]uint64{c.regs.Rdi, c.regs.Rsi, c.regs.Rdx}
	return c, nil
}

// filter has the kernel stop the programs that this thread starts at the calls that are
// told apart, and at no other: they run at nearly their own speed. Opening files, which is
// most of what a program does, is left out where nobody asks for it.
func (t *tracer) filter() error {
	const (
		number = 0 // where seccomp_data has them
		arch   = 4
		load   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		answer = unix.BPF_RET | unix.BPF_K
	)
	program := []unix.SockFilter{
		{Code: load, K: arch},
		{Code: equal, Jt: 1, K: unix.AUDIT_ARCH_X86_64},
		{Code: answer, K: unix.SECCOMP_RET_ALLOW},
		{Code: load, K: number},
	}
	for n, name := range names() {
		if name == "openat" && t.nth > 0 && t.call != "openat" && !t.lasting() {
			continue
		}
		program = append(program,
			unix.SockFilter{Code: equal, Jf: 1, K: uint32(n)},
			unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_TRACE})
	}
	program = append(program, unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW})
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	all := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&all)), 0, 0)
}
