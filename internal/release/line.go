// Package release holds the words of publishing: product, version, channel, level,
// state, the signed release record and the notes of a level. Records and rules only;
// no I/O.
package release

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// DefaultChannel is the channel of a product version unless another is named.
const DefaultChannel = "full"

// MaxLevel bounds level numbers.
const MaxLevel = math.MaxInt32

// ErrLevel is wrapped by errors about a level that cannot be: malformed, or of
// another product version.
var ErrLevel = errors.New("Invalid update level") //nolint:staticcheck // U2's text, matched by scripts

// Line is one sequence of levels: a product version on a channel.
type Line struct {
	Product string `json:"product"`
	Version string `json:"version"`
	Channel string `json:"channel"`
}

var (
	namePattern    = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)
	versionPattern = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9}){0,3}$`)
)

// CheckName refuses what is no product or channel name: [a-z][a-z0-9_-]*, 64 bytes at most.
func CheckName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("name %.80q: want a lower-case letter, then letters, digits, _ or -", name)
	}
	return nil
}

// CheckVersion refuses what is no product version: one to four numbers with dots.
func CheckVersion(version string) error {
	if !versionPattern.MatchString(version) {
		return fmt.Errorf("version %.80q: want one to four numbers with dots", version)
	}
	return nil
}

// Check refuses a line whose parts are not well formed.
func (l Line) Check() error {
	return errors.Join(CheckName(l.Product), CheckVersion(l.Version), CheckName(l.Channel))
}

// ProductVersion returns product and version as written together: wso2is-7.1.0.
func (l Line) ProductVersion() string { return l.Product + "-" + l.Version }

// String returns the product version, with the channel when it is not the default.
func (l Line) String() string {
	if l.Channel == DefaultChannel {
		return l.ProductVersion()
	}
	return l.ProductVersion() + " (" + l.Channel + ")"
}

// ParseProductVersion splits wso2is-7.1.0 at its last hyphen, white space around it
// ignored; the channel of the result is the default one.
func ParseProductVersion(text string) (Line, error) {
	text = strings.TrimSpace(text)
	i := strings.LastIndexByte(text, '-')
	if i < 0 {
		return Line{}, fmt.Errorf("product %.100q: want NAME-VERSION", text)
	}
	l := Line{Product: text[:i], Version: text[i+1:], Channel: DefaultChannel}
	if err := l.Check(); err != nil {
		return Line{}, err
	}
	return l, nil
}

// LevelName returns a level as people write it: 7.1.0.8.
func (l Line) LevelName(level int) string { return l.Version + "." + strconv.Itoa(level) }

// ParseLevel reads 8 or 7.1.0.8; the version must be the line's own. Empty text and
// 0 mean the latest level and give 0.
func (l Line) ParseLevel(text string) (int, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, nil
	}
	number := text
	if i := strings.LastIndexByte(text, '.'); i >= 0 {
		if text[:i] != l.Version {
			return 0, fmt.Errorf("%w %q: it is not a level of %s", ErrLevel, text, l.ProductVersion())
		}
		number = text[i+1:]
	}
	if number == "" || strings.TrimLeft(number, "0123456789") != "" {
		return 0, fmt.Errorf("%w %q: want a number such as 8 or %s", ErrLevel, text, l.LevelName(8))
	}
	level, err := strconv.ParseInt(number, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%w %q: the number is too large", ErrLevel, text)
	}
	return int(level), nil
}

// ProductRole returns the TUF role that a product's release keys sign.
func ProductRole(product string) string { return "product." + product }

// Default returns the line of the same product version on the default channel.
func (l Line) Default() Line { l.Channel = DefaultChannel; return l }

// Role returns the TUF role that lists the levels of this line.
func (l Line) Role() string { return "line." + l.ProductVersion() + "." + l.Channel }

// TargetPath returns the TUF target path of a level's release record.
func (l Line) TargetPath(level int) string {
	return fmt.Sprintf("%s/%s/%s/%d.json", l.Product, l.Version, l.Channel, level)
}
