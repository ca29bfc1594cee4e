package bundle

import (
	"fmt"
	"strings"

	"uplevel/internal/hotfix"
)

// readme is the text for people. The tool does not read it.
func readme(r hotfix.Record) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "Hotfix %s of %s, for %s\n\n", r.Name, r.Line(), r.For)
	fmt.Fprintf(&b, "%s\n\n", strings.TrimSpace(r.Description))
	levels := make([]string, len(r.Levels))
	for i, l := range r.Levels {
		levels[i] = r.Line().LevelName(l)
	}
	fmt.Fprintf(&b, "For level:    %s\n", strings.Join(levels, ", "))
	if len(r.Needs) > 0 {
		fmt.Fprintf(&b, "Apply before: %s\n", strings.Join(r.Needs, ", "))
	}
	fmt.Fprintf(&b, "Kind:         %s\n", r.Type)
	if len(r.Advisories) > 0 {
		fmt.Fprintf(&b, "Advisories:   %s\n", strings.Join(r.Advisories, ", "))
	}
	fmt.Fprintf(&b, "\nTo apply it, stop the product and run in its folder\n\n    bin/uplevel apply-hotfix %s\n", r.FileName())
	fmt.Fprint(&b, "\nNeither a network nor credentials are needed. To take it back:\n\n    bin/uplevel revert-hotfix\n")
	if text := strings.TrimSpace(r.Instructions); text != "" {
		fmt.Fprintf(&b, "\nInstructions\n\n%s\n", text)
	}
	if r.NeedsRestart() {
		fmt.Fprint(&b, "\nStart the product again afterwards.\n")
	}
	return []byte(b.String())
}
