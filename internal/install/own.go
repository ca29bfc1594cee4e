package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"uplevel/internal/problem"
)

// logsDir holds the logs.
const logsDir = updatesDir + "/logs"

// Who may write a home need not be who runs the tool: root often does. What is not written
// through the home's [os.Root] must therefore lie in folders that stay within the home.

// writtenByPath returns the folders in which files are made by their full path.
func writtenByPath() []string { return []string{updatesDir, stagingDir, storeDir, trustDir} }

// TrustDir returns the folder of the trusted metadata, which need not be there. One that
// leads out of the home by a link is refused.
func (h *Home) TrustDir() (string, error) { return h.abs(trustDir), h.stay(updatesDir, trustDir) }

// stay refuses folders of the tool's own that lead out of the home by a link. What cannot be
// looked at is left to whoever uses it.
func (h *Home) stay(folders ...string) error {
	for _, dir := range folders {
		info, err := h.root.Lstat(dir)
		if err != nil || info.Mode()&(fs.ModeSymlink|fs.ModeIrregular) == 0 {
			continue
		}
		if to, err := h.root.Stat(dir); err != nil || !to.IsDir() {
			return problem.New(problem.Refused, "Put a folder in the place of the link, or a relative link to a folder of the product.",
				"%s is a link that leads out of the product's folder, where nothing is written", dir)
		}
	}
	return nil
}

// OpenLog opens a log of the product to write at its end; one that is made belongs to whom
// the updates folder belongs to. Only a plain file within the home is opened: its name can be
// known before, and a link there would have root write elsewhere.
func (h *Home) OpenLog(name string) (*os.File, error) {
	if err := h.stay(updatesDir, logsDir); err != nil {
		return nil, err
	}
	like, err := h.root.Stat(updatesDir)
	if err != nil {
		return nil, err
	}
	err = h.root.Mkdir(logsDir, 0o755)
	if err == nil {
		err = h.dressAs(logsDir, like)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	rel := logsDir + "/" + name
	f, err := h.root.OpenFile(rel, os.O_APPEND|os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return h.appendTo(rel)
	}
	if err != nil {
		return nil, err
	}
	if err := h.dressAs(rel, like); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// appendTo opens a log that is there.
func (h *Home) appendTo(rel string) (*os.File, error) {
	refused := problem.New(problem.Refused, "Move it away; a new one is made.", "%s is no plain file", rel)
	before, err := h.root.Lstat(rel)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, refused
	}
	f, err := h.openPlain(rel, os.O_APPEND|os.O_WRONLY)
	if err != nil {
		return nil, err
	}
	if now, err := f.Stat(); err != nil || !os.SameFile(before, now) { // a link took its place just now
		return nil, errors.Join(refused, f.Close())
	}
	return f, nil
}

// openPlain opens a plain file of the home, or what a link within the home leads to. What it is
// is looked at before it is opened: a pipe would be waited for, and some devices do things.
func (h *Home) openPlain(rel string, flag int) (*os.File, error) {
	info, err := h.root.Stat(rel)
	if err != nil {
		return nil, err
	}
	notPlain := fmt.Errorf("%s is no plain file", rel)
	if !info.Mode().IsRegular() {
		return nil, notPlain
	}
	f, err := h.root.OpenFile(rel, flag|nonBlock, 0)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = notPlain
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
