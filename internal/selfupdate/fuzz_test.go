package selfupdate

import (
	"testing"

	"uplevel/internal/release"
)

// FuzzSays reads what a new program says of itself: only the very version passes.
func FuzzSays(f *testing.F) {
	want := release.Tool{ToolListing: release.ToolListing{Version: "1.2.3", System: "linux/amd64"}}
	f.Add([]byte(`{"version":"1.2.3","os":"linux","architecture":"amd64"}`), 10)
	f.Add([]byte(`{"version":"1.2.4","os":"linux","architecture":"amd64","more":[1]}`), 1)
	f.Add([]byte(`panic: runtime error`), 3)
	f.Fuzz(func(t *testing.T, out []byte, step int) {
		var b bounded
		for rest := out; len(rest) > 0; {
			n := min(max(step, 1), len(rest))
			if got, err := b.Write(rest[:n]); got != n || err != nil {
				t.Fatal(got, err)
			}
			rest = rest[n:]
		}
		if b.Len() > trySays {
			t.Fatalf("%d bytes are kept", b.Len())
		}
		other := want
		other.Version = "1.2.4"
		if saysIt(b.Bytes(), want) == nil && saysIt(b.Bytes(), other) == nil {
			t.Fatalf("%q says two versions", out)
		}
	})
}
