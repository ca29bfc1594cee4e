package install

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// oldModel is where the model before U2, which counts in timestamps, keeps its own.
const oldModel = "updates/wum"

// takeOver reads what config.json of a home that U2 left says. It writes nothing: the
// first commit does.
func (h *Home) takeOver(line release.Line) error {
	h.state = State{Format: StateFormat, Product: line.Product, Version: line.Version, Channel: release.DefaultChannel}
	config, err := h.readConfig()
	if err != nil {
		return damagedConfig(err)
	}
	if h.state.Channel, err = channelOf(config); err != nil {
		return err
	}
	if h.state.Others, err = hotfixesOf(config); err != nil {
		return err
	}
	h.state.Copy = copyOf(config)
	level, said, err := levelOf(config, line)
	if err != nil {
		return err
	}
	h.state.Level = level
	if said {
		return nil
	}
	switch _, err := h.lstat(oldModel); {
	case err == nil:
		return ofTimestamps("there is %s and no update-level in updates/config.json", oldModel)
	case !errors.Is(err, fs.ErrNotExist):
		return problem.New(problem.Refused, "Look at its permissions.", "%s cannot be looked at: %w", oldModel, err)
	}
	return nil
}

func channelOf(config document) (string, error) {
	raw := bytes.TrimSpace(config.get("channel"))
	if len(raw) > 0 && raw[0] != '"' && string(raw) != "null" {
		return "", problem.New(problem.Failed, "Correct the channel in updates/config.json.", "updates/config.json: channel %.40s is no text", raw)
	}
	channel := strings.TrimSpace(config.text("channel"))
	if channel == "" {
		return release.DefaultChannel, nil
	}
	if err := release.CheckName(channel); err != nil {
		return "", problem.New(problem.Failed, "Correct the channel in updates/config.json.", "updates/config.json: %w", err)
	}
	return channel, nil
}

// levelOf returns the level, and whether one is said: a pack that U2 never updated says
// "-1", nothing, or has no config.json. Old ones write a number in place of a text.
func levelOf(config document, line release.Line) (level int, said bool, err error) {
	text := strings.TrimSpace(config.text("update-level"))
	if raw := bytes.TrimSpace(config.get("update-level")); text == "" && len(raw) > 0 && raw[0] != '"' && string(raw) != "null" {
		text = string(raw)
	}
	switch {
	case text == "" || text == "-1":
		return 0, false, nil
	case isTimestamp(text):
		return 0, false, ofTimestamps("updates/config.json says update-level %.40q", text)
	}
	if level, err = line.ParseLevel(text); err != nil {
		return 0, false, problem.New(problem.Failed, "Correct update-level in updates/config.json.", "updates/config.json: update-level %.40q is no level: %w", text, err)
	}
	return level, true, nil
}

// hotfixesOf returns the names of the hotfixes that are applied; U2 has null, or a list
// of names.
func hotfixesOf(config document) ([]string, error) {
	raw := config.get("hotfixes")
	if len(raw) == 0 {
		return nil, nil
	}
	var list []any
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, problem.New(problem.Failed, "Make it null, or a list of the hotfixes that are applied.", "updates/config.json: hotfixes are no list: %w", err)
	}
	var names []string
	for _, l := range list {
		if named, ok := l.(map[string]any); ok && named["name"] != nil {
			l = named["name"]
		}
		names = append(names, nameOfAnother(fmt.Sprint(l)))
	}
	return names, nil
}

// copyOf returns where U2 keeps the copy that it made before its last update.
func copyOf(config document) string {
	product, err := parseDocument(config.get("product"))
	if err != nil {
		return ""
	}
	return product.text("backup")
}

// isTimestamp reports whether text ends in a Unix time, of seconds or finer, where U2
// has a version or level.
func isTimestamp(text string) bool {
	return regexp.MustCompile(`(^|[^0-9])[0-9]{10,19}$`).MatchString(strings.TrimSpace(text))
}

// ofTimestamps refuses a pack whose files are those of no level.
func ofTimestamps(format string, args ...any) error {
	return problem.New(problem.Refused,
		"Start from a fresh pack of the vendor's, and carry your configuration and data over to it.",
		"This product was last updated under the older model, which counts in timestamps and has no levels: %w", fmt.Errorf(format, args...))
}
