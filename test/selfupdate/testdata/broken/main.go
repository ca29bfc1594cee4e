// Command broken passes for an update tool as long as nobody tries it in the place of an
// older one: then it does what BROKEN says.
package main

import (
	"fmt"
	"os"
	"runtime"
	"time"
)

var version = "0"

func main() {
	said := version
	if os.Getenv("UPLEVEL_SELF_UPDATED") != "" {
		switch os.Getenv("BROKEN") {
		case "lies":
			said = "9.9.9"
		case "crashes":
			panic("broken")
		case "hangs":
			time.Sleep(time.Hour)
		default:
			os.Exit(1)
		}
	}
	fmt.Printf("{%q: %q, %q: %q, %q: %q}\n", "version", said, "os", runtime.GOOS, "architecture", runtime.GOARCH)
}
