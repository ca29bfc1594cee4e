package selfupdate_test

import (
	"path/filepath"
	"testing"
)

// alone keeps a tool from the service and from credentials.
func alone() []string {
	return []string{"UPLEVEL_SERVICE=https://127.0.0.1:1", "UPLEVEL_TOKEN_FILE=", "UPDATE_TOOL_USERNAME=", "UPDATE_TOOL_PASSWORD="}
}

// made makes an offline update from level 0 to 1.
func (w *world) made(t *testing.T, name string, options ...string) string {
	t.Helper()
	zip := filepath.Join(t.TempDir(), name)
	w.must("uplevel", append([]string{"--dir", w.pack, "create-update", "--out", zip}, options...)...)
	return zip
}

// carried has the newer tool come in an offline update.
func (w *world) carried(t *testing.T) {
	with, without := w.made(t, "with.zip"), w.made(t, "without.zip", "--tool", "none")
	for what, run := range map[string]func(t *testing.T, home string){
		"auto": func(t *testing.T, home string) {
			w.with(t, home, alone(), "bin/"+tool, "apply-update", with, "--no-backup").ends(t, 0, "from version 1.0.0 to 1.1.0", "from level 1.0 to 1.1")
			w.is(t, home, newVersion, 1)
		},
		"exit": func(t *testing.T, home string) {
			w.with(t, home, alone(), "bin/"+tool, "apply-update", with, "--self-update=exit").ends(t, 2, "updated from version 1.0.0 to 1.1.0")
			w.is(t, home, newVersion, 0)
			w.with(t, home, alone(), "bin/"+tool, "apply-update", with, "--self-update=exit").ends(t, 0, "from level 1.0 to 1.1")
			w.is(t, home, newVersion, 1)
		},
		"never": func(t *testing.T, home string) {
			w.with(t, home, alone(), "bin/"+tool, "apply-update", with, "--self-update=never").ends(t, 0, "from level 1.0 to 1.1")
			w.is(t, home, oldVersion, 1)
		},
		"dry run": func(t *testing.T, home string) {
			w.with(t, home, alone(), "bin/"+tool, "apply-update", with, "--dry-run").ends(t, 0, "would go from level 1.0 to 1.1")
			w.is(t, home, oldVersion, 0)
		},
		"not carried": func(t *testing.T, home string) {
			w.with(t, home, alone(), "bin/"+tool, "apply-update", without).ends(t, 0, "from level 1.0 to 1.1")
			w.is(t, home, oldVersion, 1)
		},
	} {
		t.Run(what, func(t *testing.T) { run(t, w.fresh(t)) })
	}
}

// carriedBroken has a tool that does not work come in one: the old one goes on.
func (w *world) carriedBroken(t *testing.T) {
	home := w.fresh(t)
	w.with(t, home, alone(), "bin/"+tool, "apply-update", w.made(t, "broken.zip")).ends(t, 0, "stays at version 1.0.0", "from level 1.0 to 1.1")
	w.is(t, home, oldVersion, 1)
}
