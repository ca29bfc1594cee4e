// Command disturb runs a program and disturbs it at one of its system calls: it kills it
// there, has the call fail, be cut short, or come after a SIGTERM. It counts the calls of all
// threads together, so that the Nth call is the Nth that the program makes (strace counts
// thread by thread), and says afterwards how many there were of each and whether the
// point was met.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

func main() {
	t := tracer{Calls: map[string]int{}, started: map[int]bool{}}
	flag.StringVar(&t.call, "call", "", "the kind of call to disturb; any: every kind but openat")
	flag.IntVar(&t.nth, "nth", 0, "which of them, from 1; 0: none, they are only counted")
	flag.StringVar(&t.how, "how", "kill", "kill, term, short, fill (the disk is really full from there on), lie (from there on no sync is made), or the name of an error; NAME+: from there on every change fails")
	flag.IntVar(&t.then, "then", 0, "kill it at this many calls after the one that was disturbed; 0: never")
	flag.StringVar(&t.below, "below", "/", "only writes to files below this folder count")
	ballast := flag.String("ballast", "", "file that fill makes as large as its disk allows")
	report := flag.String("report", "", "file for what was seen, as JSON")
	flag.Parse()
	if t.how == "fill" { // now, for later the filter keeps it from being opened
		var err error
		if t.ballast, err = os.Create(*ballast); err != nil {
			fmt.Fprintln(os.Stderr, "disturb:", err)
			os.Exit(125)
		}
	}
	type end struct {
		exit int
		err  error
	}
	ended := make(chan end)
	go func() { // on a thread of its own, which the filter keeps from writing files
		exit, err := t.run(flag.Args())
		ended <- end{exit, err}
	}()
	e := <-ended
	exit, err := e.exit, e.err
	if err == nil && *report != "" {
		err = t.write(*report)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "disturb:", err)
		exit = 125
	}
	os.Exit(exit)
}

func (t *tracer) write(name string) error {
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o600)
}

// tracer follows every thread of one program.
type tracer struct {
	Calls map[string]int // how many of each kind
	Met   bool           // the point was reached

	call, how, below string
	ballast          *os.File
	nth, then        int
	pid              int
	started          map[int]bool // threads that have had their first stop
}

// seccompStop is the stop at a call that the filter names.
const seccompStop = 7 // PTRACE_EVENT_SECCOMP

const options = 1<<seccompStop | syscall.PTRACE_O_TRACECLONE | syscall.PTRACE_O_TRACEFORK |
	syscall.PTRACE_O_TRACEVFORK | syscall.PTRACE_O_TRACEEXEC | 0x100000 // PTRACE_O_EXITKILL

// run runs the program to its end and returns its exit code, 128 and the signal's number
// where a signal ended it.
func (t *tracer) run(args []string) (int, error) {
	runtime.LockOSThread() // a program is followed by one thread only
	if len(args) == 0 {
		return 0, errors.New("no program is named")
	}
	if err := t.known(); err != nil {
		return 0, err
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return 0, err
	}
	if err := t.filter(); err != nil {
		return 0, fmt.Errorf("the filter: %w", err)
	}
	cmd := exec.Command(path, args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	t.pid = cmd.Process.Pid
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(t.pid, &status, 0, nil); err != nil {
		return 0, err
	}
	t.started[t.pid] = true
	if err := errors.Join(syscall.PtraceSetOptions(t.pid, options), syscall.PtraceCont(t.pid, 0)); err != nil {
		return 0, err
	}
	for exit := 0; ; {
		thread, err := syscall.Wait4(-1, &status, syscall.WALL, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.ECHILD):
			return exit, nil
		case err != nil:
			return 0, err
		case status.Exited() || status.Signaled():
			if thread == t.pid {
				exit = status.ExitStatus()
				if status.Signaled() {
					exit = 128 + int(status.Signal())
				}
			}
			continue
		}
		t.stopped(thread, status)
	}
}

// stopped has a thread that stopped go on. One that is gone by now is none of ours.
func (t *tracer) stopped(thread int, status syscall.WaitStatus) {
	signal := 0
	switch stop := status.StopSignal(); {
	case stop == syscall.SIGTRAP && status.TrapCause() == seccompStop:
		t.at(thread)
	case stop == syscall.SIGTRAP: // a clone, an exec
	case stop == syscall.SIGSTOP && !t.started[thread]: // how a new thread begins
	default:
		signal = int(stop)
	}
	t.started[thread] = true
	_ = syscall.PtraceCont(thread, signal)
}

// at looks at a thread that enters a call.
func (t *tracer) at(thread int) {
	c, err := look(thread)
	if err != nil {
		return
	}
	name := names()[c.number]
	if name == "" || !t.counts(thread, name, c) {
		return
	}
	t.Calls[name]++
	if name != "openat" {
		t.Calls["any"]++
	}
	asked := name == t.call || t.call == "any" && name != "openat"
	hit := !t.Met && t.nth > 0 && asked && t.Calls[t.call] == t.nth
	if t.Met && t.then > 0 && name != "openat" {
		if t.then--; t.then == 0 {
			_ = syscall.Kill(t.pid, syscall.SIGKILL)
			return
		}
	}
	if hit || t.Met && t.lasting() && changes(name, c) {
		t.disturb(thread, name, c)
	}
}
