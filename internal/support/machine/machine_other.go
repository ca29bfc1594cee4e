//go:build !linux

package machine

// machine: what these systems tell of themselves needs programs of theirs; the facts that
// the runtime knows must do.
func (*look) machine(*System) {}

func (*look) fileSystem(f FileSystem) FileSystem {
	f.FreeBytes, f.FreeFiles = -1, -1
	return f
}
