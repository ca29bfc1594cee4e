package hostile

import (
	"os"
	"path/filepath"

	"uplevel/internal/problem"
)

// share of the doors that a case comes to: in the short form one of those of a program, in
// turn; the packages behind them see every case in their own tests.
func (w *world) share(n int, doors []attempt) []attempt {
	if *sweep {
		return doors
	}
	n = (n/2 + w.seed) % len(doors)
	return doors[n : n+1]
}

// passes reports whether a case goes by one of two programs: in the short form a third of the
// cases comes to each, and a third to none.
func (w *world) passes(n, program int) bool { return !*sweep && (n+w.seed)%3 != program }

// zipsToTool gives every archive to the commands of the tool that take a zip. None is an
// update, a hotfix or a bundle, so each is refused for what it is.
func (w *world) zipsToTool() {
	home := w.home("home")
	name := filepath.Join(w.area, "shop-1-Lab-hf1.zip")
	for n, z := range Zips() {
		if w.passes(n, 0) {
			continue
		}
		w.write(name, string(z.Data))
		for _, a := range w.share(n, zipDoors(name)) {
			a.what, a.dir, a.program, a.memory = z.Kind+": "+z.Name, home, "uplevel", toolMemory
			w.try(a)
		}
	}
	w.remove(name)
}

func zipDoors(name string) []attempt {
	damaged := []problem.Kind{problem.Verification}
	return []attempt{
		{door: "apply-update", args: []string{"apply-update", name}, exits: damaged, words: []string{"Next:", "Unable to use the offline update"}},
		{door: "apply-hotfix", args: []string{"apply-hotfix", name, "--for", "Lab"}, exits: damaged, words: []string{"Next:", "Unable to use the zip of the hotfix"}},
		{door: "verify --repair --from", args: []string{"verify", "--repair", "--yes", "--from", name}, exits: damaged, words: []string{"Next:", "Unable to use"}},
		{door: "verify --repair --from, nobody to ask", args: []string{"verify", "--repair", "--from", name}, exits: damaged, words: []string{"Next:", "Unable to use"}},
		{door: "bundle show", args: []string{"bundle", "show", name}, exits: damaged, words: []string{"Next:", "It is no support bundle"}},
	}
}

func (w *world) remove(name string) {
	w.t.Helper()
	if err := os.RemoveAll(name); err != nil {
		w.t.Fatal(err)
	}
}

// zipsToPublisher gives every archive to the release engineer's tool.
func (w *world) zipsToPublisher() {
	name := filepath.Join(w.area, "dist.zip")
	for n, z := range Zips() {
		if w.passes(n, 1) {
			continue
		}
		w.write(name, string(z.Data))
		doors := w.share(n, []attempt{
			{door: "publish product add", args: []string{"product", "add", "p" + base26(n), "1", "--dist", name}},
			{door: "publish level", args: []string{"level", "anywhere", "1", "--dist", name, "--notes", w.Path("notes.yaml")}},
			{door: "publish validate", args: []string{"validate", "anywhere", "1", "--dist", name, "--notes", w.Path("notes.yaml")}},
		})
		for _, a := range doors {
			a.what, a.dir, a.program, a.memory = z.Kind+": "+z.Name, w.Dir, "uplevel-publish", publishMemory
			a.exits, a.words = []problem.Kind{problem.Refused}, []string{"Nothing new is visible"}
			if z.Harmless {
				a.exits = []problem.Kind{0}
			}
			w.try(a)
		}
	}
	w.remove(name)
}
