package install

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/object"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// openForSync is how a file must be open to be synced on every system.
const openForSync = os.O_RDWR

// stageFile writes content to newRel as it will stand at path: with the permission
// bits given, and owner, group and extended attributes of what stands at path now or,
// where nothing does, the owner and group of the folder likeFolder lies in.
func (h *Home) stageFile(newRel, path, likeFolder string, content io.Reader, mode uint32) (manifest.Entry, error) {
	f, err := h.root.OpenFile(newRel, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return manifest.Entry{}, fmt.Errorf("staging %s: %w", path, err)
	}
	sum, size, err := digest.Copy(f, content)
	if err == nil {
		err = h.dress(newRel, path, likeFolder)
	}
	if err == nil { // last: an access list brings bits of its own, and who may not write may set no attribute
		err = f.Chmod(fs.FileMode(mode) & fs.ModePerm)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return manifest.Entry{}, fmt.Errorf("staging %s: %w", path, err)
	}
	return manifest.Entry{Path: path, Kind: manifest.File, Mode: mode, Size: size, Sum: sum}, nil
}

// stageLink makes a link that will stand at path.
func (h *Home) stageLink(newRel, path, likeFolder, target string) error {
	if err := h.root.Symlink(target, newRel); err != nil {
		return fmt.Errorf("staging %s: %w", path, err)
	}
	return h.dress(newRel, path, likeFolder)
}

// stageFolder makes a new folder.
func (h *Home) stageFolder(newRel, path, likeFolder string) error {
	if err := h.root.Mkdir(newRel, 0o700); err != nil {
		return fmt.Errorf("staging %s: %w", path, err)
	}
	return h.dress(newRel, path, likeFolder)
}

// dress gives what was staged its owner, group and attributes; its mode comes after.
func (h *Home) dress(newRel, path, likeFolder string) error {
	like, err := h.lstat(path)
	if err := ignoreMissing(err); err != nil {
		return err
	}
	replaced := err == nil && !like.IsDir()
	if !replaced {
		if like, err = h.root.Stat(orTop(parent(likeFolder))); err != nil {
			return err
		}
	}
	if err := h.dressAs(newRel, like); err != nil {
		return err
	}
	if replaced {
		return copyAttributes(h.abs(path), h.abs(newRel))
	}
	return nil
}

// dressAs gives newRel the owner and group of like, where this user may.
func (h *Home) dressAs(newRel string, like fs.FileInfo) error {
	mine, err := h.lstat(newRel)
	if err != nil {
		return err
	}
	uid, gid, ok := owner(like)
	if u, g, _ := owner(mine); !ok || (u == uid && g == gid) {
		return nil
	}
	if err := h.root.Lchown(newRel, uid, gid); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

func orTop(dir string) string {
	if dir == "" {
		return "."
	}
	return dir
}

// published is the mode of the vendor's own content, which is no secret.
const published fs.FileMode = 0o644

// closed returns who may read a copy of a file: everybody only where everybody may read
// the file. Operators' files hold passwords.
func closed(file fs.FileMode) fs.FileMode {
	if file.Perm()&0o004 != 0 {
		return published
	}
	return 0o600
}

// keepCopy puts content into the staged part of the store, unless store or staging
// have it, and checks that it is what the plan says. The mode is that of the file that it
// is of, or published.
func (h *Home) keepCopy(p *Pending, ref release.Ref, mode fs.FileMode, content io.Reader) error {
	name := ref.Sum.String()
	if kept, err := h.kept(p, ref); err != nil || kept {
		return err
	}
	f, err := h.root.OpenFile(stagedObject(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, closed(mode))
	if err != nil {
		return err
	}
	sum, size, err := object.Encode(f, content)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil && (sum != ref.Sum || size != ref.Size) {
		err = fmt.Errorf("%w: want %s", digest.ErrMismatch, ref.Sum)
	}
	if err == nil {
		err = h.dress(stagedObject(name), storeDir+"/"+name, storeDir+"/"+name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("keeping a copy: %w", err), h.root.Remove(stagedObject(name)))
	}
	p.Store = append(p.Store, name)
	return nil
}

func stagedObject(name string) string { return stagingDir + "/object-" + name }

func (h *Home) keepBytes(p *Pending, data []byte) (release.Ref, error) {
	ref := release.Ref{Sum: digest.Of(data), Size: int64(len(data))}
	return ref, h.keepCopy(p, ref, published, bytes.NewReader(data))
}

func (h *Home) exists(rel string) bool {
	_, err := h.lstat(rel)
	return err == nil
}

// stands returns the identity of what is at e.Path, after making sure that it is what
// the plan saw there; with keep, its content goes into the store as well.
func (h *Home) stands(p *Pending, e manifest.Entry, keep bool) (*identity, error) {
	before, err := h.lstat(e.Path)
	if err != nil {
		return nil, changedMeanwhile(e.Path, err)
	}
	now, err := h.entry(e.Path, before)
	if err != nil || now.Kind != e.Kind || now.Target != e.Target || now.Mode != e.Mode {
		return nil, changedMeanwhile(e.Path, err)
	}
	if e.Kind == manifest.File {
		if err := h.readAsPlanned(p, e, keep); err != nil {
			return nil, err
		}
	}
	after, err := h.lstat(e.Path)
	if err != nil || !identityOf(after).is(identityOf(before)) {
		return nil, changedMeanwhile(e.Path, err)
	}
	id := identityOf(before)
	return &id, nil
}

func (h *Home) readAsPlanned(p *Pending, e manifest.Entry, keep bool) error {
	if e.Sum.IsZero() { // the disk did not give its content; one failure may have been chance
		if _, _, err := h.sum(e.Path, make([]byte, 256<<10)); !mediaError(err) {
			return changedMeanwhile(e.Path, errors.Join(errors.New("it could not be read, and now it can"), err))
		}
		return nil
	}
	f, err := h.root.Open(e.Path)
	if err != nil {
		return changedMeanwhile(e.Path, err)
	}
	defer f.Close()
	ref := release.Ref{Sum: e.Sum, Size: e.Size}
	content := digest.NewReader(f, e.Sum, e.Size)
	kept, err := h.kept(p, ref)
	switch {
	case err != nil:
	case keep && !kept:
		err = h.keepCopy(p, ref, fs.FileMode(e.Mode), content)
	default:
		_, err = io.Copy(io.Discard, content)
	}
	if errors.Is(err, digest.ErrMismatch) {
		return changedMeanwhile(e.Path, err)
	}
	return err
}

func changedMeanwhile(path string, cause error) error {
	if cause == nil {
		cause = errors.New("it is another file now")
	}
	return problem.New(problem.Refused, "Run the command again; every FILE.final is kept.", "%s changed meanwhile: %w", path, cause)
}

// ownerWrites is what a folder's owner needs to move it to another folder; where the
// level does not give it, it is taken away once the folder stands in its place.
const ownerWrites fs.FileMode = 0o200

// setTreeModes gives staged new folders their permission bits, the deepest first.
func (h *Home) setTreeModes(p *Pending) error {
	for _, o := range slices.Backward(p.Plan.Outcomes) {
		st, ok := p.Staged[o.Path]
		if !ok || o.Result == nil || o.Result.Kind != manifest.Dir || st.New == "" {
			continue
		}
		mode := fs.FileMode(o.Result.Mode) & fs.ModePerm
		if st.Tree == "" {
			mode |= ownerWrites
		}
		if err := h.root.Chmod(st.New, mode); err != nil {
			return err
		}
	}
	return nil
}
