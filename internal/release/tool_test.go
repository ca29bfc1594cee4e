package release

import (
	"slices"
	"testing"
	"time"

	"uplevel/internal/digest"
)

// TestOrderOfToolVersions compares every pair of a list that is in order.
func TestOrderOfToolVersions(t *testing.T) {
	t.Parallel()
	ordered := []string{
		"", "nonsense", "0.1.0-dev", "0.1", "0.9", "0.10-alpha", "0.10-beta", "0.10-rc", "0.10-rc1", "0.10-rc2", "0.10-rc10", "0.10-rc.11",
		"0.10", "1", "1.0.0.1", "1.2.3-1", "1.2.3-2", "1.2.3-a", "1.2.3", "1.10", "2.0-rc.1", "2.0-rc.1.1", "2.0", "20",
	}
	for i, a := range ordered {
		for j, b := range ordered {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := CompareTools(a, b); got != want {
				t.Errorf("%q and %q compare as %d, want %d", a, b, got, want)
			}
		}
	}
	for _, same := range [][2]string{{"1", "1.0.0"}, {"1.2", "1.2.0.0"}, {"01.2", "1.02"}, {"1-rc1", "1.0-rc.1"}} {
		if CompareTools(same[0], same[1]) != 0 {
			t.Errorf("%s and %s differ", same[0], same[1])
		}
	}
	shuffled := slices.Clone(ordered)
	slices.Reverse(shuffled)
	slices.SortFunc(shuffled, CompareTools)
	if !slices.Equal(shuffled, ordered) {
		t.Errorf("sorted: %q", shuffled)
	}
}

func TestVersionsOfTheTool(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"", "v1.0", "1.", ".1", "1..2", "1.2.3.4.5", "1-", "1-a_b", "1 ", "1.0-rc..1", "../1", "1/2", "1.0+meta", "1234567890",
		"1.0-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	} {
		if CheckToolVersion(bad) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	for _, good := range []string{"1", "1.2.3.4", "0.1.0-dev", "2026.11-rc.1", "1.0-rc-1"} {
		if err := CheckToolVersion(good); err != nil {
			t.Error(err)
		}
	}
}

func TestToolListings(t *testing.T) {
	t.Parallel()
	when := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	good := Tool{ToolListing{"1.2", "linux/arm64", when, "1.0"}, Ref{Sum: digest.Of(nil), Size: 1}}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*Tool){
		"version":         func(l *Tool) { l.Version = "x" },
		"system":          func(l *Tool) { l.System = "plan9" },
		"no system":       func(l *Tool) { l.System = "" },
		"undated":         func(l *Tool) { l.Released = time.Time{} },
		"newer minimum":   func(l *Tool) { l.Minimum = "1.3" },
		"wrong minimum":   func(l *Tool) { l.Minimum = "a" },
		"empty":           func(l *Tool) { l.Program.Size = 0 },
		"large":           func(l *Tool) { l.Program.Size = MaxTool + 1 },
		"without digest":  func(l *Tool) { l.Program.Sum = digest.Digest{} },
		"path by version": func(l *Tool) { l.Version = "../../1" },
	} {
		bad := good
		change(&bad)
		if bad.Check() == nil {
			t.Errorf("%s: taken", what)
		}
	}
	if _, err := ParseToolListing([]byte(`{"version":"1.2","system":"linux/arm64","released":"2026-11-24T00:00:00Z"}`), "uplevel-tool/1.2/linux_amd64"); err == nil {
		t.Error("a listing of another path is taken")
	}
	tools := []Tool{good, {ToolListing{"1.10", "linux/arm64", when, "1.1"}, good.Program}, {ToolListing{"2", "darwin/arm64", when, ""}, good.Program}}
	if newest, ok := NewestTool(tools, "linux/arm64"); !ok || newest.Version != "1.10" || MinimumTool(tools) != "1.1" {
		t.Errorf("%v, %s", newest, MinimumTool(tools))
	}
	if _, ok := NewestTool(tools, "windows/arm64"); ok || MinimumTool(nil) != "" {
		t.Error("there is one where none is")
	}
}

func TestFileNamesOfTheTool(t *testing.T) {
	t.Parallel()
	for system, want := range map[string]string{
		"linux/amd64": "wso2update_linux", "darwin/amd64": "wso2update_darwin", "windows/amd64": "wso2update_windows.exe",
		"linux/arm64": "wso2update_linux_arm64", "darwin/arm64": "wso2update_darwin_arm64", "windows/arm64": "wso2update_windows_arm64.exe",
	} {
		if got := ToolFileName("wso2update", system); got != want {
			t.Errorf("%s: %s", system, got)
		}
	}
}
