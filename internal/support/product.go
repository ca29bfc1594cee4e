package support

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"uplevel/internal/release"
	"uplevel/internal/support/document"
	"uplevel/internal/support/machine"
	"uplevel/internal/support/redact"
)

// documents are the tool's own small files below the home.
func documents() []string {
	return []string{
		"updates/product.txt", "updates/config.json", "updates/state.json", "updates/vendor.json", "updates/policy.yaml",
		"updates/organisation", "updates/decisions.json", "updates/lock", "updates/COMMITTING",
		"updates/staging/pending.json", "updates/staging/undo.json",
	}
}

// product reads what the tool keeps in the home.
func (c *collector) product() {
	if c.req.Home == "" {
		return
	}
	root, err := os.OpenRoot(c.req.Home)
	if err != nil {
		c.failed("product home", err)
		return
	}
	c.root = root
	for _, name := range documents() {
		c.document(name)
	}
	for _, name := range c.newest("updates/history", ".json", maxHistory) {
		c.document(name)
	}
	c.listing()
	c.facts()
}

// file opens a plain file of the home; no link leads out of it, and nothing waits for a
// writer. A file that is not there is nil without an error.
func (c *collector) file(name string) (*os.File, fs.FileInfo, error) {
	if err := c.noLinks(path.Dir(name)); err != nil {
		return nil, nil, err
	}
	info, err := c.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("it is no plain file but %s", info.Mode().Type())
	}
	if err != nil {
		return nil, nil, err
	}
	f, err := c.root.Open(name)
	if err != nil {
		return nil, nil, err
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no plain file")
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// noLinks refuses a folder of the home on whose way there is a link: it may lead to the
// product's own files. One that is not there has none.
func (c *collector) noLinks(dir string) error {
	for ; dir != "."; dir = path.Dir(dir) {
		info, err := c.root.Lstat(dir)
		if err == nil && info.Mode().Type() == fs.ModeSymlink {
			return fmt.Errorf("%s is a link, which is not followed", dir)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// small reads at most limit bytes of a file of the home; a failure is noted.
func (c *collector) small(name string, limit int64) (data []byte, size int64) {
	if c.root == nil {
		return nil, 0
	}
	f, info, err := c.file(name)
	if err == nil && f == nil {
		return nil, 0
	}
	if err == nil {
		data = make([]byte, min(info.Size(), limit))
		var n int
		if n, err = io.ReadFull(f, data); errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			err = nil // it became shorter, or was empty
		}
		data = data[:n]
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		c.failed(name, err)
		return nil, 0
	}
	return data, info.Size()
}

// document adds one, without what it has of the operator's files.
func (c *collector) document(name string) {
	data, size := c.small(name, 2*maxDocument)
	if data == nil {
		return
	}
	data = document.Lines(document.WithoutContents(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))), maxText)
	c.namedSecrets(data)
	if int64(len(data)) > maxDocument {
		data = data[:maxDocument]
		if i := bytes.LastIndexByte(data, '\n'); i >= 0 {
			data = data[:i+1]
		}
	}
	left := max(0, size-int64(len(data)))
	if left > 0 && int64(len(data)) < maxDocument/2 {
		left = 0 // told in another form, not left out
	}
	c.add(source{name: "home/" + name, from: name, size: size, left: left, open: func() io.Reader { return bytes.NewReader(data) }})
}

// newest returns the last names of a folder that end so, as they sort.
func (c *collector) newest(dir, end string, most int) []string {
	entries, err := c.entries(dir)
	if err != nil {
		c.failed(dir, err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), end) && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, dir+"/"+e.Name())
		}
	}
	slices.Sort(names)
	return names[max(0, len(names)-most):]
}

// entries reads a folder of the home; one that is not there has none.
func (c *collector) entries(dir string) ([]fs.DirEntry, error) {
	if err := c.noLinks(dir); err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(c.root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}

// listing names what lies in updates/, the store's objects counted only.
func (c *collector) listing() {
	var b strings.Builder
	n := 0
	err := fs.WalkDir(c.root.FS(), "updates", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			c.failed(p, err)
			return nil
		}
		if p == "updates/store" {
			c.store()
			return fs.SkipDir
		}
		if n++; n > maxListed {
			fmt.Fprintf(&b, "… and more\n")
			return fs.SkipAll
		}
		info, err := d.Info()
		if err != nil {
			c.failed(p, err)
			return nil
		}
		fmt.Fprintf(&b, "%s %s %12d %s %q\n", info.Mode(), machine.Owner(info), info.Size(), info.ModTime().UTC().Format("2006-01-02T15:04:05Z"), p)
		return nil
	})
	if err != nil {
		c.failed("updates", err)
	}
	c.add(text("updates.txt", b.String()))
}

func (c *collector) store() {
	entries, err := c.entries("updates/store")
	if err != nil {
		c.failed("updates/store", err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			c.summary.Store.Objects++
			c.summary.Store.Bytes += info.Size()
		}
	}
}

// facts fills the summary from the documents, as far as they can be understood.
func (c *collector) facts() {
	s := &c.summary
	name, _ := c.small("updates/product.txt", 4096)
	if line, err := release.ParseProductVersion(string(name)); err == nil {
		s.Product, s.Version = line.Product, line.Version
	} else if name != nil {
		c.failed("updates/product.txt", err)
	}
	var state struct {
		Product, Version, Channel string
		Level                     int
		Hotfixes                  []struct{ Name string }
	}
	if c.decode("updates/state.json", &state) {
		s.Product, s.Version, s.Channel, s.Level = state.Product, state.Version, state.Channel, fmt.Sprint(state.Level)
		for _, h := range state.Hotfixes {
			s.Hotfixes = append(s.Hotfixes, h.Name)
		}
	} else {
		var config map[string]any
		if c.decode("updates/config.json", &config) && config["update-level"] != nil {
			s.Level = fmt.Sprint(config["update-level"])
		}
	}
	var pending struct {
		State struct{ Level int }
		Held  bool
		Plan  struct {
			Outcomes []struct{ Action string }
		}
	}
	if there := c.exists("updates/staging/pending.json"); there && !c.decode("updates/staging/pending.json", &pending) {
		s.Pending = "a change is prepared that could not be looked into"
	} else if there {
		s.Pending = fmt.Sprintf("a change to level %d is prepared (%d paths, waits for the operator: %t)", pending.State.Level, len(pending.Plan.Outcomes), pending.Held)
	}
	s.CommitOpen = c.exists("updates/COMMITTING")
}

// exists reports whether there is a file of that name; a look that fails is noted.
func (c *collector) exists(name string) bool {
	_, err := c.root.Lstat(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.failed(name, err)
	}
	return err == nil
}

// decode reads JSON of any length that a plan may have; damage is noted.
func (c *collector) decode(name string, into any) bool {
	data, size := c.small(name, maxDecoded)
	if data == nil {
		return false
	}
	err := json.Unmarshal(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), into)
	if err != nil && size > int64(len(data)) {
		err = fmt.Errorf("%d bytes are too many to be looked into", size)
	}
	if err != nil {
		c.failed(name, err)
	}
	return err == nil
}

// namedSecrets notes the values in a document that are named as secrets: another tool
// kept some in config.json, and its logs may have them.
func (c *collector) namedSecrets(data []byte) {
	var whole any
	if len(data) > maxDocument || json.Unmarshal(data, &whole) != nil {
		return
	}
	var walk func(key string, v any)
	walk = func(key string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				walk(k, v[k])
			}
		case []any:
			for _, inner := range v {
				walk(key, inner)
			}
		case string:
			if redact.Named(key) {
				c.secrets = append(c.secrets, v)
			}
		}
	}
	walk("", whole)
}

// json adds a value as a document.
func (c *collector) json(name string, v any) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		c.failed(name, err)
		return
	}
	c.add(text(name, string(data)+"\n"))
}
