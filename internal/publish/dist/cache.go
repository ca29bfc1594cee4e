package dist

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"uplevel/internal/digest"
	"uplevel/internal/durable"
	"uplevel/internal/manifest"
)

// cacheHeader is the first line of a scan cache; lines of stamp, digest and path
// follow, separated by tabs.
const cacheHeader = "uplevel-scan/1"

// settled is how long ago a file must have changed for its stamp to be believed: a
// second change within the clock's step would not show.
const settled = 2 * time.Second

type cached struct {
	stamp string
	sum   digest.Digest
}

// cacheName is the cache file of a distribution, by its absolute path.
func cacheName(dir, dist string) string {
	if absolute, err := filepath.Abs(dist); err == nil {
		dist = absolute
	}
	return filepath.Join(dir, "scan-"+digest.Of([]byte(dist)).String()[:32])
}

// loadCache reads a cache. A cache is a hint: what is damaged or missing is empty.
func loadCache(dir, dist string) map[string]cached {
	known := map[string]cached{}
	if dir == "" {
		return known
	}
	file, err := os.Open(cacheName(dir, dist))
	if err != nil {
		return known
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 4*manifest.MaxPath)
	if !lines.Scan() || lines.Text() != cacheHeader {
		return known
	}
	for lines.Scan() {
		f := strings.SplitN(lines.Text(), "\t", 3)
		if len(f) != 3 {
			return map[string]cached{}
		}
		sum, err := digest.Parse(f[1])
		if err != nil {
			return map[string]cached{}
		}
		known[f[2]] = cached{stamp: f[0], sum: sum}
	}
	return known
}

// saveCache stores the digests of the files that had settled by now.
func saveCache(dir, dist string, items []item, now time.Time) error {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keeping the scan cache: %w", err)
	}
	var b strings.Builder
	b.WriteString(cacheHeader + "\n")
	for _, i := range items {
		if i.entry.Kind == manifest.File && now.Sub(i.when) >= settled {
			fmt.Fprintf(&b, "%s\t%s\t%s\n", i.stamp, i.entry.Sum, i.entry.Path)
		}
	}
	err := durable.WriteFile(cacheName(dir, dist), []byte(b.String()), 0o600)
	if errors.Is(err, fs.ErrPermission) {
		return nil // a hint is not worth a failure
	}
	return err
}
