package release

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// MaxNotes bounds the bytes of a level's notes.
const MaxNotes = 4 << 20

// Update is one numbered fix inside a level. Text is Markdown.
type Update struct {
	ID             int               `json:"id" yaml:"id"`
	Type           Type              `json:"type" yaml:"type"` // regular or security
	Description    string            `json:"description" yaml:"description"`
	Implementation string            `json:"implementation,omitempty" yaml:"implementation"`
	Impact         string            `json:"impact,omitempty" yaml:"impact"`
	Instructions   string            `json:"instructions,omitempty" yaml:"instructions"`
	BugFixes       map[string]string `json:"bug_fixes,omitempty" yaml:"bug_fixes"` // key → summary
	Files          []string          `json:"files,omitempty" yaml:"files"`         // globs
	Advisories     []string          `json:"advisories,omitempty" yaml:"advisories"`
}

// Notes describe a level: written as YAML by the release engineer, stored and signed
// as JSON.
type Notes struct {
	Title           string            `json:"title,omitempty" yaml:"title"`
	Updates         []Update          `json:"updates" yaml:"updates"`
	AbsorbsHotfixes []string          `json:"absorbs_hotfixes,omitempty" yaml:"absorbs_hotfixes"`
	KeepsHotfixes   []string          `json:"keeps_hotfixes,omitempty" yaml:"keeps_hotfixes"`
	Restart         *bool             `json:"restart,omitempty" yaml:"restart"` // needed after the update; absent: yes
	Accepted        map[string]string `json:"accepted,omitempty" yaml:"-"`      // validation rule → reason given
	Changes         Changes           `json:"changes,omitzero" yaml:"-"`        // computed by the publisher
	Attribution     map[string]int    `json:"attribution,omitempty" yaml:"-"`   // changed path → update id
	Unattributed    []string          `json:"unattributed,omitempty" yaml:"-"`  // changed paths no update explains
}

// Changes are a level's file changes against the one before it.
type Changes struct {
	Added    []string `json:"added,omitempty"`
	Modified []string `json:"modified,omitempty"`
	Removed  []string `json:"removed,omitempty"`
}

// Counts returns how many regular and security updates the notes hold.
func (n Notes) Counts() (regular, security int) {
	for _, u := range n.Updates {
		if u.Type == Security {
			security++
		} else {
			regular++
		}
	}
	return regular, security
}

// Type returns the type of a level with these notes.
func (n Notes) Type() Type {
	switch regular, security := n.Counts(); {
	case security == 0:
		return Regular
	case regular == 0:
		return Security
	default:
		return Mixed
	}
}

// Check refuses notes that are malformed: ids missing or given twice, unknown types.
// Missing descriptions are the publisher's rule, not this one's.
func (n Notes) Check() error {
	seen := map[int]bool{}
	for i, u := range n.Updates {
		switch {
		case u.ID <= 0:
			return fmt.Errorf("update %d of the notes has no id", i+1)
		case seen[u.ID]:
			return fmt.Errorf("update %d stands twice in the notes", u.ID)
		case u.Type != Regular && u.Type != Security:
			return fmt.Errorf("update %d has type %.40q: want regular or security", u.ID, u.Type)
		}
		seen[u.ID] = true
	}
	return nil
}

// Bytes returns the notes' canonical JSON.
func (n Notes) Bytes() ([]byte, error) {
	if err := n.Check(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(n)
	if err == nil && len(data) > MaxNotes {
		err = fmt.Errorf("notes of %d bytes, the limit is %d", len(data), MaxNotes)
	}
	return data, err
}

// ParseNotes reads what [Notes.Bytes] wrote.
func ParseNotes(data []byte) (Notes, error) {
	if len(data) > MaxNotes {
		return Notes{}, errors.New("notes are too large")
	}
	var n Notes
	if err := json.Unmarshal(data, &n); err != nil {
		return Notes{}, fmt.Errorf("notes: %w", err)
	}
	if err := n.Check(); err != nil {
		return Notes{}, err
	}
	return n, nil
}

// Headline returns the first line of an update's description.
func (u Update) Headline() string {
	line, _, _ := strings.Cut(strings.TrimSpace(u.Description), "\n")
	return line
}
