package durable

// noFollow is nothing on Windows, where making links is a right of its own.
const noFollow = 0

// inherit has nothing to do: on Windows what is made has the folder's access list.
func inherit(string) {}
