package install

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"uplevel/internal/digest"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// left makes a home as another tool leaves one.
func left(t *testing.T, product, config string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "any name")
	err := os.MkdirAll(filepath.Join(dir, "updates"), 0o755)
	err = errors.Join(err, os.WriteFile(filepath.Join(dir, productFile), []byte(product), 0o644))
	if config != "none" {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, configFile), []byte(config), 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestWhatAnotherToolLeftIsRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		product, config string
		want            State
	}{
		"text":              {config: `{"update-level": "5"}`, want: State{Level: 5}},
		"number":            {config: `{"update-level": 5}`, want: State{Level: 5}},
		"with the version":  {config: `{"update-level": "3.1.0.5"}`, want: State{Level: 5}},
		"never updated":     {config: `{"update-level": "-1"}`},
		"never, a number":   {config: `{"update-level": -1}`},
		"empty level":       {config: `{"update-level": ""}`},
		"null level":        {config: `{"update-level": null}`},
		"no level":          {config: `{"username": "x"}`},
		"level 0":           {config: `{"update-level": "0"}`},
		"no config":         {config: "none"},
		"empty config":      {config: ""},
		"null config":       {config: "null"},
		"byte order mark":   {product: byteOrderMark + "shop-3.1.0\r\n", config: byteOrderMark + `{"update-level":"2"}`, want: State{Level: 2}},
		"channel":           {config: `{"channel": "security", "update-level": "3"}`, want: State{Channel: "security", Level: 3}},
		"empty channel":     {config: `{"channel": "", "update-level": "3"}`, want: State{Level: 3}},
		"null channel":      {config: `{"channel": null, "update-level": "3"}`, want: State{Level: 3}},
		"no hotfixes":       {config: `{"hotfixes": null}`},
		"empty hotfixes":    {config: `{"hotfixes": []}`},
		"hotfixes":          {config: `{"hotfixes": ["shop-3.1.0-Bank-hf1.zip", "3.1.0.2-Bank-hf-2", {"name": "Bank-hf3"}]}`, want: State{Others: []string{"Bank-hf1", "Bank-hf2", "Bank-hf3"}}},
		"a copy":            {config: `{"product": {"backup": "/b/shop-1f"}}`, want: State{Copy: "/b/shop-1f"}},
		"an odd product":    {config: `{"product": "shop", "update-level": "1"}`, want: State{Level: 1}},
		"said twice":        {config: `{"update-level": "1", "update-level": "2"}`, want: State{Level: 2}},
		"newline and space": {product: "  shop-3.1.0 \n\n", config: `{"update-level": " 4 "}`, want: State{Level: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.product == "" {
				c.product = "shop-3.1.0"
			}
			h, err := Open(left(t, c.product, c.config), Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			got, want := h.State(), c.want
			want.Format, want.Product, want.Version = StateFormat, "shop", "3.1.0"
			if want.Channel == "" {
				want.Channel = "full"
			}
			if !slices.Equal(got.Others, want.Others) || got.Level != want.Level || got.Channel != want.Channel || got.Line() != want.Line() || got.Copy != want.Copy {
				t.Errorf("read as %+v, want %+v", got, want)
			}
		})
	}
}

func TestWhatCannotBeTakenOverIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		product, config, folder string
		kind                    problem.Kind
		words                   string
	}{
		"text for level":     {config: `{"update-level": "five"}`, kind: problem.Failed, words: `update-level "five" is no level`},
		"a list for level":   {config: `{"update-level": [5]}`, kind: problem.Failed, words: "is no level"},
		"below -1":           {config: `{"update-level": "-2"}`, kind: problem.Failed, words: "is no level"},
		"of another version": {config: `{"update-level": "3.2.0.5"}`, kind: problem.Failed, words: "not a level of shop-3.1.0"},
		"channel":            {config: `{"channel": "../x"}`, kind: problem.Failed, words: "updates/config.json: name"},
		"a list for channel": {config: `{"channel": ["security"]}`, kind: problem.Failed, words: "channel [\"security\"] is no text"},
		"hotfixes":           {config: `{"hotfixes": "Bank-hf1"}`, kind: problem.Failed, words: "hotfixes are no list"},
		"cut":                {config: `{"update-level": "5"`, kind: problem.Failed, words: "updates/config.json is damaged: it ends too early"},
		"a list":             {config: `["update-level"]`, kind: problem.Failed, words: "is damaged"},
		"two objects":        {config: `{"update-level": "5"} {"own": 1}`, kind: problem.Failed, words: "is damaged: something stands behind its end"},
		"a rest":             {config: `null x`, kind: problem.Failed, words: "is damaged: something stands behind its end"},
		"a page":             {config: `<html>`, kind: problem.Failed, words: "is damaged"},
		"level of seconds":   {config: `{"update-level": "1617000000"}`, kind: problem.Refused, words: "counts in timestamps"},
		"level of millis":    {config: `{"update-level": 1617000000123}`, kind: problem.Refused, words: "counts in timestamps"},
		"version of seconds": {product: "shop-3.1.0.1617000000\n", config: "none", kind: problem.Refused, words: `updates/product.txt says "shop-3.1.0.1617000000"`},
		"name of millis":     {product: "shop-3.1.0-1617000000123", config: "none", kind: problem.Refused, words: "counts in timestamps"},
		"its folder":         {config: "none", folder: oldModel, kind: problem.Refused, words: "there is updates/wum"},
		"its folder, run":    {config: `{"update-level": "-1"}`, folder: oldModel, kind: problem.Refused, words: "there is updates/wum"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.product == "" {
				c.product = "shop-3.1.0"
			}
			dir := left(t, c.product, c.config)
			if err := os.MkdirAll(filepath.Join(dir, c.folder), 0o755); err != nil {
				t.Fatal(err)
			}
			h, err := Open(dir, Options{})
			if err == nil {
				h.Close()
			}
			if p, ok := errors.AsType[*problem.Error](err); !ok || p.Kind != c.kind || !strings.Contains(p.Text, c.words) || p.Next == "" {
				t.Errorf("%v, want %s with %q", err, c.kind, c.words)
			}
		})
	}
}

// TestAnOldModelsFolderOfAPackThatWentOnIsLeft: where config.json says a level, what the
// older model left is a leftover.
func TestAnOldModelsFolderOfAPackThatWentOnIsLeft(t *testing.T) {
	t.Parallel()
	dir := left(t, "shop-3.1.0", `{"update-level": "7"}`)
	if err := os.MkdirAll(filepath.Join(dir, oldModel), 0o755); err != nil {
		t.Fatal(err)
	}
	h, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if h.State().Level != 7 {
		t.Errorf("level %d", h.State().Level)
	}
}

// TestConfigKeepsWhatIsNotOurs: order, numbers, texts and unknown keys stay as they were
// written, secrets go at any depth.
func TestConfigKeepsWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	h, err := Open(left(t, "shop-3.1.0", byteOrderMark+`{
	"username": "kim@bank.example", "update-level": "5", "environment": "",
	"product": {"pattern": "shop-*", "name": "shop", "version": "3.1.0", "backup": "/b/shop-1f", "backup-size": 12345678901234567890},
	"service": {"url": "https://u2.example/?a=1&b=<2>", "token-url": "https://t.example", "app-key": "k3y", "access-token": "t0k", "refresh-token": "r3f",
	  "deep": [{"Client_Secret": "c5s", "size": 1e400}, "token"]},
	"hotfixes": ["Bank-hf1"], "own": {"half": "\ud800", "ratio": 0.10}, "password": "p4s"
}`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	s := h.State()
	s.Level, s.Backup, s.Hotfixes = 6, "./", []plan.Applied{{Name: "Bank-hf9"}}
	data, err := h.configBytes(s)
	if err != nil || !json.Valid(data) {
		t.Fatalf("%s, %v", data, err)
	}
	const want = `{
  "username": "kim@bank.example",
  "update-level": "6",
  "environment": "",
  "product": {
    "pattern": "shop-*",
    "name": "shop",
    "version": "3.1.0",
    "backup": "/b/shop-1f",
    "backup-size": 12345678901234567890
  },
  "service": {
    "url": "https://u2.example/?a=1&b=<2>",
    "token-url": "https://t.example",
    "deep": [
      {
        "size": 1e400
      },
      "token"
    ]
  },
  "hotfixes": [
    "Bank-hf9"
  ],
  "own": {
    "half": "\ud800",
    "ratio": 0.10
  },
  "channel": "full",
  "backup-dir": "./"
}
`
	if string(data) != want {
		t.Errorf("written is\n%s", data)
	}
	if err := os.WriteFile(h.abs(configFile), data, 0o644); err != nil {
		t.Fatal(err)
	}
	if again, err := h.configBytes(s); err != nil || string(again) != want {
		t.Errorf("written again it is\n%s, %v", again, err)
	}
}

// TestConfigKeepsTheBytesOfKeys: a key that is no UTF-8, or comes twice, is not ours to mend.
func TestConfigKeepsTheBytesOfKeys(t *testing.T) {
	t.Parallel()
	h, err := Open(left(t, "shop-3.1.0", "{\"a<b\":1,\"\xff\":2,\"\xfe\" : \"\xfd\",\"\\ud800\":3,\"twice\":4,\"twice\":5,"+
		"\"update-level\":\"1\",\"update-level\":\"2\",\"access\\u002dtoken\":\"t0k\",\"in\":{\"\xff\":{\"TOKEN\":1},\"\xfe\":7}}"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	data, err := h.configBytes(h.State())
	const want = "{\n  \"a<b\": 1,\n  \"\xff\": 2,\n  \"\xfe\": \"\xfd\",\n  \"\\ud800\": 3,\n  \"twice\": 4,\n  \"twice\": 5,\n  \"update-level\": \"2\",\n" +
		"  \"in\": {\n    \"\xff\": {},\n    \"\xfe\": 7\n  },\n"
	if err != nil || !strings.HasPrefix(string(data), want) {
		t.Errorf("%q, %v", data, err)
	}
}

// TestAConfigThatIsALinkIsReadAndNotReplaced: what it leads to would keep its secrets.
func TestAConfigThatIsALinkIsReadAndNotReplaced(t *testing.T) {
	t.Parallel()
	dir := left(t, "shop-3.1.0", "none")
	if err := os.Symlink("shared.json", filepath.Join(dir, configFile)); err != nil {
		t.Fatal(err)
	}
	if h, err := Open(dir, Options{}); err == nil {
		h.Close()
		t.Error("a link to nothing is taken for no file")
	}
	if err := os.WriteFile(filepath.Join(dir, "updates", "shared.json"), []byte(`{"update-level": "4", "password": "p4s"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := Open(dir, Options{})
	if err != nil || h.State().Level != 4 {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.checkConfig(); problem.KindOf(err) != problem.Refused {
		t.Error(err)
	}
}

// TestTheFirstCommitTakesOverOrLeavesAsItWas lets each operation of the first commit fail:
// the home is U2's again to the byte, secrets included; without a failure it is ours, and
// keeps what the way back to U2's level needs.
func TestTheFirstCommitTakesOverOrLeavesAsItWas(t *testing.T) {
	t.Parallel()
	const config = `{"update-level": "0", "service": {"access-token": "t0k"}, "own": 1}`
	p := planBetween(t, oldTree, newTree)
	extra := extraFor(t, newTree)
	former := [][]byte{[]byte("record of U2's level"), oldTree.manifest(t).Bytes()}
	extra.Former = former
	for n, done := 0, false; !done; n++ {
		count := 0
		h := newHome(t, oldTree, func() error {
			if count++; count == n+1 {
				return errors.New("input/output error")
			}
			return nil
		})
		tree{configFile: config}.write(t, h.Dir())
		if err := h.Prepare(t.Context(), p, contentsOf(oldTree, newTree), extra); err != nil {
			t.Fatal(err)
		}
		_, err := h.Commit(t.Context())
		done = err == nil
		if err != nil && problem.KindOf(err) != problem.RolledBack {
			t.Fatalf("operation %d: %v", n, err)
		}
		got, readErr := os.ReadFile(h.abs(configFile))
		switch {
		case readErr != nil:
			t.Fatal(readErr)
		case !done && (string(got) != config || h.exists(stateFile)):
			t.Fatalf("operation %d failed: config.json is %s", n, got)
		case done && (strings.Contains(string(got), "t0k") || !strings.Contains(string(got), `"own": 1`)):
			t.Errorf("config.json is %s", got)
		}
		for _, data := range former {
			if has := h.HasObject(release.Ref{Sum: digest.Of(data), Size: int64(len(data))}); has != done {
				t.Errorf("operation %d: what the way back needs is kept: %v", n, has)
			}
		}
	}
}
