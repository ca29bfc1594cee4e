package install

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// StateFormat is the version of state.json.
const StateFormat = 1

// State is what is installed, as updates/state.json keeps it.
type State struct {
	Format   int            `json:"format"`
	Product  string         `json:"product"`
	Version  string         `json:"version"`
	Channel  string         `json:"channel"`
	Level    int            `json:"level"`
	Record   release.Ref    `json:"record"`   // zero when taken over from a tool that kept none
	Manifest release.Ref    `json:"manifest"` // zero likewise
	Notes    release.Ref    `json:"notes"`
	Pack     string         `json:"pack"`               // random id of the pack
	Hotfixes []plan.Applied `json:"hotfixes,omitempty"` // the ledger, in order
	History  int            `json:"history"`            // id of the last change; 0: none
	Backup   string         `json:"backup,omitempty"`
	Others   []string       `json:"-"` // hotfixes that another tool applied, as config.json of a home taken over names them
}

// Line returns the installed line.
func (s State) Line() release.Line {
	return release.Line{Product: s.Product, Version: s.Version, Channel: s.Channel}
}

// Point returns where the installation stands.
func (s State) Point() plan.Point {
	return plan.Point{Channel: s.Channel, Level: s.Level, Record: s.Record, Manifest: s.Manifest, Hotfixes: s.Hotfixes}
}

// readState reads product.txt and state.json; without the latter, as another tool
// leaves a home, the level comes from config.json.
func (h *Home) readState() error {
	name, err := h.readSmall(productFile)
	if err != nil {
		return problem.New(problem.Failed, "Give the product's folder with --dir.", "%s: %w", unidentified, err)
	}
	line, err := release.ParseProductVersion(string(name))
	if err != nil {
		return problem.New(problem.Failed, "Put NAME-VERSION into updates/product.txt.", "%s: updates/product.txt: %w", unidentified, err)
	}
	data, err := h.readSmall(stateFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return h.takeOver(line)
	case err != nil:
		return problem.New(problem.Refused, "Look at its permissions.", "updates/state.json cannot be read: %w", err)
	}
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return problem.New(problem.Verification, "Bring updates/state.json back from a backup.", "updates/state.json is damaged: %w", err)
	}
	if s.Format != StateFormat {
		return problem.New(problem.Refused, "Use the newer tool.", "updates/state.json has format %d, this tool knows %d", s.Format, StateFormat)
	}
	if s.Product != line.Product || s.Version != line.Version {
		return problem.New(problem.Failed, "Put "+s.Line().ProductVersion()+" back into updates/product.txt.",
			"%s: product.txt says %s, state.json %s", unidentified, line.ProductVersion(), s.Line().ProductVersion())
	}
	if err := s.Line().Check(); err != nil || s.Level < 0 {
		return problem.New(problem.Verification, "Bring updates/state.json back from a backup.", "updates/state.json is damaged: %w", err)
	}
	h.state = s
	return nil
}

// takeOver reads level and channel as U2 keeps them in config.json.
func (h *Home) takeOver(line release.Line) error {
	h.state = State{Format: StateFormat, Product: line.Product, Version: line.Version, Channel: release.DefaultChannel}
	config, err := h.readConfig()
	if err != nil {
		return damagedConfig(err)
	}
	if channel, ok := config["channel"].(string); ok && channel != "" {
		if err := release.CheckName(channel); err != nil {
			return problem.New(problem.Failed, "Correct the channel in updates/config.json.", "updates/config.json: %w", err)
		}
		h.state.Channel = channel
	}
	if others, ok := config["hotfixes"].([]any); ok {
		for _, name := range others {
			h.state.Others = append(h.state.Others, nameOfAnother(fmt.Sprint(name)))
		}
	}
	text := fmt.Sprint(config["update-level"])
	switch text {
	case "<nil>", "", "-1":
		return nil
	}
	level, err := strconv.ParseInt(text, 10, 32)
	if err != nil || level < 0 {
		return problem.New(problem.Failed, "Correct update-level in updates/config.json.", "updates/config.json: update-level %.40q is no level", text)
	}
	h.state.Level = int(level)
	return nil
}

func damagedConfig(err error) error {
	return problem.New(problem.Failed, "Mend updates/config.json, or bring it back from a backup.", "updates/config.json is damaged: %w", err)
}

// readConfig reads config.json with numbers as they stand; absent is empty.
func (h *Home) readConfig() (map[string]any, error) {
	data, err := h.readSmall(configFile)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]any{}, nil
	}
	if err != nil {
		return nil, err
	}
	config := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	d.UseNumber()
	if err := d.Decode(&config); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return config, nil
}

// configBytes is config.json for a state: unknown keys survive, secrets do not.
func (h *Home) configBytes(s State) ([]byte, error) {
	config, err := h.readConfig()
	if err != nil {
		return nil, damagedConfig(err)
	}
	if config == nil {
		config = map[string]any{}
	}
	config["update-level"] = strconv.Itoa(s.Level)
	config["channel"] = s.Channel
	config["hotfixes"] = nil // as U2 has it where there is none
	if len(s.Hotfixes) > 0 {
		config["hotfixes"] = plan.Names(s.Hotfixes)
	}
	if s.Backup != "" {
		config["backup-dir"] = s.Backup
	}
	product, _ := config["product"].(map[string]any)
	if product == nil {
		product = map[string]any{}
	}
	product["name"], product["version"] = s.Product, s.Version
	config["product"] = product
	removeSecrets(config)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err = e.Encode(config)
	return b.Bytes(), err
}

// removeSecrets drops what U2 keeps and Uplevel never does, at any depth.
func removeSecrets(config map[string]any) {
	for key, value := range config {
		switch name := strings.ToLower(key); name {
		case "password", "access-token", "refresh-token", "app-key", "token", "client-secret":
			delete(config, key)
			continue
		}
		if inner, ok := value.(map[string]any); ok {
			removeSecrets(inner)
		}
	}
}

// ConfigText returns a text value of config.json, empty when it is not there.
func (h *Home) ConfigText(key string) string {
	config, err := h.readConfig()
	if err != nil {
		return ""
	}
	text, _ := config[key].(string)
	return text
}
