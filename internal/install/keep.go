package install

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/release"
)

// keepMerged keeps what a merge gave: a later edit of it is told from that when the
// change is taken back.
func (s *stager) keepMerged(o plan.Outcome) error {
	if o.Source != plan.FromFile || o.Result.Size > maxDecided {
		return nil
	}
	ref := release.Ref{Sum: o.Result.Sum, Size: o.Result.Size}
	content, err := s.src.Open(ref)
	if err != nil {
		return fmt.Errorf("content of %s: %w", o.Path, err)
	}
	defer content.Close()
	return s.home.keepCopy(s.out, ref, fs.FileMode(modeOf(o)), content)
}

// pristine keeps a copy of the vendor's new version of a file that people edit.
func (s *stager) pristine(o plan.Outcome) error {
	if o.Want == nil || o.Want.Kind != manifest.File {
		return nil
	}
	ref := release.Ref{Sum: o.Want.Sum, Size: o.Want.Size}
	keep, err := s.wantsPristine(*o.Want, ref)
	if err != nil || !keep {
		return err
	}
	content, err := s.src.Open(ref)
	if err != nil {
		return fmt.Errorf("content of %s: %w", o.Path, err)
	}
	defer content.Close()
	return s.home.keepCopy(s.out, ref, published, content)
}

func (s *stager) wantsPristine(e manifest.Entry, ref release.Ref) (bool, error) {
	if globs := s.extra.Rules.KeepPristine; len(globs) > 0 {
		g, err := release.CompileGlobs(globs)
		return err == nil && g.Match(e.Path), err
	}
	if e.Size > 1<<20 {
		return false, nil
	}
	content, err := s.src.Open(ref)
	if err != nil {
		return false, fmt.Errorf("content of %s: %w", e.Path, err)
	}
	defer content.Close()
	head := make([]byte, 8<<10)
	n, err := io.ReadFull(content, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return !strings.Contains(string(head[:n]), "\x00"), nil
}
