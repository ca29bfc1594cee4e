package fsck

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// HomeReport is the judgement of an installation.
type HomeReport struct {
	Level      int      // as state.json says
	Hotfixes   []string // names of those applied, as state.json says
	Pristine   int      // files as the manifest lists them, or as a hotfix has them
	Customised []string // files with other content
	Missing    []string // listed and not there
	Modes      []string // files and folders with other permission bits, where systems have them
	Stale      []string // as before the last change: by the operator, or a change done by half
	Lost       []string // what the last change replaced and the store lacks: there is no way back
	Findings   []string // what must not be: litter, damage, contradictions
}

// homeState is what the judge reads of updates/state.json.
type homeState struct {
	Level    int `json:"level"`
	History  int `json:"history"`
	Manifest struct {
		Sum  string `json:"sum"`
		Size int64  `json:"size"`
	} `json:"manifest"`
	Hotfixes []homeHotfix `json:"hotfixes"`
}

// Home judges the installation at dir with code of its own: whether it is wholly at the
// level that it says, whether anything is left of a change, whether what it keeps for
// going back is whole. A prepared change that waits for the operator is allowed.
func Home(dir string) (HomeReport, error) {
	j := homeJudge{dir: dir}
	var state homeState
	if err := j.readJSON("updates/state.json", &state); err != nil {
		return j.report, err
	}
	j.report.Level = state.Level
	j.litter()
	j.store()
	j.pending()
	j.config(state)
	j.stale(state)
	if state.Manifest.Sum == "" {
		return j.report, errors.New("state.json names no manifest")
	}
	var text bytes.Buffer
	if err := j.object(state.Manifest.Sum, &text, maxManifest); err != nil {
		return j.report, fmt.Errorf("manifest: %w", err)
	}
	if int64(text.Len()) != state.Manifest.Size {
		j.find("the manifest has %d bytes, state.json says %d", text.Len(), state.Manifest.Size)
	}
	listed, err := parseManifest(text.Bytes())
	if err != nil {
		return j.report, err
	}
	for _, h := range state.Hotfixes {
		j.report.Hotfixes = append(j.report.Hotfixes, h.Name)
		j.overlay(listed, h)
	}
	j.files(listed)
	return j.report, nil
}

// What is read whole is read up to these many bytes; a file or object may have maxFile.
const (
	maxJSON     = 1 << 30 // a history entry names every file of a level
	maxManifest = 64 << 20
	maxFile     = 1 << 40
)

type homeJudge struct {
	dir    string
	report HomeReport
}

func (j *homeJudge) find(format string, args ...any) {
	j.report.Findings = append(j.report.Findings, fmt.Sprintf(format, args...))
}

func (j *homeJudge) path(rel string) string { return filepath.Join(j.dir, filepath.FromSlash(rel)) }

func (j *homeJudge) readJSON(rel string, into any) error {
	f, err := os.Open(j.path(rel))
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxJSON))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", rel, err)
	}
	return nil
}

// litter finds what a finished or undone change must not leave.
func (j *homeJudge) litter() {
	_, err := os.Lstat(j.path("updates/staging/pending.json"))
	waits := err == nil
	for _, rel := range []string{"updates/COMMITTING", "updates/lock"} {
		if _, err := os.Lstat(j.path(rel)); err == nil {
			j.find("%s is left", rel)
		}
	}
	_ = filepath.WalkDir(j.dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			j.find("looking at %s: %v", p, err)
			return nil
		}
		name := d.Name()
		switch {
		case (strings.HasPrefix(name, ".uplevel-staging-") || p == j.path("updates/staging")) && d.IsDir():
			if !waits {
				j.find("%s is left", p)
			}
			return fs.SkipDir
		case strings.Contains(name, ".partial-"), strings.Contains(name, ".rescued"):
			j.find("%s is left", p)
		}
		return nil
	})
}

// store decodes every object and compares it with its name.
func (j *homeJudge) store() {
	entries, err := os.ReadDir(j.path("updates/store"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		j.find("store: %v", err)
	}
	for _, e := range entries {
		if strings.Contains(e.Name(), ".partial-") {
			continue
		}
		if err := j.object(e.Name(), io.Discard, maxFile); err != nil {
			j.find("store: %s: %v", e.Name(), err)
		}
	}
}

// object decodes an object of at most limit bytes into w, and compares it with its name.
func (j *homeJudge) object(name string, w io.Writer, limit int64) error {
	if sum, err := hex.DecodeString(name); err != nil || len(sum) != sha256.Size {
		return errors.New("it is not named by a digest")
	}
	f, err := os.Open(j.path("updates/store/" + name))
	if err != nil {
		return err
	}
	defer f.Close()
	dec, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return err
	}
	defer dec.Close()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(h, w), io.LimitReader(dec, limit+1))
	if err != nil {
		return err
	}
	if n > limit {
		return fmt.Errorf("it holds more than %d bytes", limit)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != name {
		return fmt.Errorf("its content is %s", got)
	}
	return nil
}

// config compares what other programs read with the state, and the history with both.
func (j *homeJudge) config(state homeState) {
	var config struct {
		Level    string   `json:"update-level"`
		Hotfixes []string `json:"hotfixes"`
	}
	if err := j.readJSON("updates/config.json", &config); err != nil {
		j.find("config.json: %v", err)
	} else if config.Level != strconv.Itoa(state.Level) {
		j.find("config.json is at level %q, state.json at %d", config.Level, state.Level)
	}
	var ledger []string
	for _, h := range state.Hotfixes {
		ledger = append(ledger, h.Name)
	}
	if !slices.Equal(ledger, config.Hotfixes) {
		j.find("config.json has the hotfixes %q, state.json %q", config.Hotfixes, ledger)
	}
	if state.History == 0 {
		return
	}
	var entry struct {
		To struct {
			Level    int          `json:"level"`
			Hotfixes []homeHotfix `json:"hotfixes"`
		} `json:"to"`
	}
	if err := j.readJSON(fmt.Sprintf("updates/history/%06d.json", state.History), &entry); err != nil {
		j.find("history: %v", err)
	} else if entry.To.Level != state.Level {
		j.find("the last history entry leads to level %d, state.json is at %d", entry.To.Level, state.Level)
	} else if !slices.Equal(entry.To.Hotfixes, state.Hotfixes) {
		j.find("the last history entry leads to the hotfixes %v, state.json has %v", entry.To.Hotfixes, state.Hotfixes)
	}
	if _, err := os.Lstat(j.path(fmt.Sprintf("updates/history/%06d.json", state.History+1))); err == nil {
		j.find("the history has an entry that state.json does not know")
	}
}

// files compares every entry with the disk.
func (j *homeJudge) files(listed map[string]homeListed) {
	for _, path := range slices.Sorted(maps.Keys(listed)) {
		want := listed[path]
		switch want.kind {
		case "dir":
			info, err := os.Lstat(j.path(path))
			if err != nil || !info.IsDir() {
				j.report.Missing = append(j.report.Missing, path)
				continue
			}
			j.mode(path, info, want.mode)
		case "link":
			target, err := os.Readlink(j.path(path))
			j.sort(path, err, target == want.target)
		default:
			sum, info, err := j.sum(path)
			j.sort(path, err, err == nil && sum == want.sum && info.Size() == want.size)
			if err == nil {
				j.mode(path, info, want.mode)
			}
		}
	}
}

// mode compares permission bits, on systems that have them.
func (j *homeJudge) mode(path string, info fs.FileInfo, want string) {
	if runtime.GOOS != "windows" && fmt.Sprintf("%04o", info.Mode().Perm()) != want {
		j.report.Modes = append(j.report.Modes, path)
	}
}

var errNoFile = errors.New("it is no regular file")

// sum hashes the regular file at path; a link in its place is none.
func (j *homeJudge) sum(path string) (string, fs.FileInfo, error) {
	info, err := os.Lstat(j.path(path))
	switch {
	case err != nil:
		return "", nil, err
	case !info.Mode().IsRegular():
		return "", info, errNoFile
	}
	f, err := os.Open(j.path(path))
	if err != nil {
		return "", info, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), info, err
}

func (j *homeJudge) sort(path string, err error, same bool) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		j.report.Missing = append(j.report.Missing, path)
	case err != nil || !same:
		j.report.Customised = append(j.report.Customised, path)
	default:
		j.report.Pristine++
	}
}
