package main

import "testing"

// TestEveryMeasurementWorks runs the short form: every measurement is made, no figure
// is judged.
func TestEveryMeasurementWorks(t *testing.T) {
	t.Chdir("../..") // as make bench runs it
	if err := measure(t.Context(), true, ""); err != nil {
		t.Fatal(err)
	}
}
