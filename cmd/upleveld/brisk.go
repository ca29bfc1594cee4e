package main

import (
	"net/http"
	"time"
)

// How fast an answer must be taken: who does not take a piece in its time is cut off, for
// what is answered is held until then. A download that was cut goes on by range.
const (
	pieceSize = 32 << 10
	pieceTime = time.Minute
	streams   = 32 // requests at once on one connection
)

// brisk cuts off who does not take answers.
func brisk(next http.Handler, now func() time.Time) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&pieces{w, now, now().Add(answerTimeout)}, r)
	})
}

// pieces writes piece by piece, each of which has its time.
type pieces struct {
	http.ResponseWriter
	now func() time.Time
	end time.Time // of the whole answer
}

// Write implements http.ResponseWriter.
func (w *pieces) Write(p []byte) (int, error) {
	written := 0
	for {
		piece := p[written:min(len(p), written+pieceSize)]
		until := w.now().Add(pieceTime)
		if until.After(w.end) {
			until = w.end
		}
		_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(until) // where there is a connection
		n, err := w.ResponseWriter.Write(piece)
		if written += n; err != nil || written == len(p) {
			return written, err
		}
	}
}

// Unwrap lets http.ResponseController reach the connection.
func (w *pieces) Unwrap() http.ResponseWriter { return w.ResponseWriter }
