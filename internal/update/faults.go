package update

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
)

// The faults: what makes a file damaged rather than customised. docs/design/repair.md
// gives the reason of each.
const (
	ChangedSilently = "changed-silently"
	Unreadable      = "unreadable"
	Empty           = "empty"
	Zeros           = "zeros"
	WrongKind       = "kind"
	BrokenArchive   = "archive"
	WrongMode       = "mode"
)

// Fault is a file of the product that is damaged rather than changed by someone.
type Fault struct {
	Path  string `json:"path"`
	Fault string `json:"fault"` // changed-silently, unreadable, empty, zeros, kind, archive or mode
	Why   string `json:"why"`
	Lost  bool   `json:"lost,omitempty"` // it was customised before, or may have been, and that content is not to be had
}

// examiner tells damage from customisation.
type examiner struct {
	home Home
	seen Inspection
}

// fault judges what stands where want belongs; made is what the tool itself put there by
// merging, if it did. ok is false where nothing is damaged.
func (x examiner) fault(want, have, made manifest.Entry) (f Fault, ok bool, err error) {
	f.Path = want.Path
	switch {
	case have.Kind == manifest.Link && want.Kind != manifest.Link:
		return f, false, nil // kept elsewhere by the operator
	case have.Kind != want.Kind:
		f.Fault, f.Why = WrongKind, fmt.Sprintf("a %s stands where a %s belongs", kindName(have.Kind), kindName(want.Kind))
	case have.Kind == manifest.File && !have.SameContent(want) && !have.SameContent(made):
		f.Fault, f.Why, err = x.content(want, have)
		recorded := x.seen.Recorded[want.Path]
		known := !recorded.IsZero()
		f.Lost = known && recorded != want.Sum && recorded != made.Sum && recorded != have.Sum || !known && f.Fault == Unreadable
	case have.Kind == manifest.Link || made.Kind != "" && have.SameContent(made):
	default:
		f.Fault, f.Why = mode(want, have)
	}
	return f, f.Fault != "", err
}

func kindName(k manifest.Kind) string {
	switch k {
	case manifest.Dir:
		return "folder"
	case manifest.Other:
		return "device, socket or pipe"
	case manifest.File, manifest.Link:
	}
	return string(k)
}

// content judges a file whose content is not the wanted one.
func (x examiner) content(want, have manifest.Entry) (fault, why string, err error) {
	if err := x.seen.Unreadable[want.Path]; err != nil {
		return Unreadable, "the disk does not give its content: " + rootCause(err), nil
	}
	if have.Size == 0 {
		return Empty, "it is empty", nil
	}
	f, err := x.home.OpenFile(want.Path)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	zeros, err := onlyZeros(f)
	switch {
	case err != nil:
		return "", "", fmt.Errorf("reading %s: %w", want.Path, err)
	case zeros && digest.Of(nil) != want.Sum && !zeroDigest(want):
		return Zeros, "it holds zero bytes only", nil
	}
	if recorded := x.seen.Recorded[want.Path]; !recorded.IsZero() && recorded != have.Sum {
		return ChangedSilently, "its content changed, and its time stamp did not", nil
	}
	if why, err := x.archive(f, want.Path, have.Size); err != nil || why != "" {
		return BrokenArchive, why, err
	}
	return "", "", nil
}

func rootCause(err error) string {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err.Error()
}

// onlyZeros reads until the first byte that is not zero.
func onlyZeros(r io.Reader) (bool, error) {
	buffer := make([]byte, 64<<10)
	zero := make([]byte, len(buffer))
	for {
		n, err := r.Read(buffer)
		if !bytes.Equal(buffer[:n], zero[:n]) {
			return false, nil
		}
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// zeroDigest reports whether the vendor's file is of zero bytes itself.
func zeroDigest(want manifest.Entry) bool {
	sum, _, err := digest.Copy(io.Discard, io.LimitReader(nothing{}, want.Size))
	return err == nil && sum == want.Sum
}

// nothing is zero bytes without end.
type nothing struct{}

func (nothing) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// mode tells permission bits that hurt: the owner may not read or execute, or everybody may
// write. All else is the operator's choice: closing files to writing, or opening them to a
// group, is how installations are hardened and shared.
func mode(want, have manifest.Entry) (fault, why string) {
	const owner, othersWrite = 0o500, 0o002
	switch {
	case runtime.GOOS == "windows" || want.Kind == manifest.Link:
		return "", ""
	case want.Mode&owner&^have.Mode != 0:
		return WrongMode, fmt.Sprintf("its owner lacks rights: %04o instead of %04o", have.Mode, want.Mode)
	case have.Mode&othersWrite&^want.Mode != 0:
		return WrongMode, fmt.Sprintf("others may write it: %04o instead of %04o", have.Mode, want.Mode)
	}
	return "", ""
}

// maxUnpacked bounds the bytes that are unpacked to judge one archive.
const maxUnpacked = 4 << 30

// archive tells why a file that is called one does not open as an archive. A read that
// failed is an error: it tells nothing of the archive.
func (x examiner) archive(f io.ReadCloser, name string, size int64) (string, error) {
	r, ok := f.(io.ReaderAt)
	if !ok || !slices.Contains([]string{".jar", ".war", ".zip", ".car"}, strings.ToLower(path.Ext(name))) {
		return "", nil
	}
	noted := &notingReader{r: r}
	why := brokenArchive(noted, size)
	return why, noted.err
}

func brokenArchive(r io.ReaderAt, size int64) string {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return "it does not open as an archive: " + err.Error()
	}
	left := int64(maxUnpacked)
	for _, m := range z.File {
		const encrypted = 1
		if m.Flags&encrypted != 0 || strings.HasSuffix(m.Name, "/") {
			continue
		}
		n, err := unpack(m, left)
		if damaged(err) {
			return fmt.Sprintf("its member %.200s is damaged: %v", m.Name, err)
		}
		if left -= n; left <= 0 {
			return "" // nothing is concluded from what was not read to the end
		}
	}
	return ""
}

func unpack(m *zip.File, most int64) (int64, error) {
	r, err := m.Open()
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, io.LimitReader(r, most))
	return n, errors.Join(err, r.Close())
}

// damaged tells a member that does not unpack from one packed in a way not known here.
func damaged(err error) bool {
	if _, corrupt := errors.AsType[flate.CorruptInputError](err); corrupt {
		return true
	}
	return errors.Is(err, zip.ErrChecksum) || errors.Is(err, zip.ErrFormat) || errors.Is(err, io.ErrUnexpectedEOF)
}

// notingReader remembers a read that failed for other reasons than the end.
type notingReader struct {
	r   io.ReaderAt
	err error
}

func (n *notingReader) ReadAt(p []byte, off int64) (int, error) {
	got, err := n.r.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, fs.ErrInvalid) {
		n.err = err
	}
	return got, err
}
