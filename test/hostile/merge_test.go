package hostile

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"uplevel/internal/problem"
	"uplevel/internal/trust"
	"uplevel/internal/trust/sign"
)

// archives has operator and vendor change the same archives, one side of each hostile: one
// update meets all of them. A hostile archive is no archive but a file, and the operator's.
func (w *world) archives() {
	base, plain := with(File("WEB-INF/a.txt", "1")), with(File("WEB-INF/a.txt", "2"))
	mine, theirs := map[string][]byte{}, map[string][]byte{}
	for n, z := range Zips() {
		if len(z.Data) > 1<<20 && !*sweep {
			continue
		}
		name := fmt.Sprintf("war/%03d.war", n)
		mine[name], theirs[name] = z.Data, plain
		name = fmt.Sprintf("war/%03d-theirs.war", n)
		mine[name], theirs[name] = plain, z.Data
	}
	for name := range mine {
		w.write(w.Path("wars/0", name), string(base))
		w.write(w.Path("wars/1", name), string(theirs[name]))
	}
	w.write(w.Path("wars/0/LICENSE"), "free")
	w.write(w.Path("wars/1/LICENSE"), "free")
	pack, _, err := w.PublishTwo(w.t.Context(), "wars", w.Path("wars/0"), w.Path("wars/1"))
	if err != nil {
		w.t.Fatal(err)
	}
	other := *w
	other.pack = pack
	home := other.home("wars")
	for name, data := range mine {
		w.write(filepath.Join(home, name), string(data))
	}
	before := w.snapshot()
	w.run(attempt{
		door: "archives that both changed", what: fmt.Sprint(len(mine), " at once"), dir: home, program: "uplevel", memory: toolMemory,
		args: []string{"update", "--on-conflict", "mine", "--progress", "none"}, exits: []problem.Kind{0},
	})
	w.counts["archives that both changed"] += len(mine) - 1
	after := w.snapshot()
	for p, was := range before {
		if !strings.HasPrefix(p, "wars") && after[p] != was {
			w.t.Errorf("%s was touched", p)
		}
	}
	for p := range after {
		if _, known := before[p]; !known && !strings.HasPrefix(p, "wars/updates") {
			w.t.Errorf("%q is new", p)
		}
	}
	w.remove(home)
}

// signed are hotfixes of a malicious publisher, whose signature is good: paths, links and
// sizes are judged all the same, by the service and by the tool.
func (w *world) signed() {
	w.write(w.Path("dist/fix/bin/run"), "run fixed")
	w.write(w.Path("dist/fix/lib/big.jar"), strings.Repeat("jar 0 ", 1000))
	w.write(w.Path("dist/fix/LICENSE"), "free")
	w.must("uplevel-publish", "hotfix", "shop", "1", "--for", "Lab", "--level", "0", "--dist", w.Path("dist/fix"), "--notes", w.Path("notes.yaml"), "--out", w.Path("hotfixes"))
	good, err := os.ReadFile(w.Path("hotfixes/shop-1-Lab-hf1.zip"))
	if err != nil {
		w.t.Fatal(err)
	}
	members := unzip(w.t, good)
	record := envelopePayload(w.t, members[0].Data)
	keys := w.keys()
	home, name, c := w.home("home"), filepath.Join(w.area, "shop-1-Lab-hf1.zip"), w.caller()
	for what, change := range hostileRecords() {
		text := change(string(record))
		if text == string(record) {
			w.t.Fatalf("%s changes nothing in %s", what, record)
		}
		envelope, err := sign.Hotfix([]byte(text), keys)
		if err != nil {
			w.t.Fatal(err)
		}
		changed := append([]Member{File("hotfix.json", string(envelope))}, members[1:]...)
		w.write(name, string(Archive{Members: changed}.Bytes()))
		w.try(attempt{
			door: "apply-hotfix, signed", what: what, dir: home, program: "uplevel", args: []string{"apply-hotfix", name, "--for", "Lab"}, memory: toolMemory,
			exits: []problem.Kind{problem.Verification}, words: []string{"Next:"},
		})
		data, err := os.ReadFile(name)
		if err != nil {
			w.t.Fatal(err)
		}
		status, said := c.send(w.t.Context(), "register hotfix, signed", "POST", "/api/v1/publishing/hotfixes", "application/zip", data, c.token)
		c.refused("register hotfix, signed", what, status, said)
	}
	w.remove(name)
}

// keys opens the vendor's hotfix key.
func (w *world) keys() []sign.Key {
	w.t.Helper()
	f := &sign.Folder{Dir: w.Path("keys"), Cost: sign.DefaultCost(), Passphrase: func(bool) (string, error) {
		for _, e := range w.Env {
			if v, ok := strings.CutPrefix(e, "UPLEVEL_KEY_PASSPHRASE="); ok {
				return v, nil
			}
		}
		return "", nil
	}}
	keys, err := f.Keys(trust.RoleHotfix)
	if err != nil {
		w.t.Fatal(err)
	}
	return keys
}

// hostileRecords change the record of a hotfix that changes bin/run.
func hostileRecords() map[string]func(string) string {
	replace := func(old, with string) func(string) string {
		return func(s string) string { return strings.ReplaceAll(s, old, with) }
	}
	all := map[string]func(string) string{
		"set-user-id": replace(`"mode":420`, `"mode":2541`), "a link that leaves": func(s string) string {
			return s[:strings.Index(s, `"files":[`)] + `"files":[{"path":"x","want":{"kind":"link","target":"../../canary"}}],` + s[strings.Index(s, `"id":`):]
		},
		"a device":      replace(`"kind":"file"`, `"kind":"other"`),
		"negative size": replace(`"size":9`, `"size":-9`), "a petabyte": replace(`"size":9`, `"size":1125899906842624`),
		"too small a size": replace(`"size":9`, `"size":8`), "deep": func(s string) string { return s + strings.Repeat("[", 100_000) },
		"the tool itself": replace("bin/run", "bin/uplevel"), "the tool's state": replace("bin/run", "updates/state.json"),
	}
	for _, n := range Names() {
		if !n.Windows && !n.Harmless && utf8.ValidString(n.Text) && !strings.ContainsAny(n.Text, "\x00\n\r\t\a\x1b\x7f\"\\") {
			all["name: "+n.Name] = replace("bin/run", n.Text)
		}
	}
	return all
}

// genuine changes an offline update and a hotfix that are the vendor's in every way that
// a zip can be changed without making its contents others.
func (w *world) genuine() {
	w.must("uplevel", "--dir", w.pack, "create-update", "--out", w.Path("genuine.zip"))
	good, err := os.ReadFile(w.Path("genuine.zip"))
	if err != nil {
		w.t.Fatal(err)
	}
	home, name := w.home("home"), filepath.Join(w.area, "update.zip")
	hurt, jar := w.home("hurt"), "lib/big.jar"
	whole, err := os.ReadFile(filepath.Join(hurt, jar))
	if err != nil {
		w.t.Fatal(err)
	}
	changed := laidOut(unzip(w.t, good), good)
	for n, what := range slices.Sorted(maps.Keys(changed)) {
		w.write(name, string(changed[what]))
		w.write(filepath.Join(hurt, jar), "broken")
		exits := []problem.Kind{problem.Verification}
		if strings.HasPrefix(what, "byte ") { // those of a date change nothing that is believed
			exits = append(exits, 0)
		}
		for _, a := range w.share(n, []attempt{
			{door: "apply-update, genuine but changed", dir: home, args: []string{"apply-update", name, "--dry-run"}},
			{door: "verify --repair --from, genuine but changed", dir: hurt, args: []string{"verify", "--repair", "--yes", "--from", name}, may: "hurt/"},
		}) {
			a.what, a.program, a.memory, a.exits, a.words = what, "uplevel", toolMemory, exits, []string{"Next:"}
			r := w.try(a)
			got, err := os.ReadFile(filepath.Join(hurt, jar))
			if err != nil || string(got) != "broken" && !bytes.Equal(got, whole) || r.Exit != 0 && string(got) != "broken" {
				w.t.Errorf("%s: %s: exit %d, and there is %.40q, %v", a.door, what, r.Exit, got, err)
			}
		}
	}
	w.remove(name)
	w.remove(hurt)
}

// laidOut is a zip in other ways than it was.
func laidOut(members []Member, good []byte) map[string][]byte {
	last := len(members) - 1
	rest := func(change ...Member) []byte { return Archive{Members: append(change, members[1:]...)}.Bytes() }
	swapped := append([]Member{}, members...)
	swapped[last], swapped[last-1] = swapped[last-1], swapped[last]
	all := map[string][]byte{
		"prefix": append([]byte("#!"), good...), "suffix": append(bytes.Clone(good), 0), "twice": append(bytes.Clone(good), good...),
		"member outside": Archive{Members: append(copied(members), File("../../canary", "x"))}.Bytes(), "link outside": Archive{Members: append(copied(members), Link("objects/x", "../../canary"))}.Bytes(),
		"swapped": Archive{Members: swapped}.Bytes(), "member twice": Archive{Members: append(copied(members), members[last])}.Bytes(), "member missing": Archive{Members: members[:last]}.Bytes(),
		"hidden member": Archive{Members: append(copied(members), hidden(File("objects/x", "x")))}.Bytes(), "comment": Archive{Members: members, Comment: "c"}.Bytes(),
		"streamed index": rest(members[0].Streamed(false)), "encrypted index": rest(members[0].both(func(s *Side) { s.Flags |= 1 })),
		"local name": rest(members[0].local(func(s *Side) { s.Name = "INDEX.json" })), "central name": rest(members[0].central(func(s *Side) { s.Name = "INDEX.json" })),
		"deflated index": rest(Deflated(members[0].Local.Name, string(members[0].Data))), "bomb as index": rest(Zeros(members[0].Local.Name, 64<<20)),
		"index of spaces": rest(File(members[0].Local.Name, strings.Repeat(" ", 15<<20))), "deep index": rest(File(members[0].Local.Name, strings.Repeat("[", 1<<20))),
		"wide index":        rest(File(members[0].Local.Name, `{"members":[`+strings.Repeat(`{},`, 5<<20)+"{}]}")),
		"bomb as an object": Archive{Members: append(copied(members[:last]), File(members[last].Local.Name, string(Stored(64<<20))))}.Bytes(),
	}
	for i := 0; i < len(good); i += 1 + len(good)/40 {
		flipped := bytes.Clone(good)
		flipped[i] ^= 0x41
		all[fmt.Sprintf("byte %d", i)] = flipped
		all[fmt.Sprintf("cut after %d", i)] = good[:i]
	}
	return all
}

// copied is a copy that can be appended to.
func copied(members []Member) []Member { return append([]Member{}, members...) }
