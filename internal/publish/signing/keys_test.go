package signing

import (
	"fmt"
	"testing"

	"uplevel/internal/api"
)

// TestBatches: a vendor with more roles than one submission takes can renew them all.
func TestBatches(t *testing.T) {
	t.Parallel()
	if got := batches(nil); len(got) != 0 {
		t.Errorf("%d batches of nothing", len(got))
	}
	for _, tc := range []struct{ n, bytes, want int }{
		{1, 10, 1}, {api.MaxRoles, 10, 1}, {api.MaxRoles + 1, 10, 2}, {5, 8 << 20, 3}, {250, 1 << 18, 3},
	} {
		var docs []api.RoleMetadata
		for i := range tc.n {
			docs = append(docs, api.RoleMetadata{Role: fmt.Sprint(i), Data: make([]byte, tc.bytes)})
		}
		got, next := batches(docs), 0
		for _, batch := range got {
			size := 0
			for _, doc := range batch {
				if doc.Role != fmt.Sprint(next) {
					t.Fatalf("%s stands where %d must", doc.Role, next)
				}
				next++
				size += len(doc.Data)
			}
			if len(batch) > api.MaxRoles || size*4/3 > api.MaxMetadataBody {
				t.Errorf("a batch of %d with %d bytes", len(batch), size)
			}
		}
		if next != tc.n || len(got) != tc.want {
			t.Errorf("%d of %d bytes: %d batches, want %d", tc.n, tc.bytes, len(got), tc.want)
		}
	}
}
