package support

import (
	"uplevel/internal/support/document"
	"uplevel/internal/trust"
)

// metadata tells which metadata are trusted here.
func (c *collector) metadata() {
	if c.root == nil {
		return
	}
	files := []document.Metadata{}
	names := append([]string{"updates/root.json"}, c.newest("updates/trust", ".json", maxListed)...)
	for _, name := range names {
		data, size := c.small(name, trust.MaxLine)
		if data == nil {
			continue
		}
		f, err := document.ReadMetadata(data)
		if err != nil {
			c.failed(name, err)
		}
		f.File, f.Size = name, size
		if name == "updates/trust/root.json" || c.summary.Root == "" {
			c.summary.Root = f.Fingerprint
		}
		files = append(files, f)
	}
	c.json("trust.json", map[string]any{"files": files})
}
