// Package bundle writes and opens what travels without a network: the zip of a hotfix and
// the offline update, with the metadata that prove them. A zip is believed in nothing:
// sizes, counts and names are bounded before anything is read, a byte that has no place is
// refused, and each content is verified as it is read. Described in docs/design/hotfix.md
// and docs/design/offline.md.
package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"

	"uplevel/internal/hotfix"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// Names of members.
const (
	envelopeName   = "hotfix.json"
	readmeName     = "README.txt"
	metadataPrefix = "metadata/"
	objectPrefix   = "objects/"
)

// Limits of one zip, in bytes.
const (
	MaxZip    = 2 << 30
	MaxBase   = 1 << 20 // content of a base file that travels, so that edits can be merged
	maxReadme = hotfix.MaxBytes
)

// Bundle is an open zip of a hotfix. Nothing in it is proven until [trust.View.Hotfix]
// has verified its envelope. It is safe for concurrent use as far as its reader is.
type Bundle struct {
	opened

	envelope []byte
	record   hotfix.Record
	readme   member
}

// Open judges the form of a zip of size bytes: members, order, names, sizes. It reads
// headers and envelope, and keeps r. Every refusal is of kind [problem.Verification].
func Open(r io.ReaderAt, size int64) (*Bundle, error) {
	b, err := open(r, size)
	if err != nil {
		return nil, ofHotfix().refuse(err)
	}
	return b, nil
}

func open(r io.ReaderAt, size int64) (*Bundle, error) {
	members, err := ofHotfix().readMembers(r, size)
	if err != nil {
		return nil, err
	}
	b := &Bundle{opened: newOpened(ofHotfix(), r)}
	if len(members) > 0 && members[0].name == indexName {
		return nil, problem.New(problem.Verification, "Run apply-update with it.", "it is an offline update")
	}
	if len(members) < 2 || members[0].name != envelopeName || members[1].name != readmeName {
		return nil, fmt.Errorf("it does not begin with %s and %s", envelopeName, readmeName)
	}
	if b.envelope, err = members[0].all(r, trust.MaxEnvelope); err != nil {
		return nil, err
	}
	if b.record, err = claimed(b.envelope); err != nil {
		return nil, err
	}
	if b.readme = members[1]; b.readme.size > maxReadme {
		return nil, fmt.Errorf("%s is longer than %d bytes", readmeName, maxReadme)
	}
	rest := members[2:]
	n := 0
	for n < len(rest) && rest[n].in(metadataPrefix) {
		b.metadata[rest[n].under(metadataPrefix)] = rest[n]
		n++
	}
	if err := checkMetadataMembers(rest[:n]); err != nil {
		return nil, err
	}
	return b, b.takeObjects(rest[n:])
}

// takeObjects wants the contents that the record names, ascending, those of wanted files
// all there, and no others.
func (b *Bundle) takeObjects(members []member) error {
	known := map[string]release.Ref{}
	for _, ref := range carried(b.record) {
		known[objectPrefix+ref.Sum.String()] = ref
	}
	for i, m := range members {
		ref, ok := known[m.name]
		switch {
		case !ok:
			return fmt.Errorf("its record does not name %.200q", m.name)
		case i > 0 && m.name <= members[i-1].name:
			return fmt.Errorf("%.200q is not in order", m.name)
		case m.size > ref.Size+ref.Size/50+1<<20:
			return fmt.Errorf("%.200q has %d bytes for a content of %d", m.name, m.size, ref.Size)
		}
		b.objects[ref.Sum] = m
	}
	want, _ := b.record.Contents()
	for _, ref := range want {
		if _, there := b.objects[ref.Sum]; !there {
			return fmt.Errorf("it lacks %s%s", objectPrefix, ref.Sum)
		}
	}
	return nil
}

// Envelope returns the signed envelope, for [trust.View.Hotfix].
func (b *Bundle) Envelope() []byte { return slices.Clone(b.envelope) }

// Claimed returns the record as the envelope has it, verified by nobody: good for a
// message or a file's name, never for acting on it.
func (b *Bundle) Claimed() hotfix.Record { return b.record }

// Check reads every member and refuses, with [problem.Verification], a zip of which any
// content is not what its record says: before anything is staged.
func (b *Bundle) Check(ctx context.Context) error {
	if _, err := b.readme.all(b.r, maxReadme); err != nil {
		return b.kind.refuse(err)
	}
	for _, ref := range carried(b.record) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !b.Has(ref.Sum) {
			continue // a base: Open wants all others
		}
		r, err := b.Open(ref)
		if err == nil {
			_, err = io.Copy(io.Discard, r)
			err = errors.Join(err, r.Close())
		}
		if err != nil {
			return b.kind.refuse(fmt.Errorf("%s%s: %w", objectPrefix, ref.Sum, err))
		}
	}
	return nil
}

var metadataName = regexp.MustCompile(`^(?:([1-9][0-9]{0,17})\.(root|snapshot|targets)|(timestamp))\.json$`)

// place reads a metadata file's name: role, and version where it has one.
func place(name string) (role string, version int64, ok bool) {
	m := metadataName.FindStringSubmatch(name)
	if m == nil {
		return "", 0, false
	}
	if m[3] != "" {
		return m[3], 0, true
	}
	version, err := strconv.ParseInt(m[1], 10, 64)
	return m[2], version, err == nil
}

// checkPlaces wants roots without a gap, then timestamp, snapshot and targets.
func checkPlaces(names []string) error {
	roots := len(names) - 3
	if roots < 1 || roots > trust.MaxRotations+1 {
		return fmt.Errorf("it carries %d metadata files", len(names))
	}
	first := int64(0)
	for i, name := range names {
		want := trust.RoleRoot
		if i >= roots {
			want = []string{trust.RoleTimestamp, trust.RoleSnapshot, trust.RoleTargets}[i-roots]
		}
		role, version, ok := place(name)
		if i == 0 {
			first = version
		}
		if !ok || role != want || want == trust.RoleRoot && version != first+int64(i) {
			return fmt.Errorf("it carries %.200q where %s is due", metadataPrefix+name, want)
		}
	}
	return nil
}

func checkMetadata(files []File) error {
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.Name
		if role, _, _ := place(f.Name); int64(len(f.Data)) > trust.MaxLength(role) {
			return fmt.Errorf("%s is longer than %d bytes", f.Name, trust.MaxLength(role))
		}
	}
	return checkPlaces(names)
}

func checkMetadataMembers(members []member) error {
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.under(metadataPrefix)
		if role, _, _ := place(names[i]); m.size > trust.MaxLength(role) {
			return fmt.Errorf("%.200q is longer than %d bytes", m.name, trust.MaxLength(role))
		}
	}
	return checkPlaces(names)
}

func sorted(refs []release.Ref) []release.Ref {
	slices.SortFunc(refs, func(a, b release.Ref) int { return a.Sum.Compare(b.Sum) })
	return refs
}
