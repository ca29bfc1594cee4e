package redact

import (
	"net/url"
	"slices"
	"strings"
)

// ProxySecrets returns password, and user with password, of a proxy's address: up to the
// last @, as they stand and decoded.
func ProxySecrets(address string) []string {
	if _, rest, ok := strings.Cut(address, "://"); ok {
		address = rest
	}
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return nil
	}
	all := []string{address[:i]}
	if _, password, ok := strings.Cut(address[:i], ":"); ok {
		all = append(all, password)
	}
	for _, s := range slices.Clone(all) {
		if plain, err := url.PathUnescape(s); err == nil && plain != s {
			all = append(all, plain)
		}
	}
	return all
}
