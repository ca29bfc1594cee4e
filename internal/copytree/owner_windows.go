package copytree

import "io/fs"

// owner returns whom a file belongs to; Windows has no such numbers.
func owner(fs.FileInfo) (uid, gid int, ok bool) { return 0, 0, false }
