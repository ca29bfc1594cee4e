package bundle

import (
	"bytes"
	"testing"
	"time"

	"uplevel/internal/digest"
	"uplevel/internal/release"
)

// FuzzIndex reads the index of an offline update: taken is only what prints as it was read.
func FuzzIndex(f *testing.F) {
	ref := release.Ref{Sum: digest.Of([]byte("x")), Size: 1}
	x := Index{
		Format: 1, Product: "shop", Version: "1.0", Created: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), To: Point{"full", 3, ref}, From: []Point{{"full", 1, ref}, {"security", 2, ref}}, Organisation: "o",
		Tools: []Tool{{"linux/amd64", "1.2.3", ref}}, Members: []Member{{"metadata/timestamp.json", 1, ref.Sum}, {"objects/" + ref.Sum.String(), 1, ref.Sum}},
	}
	data, err := x.bytes()
	if err != nil {
		f.Fatal(err)
	}
	if _, err := parseIndex(data); err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(bytes.Replace(data, []byte("metadata/"), []byte("../"), 1))
	f.Add([]byte(`{"format":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := parseIndex(data)
		if err != nil {
			return
		}
		again, err := x.bytes()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%s\nbecomes\n%s\n%v", data, again, err)
		}
		if len(x.From) > MaxStarts || len(x.Tools) > maxTools || len(x.Members) > maxOffline {
			t.Fatal("it lists too much")
		}
	})
}
