package sign

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"uplevel/internal/trust"
)

// meanwhile does something once, when randomness is asked for: after a publisher looked which
// keys there are, and before it writes one.
type meanwhile struct {
	io.Reader
	do func()
}

func (m *meanwhile) Read(p []byte) (int, error) {
	if do := m.do; do != nil {
		m.do = nil
		do()
	}
	return m.Reader.Read(p)
}

// TestAnotherPublisherWasFaster: its key file stays as it is. Make uses that key, and Add makes
// one beside it: never is a key returned whose file is nowhere.
func TestAnotherPublisherWasFaster(t *testing.T) {
	t.Parallel()
	for name, add := range map[string]bool{"make": false, "add": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := folder(t)
			faster := *f
			var first []byte
			file := filepath.Join(f.Dir, "root.key")
			f.Random = &meanwhile{f.Random, func() {
				must(faster.Make(trust.RoleRoot, 1))(t)
				first = must(os.ReadFile(file))(t)
			}}
			var keys []Key
			var err error
			if add {
				keys, _, err = f.Add(trust.RoleRoot, 1)
			} else {
				keys, err = f.Make(trust.RoleRoot, 1)
			}
			if err != nil || len(keys) != 1 {
				t.Fatal(keys, err)
			}
			if string(must(os.ReadFile(file))(t)) != string(first) {
				t.Error("the first one's key was overwritten")
			}
			want := []string{"root.key"}
			if add {
				want = []string{"root.2.key", "root.key"}
			}
			if got := must(f.Files(trust.RoleRoot))(t); !slices.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
			onDisk := must(f.Keys(trust.RoleRoot))(t)
			if !slices.ContainsFunc(onDisk, func(k Key) bool { return k.private.Equal(keys[0].private) }) {
				t.Error("the key that is returned lies nowhere")
			}
		})
	}
}

// TestMakeCountsWhatIsThere: two of two are made, whatever they are called.
func TestMakeCountsWhatIsThere(t *testing.T) {
	t.Parallel()
	f := folder(t)
	must(f.Make(trust.RoleRoot, 1))(t)
	if keys := must(f.Make(trust.RoleRoot, 2))(t); len(keys) != 2 {
		t.Errorf("%d keys", len(keys))
	}
}
