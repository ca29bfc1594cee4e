package bundle

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"uplevel/internal/bounded"
	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/release"
)

// Limits of an offline update. Without zip64 no zip can be longer or hold more.
const (
	MaxOffline = 1<<32 - 2 // bytes of the zip
	MaxStarts  = 1000      // levels that it starts from
	maxIndex   = 16 << 20
	maxOffline = 1<<16 - 2 // members
	maxTools   = 32
)

// Point is a level, and the record that the vendor signed for it.
type Point struct {
	Channel string      `json:"channel"`
	Level   int         `json:"level"`
	Record  release.Ref `json:"record"`
}

// Tool is an update tool that travels along, for one system.
type Tool struct {
	System  string      `json:"system"` // linux/amd64
	Version string      `json:"version"`
	Ref     release.Ref `json:"ref"` // the program
}

// Member is one member of a zip.
type Member struct {
	Name string        `json:"name"`
	Size int64         `json:"size"`
	Sum  digest.Digest `json:"sum"`
}

// Index says what an offline update is and what is in it. It is signed by nobody: what
// it claims is for signed metadata to confirm, and what it lists guards against damage.
type Index struct {
	Format       int       `json:"format"` // 1
	Product      string    `json:"product"`
	Version      string    `json:"version"`
	Created      time.Time `json:"created"` // of the wanted level's record
	To           Point     `json:"to"`
	From         []Point   `json:"from"`                   // by channel and level
	Organisation string    `json:"organisation,omitempty"` // opaque id of who made it
	Tools        []Tool    `json:"tools,omitempty"`        // by system
	Members      []Member  `json:"members"`                // all but the index, in order
}

// Line returns the line of the wanted level.
func (x Index) Line() release.Line {
	return release.Line{Product: x.Product, Version: x.Version, Channel: x.To.Channel}
}

// Lines returns the lines of all levels it names, the wanted one's first.
func (x Index) Lines() []release.Line {
	lines := []release.Line{x.Line()}
	for _, p := range x.From {
		line := release.Line{Product: x.Product, Version: x.Version, Channel: p.Channel}
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// Start returns the level that it starts from on a channel, if that is one of them.
func (x Index) Start(channel string, level int) (Point, bool) {
	for _, p := range x.From {
		if p.Channel == channel && p.Level == level {
			return p, true
		}
	}
	return Point{}, false
}

// Repairs reports whether it begins, among others, at the wanted level itself: for what
// an installation there has lost.
func (x Index) Repairs() bool {
	_, repairs := x.Start(x.To.Channel, x.To.Level)
	return repairs
}

// FileName returns the name that the zip has by custom: wso2mi-4.1.0.0-4.1.0.20.zip, from
// the lowest start level, with the channel at the end when it is not the default.
func (x Index) FileName() string {
	lowest := x.From[0].Level
	for _, p := range x.From {
		lowest = min(lowest, p.Level)
	}
	name := x.Product + "-" + x.Line().LevelName(lowest) + "-" + x.Line().LevelName(x.To.Level)
	if x.To.Channel != release.DefaultChannel {
		name += "-" + x.To.Channel
	}
	return name + ".zip"
}

var (
	systemName  = regexp.MustCompile(`^[a-z0-9]{1,20}/[a-z0-9]{1,20}$`)
	versionName = regexp.MustCompile(`^[0-9A-Za-z.+_-]{1,64}$`)
	opaqueID    = regexp.MustCompile(`^[0-9A-Za-z._-]{0,128}$`)
)

// check refuses an index whose own fields cannot be; members are for the zip to judge.
func (x Index) check() error {
	switch {
	case x.Format != 1:
		return fmt.Errorf("its index has format %d, this tool knows 1", x.Format)
	case len(x.From) == 0 || len(x.From) > MaxStarts:
		return fmt.Errorf("it starts from %d levels", len(x.From))
	case len(x.Tools) > maxTools:
		return fmt.Errorf("it carries %d tools", len(x.Tools))
	case x.Created.Year() < 1980 || x.Created.Year() > 2107 || x.Created.Location() != time.UTC:
		return errors.New("its date has no place in a zip")
	case !opaqueID.MatchString(x.Organisation):
		return errors.New("its organisation is no id")
	}
	for i, p := range append([]Point{x.To}, x.From...) {
		line := release.Line{Product: x.Product, Version: x.Version, Channel: p.Channel}
		if err := line.Check(); err != nil {
			return err
		}
		switch {
		case p.Level < 0 || p.Level > release.MaxLevel || p.Record.Sum.IsZero() || p.Record.Size < 1 || p.Record.Size > release.MaxRecord:
			return fmt.Errorf("its index names an impossible level %d", p.Level)
		case i > 0 && p.Channel == x.To.Channel && p.Level > x.To.Level:
			return fmt.Errorf("it starts from level %d, which is above %d", p.Level, x.To.Level)
		case i > 0 && p.Channel == x.To.Channel && p.Level == x.To.Level && p != x.To:
			return fmt.Errorf("it names two records for level %d", p.Level)
		case i > 1 && comparePoints(x.From[i-2], p) >= 0:
			return errors.New("the levels it starts from are not in order")
		}
	}
	return x.checkTools()
}

func (x Index) checkTools() error {
	for i, t := range x.Tools {
		switch {
		case !systemName.MatchString(t.System) || !versionName.MatchString(t.Version) || t.Ref.Sum.IsZero() || t.Ref.Size < 1 || t.Ref.Size > manifest.MaxFile:
			return fmt.Errorf("its index names an impossible tool for %.40q", t.System)
		case i > 0 && x.Tools[i-1].System >= t.System:
			return errors.New("its tools are not in order")
		}
	}
	return nil
}

func comparePoints(a, b Point) int {
	return cmp.Or(strings.Compare(a.Channel, b.Channel), cmp.Compare(a.Level, b.Level))
}

// bytes is the index as it is written.
func (x Index) bytes() ([]byte, error) {
	data, err := json.Marshal(x)
	if err == nil && len(data) > maxIndex {
		err = fmt.Errorf("its index would be longer than %d bytes", maxIndex)
	}
	return data, err
}

// parseIndex reads an index: only as it would be written.
func parseIndex(data []byte) (Index, error) {
	var x Index
	// Each value costs far more than the two bytes it may take: 16 MB would hold 600.
	most := maxOffline + 2*MaxStarts + 2*maxTools + 8
	if bytes.Count(data, []byte(",")) > 4*most {
		return Index{}, fmt.Errorf("its index holds more than %d members", maxOffline)
	}
	if err := bounded.JSON(data, 7*most, &x); err != nil {
		return Index{}, fmt.Errorf("its index cannot be read: %w", err)
	}
	if err := x.check(); err != nil {
		return Index{}, err
	}
	if again, err := x.bytes(); err != nil || !bytes.Equal(again, data) {
		return Index{}, errors.New("its index is not as it was written")
	}
	return x, nil
}
