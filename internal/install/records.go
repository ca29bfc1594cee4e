package install

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
)

// CheckRecords names what the tool writes beside the store and is no longer as the state
// says: the entry of the last change, and config.json, which other programs read. What
// another tool left is not judged.
func (h *Home) CheckRecords() []Damage {
	if h.state.Record.Sum.IsZero() {
		return nil
	}
	var found []Damage
	if _, err := h.readConfig(); err != nil {
		found = append(found, Damage{What: configFile, Why: fmt.Sprintf("it cannot be read: %v", err)})
	} else if says := h.ConfigText("update-level"); says != strconv.Itoa(h.state.Level) {
		found = append(found, Damage{What: configFile, Why: fmt.Sprintf("it has update-level %.40q, and the product is at %d", says, h.state.Level)})
	}
	if h.state.History == 0 {
		return found
	}
	if _, err := h.lstat(historyName(h.state.History)); errors.Is(err, fs.ErrNotExist) {
		found = append(found, Damage{What: historyName(h.state.History), Why: "it is missing, and with it the way back over the last change"})
	}
	return found
}
