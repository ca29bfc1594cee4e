package bundle

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strconv"

	"uplevel/internal/digest"
	"uplevel/internal/object"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

const indexName = "index.json"

func ofOffline() kind {
	return kind{
		called: "the offline update", next: "Copy the file again from where it was made, or make it again there with create-update.",
		zip: MaxOffline, members: maxOffline, directory: 16 << 20,
	}
}

// Offline is an open offline update. Nothing in it is proven until its levels are found
// in metadata that verify, and [Offline.Check] is content. It is safe for concurrent use
// as far as its reader is.
type Offline struct {
	opened

	index   Index
	members []member // those of the index, in its order
}

// OpenOffline judges the form of an offline update of size bytes: members, order, names,
// sizes, and that the index lists just these. It reads headers and index, and keeps r.
// Every refusal is of kind [problem.Verification].
func OpenOffline(r io.ReaderAt, size int64) (*Offline, error) {
	o := &Offline{opened: newOpened(ofOffline(), r)}
	if err := o.open(size); err != nil {
		return nil, o.kind.refuse(err)
	}
	return o, nil
}

func (o *Offline) open(size int64) error {
	members, err := o.kind.readMembers(o.r, size)
	if err != nil {
		return err
	}
	if len(members) > 0 && members[0].name == envelopeName {
		return problem.New(problem.Verification, "Run apply-hotfix with it.", "it is the zip of a hotfix")
	}
	if len(members) < 2 || members[0].name != indexName {
		return fmt.Errorf("it does not begin with %s", indexName)
	}
	text, err := members[0].all(o.r, maxIndex)
	if err != nil {
		return err
	}
	if o.index, err = parseIndex(text); err != nil {
		return err
	}
	if o.members = members[1:]; len(o.members) != len(o.index.Members) {
		return fmt.Errorf("it has %d members, its index lists %d", len(o.members), len(o.index.Members))
	}
	for i, m := range o.members {
		if want := o.index.Members[i]; want.Name != m.name || want.Size != m.size {
			return fmt.Errorf("its member %.200q is not the one that its index lists there", m.name)
		}
	}
	return o.sort()
}

// sort wants text for people, metadata and objects, each in its order.
func (o *Offline) sort() error {
	if first := o.members[0]; first.name != readmeName || first.size > maxReadme {
		return fmt.Errorf("%.200q stands where %s is due", first.name, readmeName)
	}
	rest := o.members[1:]
	n := 0
	for n < len(rest) && rest[n].in(metadataPrefix) {
		o.metadata[rest[n].under(metadataPrefix)] = rest[n]
		n++
	}
	files := make([]named, n)
	for i, m := range rest[:n] {
		files[i] = named{m.under(metadataPrefix), m.size}
	}
	if err := checkOffline(files, o.index); err != nil {
		return err
	}
	for i, m := range rest[n:] {
		sum, err := digest.Parse(m.under(objectPrefix))
		switch {
		case !m.in(objectPrefix) || err != nil:
			return fmt.Errorf("its member %.200q has no place in it", m.name)
		case i > 0 && m.name <= rest[n+i-1].name:
			return fmt.Errorf("%.200q is not in order", m.name)
		}
		o.objects[sum] = m
	}
	return o.complete()
}

// complete wants what the index itself names.
func (o *Offline) complete() error {
	refs := []release.Ref{o.index.To.Record}
	for _, p := range o.index.From {
		refs = append(refs, p.Record)
	}
	for _, t := range o.index.Tools {
		refs = append(refs, t.Ref)
	}
	for _, ref := range refs {
		if !o.Has(ref.Sum) {
			return fmt.Errorf("it lacks %s%s", objectPrefix, ref.Sum)
		}
	}
	return nil
}

// Index returns what the zip says of itself, verified by nobody.
func (o *Offline) Index() Index { return o.index }

// Tools returns the update tools that travel along, by system. That they are the
// vendor's is for the role tool to say; their bytes come from Open.
func (o *Offline) Tools() []Tool { return slices.Clone(o.index.Tools) }

// Check reads every member and refuses, with [problem.Verification], a zip of which any
// is not what its index lists, or of which a content among refs, which signed records
// name, is not the one that was signed. What is not carried is passed over.
func (o *Offline) Check(ctx context.Context, refs []release.Ref) error {
	signed := make(map[digest.Digest]int64, len(refs))
	for _, ref := range refs {
		signed[ref.Sum] = ref.Size
	}
	for i, m := range o.members {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.check(o.r, o.index.Members[i].Sum, signed); err != nil {
			return o.kind.refuse(fmt.Errorf("%.200q: %w", m.name, err))
		}
	}
	return nil
}

// check reads a member once: as it is stored and, where it is a content of a known size,
// what it holds.
func (m member) check(r io.ReaderAt, want digest.Digest, signed map[digest.Digest]int64) error {
	hash := sha256.New()
	stored := io.TeeReader(m.reader(r), hash)
	if sum, err := digest.Parse(m.under(objectPrefix)); err == nil && m.in(objectPrefix) {
		if size, known := signed[sum]; known {
			if err := decode(stored, m.size, release.Ref{Sum: sum, Size: size}); err != nil {
				return err
			}
		}
	}
	if _, err := io.Copy(io.Discard, stored); err != nil {
		return err
	}
	if digest.Digest(hash.Sum(nil)) != want {
		return errors.New("it is not what the index lists")
	}
	return nil
}

// decode reads a stored form of so many bytes to the end of its content.
func decode(stored io.Reader, length int64, ref release.Ref) error {
	if length > maxStored(ref) {
		return fmt.Errorf("it has %d bytes for a content of %d", length, ref.Size)
	}
	content, err := object.NewReader(stored, ref.Sum, ref.Size)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, content)
	return errors.Join(err, content.Close())
}

// maxStored is how long a stored form may be.
func maxStored(ref release.Ref) int64 { return ref.Size + ref.Size/50 + 1<<20 }

// named is a metadata file as its member tells of it.
type named struct {
	name string
	size int64
}

var delegatedName = regexp.MustCompile(`^([1-9][0-9]{0,17})\.(.{1,300})\.json$`)

// checkOffline wants all roots, then timestamp, snapshot and targets, then roles that are
// delegated, in order: of lines, the product, and the tool.
func checkOffline(files []named, x Index) error {
	top := slices.IndexFunc(files, func(f named) bool { role, _, _ := place(f.name); return role == trust.RoleTargets }) + 1
	if err := checkTop(files[:top]); err != nil {
		return err
	}
	before := ""
	for _, f := range files[top:] {
		role, err := x.delegated(f.name)
		switch {
		case err != nil:
			return err
		case role <= before:
			return fmt.Errorf("%.200q is not in order", f.name)
		case f.size > trust.MaxLength(role):
			return fmt.Errorf("%.200q is longer than %d bytes", f.name, trust.MaxLength(role))
		}
		before = role
	}
	return nil
}

func checkTop(files []named) error {
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.name
		if role, _, _ := place(f.name); f.size > trust.MaxLength(role) {
			return fmt.Errorf("%.200q is longer than %d bytes", f.name, trust.MaxLength(role))
		}
	}
	if err := checkPlaces(names); err != nil {
		return err
	}
	if _, version, _ := place(names[0]); version != 1 {
		return fmt.Errorf("its roots begin with version %d", version)
	}
	return nil
}

// delegated returns the role of a metadata file, if it has a place in an update of x.
func (x Index) delegated(name string) (string, error) {
	m := delegatedName.FindStringSubmatch(name)
	if m == nil {
		return "", fmt.Errorf("it carries %.200q, which is no metadata file", metadataPrefix+name)
	}
	version, _ := strconv.ParseInt(m[1], 10, 64)
	role, err := url.QueryUnescape(m[2])
	if err != nil || trust.FileName(role, version) != name {
		return "", fmt.Errorf("it carries %.200q, which is no metadata file", metadataPrefix+name)
	}
	line, isLine := trust.ParseLineRole(role)
	switch {
	case role == trust.RoleTool, role == release.ProductRole(x.Product):
	case isLine && slices.Contains(x.Lines(), line):
	default:
		return "", fmt.Errorf("it carries metadata of %.200q, which is none of its roles", role)
	}
	return role, nil
}
