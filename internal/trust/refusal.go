package trust

import (
	"errors"
	"fmt"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/problem"
)

// Refuse returns the refusal of a metadata file: kind [problem.Verification], naming
// the file, the reason and the step to take.
func Refuse(file string, err error) error {
	reason, next := explain(err)
	return &problem.Error{
		Kind: problem.Verification,
		Text: fmt.Sprintf("Unable to trust %s: %s", file, reason),
		Next: next,
		Err:  err,
	}
}

// explain says in plain words why the verifying library refused a file.
func explain(err error) (reason, next string) {
	const tell = "Do not use what was downloaded. Try again later; if it stays so, tell the vendor's support."
	switch {
	case errors.Is(err, &metadata.ErrExpiredMetadata{}):
		return err.Error(), "Check the clock of this machine. If it is right, the vendor's service has not signed in time: tell the vendor's support."
	case errors.Is(err, &metadata.ErrBadVersionNumber{}):
		return "it is of another version than it must be, or older than what is already trusted: " + err.Error(),
			"If you use a mirror, bring it up to date. " + tell
	case errors.Is(err, &metadata.ErrUnsignedMetadata{}):
		return "it is not signed by enough of the keys that must sign it: " + err.Error(), tell
	}
	return err.Error(), tell
}
