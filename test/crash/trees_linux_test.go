package crash

import (
	"os"
	"path/filepath"
	"testing"
)

func oldTree() map[string]string {
	return map[string]string{
		"bin/start": "start 0", "bin/stop": "stop", "conf/a.properties": "a=0", "conf/conflict.txt": "vendor 0", "conf/mine.txt": "vendor",
		"lib/x-1.jar": "x1", "lib/same.jar": "same", "lib/gone/deep/file": "deep", "turns": "a file", "LICENSE": "free", "leer/größe.txt": "0",
		"docs/read.me": "read me",
	}
}

func newTree() map[string]string {
	return map[string]string{
		"bin/start": "start 1", "bin/stop": "stop", "conf/a.properties": "a=1", "conf/conflict.txt": "vendor 1", "conf/mine.txt": "vendor",
		"lib/x-2.jar": "x2", "lib/same.jar": "same", "fresh/deep/one": "1", "fresh/two": "2", "turns/into": "a folder", "LICENSE": "free", "leer/größe.txt": "1",
		"docs/read.me": "read me",
	}
}

// newerTree is level 2: it renames a file that operators edit.
func newerTree() map[string]string {
	newer := newTree()
	delete(newer, "conf/a.properties")
	delete(newer, "fresh/two")
	newer["etc/a.properties"], newer["bin/start"], newer["fresh/three"] = "a=1\nb=2", "start 2", "3"
	return newer
}

// fixedTree is the old one under a hotfix.
func fixedTree() map[string]string {
	fixed := oldTree()
	fixed["bin/start"], fixed["conf/a.properties"], fixed["turns"], fixed["hot/deep/one"] = "start fixed", "a=fixed", "a fixed file", "1"
	delete(fixed, "lib/gone/deep/file")
	return fixed
}

// operatorsOwn are files that the operator changed or put there.
func operatorsOwn() map[string]string {
	return map[string]string{
		"conf/mine.txt": "customised", "conf/conflict.txt": "customised too", "logs/server.log": "log", "lib/gone/foreign": "foreign",
	}
}

// writeTree writes a build; bin/stop changes its mode from one to the next, and the link
// where it leads.
func writeTree(t *testing.T, dir string, tree map[string]string) {
	t.Helper()
	if err := writeFiles(dir, tree); err != nil {
		t.Fatal(err)
	}
	if _, isNew := tree["lib/x-2.jar"]; isNew {
		if err := os.Chmod(filepath.Join(dir, "bin/stop"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	target := map[bool]string{false: "bin/start", true: "lib/same.jar"}[tree["turns"] == ""]
	if err := os.Symlink(target, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
}

func writeFiles(dir string, tree map[string]string) error {
	for p, content := range tree {
		full := filepath.Join(dir, p)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}
