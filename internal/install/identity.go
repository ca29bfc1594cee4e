package install

// identity is what tells a file on disk from any other, as far as the system gives it.
type identity struct {
	Inode    uint64 `json:"inode,omitempty"`
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"`          // nanoseconds
	Changed  int64  `json:"changed,omitempty"` // nanoseconds; moves with every link made
	Mode     uint32 `json:"mode"`
}

// is reports whether other is the same thing with the same content, as far as a stat
// record can tell; making links and changing permissions does not matter.
func (i identity) is(other identity) bool {
	return i.Inode == other.Inode && i.Size == other.Size && i.Modified == other.Modified
}
