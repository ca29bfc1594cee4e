package bundle_test

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"

	"uplevel/internal/bundle"
	"uplevel/internal/problem"
)

// TestADirectoryOfMoreThanItCountsIsNotRead: the end of a zip counts modulo 65,536, and so
// does Go's reader, which read 350,000 members of a directory that claims to list few.
func TestADirectoryOfMoreThanItCountsIsNotRead(t *testing.T) {
	t.Parallel()
	const entries = 350_000
	header := append([]byte("PK\x01\x02"), make([]byte, 43)...) // a name of one byte
	header[28] = 1
	data := bytes.Repeat(header, entries)
	end := append([]byte("PK\x05\x06"), make([]byte, 18)...)
	le := binary.LittleEndian
	le.PutUint16(end[8:], entries&0xffff)
	le.PutUint16(end[10:], entries&0xffff)
	le.PutUint32(end[12:], uint32(len(data)))
	data = append(data, end...)

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := bundle.OpenOffline(bytes.NewReader(data), int64(len(data)))
	runtime.ReadMemStats(&after)
	if problem.KindOf(err) != problem.Verification {
		t.Error(err)
	}
	if taken := (after.TotalAlloc - before.TotalAlloc) >> 20; taken > 16 {
		t.Errorf("%d MiB were taken for a zip of %d MiB", taken, len(data)>>20)
	}
}
