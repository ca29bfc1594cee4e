package network

import (
	"io"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// restart has the service end in the middle of a download, and a new one on its data and
// its address give the rest.
func (w *world) restart(t *testing.T) {
	must(t, w.Restart(t.Context()))
	d := newDoor(t, w.Door.Addr().String(), 200_000)
	s := &site{w: w, t: t, home: filepath.Join(t.TempDir(), "shop")}
	s.renewAt("https://"+d.Addr().String(), w.Path("service", "dev-ca.pem"))
	restarted := make(chan error, 1)
	go func() {
		<-d.held
		err := w.RestartAsItIs(t.Context())
		close(d.letGo)
		restarted <- err
	}()
	s.want(0, []string{"went from level 1.0 to 1.1"}, "update")
	must(t, <-restarted)
	if after := d.passed.Load() - 200_000; after < 50_000 || after > 250_000 {
		t.Errorf("%d bytes came after the restart: the rest of 300,000 is wanted", after)
	}
}

// door is a way to the service on which the first connection that brings so much is held,
// and ends with the service.
type door struct {
	net.Listener

	most        int64
	passed      atomic.Int64
	first       atomic.Bool
	held, letGo chan struct{}
}

func newDoor(t *testing.T, to string, most int64) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	d := &door{Listener: l, most: most, held: make(chan struct{}), letGo: make(chan struct{})}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go d.pass(c, to)
		}
	}()
	return d
}

func (d *door) pass(c net.Conn, to string) {
	defer c.Close()
	up, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer up.Close()
	go func() {
		_, _ = io.Copy(up, c)
		_ = up.Close()
	}()
	for buffer := make([]byte, 4<<10); ; {
		n, err := up.Read(buffer)
		if _, failed := c.Write(buffer[:n]); err != nil || failed != nil {
			return
		}
		if d.passed.Add(int64(n)) >= d.most && d.first.CompareAndSwap(false, true) {
			close(d.held)
			<-d.letGo
			return
		}
	}
}
