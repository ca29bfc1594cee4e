package install

import (
	"uplevel/internal/digest"
	"uplevel/internal/release"
)

// takenOverPack is the pack's id of a home that came without one, as another tool leaves
// it. It is computed, so that the installation has one name in reports before and after
// the first change here.
func takenOverPack(line release.Line) string {
	return digest.Of([]byte("uplevel pack taken over\n" + line.ProductVersion())).String()[:32]
}
