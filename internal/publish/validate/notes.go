package validate

import (
	"fmt"
	"regexp"
	"strings"
)

// placeholder is a description that somebody meant to replace.
var placeholder = regexp.MustCompile(`^(?i:todo|tbd|fixme|xxx|n/?a|none|-+|\.+|test|description|update|updates|fix|fixes|bug ?fix(es)?|` +
	`(add|your|default|sample|placeholder|enter)\b.*\b(description|text)( here)?|lorem ipsum.*|changes?|various (bug )?fixes|minor (changes|fixes))[.!: ]*$`)

func checkNotes(in Input) []Finding {
	if in.First {
		return nil
	}
	var found []Finding
	if len(in.Notes.Updates) == 0 {
		found = append(found, Finding{Rule: MissingDescription, Text: "the notes hold no update"})
	}
	for _, u := range in.Notes.Updates {
		switch text := strings.TrimSpace(u.Description); {
		case text == "":
			found = append(found, Finding{Rule: MissingDescription, Text: fmt.Sprintf("update %d has no description", u.ID)})
		case placeholder.MatchString(text):
			found = append(found, Finding{Rule: DefaultDescription, Text: fmt.Sprintf("update %d is described as %q", u.ID, text)})
		}
	}
	if n := len(in.Notes.Unattributed); n > 0 {
		found = append(found, Finding{
			Rule: UnexplainedFiles, Text: fmt.Sprintf("%d changed files that no update explains", n),
			Paths: in.Notes.Unattributed,
		})
	}
	return found
}
