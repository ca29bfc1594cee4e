package hostile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/problem"
	"uplevel/internal/statefile"
)

// treesToPublisher gives every folder to the release engineer's tool.
func (w *world) treesToPublisher() {
	dir := filepath.Join(w.area, "dist")
	for n, tree := range Trees() {
		w.write(filepath.Join(dir, "LICENSE"), "free")
		if err := tree.Make(dir); err != nil {
			w.t.Fatalf("%s: %v", tree.Name, err)
		}
		for _, a := range w.share(n, []attempt{
			{door: "publish product add, folder", args: []string{"product", "add", "t" + base26(n), "1", "--dist", dir}},
			{door: "publish level, folder", args: []string{"level", "anywhere", "1", "--dist", dir, "--notes", w.Path("notes.yaml")}},
		}) {
			a.what, a.dir, a.program, a.memory = tree.Name, w.Dir, "uplevel-publish", publishMemory
			a.exits, a.words = []problem.Kind{problem.Refused}, []string{"Nothing new is visible"}
			if tree.Harmless {
				a.exits = []problem.Kind{0}
			}
			w.try(a)
		}
		w.remove(dir)
	}
}

// textsToPublisher gives every text as notes and as rules.
func (w *world) textsToPublisher() {
	file := filepath.Join(w.area, "notes.yaml")
	for n, text := range Texts() {
		w.write(file, text.Content)
		for _, a := range w.share(n, []attempt{
			{door: "notes", args: []string{"level", "anywhere", "1", "--dist", w.Path("dist/1"), "--notes", file}},
			{door: "rules", args: []string{"product", "add", "r" + base26(n), "1", "--dist", w.Path("dist/1"), "--rules", file}},
		}) {
			a.what, a.dir, a.program, a.memory = text.Name, w.Dir, "uplevel-publish", publishMemory
			a.exits, a.words = []problem.Kind{problem.Failed, problem.Refused}, []string{"Nothing new is visible"}
			if a.door == "rules" && text.Name == "null" {
				a.exits = []problem.Kind{0}
			}
			w.try(a)
		}
	}
	w.remove(file)
}

// pipes puts what gives no end, or nothing for ever, where a file is wanted.
func (w *world) pipes() {
	home := w.home("home")
	pipe := filepath.Join(w.area, "shop-1-Lab-hf1.zip")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		w.t.Fatal(err)
	}
	for _, name := range []string{pipe, "/dev/zero", w.area} {
		for _, a := range []attempt{
			{args: []string{"apply-update", name}},
			{args: []string{"apply-hotfix", name, "--for", "Lab"}},
			{args: []string{"verify", "--repair", "--yes", "--from", name}},
			{args: []string{"bundle", "show", name}},
		} {
			a.door, a.what, a.dir, a.program, a.memory = "no file for "+a.args[0], name, home, "uplevel", toolMemory
			a.exits, a.words = []problem.Kind{problem.Failed}, []string{"Next:"}
			w.try(a)
		}
		if name != w.area {
			w.try(attempt{
				door: "no file for publish", what: name, dir: w.Dir, program: "uplevel-publish", memory: publishMemory, words: []string{"neither folder nor file"},
				args: []string{"product", "add", "pipe", "1", "--dist", name}, exits: []problem.Kind{problem.Refused},
			})
		}
	}
	w.remove(pipe)
	w.try(attempt{
		door: "no file for current-state", what: "folder", dir: home, program: "uplevel", memory: toolMemory, words: []string{"is a folder", "Next: Name another file with --out."},
		args: []string{"current-state", "--out", w.area}, exits: []problem.Kind{problem.Failed},
	})
}

// filesOfHome puts every text, and what is no file, in the places of a home that the tool
// reads, and gives the same as state files and reports.
func (w *world) filesOfHome() {
	home := w.home("home")
	all := append(Texts(), Text{"pipe", ""}, Text{"folder", ""}, Text{"device", "/dev/zero"}, Text{"outward link", "../../canary"}, Text{"nothing", ""})
	places := []string{"product.txt", "config.json", "policy.yaml", "state.json", "vendor.json", "root.json", "organisation", "staging/pending.json"}
	for n, text := range all {
		for m, place := range places {
			if !*sweep && (m+w.seed)%6 != n%6 {
				continue
			}
			w.placed(home, place, text, m+n)
		}
		w.given(home, text, n)
	}
	w.longState(home)
}

// longState gives a good state file of as many paths as one may list.
func (w *world) longState(home string) {
	w.t.Helper()
	name := filepath.Join(w.area, "long.json")
	if r, err := w.Do(w.t.Context(), home, "uplevel", "current-state", "--out", name); err != nil || r.Exit != 0 {
		w.t.Fatal(err, r.Output)
	}
	text, err := os.Open(name)
	if err != nil {
		w.t.Fatal(err)
	}
	defer text.Close()
	state, err := statefile.Read(text)
	if err != nil {
		w.t.Fatal(err)
	}
	state.Compared, state.Files = false, make([]statefile.File, statefile.MaxFiles)
	for i := range state.Files {
		state.Files[i] = statefile.File{Path: fmt.Sprintf("%s/%06d.log", strings.Repeat("logs/", 20)[:99], i), Kind: manifest.File, Sum: digest.Of([]byte{byte(i)})}
	}
	data, err := state.Bytes()
	if err == nil {
		err = os.WriteFile(name, data, 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.run(attempt{
		door: "create-update --from-state", what: "100,000 paths", dir: home, program: "uplevel", memory: toolMemory, exits: []problem.Kind{0},
		args: []string{"create-update", "--from-state", name, "--out", filepath.Join(w.area, "made.zip")}, words: []string{"made.zip"},
	})
	w.remove(name)
	w.remove(filepath.Join(w.area, "made.zip"))
}

func (w *world) placed(home, place string, text Text, n int) {
	w.t.Helper()
	name := filepath.Join(home, "updates", place)
	former, formerErr := os.ReadFile(name)
	w.remove(name)
	w.put(name, text)
	commands := [][]string{{"current-state"}, {"update", "--dry-run"}, {"verify"}, {"check"}, {"apply", "--dry-run"}}
	command := commands[n%len(commands)]
	w.try(attempt{
		door: "updates/" + place, what: text.Name + ", " + command[0], dir: home, program: "uplevel", args: command, memory: toolMemory, words: []string{"Next:"},
		exits: []problem.Kind{0, problem.Failed, problem.Usage, problem.Unreachable, problem.Verification, problem.Refused},
	})
	w.remove(name)
	w.remove(filepath.Join(home, "updates/staging"))
	if formerErr == nil {
		w.write(name, string(former))
	}
}

// put makes a text stand at a name, or what is no text.
func (w *world) put(name string, text Text) {
	w.t.Helper()
	err := os.MkdirAll(filepath.Dir(name), 0o755)
	if err == nil {
		switch text.Name {
		case "pipe":
			err = syscall.Mkfifo(name, 0o644)
		case "folder":
			err = os.Mkdir(name, 0o755)
		case "device", "outward link":
			err = os.Symlink(text.Content, name)
		default:
			err = os.WriteFile(name, []byte(text.Content), 0o644)
		}
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// given names the text on the command line.
func (w *world) given(home string, text Text, n int) {
	w.t.Helper()
	name := filepath.Join(w.area, "given.json")
	w.put(name, text)
	doors := []attempt{
		{door: "report --upload", args: []string{"report", "--upload", name}},
		{door: "create-update --from-state", args: []string{"create-update", "--from-state", name, "--out", filepath.Join(w.area, "made.zip")}},
		{door: "apply PLAN", args: []string{"apply", name}},
	}
	for _, a := range w.share(n, doors) {
		if text.Name == "pipe" && a.door != "report --upload" {
			continue // whoever names a pipe here means to write to it
		}
		a.what, a.dir, a.program, a.memory = text.Name, home, "uplevel", toolMemory
		a.exits, a.words = []problem.Kind{problem.Failed, problem.Usage, problem.Verification, problem.Refused}, []string{"Next:"}
		w.try(a)
	}
	w.remove(name)
}
