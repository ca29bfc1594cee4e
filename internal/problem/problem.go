// Package problem names the kinds of failure that a caller, a script or a page must
// tell apart, each with its exit code and HTTP status. An [Error] carries what
// happened, what stands now and the next step; one place per program prints it.
package problem

import (
	"errors"
	"fmt"
	"net/http"
)

// Kind is a class of failure. Its number is the exit code of the programs.
type Kind int

// The kinds, as the update tool's contract numbers them.
const (
	Failed       Kind = 1   // the installation is as it was; what no other kind names
	Conflicts    Kind = 3   // conflicts to resolve; nothing applied yet
	Usage        Kind = 10  // wrong usage
	Credentials  Kind = 11  // credentials refused
	NotEntitled  Kind = 12  // expired, revoked, no EULA accepted, product not subscribed
	Unreachable  Kind = 13  // service or network unreachable, or what answers is not the service
	Verification Kind = 14  // signature, digest, expiry, rollback, damage
	Refused      Kind = 15  // refused before starting: disk, permissions, lock, withdrawn, policy
	RolledBack   Kind = 16  // failed and rolled back
	Broken       Kind = 17  // failed and could not roll back
	Declined     Kind = 18  // declined at a prompt
	Interrupted  Kind = 130 // interrupted, and rolled back or resumable
)

// kinds is the one table of what each kind is called and answered with.
func (k Kind) row() (name string, status int) {
	switch k {
	case Failed:
		return "failed", http.StatusInternalServerError
	case Conflicts:
		return "conflicts", http.StatusConflict
	case Usage:
		return "usage", http.StatusBadRequest
	case Credentials:
		return "credentials", http.StatusUnauthorized
	case NotEntitled:
		return "not-entitled", http.StatusForbidden
	case Unreachable:
		return "unreachable", http.StatusServiceUnavailable
	case Verification:
		return "verification", http.StatusUnprocessableEntity
	case Refused:
		return "refused", http.StatusConflict
	case RolledBack:
		return "rolled-back", http.StatusInternalServerError
	case Broken:
		return "broken", http.StatusInternalServerError
	case Declined:
		return "declined", http.StatusBadRequest
	case Interrupted:
		return "interrupted", http.StatusServiceUnavailable
	}
	return "failed", http.StatusInternalServerError
}

// String returns the kind's stable name, used in JSON output.
func (k Kind) String() string { name, _ := k.row(); return name }

// HTTPStatus returns the status a server answers this kind with.
func (k Kind) HTTPStatus() int { _, status := k.row(); return status }

// ExitCode returns the exit code of a program that ends with this kind.
func (k Kind) ExitCode() int { return int(k) }

// Error is a failure as people are told of it.
type Error struct {
	Kind   Kind
	Text   string // what happened to what, without program name and final stop
	Stands string // what stands now; empty: the speaker says the usual line for the kind
	Next   string // the next command to type or step to take
	Err    error  // cause, may be nil
}

// New returns an error of a kind with a text and a next step.
func New(kind Kind, next, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Text: err.Error(), Next: next, Err: errors.Unwrap(err)}
}

// Error returns the text.
func (e *Error) Error() string { return e.Text }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Standing returns e with what stands now.
func (e *Error) Standing(text string) *Error {
	with := *e
	with.Stands = text
	return &with
}

// KindOf returns the kind of the first [Error] in err's chain, or [Failed].
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Failed
}
