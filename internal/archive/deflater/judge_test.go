package deflater

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"testing"
	"unsafe"

	"modernc.org/libc"
	zlib "modernc.org/z/lib"
)

// zlibs deflates with zlib 1.2.11, transpiled to Go. All memory is that of its libc: the
// race detector does not let it have ours.
func zlibs(t testing.TB, content []byte, p Params) []byte {
	t.Helper()
	tls := libc.NewTLS()
	defer tls.Close()
	size := unsafe.Sizeof(zlib.Z_stream{})
	version, stream, in := cString(t, "1.2.11"), libc.Xcalloc(tls, 1, libc.Tsize_t(size)), cString(t, string(content))
	defer libc.Xfree(tls, version)
	defer libc.Xfree(tls, stream)
	defer libc.Xfree(tls, in)
	if rc := zlib.XdeflateInit2_(tls, stream, int32(p.Level), 8, -15, int32(p.MemLevel), int32(p.Strategy), version, int32(size)); rc != 0 {
		t.Fatalf("zlib says %d to %v", rc, p)
	}
	room := int(zlib.XdeflateBound(tls, stream, zlib.ULong(len(content)))) + 64
	out := libc.Xcalloc(tls, 1, libc.Tsize_t(room))
	defer libc.Xfree(tls, out)
	s := *(**zlib.Z_stream)(unsafe.Pointer(&stream))
	s.Fnext_in, s.Favail_in = in, zlib.UInt(len(content))
	s.Fnext_out, s.Favail_out = out, zlib.UInt(room)
	if rc := zlib.Xdeflate(tls, stream, zlib.Z_FINISH); rc != zlib.Z_STREAM_END {
		t.Fatalf("zlib says %d to %d bytes with %v", rc, len(content), p)
	}
	packed := bytes.Clone(libc.GoBytes(out, int(s.Ftotal_out)))
	if rc := zlib.XdeflateEnd(tls, stream); rc != 0 {
		t.Fatalf("zlib ends with %d", rc)
	}
	return packed
}

func cString(t testing.TB, s string) uintptr {
	t.Helper()
	p, err := libc.CString(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ours deflates, with the content cut into writes of the given sizes, in turn.
func ours(t testing.TB, content []byte, p Params, cuts ...int) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := NewWriter(&out, p)
	if err != nil {
		t.Fatal(err)
	}
	writeAll(t, z, content, cuts...)
	return out.Bytes()
}

func writeAll(t testing.TB, z *Writer, content []byte, cuts ...int) {
	t.Helper()
	for i := 0; len(content) > 0; i++ {
		n := len(content)
		if len(cuts) > 0 {
			n = min(n, cuts[i%len(cuts)])
		}
		if m, err := z.Write(content[:n]); m != n || err != nil {
			t.Fatal(m, err)
		}
		content = content[n:]
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}

// same compares with zlib and inflates; it says what is wrong.
func same(t testing.TB, content []byte, p Params, cuts ...int) error {
	t.Helper()
	got, want := ours(t, content, p, cuts...), zlibs(t, content, p)
	back, err := inflate(got)
	if err == nil && !bytes.Equal(back, content) {
		err = errors.New("other content")
	}
	if err != nil {
		return fmt.Errorf("%v, %d bytes: not inflated to what it was: %w", p, len(content), err)
	}
	if bytes.Equal(got, want) || p.Strategy == Fixed && excused(got, want, content) {
		return nil
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	return fmt.Errorf("%v, %d bytes: %d bytes, zlib gives %d, different from %d on", p, len(content), len(got), len(want), at)
}

// excused knows the two ways in which zlib 1.2.11 does not do with fixed codes what 1.2.13
// does: it compared the size of a stored block with that of the codes it was told not to
// use, and so took a longer form; and it overwrote its own matches (CVE-2018-25032).
func excused(got, want, content []byte) bool {
	back, err := inflate(want)
	return err != nil || !bytes.Equal(back, content) || len(want) > len(got)
}

func inflate(packed []byte) ([]byte, error) {
	r := bytes.NewReader(packed)
	content, err := io.ReadAll(flate.NewReader(r))
	if err == nil && r.Len() > 0 {
		err = errors.New("bytes are left")
	}
	return content, err
}

// every returns all parameters.
func every() []Params {
	var all []Params
	for strategy := Default; strategy <= Fixed; strategy++ {
		for level := 1; level <= 9; level++ {
			for mem := 8; mem <= 9; mem++ {
				all = append(all, Params{level, mem, strategy})
			}
		}
	}
	return all
}
