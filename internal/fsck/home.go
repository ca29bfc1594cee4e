package fsck

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// HomeReport is the judgement of an installation.
type HomeReport struct {
	Level      int      // as state.json says
	Pristine   int      // files as the manifest lists them
	Customised []string // files with other content
	Missing    []string // listed and not there
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
	j.config(state)
	if state.Manifest.Sum == "" {
		return j.report, errors.New("state.json names no manifest")
	}
	text, err := j.object(state.Manifest.Sum)
	if err != nil {
		return j.report, fmt.Errorf("manifest: %w", err)
	}
	return j.report, j.files(text)
}

type homeJudge struct {
	dir    string
	report HomeReport
}

func (j *homeJudge) find(format string, args ...any) {
	j.report.Findings = append(j.report.Findings, fmt.Sprintf(format, args...))
}

func (j *homeJudge) path(rel string) string { return filepath.Join(j.dir, filepath.FromSlash(rel)) }

func (j *homeJudge) readJSON(rel string, into any) error {
	data, err := os.ReadFile(j.path(rel))
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
		case (name == ".uplevel-staging" || p == j.path("updates/staging")) && d.IsDir():
			if !waits {
				j.find("%s is left", p)
			}
			return fs.SkipDir
		case strings.Contains(name, ".partial-"), strings.Contains(name, ".rescued-"):
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
		if _, err := j.object(e.Name()); err != nil {
			j.find("store: %s: %v", e.Name(), err)
		}
	}
}

func (j *homeJudge) object(name string) ([]byte, error) {
	f, err := os.Open(j.path("updates/store/" + name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	dec, err := zstd.NewReader(f)
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	h := sha256.New()
	var content bytes.Buffer
	if _, err := io.Copy(io.MultiWriter(h, &content), dec); err != nil {
		return nil, err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != name {
		return nil, fmt.Errorf("its content is %s", got)
	}
	return content.Bytes(), nil
}

// config compares what other programs read with the state, and the history with both.
func (j *homeJudge) config(state homeState) {
	var config struct {
		Level string `json:"update-level"`
	}
	if err := j.readJSON("updates/config.json", &config); err != nil {
		j.find("config.json: %v", err)
	} else if config.Level != strconv.Itoa(state.Level) {
		j.find("config.json is at level %q, state.json at %d", config.Level, state.Level)
	}
	if state.History == 0 {
		return
	}
	var entry struct {
		To struct {
			Level int `json:"level"`
		} `json:"to"`
	}
	if err := j.readJSON(fmt.Sprintf("updates/history/%06d.json", state.History), &entry); err != nil {
		j.find("history: %v", err)
	} else if entry.To.Level != state.Level {
		j.find("the last history entry leads to level %d, state.json is at %d", entry.To.Level, state.Level)
	}
	if _, err := os.Lstat(j.path(fmt.Sprintf("updates/history/%06d.json", state.History+1))); err == nil {
		j.find("the history has an entry that state.json does not know")
	}
}

// files compares every entry of a manifest text with the disk.
func (j *homeJudge) files(text []byte) error {
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() || lines.Text() != "uplevel-manifest/1" {
		return errors.New("the manifest has another format")
	}
	for lines.Scan() {
		f := strings.Split(lines.Text(), "\t")
		switch {
		case f[0] == "dir" && len(f) == 3:
			if info, err := os.Lstat(j.path(f[2])); err != nil || !info.IsDir() {
				j.report.Missing = append(j.report.Missing, f[2])
			}
		case f[0] == "link" && len(f) == 3:
			target, err := os.Readlink(j.path(f[1]))
			j.sort(f[1], err, target == f[2])
		case f[0] == "file" && len(f) == 5:
			data, err := os.ReadFile(j.path(f[4]))
			sum := sha256.Sum256(data)
			j.sort(f[4], err, hex.EncodeToString(sum[:]) == f[3])
		default:
			return fmt.Errorf("the manifest has a line that cannot be: %.80q", lines.Text())
		}
	}
	return lines.Err()
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
