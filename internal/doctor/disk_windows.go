package doctor

import "golang.org/x/sys/windows"

// LookAtDisk tells of the volume that holds dir.
func LookAtDisk(dir string) (Disk, error) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return Disk{}, err
	}
	var free uint64
	err = windows.GetDiskFreeSpaceEx(name, &free, nil, nil)
	return Disk{Free: int64(free), FreeFiles: -1}, err
}

// CanWrite reports whether this user may make files in dir, without making one: it asks
// for a handle with that right.
func CanWrite(dir string) error {
	const addFile = 0x2 // FILE_ADD_FILE
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return err
	}
	h, err := windows.CreateFile(name, addFile, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, nil,
		windows.OPEN_EXISTING, windows.FILE_FLAG_BACKUP_SEMANTICS, 0)
	if err != nil {
		return err
	}
	return windows.CloseHandle(h)
}
