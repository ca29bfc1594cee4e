package support

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// logs adds the end of each log, the newest first, until their bound is reached.
func (c *collector) logs() {
	if c.root == nil {
		return
	}
	const dir = "updates/logs"
	entries, err := c.entries(dir)
	if err != nil {
		c.failed(dir, err)
	}
	type file struct {
		name string
		info fs.FileInfo
	}
	var files []file
	for _, e := range entries {
		info, err := e.Info()
		switch {
		case err != nil:
			c.failed(dir+"/"+e.Name(), err)
		case info.Mode().IsRegular():
			files = append(files, file{dir + "/" + e.Name(), info})
		default:
			c.failed(dir+"/"+e.Name(), fmt.Errorf("it is no plain file but %s", info.Mode().Type()))
		}
	}
	slices.SortFunc(files, func(a, b file) int {
		if d := b.info.ModTime().Compare(a.info.ModTime()); d != 0 {
			return d
		}
		return strings.Compare(a.name, b.name)
	})
	room := int64(maxLogs)
	for i, f := range files {
		if i >= maxLogFiles || room <= 0 {
			c.trouble = append(c.trouble, Trouble{f.name, fmt.Sprintf("left out: the newest logs fill the bundle (%d bytes)", f.info.Size())})
			continue
		}
		room -= c.log(f.name, min(room, c.logBytes))
	}
}

// log adds the last limit bytes of a log and returns how many they are.
func (c *collector) log(name string, limit int64) int64 {
	f, info, err := c.file(name)
	if err != nil {
		c.failed(name, err)
		return 0
	}
	if f == nil {
		return 0 // it went meanwhile
	}
	c.files = append(c.files, f)
	from := max(0, info.Size()-limit)
	if from > 0 {
		from = wholeLine(f, from, info.Size())
	}
	c.failures(f, max(from-1, info.Size()-256<<10, 0), info.Size()) // from the line end before the first
	c.add(source{
		name: strings.TrimPrefix(name, "updates/"), from: name, size: info.Size(), left: from, tail: from > 0,
		open: func() io.Reader { return io.NewSectionReader(f, from, info.Size()-from) },
	})
	return info.Size() - from
}

// wholeLine returns where the first whole line at or after from begins; in a text without
// lines, the first word that is far enough from the cut to be no part of something else.
func wholeLine(f *os.File, from, size int64) int64 {
	head := make([]byte, min(size-from, 128<<10))
	n, _ := f.ReadAt(head, from)
	head = head[:n]
	if i := bytes.IndexByte(head, '\n'); i >= 0 {
		return from + int64(i) + 1
	}
	const far = 8 << 10
	if len(head) > far {
		if i := bytes.IndexAny(head[far:], " \t"); i >= 0 {
			return from + far + int64(i)
		}
	}
	return from + int64(len(head))
}

// failures notes the last failures of the newest logs, for the summary.
func (c *collector) failures(f *os.File, from, to int64) {
	const most = 5
	if len(c.summary.Failures) >= most {
		return
	}
	var found []string
	lines := bufio.NewScanner(io.NewSectionReader(f, from, to-from))
	lines.Buffer(nil, 64<<10)
	if from > 0 {
		lines.Scan() // what is cut may be cut in a secret
	}
	for lines.Scan() { // a line that is too long ends it: the member itself has what can be had
		if text := lines.Text(); strings.Contains(text, " ERROR - ") {
			found = append(found, text)
		}
	}
	slices.Reverse(found)
	room := most - len(c.summary.Failures)
	c.summary.Failures = append(c.summary.Failures, found[:min(room, len(found))]...)
}
