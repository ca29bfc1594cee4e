package dist

import (
	"syscall"
	"time"
)

func statChange(st *syscall.Stat_t) time.Time { return time.Unix(st.Ctim.Unix()) }
