package hostile

// devices: none of them can be made here.
func devices() []Tree { return nil }
