package bundle_test

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"

	"uplevel/internal/bundle"
	"uplevel/internal/problem"
)

// TestASecondDirectoryIsNotRead: a zip whose end has one bounded directory, and before it
// a pointer to an endless one, as zip64 has it.
func TestASecondDirectoryIsNotRead(t *testing.T) {
	t.Parallel()
	const entries, directory = 400_000, 0xffff
	var data bytes.Buffer
	header := append([]byte("PK\x01\x02"), make([]byte, 43)...) // a name of one byte
	header[28] = 1
	data.Write(bytes.Repeat(header, entries))
	endless := int64(data.Len())
	le := binary.LittleEndian
	end64 := append([]byte("PK\x06\x06"), make([]byte, 52)...)
	le.PutUint64(end64[4:], 44)
	le.PutUint64(end64[24:], entries)
	le.PutUint64(end64[32:], entries)
	le.PutUint64(end64[40:], uint64(endless))
	data.Write(end64)
	data.Write(make([]byte, directory-20))
	locator := append([]byte("PK\x06\x07"), make([]byte, 16)...)
	le.PutUint64(locator[8:], uint64(endless))
	le.PutUint32(locator[16:], 1)
	data.Write(locator)
	end := append([]byte("PK\x05\x06"), make([]byte, 18)...)
	le.PutUint16(end[8:], 2)
	le.PutUint16(end[10:], 2)
	le.PutUint32(end[12:], directory)
	le.PutUint32(end[16:], uint32(endless)+56)
	data.Write(end)

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := bundle.Open(bytes.NewReader(data.Bytes()), int64(data.Len()))
	runtime.ReadMemStats(&after)
	if problem.KindOf(err) != problem.Verification {
		t.Error(err)
	}
	if taken := (after.TotalAlloc - before.TotalAlloc) >> 20; taken > 16 {
		t.Errorf("%d MiB were taken for a zip of %d MiB", taken, data.Len()>>20)
	}
}
