package main

// takeOwner does nothing: new files inherit from their folder.
func takeOwner(string, string) {}
