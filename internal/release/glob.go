package release

import (
	"fmt"
	"regexp"
	"strings"
)

// Globs is a compiled list of globs.
type Globs struct{ patterns []*regexp.Regexp }

// CompileGlobs compiles globs over slash paths: `*` and `?` stop at a slash, `**`
// does not, `[...]` is a class.
func CompileGlobs(globs []string) (Globs, error) {
	var g Globs
	for _, glob := range globs {
		p, err := regexp.Compile(globExpression(glob))
		if err != nil {
			return Globs{}, fmt.Errorf("glob %q: %w", glob, err)
		}
		g.patterns = append(g.patterns, p)
	}
	return g, nil
}

// Match reports whether any glob matches path.
func (g Globs) Match(path string) bool {
	for _, p := range g.patterns {
		if p.MatchString(path) {
			return true
		}
	}
	return false
}

func globExpression(glob string) string {
	var b strings.Builder
	b.WriteString(`^(?s:`)
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; {
		case strings.HasPrefix(glob[i:], "**/"):
			b.WriteString(`(?:.*/)?`)
			i += 2
		case strings.HasPrefix(glob[i:], "**"):
			b.WriteString(`.*`)
			i++
		case c == '*':
			b.WriteString(`[^/]*`)
		case c == '?':
			b.WriteString(`[^/]`)
		case c == '[' && strings.IndexByte(glob[i:], ']') > 0:
			end := i + strings.IndexByte(glob[i:], ']')
			b.WriteString(glob[i : end+1])
			i = end
		default:
			b.WriteString(regexp.QuoteMeta(glob[i : i+1]))
		}
	}
	b.WriteString(`)$`)
	return b.String()
}
