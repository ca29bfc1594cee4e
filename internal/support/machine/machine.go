// Package machine tells what a ticket needs to know of the system that an installation
// stands on. What cannot be found out is said.
package machine

import (
	"io/fs"
	"os"
	"runtime"
	"time"
)

// System is what is known of the machine and of who runs the tool.
type System struct {
	OS           string       `json:"os"`
	Architecture string       `json:"architecture"`
	Kernel       string       `json:"kernel,omitempty"`
	Distribution string       `json:"distribution,omitempty"`
	CPUs         int          `json:"cpus"`
	Memory       string       `json:"memory,omitempty"`
	Container    string       `json:"container,omitempty"` // how it was seen to be one; absent: it was not
	User         int          `json:"user_id"`             // -1 where there are none
	Group        int          `json:"group_id"`
	HomeOwner    string       `json:"home_owner,omitempty"` // user:group of the home
	HomeMode     string       `json:"home_mode,omitempty"`
	Time         string       `json:"time"`
	Zone         string       `json:"zone"`
	Limits       []Limit      `json:"limits,omitempty"`
	FileSystems  []FileSystem `json:"file_systems"`
	Mounts       []string     `json:"mounts,omitempty"` // below the home
}

// Limit is a bound of this process.
type Limit struct {
	Name string `json:"name"`
	Soft string `json:"soft"`
	Hard string `json:"hard"`
}

// FileSystem is where something lies that an update writes to.
type FileSystem struct {
	Of        string `json:"of"`
	Path      string `json:"path"`
	Type      string `json:"type,omitempty"`
	Mount     string `json:"mount,omitempty"`
	Options   string `json:"options,omitempty"`
	FreeBytes int64  `json:"free_bytes"` // for this user; -1: not known
	FreeFiles int64  `json:"free_files"` // likewise
}

// Look looks at the machine and at where the home lies ("": there is none). Failed is
// called with each thing that cannot be found out.
func Look(home string, now time.Time, failed func(what string, err error)) System {
	zone, offset := now.Zone()
	l := &look{home: home, failed: failed}
	s := System{
		OS: runtime.GOOS, Architecture: runtime.GOARCH, CPUs: runtime.NumCPU(), User: os.Geteuid(), Group: os.Getegid(),
		Time: now.UTC().Format(time.RFC3339), Zone: zone + " " + (time.Duration(offset) * time.Second).String(), FileSystems: []FileSystem{},
	}
	if home != "" {
		if info, err := os.Stat(home); err != nil {
			failed("product home", err)
		} else {
			s.HomeOwner, s.HomeMode = Owner(info), info.Mode().String()
		}
	}
	l.machine(&s)
	places := []FileSystem{{Of: "home", Path: home}, {Of: "temporary files", Path: os.TempDir()}}
	if dir, err := os.UserCacheDir(); err == nil {
		places = append(places, FileSystem{Of: "cache", Path: dir})
	}
	for _, p := range places {
		if p.Path != "" {
			s.FileSystems = append(s.FileSystems, l.fileSystem(p))
		}
	}
	return s
}

// look is one look at the machine.
type look struct {
	home   string
	failed func(what string, err error)
}

// Owner is user:group of a file, as numbers; "-" where they are none.
func Owner(info fs.FileInfo) string { return owner(info) }
