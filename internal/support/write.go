package support

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"uplevel/internal/support/redact"
)

// Summary is summary.json: what is seen first.
type Summary struct {
	Format     int       `json:"format"`
	Created    time.Time `json:"created"`
	Program    string    `json:"program"`
	Tool       string    `json:"tool"` // its version
	System     string    `json:"system"`
	Product    string    `json:"product"` // empty: it could not be read
	Version    string    `json:"version"`
	Channel    string    `json:"channel"`
	Level      string    `json:"level"`
	Hotfixes   []string  `json:"hotfixes"`
	Pending    string    `json:"pending,omitempty"`
	CommitOpen bool      `json:"commit_open"`        // a commit was cut and waits for recovery
	Failures   []string  `json:"failures"`           // of the newest logs, the last first
	Verified   *Verified `json:"verified,omitempty"` // absent: it could not be done
	Store      Store     `json:"store"`
	Root       string    `json:"root_fingerprint,omitempty"`
	Doctor     string    `json:"doctor,omitempty"` // its findings as text
	Support    string    `json:"support,omitempty"`
	Unread     []Trouble `json:"unread"` // what could not be read or found out
	Members    []Member  `json:"members"`
}

// Store is what is kept for going back, as it lies on disk.
type Store struct {
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

// Member is one file of a bundle.
type Member struct {
	Name     string         `json:"name"`
	Size     int64          `json:"size"`               // bytes, redacted
	From     string         `json:"from,omitempty"`     // path in the home; absent: made for the bundle
	LeftOut  int64          `json:"left_out,omitempty"` // bytes of what it is from
	Redacted map[string]int `json:"redacted"`           // kind → how often
}

// Bundle is a bundle ready to be written.
type Bundle struct {
	Summary Summary
	Name    string // of its file
	Data    []byte // the zip
}

// SHA256 is the digest of the zip, in hexadecimal.
func (b *Bundle) SHA256() string {
	sum := sha256.Sum256(b.Data)
	return hex.EncodeToString(sum[:])
}

const readme = `A support bundle of an Uplevel installation.

Secrets, names of hosts and people, and addresses were replaced by words such as
secret-1, host-2, ip-3: the same word is the same thing throughout this bundle.
"word-N" is something that looked random; of a SHA-256 the first 12 digits are left.
It holds no file of the product, no contents of files that were changed, and no keys.

  uplevel bundle show FILE            what there is to see first
  uplevel bundle show FILE MEMBER     one member

`

// pack redacts everything into a zip. What is said in one member is known in all.
func (c *collector) pack(ctx context.Context, r *redact.Redactor) (*Bundle, error) {
	for _, s := range c.sources {
		if err := r.LearnFrom(s.open()); err != nil {
			c.failed(s.name, err)
		}
	}
	for _, t := range c.trouble {
		r.Learn(t.What + " " + t.Why)
	}
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	taken := map[string]bool{"summary.json": true, "README.txt": true}
	for _, s := range append([]source{text("README.txt", readme)}, c.sources...) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if s.name != "README.txt" {
			s.name = free(taken, clean(r.Text(s.name)))
		}
		m, err := c.member(z, r, s)
		if err != nil {
			return nil, err
		}
		c.summary.Members = append(c.summary.Members, m)
	}
	if err := c.finish(z, r); err != nil {
		return nil, err
	}
	s := c.summary
	name := "uplevel-support-" + s.Created.Format("20060102T150405Z") + ".zip"
	if s.Product != "" {
		name = clean(r.Text("uplevel-support-"+s.Product+"-"+s.Version)) + s.Created.Format("-20060102T150405Z") + ".zip"
	}
	return &Bundle{Summary: s, Name: strings.ReplaceAll(name, "/", "_"), Data: out.Bytes()}, nil
}

// finish writes the summary, itself redacted, and ends the zip.
func (c *collector) finish(z *zip.Writer, r *redact.Redactor) error {
	c.summary.Unread = append([]Trouble{}, c.trouble...)
	c.summary.redact(r)
	data, err := json.MarshalIndent(c.summary, "", "  ")
	if err != nil {
		return err
	}
	w, err := z.CreateHeader(c.header("summary.json"))
	if err != nil {
		return err
	}
	if _, err := w.Write(append(data, '\n')); err != nil {
		return err
	}
	return z.Close()
}

func (c *collector) header(name string) *zip.FileHeader {
	return &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: c.summary.Created}
}

// free returns a name that no member has.
func free(taken map[string]bool, name string) string {
	if name == "" {
		name = "unnamed"
	}
	unique := name
	for n := 2; taken[unique]; n++ {
		unique = fmt.Sprintf("%s~%d", name, n)
	}
	taken[unique] = true
	return unique
}

// member redacts one source into the zip. That it cannot be read to its end is noted, and
// what was read stays.
func (c *collector) member(z *zip.Writer, r *redact.Redactor, s source) (Member, error) {
	w, err := z.CreateHeader(c.header(s.name))
	if err != nil {
		return Member{}, err
	}
	before := r.Counts()
	counted := &counter{out: w}
	redactInto := r.Copy
	if s.tail {
		redactInto = r.CopyTail
		fmt.Fprintf(counted, "… (the first %d bytes of %d were left out)\n", s.left, s.size)
	}
	cut, err := redactInto(counted, s.open())
	if err != nil {
		c.failed(s.name, err)
	}
	m := Member{Name: s.name, Size: counted.n, From: r.Text(s.from), LeftOut: s.left + cut, Redacted: map[string]int{}}
	for kind, n := range r.Counts() {
		if n > before[kind] {
			m.Redacted[kind] = n - before[kind]
		}
	}
	return m, nil
}

type counter struct {
	out io.Writer
	n   int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.out.Write(p)
	c.n += int64(n)
	return n, err
}

// redact takes out of the summary what is taken out of the members.
func (s *Summary) redact(r *redact.Redactor) {
	for _, text := range []*string{&s.Program, &s.Tool, &s.Product, &s.Version, &s.System, &s.Channel, &s.Level, &s.Pending, &s.Doctor, &s.Support} {
		*text = r.Text(*text)
	}
	for i := range s.Failures {
		s.Failures[i] = r.Text(s.Failures[i])
	}
	for i := range s.Hotfixes {
		s.Hotfixes[i] = r.Text(s.Hotfixes[i])
	}
	for i, t := range s.Unread {
		s.Unread[i] = Trouble{r.Text(t.What), r.Text(t.Why)}
	}
	if v := s.Verified; v != nil {
		v = &Verified{
			Pristine: v.Pristine, Hotfixed: v.Hotfixed, Generated: v.Generated, Foreign: v.Foreign, Modes: v.Modes,
			Customised: each(r, v.Customised), Merged: each(r, v.Merged), Missing: each(r, v.Missing), Damaged: each(r, v.Damaged),
		}
		s.Verified = v
	}
}

func each(r *redact.Redactor, texts []string) []string {
	out := make([]string, 0, len(texts))
	for _, t := range texts {
		out = append(out, r.Text(t))
	}
	return out
}

// Total returns how often each kind was replaced in all members, in the order of
// [redact.Kinds].
func (s *Summary) Total() string {
	all := map[string]int{}
	for _, m := range s.Members {
		for kind, n := range m.Redacted {
			all[kind] += n
		}
	}
	return Told(all)
}

// Told writes counts by kind for people.
func Told(counts map[string]int) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", kind, counts[kind]))
	}
	if parts == nil {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}
