package support

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"uplevel/internal/problem"
)

func now() time.Time { return time.Date(2026, 11, 24, 18, 3, 27, 0, time.UTC) }

// makeHome writes files below a new home.
func makeHome(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shop")
	for name, content := range files {
		full := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func made(t *testing.T, req Request) *Bundle {
	t.Helper()
	req.Now = now()
	b, err := Make(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// everything is every byte of a bundle that anybody could read: members, names, comments.
func everything(t *testing.T, data []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"the zip's comment": z.Comment}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all[f.Name] = f.Name + "\n" + f.Comment + "\n" + string(f.Extra) + "\n" + string(content)
	}
	return all
}

type doctor struct{ text, json string }

func (d doctor) Diagnose(context.Context) (string, []byte, error) { return d.text, []byte(d.json), nil }

// plants are texts with something secret in them, by what must not be seen of it.
func plants() map[string]string {
	known := `Kn0wn p@ss"w\rd`
	return map[string]string{
		known:                    known,
		url.QueryEscape(known):   "GET /?q=" + url.QueryEscape(known),
		fmt.Sprintf("%q", known): fmt.Sprintf("said=%q", known),
		base64.StdEncoding.EncodeToString([]byte("kim:" + known)): "x " + base64.StdEncoding.EncodeToString([]byte("kim:"+known)),
		"hunter2a": "update -p hunter2a", "hunter2b": "--password=hunter2b", "hunter2c": "password: hunter2c", "hunter2d": `"access-token": "hunter2d"`,
		"hunter2e": "Authorization: Basic hunter2e=", "hunter2f": "Cookie: sid=hunter2f; b=hunter2f", "hunter2g": "http://kim:hunt@er/2:hunter2g@proxy.inner.bank:3128",
		"hunter2h": "-----BEGIN PRIVATE KEY-----\\nhunter2h\\n-----END PRIVATE KEY-----", "hunter2i": "eyJhbGciOiJub25lIn0.eyJodW50ZXIyaSI6MX0.hunter2i",
		"dG9rZW4gd2l0aCBubyBuYW1lIDEyMzQ1": "saw dG9rZW4gd2l0aCBubyBuYW1lIDEyMzQ1 there", "db01": "on db01.inner.bank", "inner.bank": "lookup ldap.inner.bank: no such host",
		"203.0.113.77": "from 203.0.113.77:443", "2001:db8::77": "via [2001:db8::77]:443", "0a:1b:2c:3d:4e:5f": "link 0a:1b:2c:3d:4e:5f up",
		"jane.roe": "mail jane.roe@inner.bank", "wilma": "in /home/wilma/shop", "U2-t0ken/of it": "old U2-t0ken%2Fof%20it",
	}
}

// TestNoSecretIsInABundle plants secrets of every kind in every place and looks for them
// in every byte of the bundle.
func TestNoSecretIsInABundle(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	var asJSON []string
	for _, p := range plants() {
		all.WriteString("[24-11-2026 18:03:27] ERROR - " + p + "\n")
		asJSON = append(asJSON, fmt.Sprintf("%q", p))
	}
	lines := all.String()
	object := `{"format":1,"x":[` + strings.Join(asJSON, ",") + `],"user":"wilma"}`
	home := makeHome(t, map[string]string{
		"updates/product.txt": "shop-1.0\n", "updates/logs/uplevel-db01.inner.bank.log": lines, "updates/logs/203.0.113.77.log": lines,
		"updates/config.json": `{"update-level":"3","access-token":"U2-t0ken/of it","x":` + object + `}`, "updates/state.json": object,
		"updates/policy.yaml": lines, "updates/history/000001.json": object, "updates/staging/pending.json": object, "updates/COMMITTING": object,
		"updates/staging/undo.json": "damaged " + object, "updates/lock": lines, "updates/decisions.json": object, "updates/trust/wilma.json": object,
		"updates/vendor.json": object, "updates/jane.roe@inner.bank.bak": "", "updates/organisation": object,
	})
	environ := []string{"UPLEVEL_PASSWORD=Kn0wn p@ss\"w\\rd", "UPLEVEL_X=" + lines, "http_proxy=http://kim:hunt@er/2:hunter2g@proxy.inner.bank:3128", "SOME_TOKEN=hunter2z-of-others", "PATH=/home/wilma/bin"}
	b := made(t, Request{
		Home: home, Program: "uplevel", Version: "1.0", Environ: environ, Args: lines, Users: []string{"wilma"}, Hosts: []string{"db01"},
		Trouble: []Trouble{{"saw", lines}}, Doctor: doctor{lines + "hunter2z-of-others", object}, Support: "help@vendor.example", Keep: []string{"help@vendor.example"},
		Verify: func(context.Context) (Verified, error) {
			return Verified{Customised: strings.Split(lines, "\n"), Damaged: []string{lines}}, nil
		},
	})
	forbidden := []string{"hunter2", "hunt@er", "hunter2z", "wilma", "kim:"}
	for f := range plants() {
		forbidden = append(forbidden, f)
	}
	for name, content := range everything(t, b.Data) {
		for _, f := range forbidden {
			if i := strings.Index(strings.ToLower(content), strings.ToLower(f)); i >= 0 {
				t.Errorf("%s tells %q: …%.120s", name, f, content[max(0, i-40):])
			}
		}
	}
	if strings.Contains(b.Name, "wilma") || b.Summary.Product != "shop" && b.Summary.Product != "" {
		t.Errorf("%+v", b.Summary)
	}
	for _, name := range []string{"logs/host-1.log", "doctor.txt", "verify.json", "home/updates/policy.yaml"} {
		if len(everything(t, b.Data)[name]) < 100 && !strings.HasPrefix(name, "logs/") {
			t.Errorf("%s is missing", name)
		}
	}
	if all := everything(t, b.Data)["summary.json"]; !strings.Contains(all, "help@vendor.example") {
		t.Error("the vendor's own address is taken out")
	}
}

// TestABundleOfADamagedHome works on whatever is there, and names what is not.
func TestABundleOfADamagedHome(t *testing.T) {
	t.Parallel()
	home := makeHome(t, map[string]string{
		"updates/product.txt": "\x00\xff", "updates/state.json": `{"format":1,`, "updates/config.json": `{"update-level":"7"}`,
		"updates/trust/root.json": "{}", "updates/trust/timestamp.json": "<html>", "updates/COMMITTING": "{",
	})
	if err := os.Symlink("/etc/passwd", filepath.Join(home, "updates/policy.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(home, "updates/organisation"), 0o755); err != nil {
		t.Fatal(err)
	}
	b := made(t, Request{Home: home, Verify: func(context.Context) (Verified, error) { return Verified{}, errors.New("half a level") }})
	unread := fmt.Sprint(b.Summary.Unread)
	for _, want := range []string{"updates/product.txt", "updates/state.json", "updates/policy.yaml", "updates/organisation", "timestamp.json", "half a level"} {
		if !strings.Contains(unread, want) {
			t.Errorf("%s is not named: %s", want, unread)
		}
	}
	if !b.Summary.CommitOpen || b.Summary.Level != "7" || strings.Contains(fmt.Sprint(everything(t, b.Data)), "root:x:0") {
		t.Errorf("%+v", b.Summary)
	}
	for _, home := range []string{"", filepath.Join(home, "nowhere")} {
		if b := made(t, Request{Home: home, Trouble: []Trouble{{"finding the product", "none"}}}); len(b.Summary.Members) < 3 {
			t.Errorf("%q: %+v", home, b.Summary)
		}
	}
}

// TestNoContentsAreTold leaves out both sides of what is in dispute, whatever state the
// document is in.
func TestNoContentsAreTold(t *testing.T) {
	t.Parallel()
	const pending = `{"format":1,"id":12345678901234567890,"plan":{"outcomes":[{"path":"a","inside":{"how":"by key","disputes":[{"key":"db.url","base":"Theirs0","mine":"Mine1","theirs":null}]}}]},"documents":{"x.md":"VGhlaXJzMA=="},"keep":3}`
	for name, text := range map[string]string{"whole": pending, "cut": pending[:len(pending)-20], "damaged": "}" + pending, "spaced": strings.ReplaceAll(pending, `"disputes":`, "\"disputes\"\n : ")} {
		home := makeHome(t, map[string]string{"updates/product.txt": "shop-1.0\n", "updates/staging/pending.json": text})
		told := everything(t, made(t, Request{Home: home}).Data)["home/updates/staging/pending.json"]
		for _, f := range []string{"Theirs0", "Mine1", "VGhlaXJzMA"} {
			if strings.Contains(told, f) {
				t.Errorf("%s: %s is told: %s", name, f, told)
			}
		}
		if !strings.Contains(told, `"path":`) || name == "whole" && (!strings.Contains(told, `"db.url"`) || !strings.Contains(told, "5 bytes, not told") || !strings.Contains(told, "12345678901234567890")) {
			t.Errorf("%s: %s", name, told)
		}
	}
}

// TestMembersComeInOneOrder, logs the newest first.
func TestMembersComeInOneOrder(t *testing.T) {
	t.Parallel()
	home := makeHome(t, map[string]string{"updates/product.txt": "shop-1.0\n", "updates/logs/a.log": "x\n", "updates/logs/b.log": "password=y\n"})
	old := now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(home, "updates/logs/a.log"), old, old); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range made(t, Request{Home: home}).Summary.Members {
		if !strings.HasSuffix(m.Name, ".json") {
			names = append(names, m.Name)
		}
	}
	if got := strings.Join(names, " "); got != "README.txt home/updates/product.txt updates.txt environment.txt logs/b.log logs/a.log" {
		t.Errorf("%s", got)
	}
}

// TestTheEndOfALogIsKept cuts a long log at a line, and one without lines at a word.
func TestTheEndOfALogIsKept(t *testing.T) {
	t.Parallel()
	const maxLog = 256 << 10
	home := makeHome(t, map[string]string{
		"updates/product.txt":   "shop-1.0\n",
		"updates/logs/long.log": "BEGIN\n" + strings.Repeat("a line of the log that is long\n", maxLog/31+5) + "[x] ERROR - the end\n",
		"updates/logs/flat.log": "password=" + strings.Repeat("s", maxLog),
		"updates/logs/key.log":  "-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("c2VjcmV0c2VjcmV0\n", maxLog/17+5) + "-----END PRIVATE KEY-----\nafter\n",
	})
	b, err := makeOf(t.Context(), Request{Home: home, Now: now()}, maxLog, maxDiagnosis)
	if err != nil {
		t.Fatal(err)
	}
	all := everything(t, b.Data)
	long := all["logs/long.log"]
	if strings.Contains(long, "BEGIN") || !strings.Contains(long, "the end") || !strings.Contains(long, "were left out") || len(long) < maxLog/2 {
		t.Errorf("%d bytes: %.200s", len(long), long)
	}
	if strings.Contains(all["logs/flat.log"], "ssssssssssssssssssssssss") || strings.Contains(all["logs/key.log"], "c2Vj") || !strings.Contains(all["logs/key.log"], "after") {
		t.Errorf("%.300s\n%.300s", all["logs/flat.log"], all["logs/key.log"])
	}
	if len(b.Summary.Failures) != 1 || !strings.Contains(b.Summary.Failures[0], "the end") {
		t.Errorf("%q", b.Summary.Failures)
	}
}

// TestWhatWasMadeCanBeShown reads a bundle again.
func TestWhatWasMadeCanBeShown(t *testing.T) {
	t.Parallel()
	home := makeHome(t, map[string]string{"updates/product.txt": "shop-1.0\n", "updates/logs/a.log": "colour \x1b[31mred\x1b[0m \u202eevil \xff\n"})
	b := made(t, Request{Home: home, Doctor: doctor{"all well", ""}})
	o, err := Open(bytes.NewReader(b.Data), int64(len(b.Data)))
	if err != nil {
		t.Fatal(err)
	}
	if o.Summary.Product != "shop" || o.Summary.Doctor != "all well" || len(o.Names()) != len(b.Summary.Members)+1 {
		t.Errorf("%+v", o.Summary)
	}
	text, err := o.Read("logs/a.log")
	if want := `colour \x1b[31mred\x1b[0m \u202eevil \xff` + "\n"; err != nil || text != want {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := o.Read("logs/b.log"); problem.KindOf(err) != problem.Failed {
		t.Errorf("%v", err)
	}
}

// zipOf makes a zip of members, in order, and changes its bytes.
func zipOf(t *testing.T, change func([]byte) []byte, members ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i := 0; i+1 < len(members); i += 2 {
		w, err := z.Create(members[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, members[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		return change(out.Bytes())
	}
	return out.Bytes()
}

// TestHostileBundlesAreRefused gives it zips that somebody made to do harm.
func TestHostileBundlesAreRefused(t *testing.T) {
	t.Parallel()
	const summary = `{"format":1}`
	many := []string{"summary.json", summary}
	for i := range maxMembers + 1 {
		many = append(many, fmt.Sprint(i), "")
	}
	for name, data := range map[string][]byte{
		"nothing": {}, "text": []byte("hello, this is no zip at all"), "no summary": zipOf(t, nil, "a", "b"),
		"damaged summary": zipOf(t, nil, "summary.json", "{"), "upwards": zipOf(t, nil, "summary.json", summary, "../../etc/cron.d/x", "x"),
		"absolute": zipOf(t, nil, "summary.json", summary, "/etc/x", "x"), "backslash": zipOf(t, nil, "summary.json", summary, `..\x`, "x"),
		"drive": zipOf(t, nil, "summary.json", summary, `c:x`, "x"), "twice": zipOf(t, nil, "summary.json", summary, "summary.json", summary),
		"many": zipOf(t, nil, many...), "bomb": zipOf(t, nil, "summary.json", strings.Repeat(" ", maxSummary+1)),
		"cut":       zipOf(t, func(b []byte) []byte { return b[:len(b)-5] }, "summary.json", summary),
		"flipped":   zipOf(t, func(b []byte) []byte { b[len("PK..")+40]++; return b }, "summary.json", summary),
		"two lines": zipOf(t, nil, "summary.json", summary, "a\nRoot: f00d", "x"), "escape": zipOf(t, nil, "summary.json", summary, "a\x1b[2J", "x"),
		"directory that lies": zipOf(t, func(b []byte) []byte { // of 65,538 members it tells of 2
			end := b[len(b)-endLength:]
			binary.LittleEndian.PutUint32(end[12:], 2*46)
			return b
		}, endless(1<<16+2)...),
		"comment": zipOf(t, func(b []byte) []byte { b[len(b)-2] = 1; return append(b, 'x') }, "summary.json", summary),
	} {
		if _, err := Open(bytes.NewReader(data), int64(len(data))); problem.KindOf(err) != problem.Verification {
			t.Errorf("%s: %v", name, err)
		}
	}
	newer := zipOf(t, nil, "summary.json", `{"format":2}`)
	if _, err := Open(bytes.NewReader(newer), int64(len(newer))); problem.KindOf(err) != problem.Refused {
		t.Errorf("a newer format: %v", err)
	}
	bomb := zipOf(t, nil, "summary.json", summary, "logs/a", strings.Repeat("0", maxUnpacked+1))
	o, err := Open(bytes.NewReader(bomb), int64(len(bomb)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Read("logs/a"); problem.KindOf(err) != problem.Verification {
		t.Errorf("a bomb: %v", err)
	}
}

// endless is a zip's summary and many empty members.
func endless(members int) []string {
	all := make([]string, 0, 2*members)
	all = append(all, "summary.json", `{"format":1}`)
	for i := 1; i < members; i++ {
		all = append(all, strconv.Itoa(i), "")
	}
	return all
}

// hanging is a doctor before whom a disk hangs.
type hanging struct{ until chan struct{} }

func (h hanging) Diagnose(context.Context) (string, []byte, error) {
	<-h.until
	return "", nil, nil
}

// TestADoctorWhoHangsIsNotWaitedFor makes a bundle without him, and ends when it is told to.
func TestADoctorWhoHangsIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	h := hanging{make(chan struct{})}
	defer close(h.until)
	b, err := makeOf(t.Context(), Request{Home: makeHome(t, nil), Now: now(), Doctor: h}, maxLog, 20*time.Millisecond)
	if err != nil || len(b.Summary.Unread) == 0 || !slices.ContainsFunc(b.Summary.Unread, func(u Trouble) bool { return u.What == "doctor" }) {
		t.Errorf("%v, %+v", err, b)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Make(ctx, Request{Now: now(), Doctor: h}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// TestLinksInAHomeAreNotFollowed has folders of the tool's that lead to the product's own
// files, and beyond.
func TestLinksInAHomeAreNotFollowed(t *testing.T) {
	t.Parallel()
	home := makeHome(t, map[string]string{"conf/own.log": "of-the-product", "conf/config.json": `{"x":"of-the-product"}`, "updates/product.txt": "shop-1\n", "conf/1.json": `{"x":"of-the-product"}`})
	outside := filepath.Join(filepath.Dir(home), "shadow")
	if err := os.WriteFile(outside, []byte("of-the-machine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"logs": "../conf", "history": "../conf", "staging": "../conf", "config.json": "../conf/config.json", "state.json": outside, "trust": filepath.Dir(home)} {
		if err := os.Symlink(to, filepath.Join(home, "updates", link)); err != nil {
			t.Fatal(err)
		}
	}
	b := made(t, Request{Home: home})
	for name, content := range everything(t, b.Data) {
		if strings.Contains(content, "of-the-") {
			t.Errorf("%s holds %s", name, content)
		}
	}
	for _, what := range []string{"updates/logs", "updates/history", "updates/config.json", "updates/state.json", "updates/trust"} {
		if !slices.ContainsFunc(b.Summary.Unread, func(u Trouble) bool {
			return u.What == what && strings.Contains(u.Why, "link") || u.What == what && strings.Contains(u.Why, "L---")
		}) {
			t.Errorf("%s: %+v", what, b.Summary.Unread)
		}
	}
}

// TestFailuresBeginAtALine has a secret that the first line of what is read cuts.
func TestFailuresBeginAtALine(t *testing.T) {
	t.Parallel()
	const secret = "The-Secret-of-the-Cut"
	first := secret + " ERROR - first\n"
	rest := strings.Repeat(strings.Repeat("x", 99)+"\n", 256<<10/100-1)
	rest += strings.Repeat("y", 256<<10-len(rest)-len(first)+7) + "\n"
	home := makeHome(t, map[string]string{"updates/logs/a.log": first + rest})
	b := made(t, Request{Home: home, Secrets: []string{secret}})
	if all := everything(t, b.Data)["summary.json"]; strings.Contains(all, secret[12:]) {
		t.Error(all)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		for _, name := range o.Names() {
			if text, err := o.Read(name); err == nil && strings.ContainsRune(text, '\x1b') {
				t.Fatalf("%q moves the cursor", name)
			}
		}
	})
}
