// Package blob is the contract of the store that holds published objects: immutable
// bytes under a name. Implementations lie in folders below; blobtest is the suite
// that each of them passes.
package blob

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"

	"uplevel/internal/digest"
)

// Info describes one stored blob.
type Info struct {
	Name string // slash path
	Size int64  // stored bytes
}

// Object is an open blob. The caller must close it.
type Object interface {
	io.ReadSeekCloser
	Size() int64 // stored bytes
	// Discard removes the blob from the store; one that has taken its name since, whoever
	// put it, MUST stay. It is called before Close.
	Discard(ctx context.Context) error
}

// Store keeps immutable blobs. Names are slash paths as [CheckName] allows. All
// methods are safe for concurrent use.
type Store interface {
	// Put stores what r gives under name. When it returns nil the blob MUST survive a
	// power cut. A name that is taken keeps its first content and Put returns nil
	// without reading r to its end. After an error, or a crash, nothing MUST be
	// visible under a name that was free.
	Put(ctx context.Context, name string, r io.Reader) error
	// Open returns the blob, or an error that is fs.ErrNotExist.
	Open(ctx context.Context, name string) (Object, error)
	// Stat returns the blob's size, or an error that is fs.ErrNotExist.
	Stat(ctx context.Context, name string) (Info, error)
	// Delete removes the blob; one that is not there is no error.
	Delete(ctx context.Context, name string) error
	// List gives every blob whose name begins with prefix, in order of name.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
}

// ObjectName returns the name of the object with that digest: objects/ab/abcd….
func ObjectName(sum digest.Digest) string {
	hex := sum.String()
	return "objects/" + hex[:2] + "/" + hex
}

// HotfixName returns the name of a hotfix's zip with that digest: hotfixes/ab/abcd….
func HotfixName(sum digest.Digest) string {
	hex := sum.String()
	return "hotfixes/" + hex[:2] + "/" + hex
}

// MetadataName returns the name of a metadata file: metadata/FILE.
func MetadataName(file string) string { return "metadata/" + file }

// CheckName refuses names with empty, dot or hidden parts, backslashes, or characters
// outside [A-Za-z0-9._-/], and names longer than 512 bytes.
func CheckName(name string) error {
	if name == "" || len(name) > 512 {
		return fmt.Errorf("blob name of %d bytes", len(name))
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.ContainsFunc(part, notNameRune) {
			return fmt.Errorf("blob name %q is not allowed", name)
		}
	}
	return nil
}

func notNameRune(r rune) bool {
	letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	digit := r >= '0' && r <= '9'
	return !letter && !digit && r != '.' && r != '_' && r != '-'
}
