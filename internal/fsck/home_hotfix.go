package fsck

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// homeHotfix is one of the ledger: a name, and the digest of what the vendor signed.
type homeHotfix struct {
	Name   string `json:"name"`
	Record struct {
		Sum  string `json:"sum"`
		Size int64  `json:"size"`
	} `json:"record"`
}

// homeListed is what must stand at a path.
type homeListed struct {
	kind, mode, sum, target string
	size                    int64
}

// homeOverlay is what the judge reads of a hotfix's record.
type homeOverlay struct {
	Name  string `json:"name"`
	Files []struct {
		Path string        `json:"path"`
		Base *homeHotfixed `json:"base"`
		Want *homeHotfixed `json:"want"`
	} `json:"files"`
}

type homeHotfixed struct {
	Kind   string `json:"kind"`
	Mode   uint32 `json:"mode"`
	Size   int64  `json:"size"`
	Sum    string `json:"sum"`
	Target string `json:"target"`
}

func (h homeHotfixed) listed() homeListed {
	l := homeListed{kind: h.Kind, sum: h.Sum, target: h.Target, size: h.Size}
	if h.Kind != "link" {
		l.mode = fmt.Sprintf("%04o", h.Mode)
	}
	return l
}

// parseManifest reads a manifest text into what must stand at each path.
func parseManifest(text []byte) (map[string]homeListed, error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() || lines.Text() != "uplevel-manifest/1" {
		return nil, errors.New("the manifest has another format")
	}
	listed := map[string]homeListed{}
	for lines.Scan() {
		f := strings.Split(lines.Text(), "\t")
		switch {
		case f[0] == "dir" && len(f) == 3 && filepath.IsLocal(f[2]):
			listed[f[2]] = homeListed{kind: "dir", mode: f[1]}
		case f[0] == "link" && len(f) == 3 && filepath.IsLocal(f[1]):
			listed[f[1]] = homeListed{kind: "link", target: f[2]}
		case f[0] == "file" && len(f) == 5 && filepath.IsLocal(f[4]):
			size, err := strconv.ParseInt(f[2], 10, 64)
			if err != nil {
				return nil, fmt.Errorf("the manifest has a size that is none: %.80q", lines.Text())
			}
			listed[f[4]] = homeListed{kind: "file", mode: f[1], size: size, sum: f[3]}
		default:
			return nil, fmt.Errorf("the manifest has a line that cannot be: %.80q", lines.Text())
		}
	}
	return listed, lines.Err()
}

// overlay lays a hotfix over what must stand there; it must be in the store, and fit.
func (j *homeJudge) overlay(listed map[string]homeListed, h homeHotfix) {
	var text bytes.Buffer
	if err := j.object(h.Record.Sum, &text, maxManifest); err != nil {
		j.find("hotfix %s: %v", h.Name, err)
		return
	}
	var o homeOverlay
	if err := json.Unmarshal(text.Bytes(), &o); err != nil {
		j.find("hotfix %s: %v", h.Name, err)
		return
	}
	if o.Name != h.Name || int64(text.Len()) != h.Record.Size || len(o.Files) == 0 {
		j.find("hotfix %s: its record is of %q, %d bytes, %d files", h.Name, o.Name, text.Len(), len(o.Files))
	}
	for _, f := range o.Files {
		was, there := listed[f.Path]
		if there != (f.Base != nil) || there && was != f.Base.listed() {
			j.find("hotfix %s does not fit at %s", h.Name, f.Path)
		}
		delete(listed, f.Path)
		if f.Want != nil && filepath.IsLocal(f.Path) {
			listed[f.Path] = f.Want.listed()
		}
	}
}
