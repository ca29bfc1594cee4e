package concurrent

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"uplevel/test/lab"
)

// adding is held while a product is added: each new one changes the same document.
var adding sync.Mutex

// product publishes level 0 of a product of the test's own.
func product(t *testing.T, l *lab.Lab, name string) {
	t.Helper()
	adding.Lock()
	defer adding.Unlock()
	expect(t, l, l.Dir, 0, nil, "uplevel-publish", "product", "add", name, "1", "--platform", "unix", "--dist", l.Path("old"))
}

// levelArgs publish the tree in a folder of the lab as the next level.
func levelArgs(l *lab.Lab, name, dist string, more ...string) []string {
	return append([]string{"level", name, "1", "--dist", l.Path(dist), "--notes", l.Path("notes.yaml")}, more...)
}

// signing is the point at which a publisher has judged everything and opens the key that it
// signs with.
func signing(keys, role string) at {
	return at{"openat", filepath.Join(keys, role+".key"), 1}
}

// sound has the whole service judged.
func sound(t *testing.T, l *lab.Lab) {
	t.Helper()
	expect(t, l, l.Dir, 0, nil, "upleveld", "check", "--deep")
}

// otherFolder is a copy of the folder of keys, as a second person has it.
func otherFolder(t *testing.T, l *lab.Lab) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	if said, err := exec.Command("cp", "-a", l.Path("keys"), dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return dir
}

const again = "Run the command again: it starts from what is current."

// TestTwoPublishersOfOneLevel holds one publisher before it signs; another publishes another
// build as the same level. Its level stays, and the first one is told.
func TestTwoPublishersOfOneLevel(t *testing.T) {
	t.Parallel()
	l := theLab(t)
	for name, other := range map[string]bool{"one-folder": false, "two-folders": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			product(t, l, name)
			keys := l.Path("keys")
			if other {
				keys = otherFolder(t, l)
			}
			h := hold(t, l, l.Dir, signing(keys, "product."+name), "uplevel-publish", append(levelArgs(l, name, "new"), "--keys", keys)...)
			expect(t, l, l.Dir, 0, nil, "uplevel-publish", levelArgs(l, name, "newer")...)
			h.ends(15, again)
			expect(t, l, l.Dir, 0, []string{"Level 1.1", "is published already"}, "uplevel-publish", levelArgs(l, name, "newer")...)
			expect(t, l, l.Dir, 0, []string{"Level 1.2"}, "uplevel-publish", append(levelArgs(l, name, "new"), "--keys", keys)...)
			sound(t, l)
		})
	}
}

// TestTheSameBuildTwice publishes one build by two publishers: one level comes of it.
func TestTheSameBuildTwice(t *testing.T) {
	t.Parallel()
	l := theLab(t)
	product(t, l, "twice")
	h := hold(t, l, l.Dir, signing(l.Path("keys"), "product.twice"), "uplevel-publish", levelArgs(l, "twice", "new")...)
	expect(t, l, l.Dir, 0, nil, "uplevel-publish", levelArgs(l, "twice", "new")...)
	h.ends(15, again)
	expect(t, l, l.Dir, 0, []string{"Level 1.1", "is published already"}, "uplevel-publish", levelArgs(l, "twice", "new")...)
	sound(t, l)
}

// TestAPublisherBesideAWithdrawal holds a publisher while a level is withdrawn, and a
// withdrawal while a level is promoted: neither takes the other's word back.
func TestAPublisherBesideAWithdrawal(t *testing.T) {
	t.Parallel()
	l := theLab(t)
	product(t, l, "pulled")
	expect(t, l, l.Dir, 0, nil, "uplevel-publish", levelArgs(l, "pulled", "new", "--state", "testing")...)
	key := signing(l.Path("keys"), "product.pulled")
	withdraw := []string{"withdraw", "pulled", "1", "1", "--reason", "it breaks"}
	h := hold(t, l, l.Dir, key, "uplevel-publish", levelArgs(l, "pulled", "newer")...)
	expect(t, l, l.Dir, 0, nil, "uplevel-publish", withdraw...)
	h.ends(15, "Another publisher changed pulled-1", again)
	expect(t, l, l.Dir, 0, nil, "uplevel-publish", levelArgs(l, "pulled", "newer", "--state", "testing")...)
	h = hold(t, l, l.Dir, key, "uplevel-publish", "promote", "pulled", "1", "2", "--state", "live")
	expect(t, l, l.Dir, 0, nil, "uplevel-publish", "withdraw", "pulled", "1", "2", "--reason", "it breaks, too")
	h.ends(15, "Another publisher changed pulled-1", again)
	for _, again := range [][]string{withdraw, {"withdraw", "pulled", "1", "2", "--reason", "it breaks, too"}} {
		expect(t, l, l.Dir, 0, []string{"already"}, "uplevel-publish", again...)
	}
	sound(t, l)
}

// TestAPublisherBesideARenewal holds a publisher while every role is signed again.
func TestAPublisherBesideARenewal(t *testing.T) {
	l := theLab(t)
	product(t, l, "renewed")
	keys := otherFolder(t, l)
	h := hold(t, l, l.Dir, signing(keys, "product.renewed"), "uplevel-publish", append(levelArgs(l, "renewed", "new"), "--keys", keys)...)
	expect(t, l, l.Dir, 0, nil, "uplevel-publish", "keys", "renew", "--all")
	h.ends(15, again)
	expect(t, l, l.Dir, 0, nil, "uplevel-publish", append(levelArgs(l, "renewed", "new"), "--keys", keys)...)
	sound(t, l)
}

// TestTwoNewProducts adds two products at once, and one product twice.
func TestTwoNewProducts(t *testing.T) {
	l := theLab(t)
	add := func(name string) []string {
		return []string{"product", "add", name, "1", "--platform", "unix", "--dist", l.Path("old")}
	}
	h := hold(t, l, l.Dir, signing(l.Path("keys"), "targets"), "uplevel-publish", add("first")...)
	expect(t, l, l.Dir, 0, nil, "uplevel-publish", add("second")...)
	h.ends(15, again)
	h = hold(t, l, l.Dir, signing(l.Path("keys"), "targets"), "uplevel-publish", add("first")...)
	expect(t, l, l.Dir, 0, nil, "uplevel-publish", add("first")...)
	h.ends(15, again)
	for _, name := range []string{"first", "second"} {
		expect(t, l, l.Dir, 0, nil, "uplevel-publish", levelArgs(l, name, "new")...) // both keys are those that were signed for
	}
	sound(t, l)
}

// TestTwoHotfixesOfOneNumber holds one before it signs; the other's is registered.
func TestTwoHotfixesOfOneNumber(t *testing.T) {
	t.Parallel()
	l := theLab(t)
	product(t, l, "fixes")
	out := t.TempDir()
	args := func(dist string) []string {
		return []string{"hotfix", "fixes", "1", "--for", "Lab", "--level", "0", "--dist", l.Path(dist), "--notes", l.Path("notes.yaml"), "--out", out}
	}
	h := hold(t, l, l.Dir, signing(l.Path("keys"), "hotfix"), "uplevel-publish", args("fixed")...)
	expect(t, l, l.Dir, 0, nil, "uplevel-publish", args("new")...)
	before, err := os.ReadFile(filepath.Join(out, "fixes-1-Lab-hf1.zip"))
	if err != nil {
		t.Fatal(err)
	}
	h.ends(15, "hotfix Lab-hf1", "registered already")
	after, err := os.ReadFile(filepath.Join(out, "fixes-1-Lab-hf1.zip"))
	if err != nil || string(before) != string(after) {
		t.Errorf("the zip is not the one that is registered any more: %v", err)
	}
	sound(t, l)
}

// TestAKilledPublisherKeepsNobodyAway kills one that holds the lock of the documents.
func TestAKilledPublisherKeepsNobodyAway(t *testing.T) {
	l := theLab(t)
	product(t, l, "killed")
	h := hold(t, l, l.Dir, at{"write", l.Path("keys", "metadata", "lock"), 1}, "uplevel-publish", levelArgs(l, "killed", "new")...)
	waiting := make(chan lab.Run, 1)
	go func() {
		r, _ := l.Do(t.Context(), l.Dir, "uplevel-publish", levelArgs(l, "killed", "newer")...)
		waiting <- r
	}()
	h.kill()
	if r := <-waiting; r.Exit != 0 {
		t.Errorf("exit %d\n%s", r.Exit, r.Output)
	}
	sound(t, l)
}

// TestAnOfflineUpdateBesideAPublication holds create-update before it fetches; a level comes.
func TestAnOfflineUpdateBesideAPublication(t *testing.T) {
	t.Parallel()
	l := theLab(t)
	product(t, l, "carried")
	expect(t, l, l.Dir, 0, nil, "uplevel-publish", levelArgs(l, "carried", "new")...)
	expect(t, l, l.Dir, 0, nil, "upleveld", "admin", "subscription", "add", "--organisation", "Lab", "--product", "carried", "--kind", "paid", "--eula-accepted-by", "Lab")
	home := filepath.Join(t.TempDir(), "home")
	expect(t, l, l.Dir, 0, nil, "uplevel-publish", "pack", "carried", "1", "--level", "0", "--out", home)
	cache := t.TempDir()
	alone := &lab.Lab{Dir: l.Dir, Env: append(slices.Clone(l.Env), "UPLEVEL_CACHE="+cache)}
	h := hold(t, alone, home, at{"write", partial(cache, "x2"), 1}, "uplevel", "create-update", "--end-level", "1", "--out", "..")
	expect(t, l, l.Dir, 0, nil, "uplevel-publish", levelArgs(l, "carried", "newer")...)
	h.ends(0)
	expect(t, l, home, 0, nil, "uplevel", "apply-update", "../carried-1.0-1.1.zip")
	expect(t, l, home, 0, nil, "uplevel", "verify", "--strict")
}
