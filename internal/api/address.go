package api

import (
	"strings"

	"uplevel/internal/problem"
)

// NoSecrets refuses the address of a service that holds a user or a password, and does not
// tell it: such an address stands in logs, messages and reports. from is where it was found.
// Whatever holds an @ is taken for one, for a password may hold what ends a host's name.
func NoSecrets(from, address string) error {
	if !strings.Contains(address, "@") {
		return nil
	}
	return problem.New(problem.Usage, "Give the service's address as https://HOST, and user, password or token in the ways that are meant for them.",
		"%s must not hold a user or a password", from)
}
