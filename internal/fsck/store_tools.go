package fsck

import (
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// storeMaxTool bounds the bytes of one program of the update tool.
const storeMaxTool = 64 << 20

// tools reads what the tool's role lists: each program must be named by its version and
// system, and its bytes are needed.
func (j *storeJudge) tools(context.Context) error {
	targets := j.roles["tool"].signed.Targets
	name := regexp.MustCompile(`^uplevel-tool/[0-9][0-9A-Za-z.-]*/[a-z0-9]+_[a-z0-9]+$`)
	for _, path := range slices.Sorted(maps.Keys(targets)) {
		t := targets[path]
		where := "tool " + path
		var said struct {
			Version string `json:"version"`
			System  string `json:"system"`
		}
		if err := json.Unmarshal(t.Custom, &said); err != nil {
			j.damage(where, "what is said of it cannot be read: %v", err)
			continue
		}
		ref := storeRef{t.Hashes["sha256"], t.Length}
		switch {
		case !name.MatchString(path) || path != "uplevel-tool/"+said.Version+"/"+strings.Replace(said.System, "/", "_", 1):
			j.damage(where, "it is listed as version %q for %q", said.Version, said.System)
		case !isSum(ref.Sum) || ref.Size < 1 || ref.Size > storeMaxTool:
			j.damage(where, "it is named by %q with %d bytes", ref.Sum, ref.Size)
		default:
			j.report.Tools++
			j.want(where, ref)
		}
	}
	return nil
}
