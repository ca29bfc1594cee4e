package object

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// TestABombIsGivenUp decodes what grows beyond all proportion, with a small allowance.
func TestABombIsGivenUp(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	if _, _, err := Encode(&bomb, io.LimitReader(zeros{}, 8<<20)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := sum(bytes.NewReader(bomb.Bytes()), 1<<20); !errors.Is(err, ErrBomb) {
		t.Errorf("%d bytes that hold 8 MiB: %v", bomb.Len(), err)
	}
	if _, size, err := SumUnknown(bytes.NewReader(bomb.Bytes())); err != nil || size != 8<<20 {
		t.Errorf("within what is free: %d, %v", size, err)
	}
	var text bytes.Buffer
	if _, _, err := Encode(&text, strings.NewReader(strings.Repeat("a line of a log, and another\n", 100))); err != nil {
		t.Fatal(err)
	}
	if _, _, err := sum(&text, 0); err != nil {
		t.Errorf("what packs well: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
