package problem

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestKindTravelsThroughWrapping(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("updating: %w", New(Verification, "Try again.", "reading object: %w", io.ErrUnexpectedEOF))
	if KindOf(err) != Verification || KindOf(err).ExitCode() != 14 {
		t.Errorf("kind %v", KindOf(err))
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("the cause is lost")
	}
	if KindOf(io.EOF) != Failed {
		t.Error("an error without a kind is not Failed")
	}
}

func TestEveryKindHasItsOwnNameAndAnErrorStatus(t *testing.T) {
	t.Parallel()
	names := map[string]Kind{}
	for _, k := range []Kind{Failed, Conflicts, Usage, Credentials, NotEntitled, Unreachable, Verification, Refused, RolledBack, Broken, Declined, Interrupted} {
		if other, taken := names[k.String()]; taken {
			t.Errorf("%d and %d are both called %s", k, other, k)
		}
		names[k.String()] = k
		if k.HTTPStatus() < 400 {
			t.Errorf("%s is answered with %d", k, k.HTTPStatus())
		}
	}
}

func TestStandingLeavesTheOriginal(t *testing.T) {
	t.Parallel()
	e := New(Refused, "Free some space.", "Insufficient disk space")
	if with := e.Standing("Nothing was changed."); with.Stands == "" || e.Stands != "" {
		t.Errorf("%+v, %+v", with, e)
	}
}
