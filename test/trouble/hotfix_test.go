package trouble

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// withHotfix publishes a hotfix on level 0 for the lab and returns its zip.
func (w *world) withHotfix() string {
	w.t.Helper()
	for name, content := range map[string]string{"bin/run": "run fixed", "LICENSE": "free"} {
		w.write(w.Path("dist/fix", name), content)
	}
	w.must("uplevel-publish", "hotfix", "shop", "1", "--for", "Lab", "--level", "0", "--dist", w.Path("dist/fix"), "--notes", w.Path("notes.yaml"), "--out", w.Path("hotfixes"))
	return w.Path("hotfixes/shop-1-Lab-hf1.zip")
}

// damaged writes a zip of the right name with other bytes.
func (w *world) damaged(folder string, data []byte) string {
	w.t.Helper()
	name := w.Path(folder, "shop-1-Lab-hf1.zip")
	w.write(name, string(data))
	return name
}

func TestHotfixTroubleHasItsCodeAndChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	zip := w.withHotfix()
	whole, err := os.ReadFile(zip)
	if err != nil {
		t.Fatal(err)
	}
	flipped := append([]byte{}, whole...)
	flipped[len(flipped)/2] ^= 1
	lies := w.liar()
	nobody := []string{"UPDATE_TOOL_USERNAME=", "UPDATE_TOOL_PASSWORD=", "UPLEVEL_TOKEN_FILE="}
	w.customer("another", "another passw0rd", "--product", "shop", "--kind", "paid", "--eula-accepted-by", "X")
	another := []string{"UPDATE_TOOL_USERNAME=another@example.com", "UPDATE_TOOL_PASSWORD=another passw0rd"}
	elsewhere := []string{"UPDATE_TOOL_USERNAME=elsewhere@example.com", "UPDATE_TOOL_PASSWORD=elsewhere passw0rd"}
	away := func(home string) { w.must("mv", home+"/updates/root.json", home+"-root.json") }
	back := func(home string) { w.must("mv", home+"-root.json", home+"/updates/root.json") }
	for _, r := range []row{
		{name: "of whom nobody knows", env: nobody, args: []string{"apply-hotfix", zip}, exit: 15, words: "Next: If that is your organisation, run the command again with --for Lab."},
		{name: "of another, by --for", env: nobody, args: []string{"apply-hotfix", zip, "--for", "Example Bank"}, exit: 14, words: "is for Lab, not for Example Bank"},
		{name: "of another, by credentials", env: another, args: []string{"apply-hotfix", zip}, exit: 14, words: "this product is of"},
		{name: "cut off", env: nobody, args: []string{"apply-hotfix", w.damaged("cut", whole[:len(whole)-9])}, exit: 14, words: "compare its SHA-256"},
		{name: "one bit flipped", env: nobody, args: []string{"apply-hotfix", w.damaged("flipped", flipped), "--for", "Lab"}, exit: 14},
		{name: "no zip", env: nobody, args: []string{"apply-hotfix", w.damaged("none", []byte("Not found"))}, exit: 14, words: "Unable to use the zip"},
		{name: "no file", env: nobody, args: []string{"apply-hotfix", "nowhere/shop-1-Lab-hf1.zip"}, exit: 1, words: "Next: Name the zip that the vendor gave you."},
		{name: "a folder", env: nobody, make: func(string) { w.write(w.Path("folder/shop-1-Lab-hf1.zip/x"), "x") }, args: []string{"apply-hotfix", w.Path("folder/shop-1-Lab-hf1.zip")}, exit: 1, words: "it is no file"},
		{name: "another name", env: nobody, args: []string{"apply-hotfix", "fix.zip"}, exit: 1, words: "uplevel: Invalid hotfix name"},
		{name: "no name", env: nobody, args: []string{"apply-hotfix", "fix"}, exit: 1, words: "uplevel: Invalid hotfix name"},
		{name: "by name, not there", args: []string{"apply-hotfix", "Lab-hf7"}, exit: 1, words: "Next: See those there are with uplevel check"},
		{name: "by name, offline", args: []string{"apply-hotfix", "Lab-hf1", "--offline"}, exit: 10, words: "leave --offline out"},
		{name: "by name, without credentials", env: nobody, args: []string{"apply-hotfix", "Lab-hf1"}, exit: 10, words: "--username"},
		{name: "by name, wrong password", args: []string{"apply-hotfix", "Lab-hf1", "-p", "wrong"}, exit: 11, words: "Invalid credentials"},
		{name: "by name, another's", env: another, args: []string{"apply-hotfix", "Lab-hf1"}, exit: 1, words: "no hotfix Lab-hf1"},
		{name: "by name, not subscribed", env: elsewhere, args: []string{"apply-hotfix", "Lab-hf1"}, exit: 12},
		{name: "by name, service down", args: []string{"apply-hotfix", "Lab-hf1", "--service", "https://127.0.0.1:1"}, exit: 13},
		{name: "by name, changed on the way", args: []string{"apply-hotfix", "Lab-hf1", "--service", lies("/api/v1/hotfixes/shop/1/Lab-hf1")}, exit: 14, words: "not the one that it lists"},
		{name: "by name, list that is no JSON", args: []string{"apply-hotfix", "Lab-hf1", "--service", lies("/api/v1/hotfixes")}, exit: 13, words: "no JSON"},
		{name: "into a copy", args: []string{"apply-hotfix", zip, "--to", "../copy"}, exit: 10, words: "--to makes a copy"},
		{name: "two at once", args: []string{"apply-hotfix", zip, zip}, exit: 10, words: "apply-hotfix wants ZIP|NAME"},
		{name: "without a root", env: nobody, make: away, undo: back, args: []string{"apply-hotfix", zip, "--for", "Lab"}, exit: 14, words: "Next: Bring updates/root.json back"},
		{name: "dry run", env: nobody, args: []string{"apply-hotfix", zip, "--for", "Lab", "--dry-run"}, exit: 0, words: "would go from level 1.0 to 1.0-Lab-hf1"},
		{name: "nothing to take back", args: []string{"revert-hotfix"}, exit: 1, words: "No hotfix is applied here"},
		{name: "whose it is, wrong password", args: []string{"current-state", "-u", "operator@lab.example", "-p", "wrong"}, exit: 11, words: "Invalid credentials"},
		{name: "whose it is, service down", args: []string{"current-state", "-u", "operator@lab.example", "-p", "x", "--service", "https://127.0.0.1:1"}, exit: 0, words: "Note: Whose this product is could not be learned"},
		{name: "whose it is, not subscribed", env: elsewhere, args: []string{"current-state", "-u", "elsewhere@example.com"}, exit: 0, words: "could not be learned"},
	} {
		w.try(r)
	}
}

// TestHotfixTroubleOnceApplied are troubles of a product that has a hotfix.
func TestHotfixTroubleOnceApplied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	zip := w.withHotfix()
	home := w.home()
	if code, said := w.said(home, nil, "", "apply-hotfix", zip); code != 0 {
		t.Fatal(code, said)
	}
	before := product(t, home)
	for _, r := range []row{
		{name: "again", args: []string{"apply-hotfix", zip}, exit: 0, words: "Hotfix Lab-hf1 is applied already: nothing to do."},
		{name: "an update without it", args: []string{"update"}, exit: 15, words: "with uplevel revert-hotfix"},
		{name: "a plan without it", args: []string{"plan", "--output", "json"}, exit: 15, words: `"blocking": [`},
		{name: "another is taken back", args: []string{"revert-hotfix", "Lab-hf2"}, exit: 1, words: "Next: See what is applied with uplevel current-state"},
		{name: "no name", args: []string{"revert-hotfix", "fix"}, exit: 1, words: "Invalid hotfix name"},
	} {
		if code, said := w.said(home, nil, "", r.args...); code != r.exit || !strings.Contains(said, r.words) || product(t, home) != before {
			t.Errorf("%s: exit %d, want %d and %q: %s", r.name, code, r.exit, r.words, said)
		}
	}
	w.write(filepath.Join(home, "updates/organisation"), "{}")
	if code, said := w.said(home, nil, "", "apply-hotfix", zip); code != 15 || !strings.Contains(said, "updates/organisation cannot be used") {
		t.Errorf("exit %d: %s", code, said)
	}
}
