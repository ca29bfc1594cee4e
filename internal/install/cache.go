package install

import (
	"encoding/json"
	"time"

	"uplevel/internal/digest"
	"uplevel/internal/durable"
	"uplevel/internal/manifest"
)

// racy is how long before the cache was written a file must have changed last, by the
// file system's own clock, for its record to be trusted: a file written again within
// the clock's grain would look unchanged.
const racy = 2 * time.Second

// record is what the scan cache knows of one file.
type record struct {
	ID  identity      `json:"id"`
	Sum digest.Digest `json:"sum"`
}

// statCache maps paths to records. It is a hint: unreadable means empty.
type statCache map[string]record

type cacheText struct {
	Format  int       `json:"format"`
	Records statCache `json:"records"`
}

func (c statCache) lookup(path string, id identity) (digest.Digest, bool) {
	r, ok := c[path]
	if !ok || r.ID != id || id.Changed == 0 {
		return digest.Digest{}, false
	}
	return r.Sum, true
}

func (h *Home) readCache() statCache {
	data, err := h.read(cacheFile, 512*manifest.MaxEntries)
	if err != nil {
		return statCache{}
	}
	info, err := h.root.Stat(cacheFile)
	if err != nil {
		return statCache{}
	}
	var text cacheText
	if json.Unmarshal(data, &text) != nil || text.Format != 1 {
		return statCache{}
	}
	limit := info.ModTime().Add(-racy).UnixNano()
	for path, r := range text.Records {
		if r.ID.Changed > limit || r.ID.Modified > limit {
			delete(text.Records, path)
		}
	}
	return text.Records
}

// writeCache keeps the cache where the home may be written; where not, the next scan
// just reads again.
func (h *Home) writeCache(c statCache) {
	data, err := json.Marshal(cacheText{Format: 1, Records: c})
	if err == nil {
		_ = durable.WriteFile(h.abs(cacheFile), data, 0o644)
	}
}
