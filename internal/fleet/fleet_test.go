package fleet

import (
	"strings"
	"testing"

	"uplevel/internal/api"
	"uplevel/internal/release"
)

func good() Report {
	return Report{
		Installation: strings.Repeat("a", 64), Host: "web1.bank.example", Product: "shop", Version: "1.0", Channel: "full",
		Level: 3, FromLevel: 1, Hotfixes: []string{"h1"}, Customised: 2, Operation: "update", Outcome: "ok", Tool: "1.0", OS: "linux/amd64",
	}
}

// A report crosses the network as api.Report; the fields are the same.
var _ = Report(api.Report{})

func TestCheck(t *testing.T) {
	t.Parallel()
	if err := good().Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Report){
		"no id":          func(r *Report) { r.Installation = "" },
		"short id":       func(r *Report) { r.Installation = "web1" },
		"long id":        func(r *Report) { r.Installation = strings.Repeat("a", 65) },
		"binary id":      func(r *Report) { r.Installation = strings.Repeat("\x00", 32) },
		"product":        func(r *Report) { r.Product = "../shop" },
		"version":        func(r *Report) { r.Version = "" },
		"channel":        func(r *Report) { r.Channel = "" },
		"level":          func(r *Report) { r.Level = -1 },
		"level too high": func(r *Report) { r.Level = release.MaxLevel + 1 },
		"from level":     func(r *Report) { r.FromLevel = -1 },
		"customised":     func(r *Report) { r.Customised = -1 },
		"missing":        func(r *Report) { r.Missing = -1 },
		"operation":      func(r *Report) { r.Operation = "" },
		"outcome":        func(r *Report) { r.Outcome = strings.Repeat("x", 41) },
		"line end":       func(r *Report) { r.Tool = "1.0\nroot logged in" },
		"hotfixes":       func(r *Report) { r.Hotfixes = make([]string, 101) },
		"hotfix":         func(r *Report) { r.Hotfixes = []string{"\x1b[31m"} },
		"host":           func(r *Report) { r.Host = strings.Repeat("h", 256) },
	} {
		r := good()
		change(&r)
		if r.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
