package install

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/plan"
	"uplevel/internal/problem"
)

// FuzzOwnFiles reads a home in which one file of the tool's own is torn, from another
// program, or written by somebody who means ill.
func FuzzOwnFiles(f *testing.F) {
	dir := updatedHome(f)
	for i, name := range ownNames() {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, data)
		f.Add(i, data[:len(data)/2])
	}
	f.Add(1, []byte(`{"update-level":"3","channel":"full","appkey":"x","product":{"backup":"/b"},"hotfixes":["a",{"name":"b"}],"deep":[{"password":1}]}`))
	f.Add(1, []byte(byteOrderMark+"null"))
	f.Add(3, []byte(`{"format":1,"decisions":[{"path":"a","mine":"`+strings.Repeat("a", 64)+`","result":{"size":-1}}]}`))
	f.Add(4, []byte(`{"format":1,"id":"o","name":"Bank"}`))
	f.Fuzz(func(t *testing.T, which int, data []byte) {
		dir := t.TempDir()
		tree{"updates/product.txt": "shop-1.0\n", "updates/history/000002.json": `{"format":1}`}.write(t, dir)
		names := ownNames()
		writeOwn(t, dir, names[uint(which)%uint(len(names))], data)
		h, err := Open(dir, Options{Now: time.Now, ReadOnly: true})
		if err != nil {
			refused(t, err)
			return
		}
		defer h.Close()
		_, decided := h.Decided()
		_, organisation := h.Organisation()
		_, history := h.History()
		for _, err := range []error{decided, organisation, history} {
			refused(t, err)
		}
		h.readCache()
		configReadsBack(t, h)
	})
}

func ownNames() []string {
	return []string{productFile, configFile, stateFile, decisionsFile, organisationFile, cacheFile, historyName(1)}
}

// configReadsBack asserts that config.json as a commit writes it says what is installed,
// holds no secret, and is written the same when it is written again.
func configReadsBack(t *testing.T, h *Home) {
	t.Helper()
	data, err := h.configBytes(h.State())
	if err != nil {
		refused(t, err)
		return
	}
	if !json.Valid(data) {
		t.Fatalf("no JSON: %s", data)
	}
	if err := os.WriteFile(h.abs(configFile), data, 0o644); err != nil {
		t.Fatal(err)
	}
	config, err := h.readConfig()
	if err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	if level, _, err := levelOf(config, h.State().Line()); err != nil || level != h.State().Level {
		t.Fatalf("it says level %d (%v), installed is %d: %s", level, err, h.State().Level, data)
	}
	again, err := h.configBytes(h.State())
	if err != nil || !bytes.Equal(again, data) {
		t.Fatalf("%s\nbecomes\n%s\n%v", data, again, err)
	}
	for _, m := range config {
		if secret(m.key) {
			t.Fatalf("a secret stayed: %s", data)
		}
	}
}

// refused asserts that an error carries the next step.
func refused(t *testing.T, err error) {
	t.Helper()
	if p, ok := errors.AsType[*problem.Error](err); err != nil && (!ok || p.Next == "") {
		t.Fatalf("%v says no next step", err)
	}
}

// updatedHome is a home after an update, with all that the tool keeps.
func updatedHome(t testing.TB) string {
	t.Helper()
	h := newHome(t, oldTree, nil)
	if err := h.Prepare(t.Context(), planBetween(t, oldTree, newTree), contentsOf(oldTree, newTree), extraFor(t, newTree)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := openHome(t, h.Dir(), nil).Look(t.Context(), []string{"bin/start"}, true); err != nil {
		t.Fatal(err)
	}
	return h.Dir()
}

// small is a product on which a commit was cut, or is prepared. In the files of such a
// home, "id:PATH" stands for what tells the file at PATH from others.
var small = tree{
	"bin/start": "start 0", "conf/a": "a=mine", "gone": "gone", "folder": "/",
	"updates/product.txt": "shop-1.0\n", "updates/staging/1": "start 1", "updates/staging/2": "a=1", "updates/staging/old": "kept", "updates/staging/twin": "/",
}

// cutHome is a home of a small product with a file of the tool's own.
func cutHome(t *testing.T, name string, data []byte) *Home {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "home")
	tree{"outside": "untouched"}.write(t, filepath.Dir(dir))
	small.write(t, dir)
	h := openHome(t, dir, nil)
	for path := range small {
		if info, err := h.lstat(path); err == nil {
			id, err := json.Marshal(identityOf(info))
			if err != nil {
				t.Fatal(err)
			}
			data = bytes.ReplaceAll(data, fmt.Appendf(nil, `"id:%s"`, path), id)
		}
	}
	writeOwn(t, dir, name, data)
	return h
}

func writeOwn(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// nothingOutside asserts that beside the home nothing changed.
func nothingOutside(t *testing.T, h *Home) {
	t.Helper()
	beside := read(t, filepath.Dir(h.Dir()))
	for path := range beside {
		if strings.HasPrefix(path, "home/") {
			delete(beside, path)
		}
	}
	if d := cmp.Diff(tree{"outside": "untouched", "home": "/"}, beside); d != "" {
		t.Fatal(d)
	}
}

// FuzzRecover recovers from a journal that says anything.
func FuzzRecover(f *testing.F) {
	for _, seed := range []string{
		`{"format":1,"id":1,"what":"update","direction":"forward","staging":["updates/staging"],"operations":[` +
			`{"kind":"place","path":"bin/start","new":"updates/staging/1","old":"updates/staging/old","was":"id:bin/start"},` +
			`{"kind":"remove","path":"gone","old":"updates/staging/old","was":"id:gone"},{"kind":"rmdir","path":"folder","old":"updates/staging/twin"},` +
			`{"kind":"chmod","path":"conf/a","mode":384,"old_mode":420},{"kind":"place","path":"new","new":"updates/staging/2"}]}`,
		`{"format":1,"id":1,"direction":"undo","staging":["updates/staging"],"operations":[` +
			`{"kind":"place","path":"bin/start","new":"updates/staging/1","old":"updates/staging/old","was":"id:bin/start"},` +
			`{"kind":"rmdir","path":"leer","old":"updates/staging/twin","old_mode":493},{"kind":"chmod","path":"conf/a","mode":384,"old_mode":420}]}`,
		`{"format":1,"direction":"undo","operations":[{"kind":"remove","path":"gone","old":"updates/staging/old"}]}`,
		`{"format":1,"direction":"forward","staging":["not/mounted"],"operations":[]}`,
		`{"format":1,"direction":"forward","operations":[{"kind":"place","path":"../outside","new":"updates/staging/1"},{"kind":"remove","path":"/etc/x","was":"id:gone"}]}`,
		`{"format":2}`, `{"format":1,"oper`, "", "null",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h := cutHome(t, journalFile, data)
		_, err := h.Recover(t.Context())
		nothingOutside(t, h)
		if err != nil {
			return
		}
		if h.CommitOpen() {
			t.Fatal("recovered, and the commit is open")
		}
		before := read(t, h.Dir())
		again, err := h.Recover(t.Context())
		if err != nil || again.Outcome != "clean" || cmp.Diff(before, read(t, h.Dir())) != "" {
			t.Fatalf("recovering once more: %+v, %v", again, err)
		}
	})
}

// FuzzPending decides, commits or drops a prepared change that says anything.
func FuzzPending(f *testing.F) {
	for _, seed := range pendingSeeds(f) {
		for choice := range 5 {
			f.Add(choice, seed)
		}
	}
	f.Fuzz(func(t *testing.T, choice int, data []byte) {
		h := cutHome(t, pendingFile, data)
		defer nothingOutside(t, h)
		p, err := h.Pending()
		if err != nil {
			refused(t, err)
			if err := h.Discard(); err != nil {
				t.Fatal("what is damaged cannot be dropped: ", err)
			}
			return
		}
		_, _, _ = h.Waits()
		for _, path := range p.Plan.Conflicts() {
			switch choice % 5 {
			case 1:
				_ = h.Resolve(path, Mine, nil)
			case 2:
				_ = h.Resolve(path, Theirs, nil)
			case 3:
				_ = h.Resolve(path, Given, strings.NewReader("given"))
			case 4:
				_ = h.Discard()
				return
			}
		}
		if _, err := h.Commit(t.Context()); err == nil && h.CommitOpen() {
			t.Fatal("committed, and the commit is open")
		}
	})
}

// pendingSeeds are prepared changes as the tool writes them.
func pendingSeeds(f *testing.F) [][]byte {
	f.Helper()
	h := newHome(f, tree{"conf/a": "a=mine", "bin/start": "start 0", "gone": "gone"}, nil)
	p, err := plan.Make(plan.Plan{
		Kind: plan.Update, Product: "shop", Version: "1.0", From: plan.Point{Channel: "full"}, To: plan.Point{Channel: "full", Level: 1},
		Outcomes: []plan.Outcome{
			{Path: "bin/start", Action: plan.Replace, Base: entryOf("bin/start", "start 0"), Disk: entryOf("bin/start", "start 0"), Want: entryOf("bin/start", "start 1"), Result: entryOf("bin/start", "start 1"), Source: plan.FromObject},
			{Path: "conf/a", Action: plan.Conflict, Base: entryOf("conf/a", "a=0"), Disk: entryOf("conf/a", "a=mine"), Want: entryOf("conf/a", "a=1")},
			{Path: "gone", Action: plan.Remove, Base: entryOf("gone", "gone"), Disk: entryOf("gone", "gone")},
		},
	})
	if err != nil {
		f.Fatal(err)
	}
	extra := extraFor(f, tree{"conf/a": "a=1", "bin/start": "start 1"})
	if err := h.Prepare(f.Context(), p, contentsOf(tree{"1": "a=0", "2": "a=1", "3": "start 1"}), extra); err != nil {
		f.Fatal(err)
	}
	written, err := os.ReadFile(h.abs(pendingFile))
	if err != nil {
		f.Fatal(err)
	}
	var said Pending
	if err := json.Unmarshal(written, &said); err != nil {
		f.Fatal(err)
	}
	known := written
	for path, s := range said.Staged {
		id, err := json.Marshal(s.Was)
		if err != nil {
			f.Fatal(err)
		}
		known = bytes.ReplaceAll(known, id, fmt.Appendf(nil, `"id:%s"`, path))
		known = bytes.ReplaceAll(known, []byte(s.New), []byte("updates/staging/1"))
	}
	return [][]byte{
		written, known, written[:len(written)/2],
		bytes.Replace(known, []byte(`"sides":[`), []byte(`"sides":["../outside","bin",`), 1),
		[]byte(`{"format":1}`), []byte(`{"format":1,"plan":{"format":1}}`), []byte("null"), nil,
	}
}
