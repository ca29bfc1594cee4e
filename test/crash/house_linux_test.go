package crash

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"uplevel/test/powercut"
)

// layout is how a home lies on its disks.
type layout string

const (
	plain   layout = "plain"     // all on one disk
	bind    layout = "bind"      // conf/ is another folder of the disk, mounted there
	two     layout = "two disks" // conf/ is a folder of a second disk
	outward layout = "outward"   // docs/ is a link to a folder outside
	overlay layout = "overlay"   // the pack lies below, changes go to a layer over it
)

// place is where a home lies.
type place struct {
	kind   powercut.Kind
	layout layout
}

func (p place) String() string {
	if p.layout == plain {
		return string(p.kind)
	}
	return string(p.layout) + " on " + string(p.kind)
}

// house is a home with the disks it lies on.
type house struct {
	place  place
	disks  []*powercut.Disk
	layers []string // what is mounted over the disks, in order
}

// newHouse makes the disks of a place.
func newHouse(dir, name string, p place) (*house, error) {
	h := &house{place: p}
	for n := range p.disks() {
		d, err := powercut.New(dir, fmt.Sprintf("%s-%d", name, n), p.kind)
		if err != nil {
			return nil, errors.Join(err, h.close())
		}
		h.disks = append(h.disks, d)
	}
	return h, nil
}

func (p place) disks() int {
	if p.layout == two {
		return 2
	}
	return 1
}

// clone makes a house like one whose disks are unmounted.
func (h *house) clone(name string) (*house, error) {
	c := &house{place: h.place}
	for n, d := range h.disks {
		copied, err := d.Clone(fmt.Sprintf("%s-%d", name, n))
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
		c.disks = append(c.disks, copied)
	}
	if err := c.raise(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// on returns a path on the first disk.
func (h *house) on(parts ...string) string {
	return filepath.Join(append([]string{h.disks[0].At}, parts...)...)
}

// home is the installation.
func (h *house) home() string {
	if h.place.layout == overlay {
		return h.disks[0].At + "-merged"
	}
	return h.on("home")
}

// exports are what lines for the shell may use: the download cache is on the disk, too.
func (h *house) exports() string {
	return fmt.Sprintf("export UPLEVEL_CACHE=%s HOUSE=%s; ", h.on("cache"), h.on())
}

// ballast is a file that takes the room of the first disk.
func (h *house) ballast() string { return h.on("ballast") }

// furnish brings the pack in.
func (h *house) furnish(pack string) error {
	for _, folder := range []string{"home/conf", "elsewhere", "lower", "upper", "work", "cache"} {
		if err := os.MkdirAll(h.on(folder), 0o755); err != nil {
			return err
		}
	}
	if h.place.layout == two {
		if err := os.Mkdir(filepath.Join(h.disks[1].At, "conf"), 0o755); err != nil {
			return err
		}
	}
	into := h.home()
	if h.place.layout == overlay {
		into = h.on("lower")
	} else if err := h.raise(); err != nil {
		return err
	}
	if err := command("cp", "-a", pack+"/.", into); err != nil {
		return err
	}
	switch h.place.layout {
	case overlay:
		return h.raise()
	case outward:
		return errors.Join(os.Rename(h.on("home/docs"), h.on("elsewhere/docs")), os.Symlink("../elsewhere/docs", h.on("home/docs")))
	case plain, bind, two:
	}
	return nil
}

// raise mounts what lies over the disks.
func (h *house) raise() error {
	switch h.place.layout {
	case bind:
		return h.layer(h.on("home/conf"), "-o", "bind", h.on("elsewhere"))
	case two:
		return h.layer(h.on("home/conf"), "-o", "bind", filepath.Join(h.disks[1].At, "conf"))
	case overlay:
		if err := os.MkdirAll(h.home(), 0o755); err != nil {
			return err
		}
		return h.layer(h.home(), "-t", "overlay", "-o", fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", h.on("lower"), h.on("upper"), h.on("work")), "overlay")
	case plain, outward:
	}
	return nil
}

func (h *house) layer(at string, args ...string) error {
	if err := command("mount", append(args, at)...); err != nil {
		return err
	}
	h.layers = append(h.layers, at)
	return nil
}

// lower takes the layers away.
func (h *house) lower() error {
	for len(h.layers) > 0 {
		last := len(h.layers) - 1
		if err := powercut.Unmount(h.layers[last]); err != nil {
			return fmt.Errorf("unmounting %s: %w", h.layers[last], err)
		}
		h.layers = h.layers[:last]
	}
	return nil
}

// cut cuts the power of every disk at once; up says whether it comes back.
func (h *house) cut(loss powercut.Loss, up bool) error {
	var all error
	for n, d := range h.disks {
		of := loss
		switch loss {
		case firstLost:
			of = []powercut.Loss{powercut.Unflushed, powercut.Flushed}[n]
		case secondLost:
			of = []powercut.Loss{powercut.Flushed, powercut.Unflushed}[n]
		case powercut.Flushed, powercut.Unflushed: // both lose alike
		}
		all = errors.Join(all, d.Shut(of))
	}
	if all = errors.Join(all, h.lower()); all != nil {
		return all
	}
	for _, d := range h.disks {
		all = errors.Join(all, d.Unmount())
	}
	if all != nil || !up {
		return all
	}
	for _, d := range h.disks {
		all = errors.Join(all, d.Mount())
	}
	return errors.Join(all, h.raise())
}

// rest unmounts the house, with everything written out.
func (h *house) rest() error {
	err := h.lower()
	for _, d := range h.disks {
		err = errors.Join(err, d.Unmount())
	}
	return err
}

// close takes the house away, mounted or not.
func (h *house) close() error {
	err := h.lower()
	for _, d := range h.disks {
		if gone := d.Unmount(); !errors.Is(gone, unix.EINVAL) { // it was not mounted
			err = errors.Join(err, gone)
		}
		err = errors.Join(err, os.Remove(d.Image), os.Remove(d.At))
	}
	if h.place.layout == overlay && err == nil {
		err = os.Remove(h.home())
	}
	return err
}

func command(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w: %s", name, args, err, out)
	}
	return nil
}
