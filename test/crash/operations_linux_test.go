package crash

import (
	"slices"
	"strings"

	"uplevel/test/lab"
)

// operation is one thing an operator does, with how the home is brought before it.
type operation struct {
	name    string
	before  []step // on a fresh pack
	run     []string
	ends    int    // its exit code when nothing is in its way
	stays   bool   // ends at the old level
	waits   bool   // leaves a change that waits, with its side files
	either  bool   // may end at either: a recovery that cannot go forward goes back
	hurt    bool   // begins with damage that fsck finds until it is repaired
	fills   bool   // also tried on a disk that is really full
	program string // in the home; "": uplevel of the lab
	then    []step // what must work afterwards, however it ended
	kept    []step // what must work afterwards when it was acknowledged: it rests on what was
}

type step struct {
	exit int
	line string // for the shell, in the home
}

// toolName is what the tool that renews itself is named in a home.
const toolName = "wso2update_linux"

func operations() []operation {
	updated := step{0, "uplevel update --on-conflict mine"}
	newer := step{0, "uplevel update --on-conflict mine --level 2"}
	whole := step{0, "uplevel verify"}
	return []operation{
		{name: "first start", run: []string{"check"}, stays: true, then: []step{updated}},
		{name: "update", run: []string{"update", "--on-conflict", "mine"}, fills: true},
		{
			name: "update a copy", run: []string{"update", "--on-conflict", "mine", "--to", "$HOUSE/copy"}, stays: true,
			then: []step{{0, wholeCopy}},
			kept: []step{{0, "uplevel --dir $HOUSE/copy verify"}, {0, "grep -q 'start 1' $HOUSE/copy/bin/start && grep -q customised $HOUSE/copy/conf/mine.txt"}},
		},
		{
			name: "back up", run: []string{"update", "--on-conflict", "mine", "--backup", "$HOUSE/backups"},
			then: []step{{0, wholeBackups}},
			kept: []step{{0, "grep -q 'start 0' $HOUSE/backups/backup/*/bin/start && grep -q customised $HOUSE/backups/backup/*/conf/mine.txt"}},
		},
		{name: "prepare", run: []string{"prepare", "--on-conflict", "mine"}, stays: true, waits: true, kept: []step{{0, "uplevel apply"}, whole}},
		{name: "conflict", run: []string{"update"}, ends: 3, stays: true, waits: true, kept: []step{{0, "echo both > conf/conflict.txt.final; uplevel --continue"}, whole}},
		{
			name: "resolve", before: []step{{3, "uplevel update"}}, run: []string{"resolve", "conf/conflict.txt", "--theirs"},
			stays: true, waits: true, kept: []step{{0, "uplevel --continue"}, {0, "grep -q 'vendor 1' conf/conflict.txt"}, whole},
		},
		{
			name: "resolve given", before: []step{{3, "uplevel update"}, {0, "echo both > logs/both"}}, run: []string{"resolve", "conf/conflict.txt", "--file", "logs/both"},
			stays: true, waits: true, kept: []step{{0, "uplevel --continue"}, {0, "grep -q both conf/conflict.txt"}, whole},
		},
		{name: "apply", before: []step{{0, "uplevel prepare --on-conflict mine"}}, run: []string{"apply"}},
		{name: "revert", before: []step{updated}, run: []string{"revert"}},
		{name: "continue", before: []step{{3, "uplevel update"}, {0, "echo both > conf/conflict.txt.final"}}, run: []string{"--continue"}},
		{name: "apply-hotfix", run: []string{"apply-hotfix", fixed, "--for", "Lab"}},
		{
			name: "hotfix conflict", before: []step{{0, "echo mine > conf/a.properties"}}, run: []string{"apply-hotfix", fixed, "--for", "Lab"},
			ends: 3, stays: true, waits: true, kept: []step{{0, "uplevel resolve conf/a.properties --mine; uplevel --continue"}, whole},
		},
		{name: "revert-hotfix", before: []step{{0, "uplevel apply-hotfix $LAB/hotfixes/shop-1-Lab-hf1.zip --for Lab"}}, run: []string{"revert-hotfix"}},
		{name: "apply-update", run: []string{"apply-update", "$LAB/shop-1.0-1.1.zip", "--on-conflict", "mine"}, fills: true},
		{name: "merge and rename", before: []step{{0, edited}}, run: []string{"update", "--on-conflict", "mine", "--level", "2"}},
		{name: "merged conflict", before: []step{{0, edited}, {3, "uplevel update"}, {0, "uplevel resolve conf/conflict.txt --theirs"}}, run: []string{"--continue"}},
		{name: "revert far", before: []step{{0, edited}, updated, newer, {0, "printf '\nlater=1\n' >> conf/a.properties"}}, run: []string{"revert", "--to", "0"}},
		{name: "repair", before: []step{updated, {0, damaged}}, run: []string{"verify", "--repair", "--yes"}, hurt: true},
		{name: "gc", before: []step{updated, newer}, run: []string{"gc", "--keep", "1", "--yes"}, stays: true, then: []step{{0, "uplevel revert"}}},
		{name: "recover", before: []step{{0, cutMidway}}, run: []string{"recover"}, either: true},
		{name: "self-update", before: []step{{0, "cp $LAB/tool-7.0/* bin/" + toolName + "; bin/" + toolName + " check; true"}}, run: []string{"self-update"}, program: "bin/" + toolName},
	}
}

// fixed is the hotfix; $LAB stands for the folder of the lab, $HOUSE for the first disk.
const fixed = "$LAB/hotfixes/shop-1-Lab-hf1.zip"

// wholeCopy holds where there is no copy that passes for a product, or a whole one.
const wholeCopy = "test ! -e $HOUSE/copy/updates/product.txt || " +
	"{ uplevel --dir $HOUSE/copy verify && grep -q customised $HOUSE/copy/conf/mine.txt && grep -q foreign $HOUSE/copy/lib/gone/foreign; }"

// wholeBackups holds where every full copy is a whole product, but for one that is told by its
// name to be unfinished.
const wholeBackups = "for d in $HOUSE/backups/backup/*; do test ! -e $d || { uplevel --dir $d verify && grep -q 'start 0' $d/bin/start; } || exit 1; done"

// edited makes a change that merges with the vendor's, in a file that level 2 renames.
const edited = "printf '\nmine=1\n' >> conf/a.properties"

// damaged leaves a product with an empty file, a missing folder, a file in place of a folder
// and one in place of a link, a script that does not start, and a store with a broken object.
const damaged = "set -e; : > bin/start; rm -r lib/x-2.jar fresh; echo in the way > fresh; chmod 644 bin/stop; rm link; echo no link > link; " +
	"rm leer/größe.txt; mkdir leer/größe.txt; for f in updates/store/*; do if [ $(stat -c %s $f) -lt 40 ]; then echo broken > $f; fi; done"

// cutMidway leaves a commit open, in the middle of what it does: the update is killed at one
// of the renames behind the commit point.
const cutMidway = "disturb -call renameat -nth 30 -how kill $LAB/bin/uplevel update --on-conflict mine; test -e updates/COMMITTING"

// acknowledged reports whether a run promised the new level.
func (op operation) acknowledged(r lab.Run) bool {
	return r.Exit == op.ends && !op.stays && !op.either
}

// denied reports whether a run said that the product is as it was: then no later start
// may bring the change about.
func (op operation) denied(r lab.Run) bool {
	return !op.either && r.Exit != op.ends && !op.partly(r) && slices.Contains([]int{1, 13, 14, 15, 16, 130}, r.Exit)
}

// saysItIsLeft reports whether a run told that the disk took nothing any more, not even away
// what it had prepared: that may wait beside a product that is as it was.
func (op operation) saysItIsLeft(r lab.Run) bool {
	return op.waits && strings.Contains(r.Output, "The product is as it was.") && strings.Contains(r.Output, "prepare --discard")
}

// partly reports whether a repair said that it restored what it could and that some things
// cannot be had.
func (op operation) partly(r lab.Run) bool { return op.hurt && r.Exit == 14 }
