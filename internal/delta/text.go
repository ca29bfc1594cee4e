package delta

import (
	"bytes"
	"encoding/binary"
)

// Text returns the delta of one text, such as a manifest.
func Text(old, text []byte) []byte {
	e, code := encode(old, text)
	return append(binary.AppendUvarint([]byte{byte(e)}, uint64(len(text))), code...)
}

// ApplyText makes a text of at most limit bytes of an old one and its delta.
func ApplyText(old, code []byte, limit int) ([]byte, error) {
	r := bytes.NewReader(code)
	e, err := r.ReadByte()
	if err != nil {
		return nil, early(err)
	}
	n, err := number(r)
	if err != nil {
		return nil, err
	}
	if n > uint64(limit) {
		return nil, damaged("a text of it is too long")
	}
	text := make([]byte, n)
	return text, decode(engine(e), text, old, code[len(code)-r.Len():])
}
