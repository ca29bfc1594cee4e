package durable

// SyncDir does nothing: Windows has no way to sync a folder, NTFS journals names.
func SyncDir(string) error { return nil }
