package main

import "os"

// machineID returns what this machine is counted as in reports, where it is hashed: what
// the operator says, else the system's own id, else the host name.
func (t *tool) machineID() (string, error) {
	if t.options.machine != "" {
		return t.options.machine, nil
	}
	id, err := systemMachine(t.getenv)
	if id != "" {
		return id, nil
	}
	if err != nil {
		t.log.Info("the system tells no id of this machine; its name counts", "error", err)
	}
	return os.Hostname()
}
