package lab

import "os"

// peakKB is not known on Windows without asking the process while it lives.
func peakKB(*os.ProcessState) int64 { return 0 }
