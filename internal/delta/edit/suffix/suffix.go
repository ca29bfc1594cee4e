// Package suffix finds the longest beginning of some bytes in a text, by the order of the
// text's suffixes.
package suffix

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
)

// suffixes returns where the suffixes of text start, in the order of the suffixes. It is
// SA-IS (Nong, Zhang, Chan: "Two efficient algorithms for linear time suffix array
// construction", 2011): linear in time, and nothing but the result and a bit per byte in space.
func suffixes(text []byte) []int32 {
	order := make([]int32, len(text))
	sortSuffixes(text, order, 256)
	return order
}

// none marks a place of an order that is not taken yet.
const none = -1

// sortSuffixes sorts the suffixes of text, whose letters are below letters, into order. A
// suffix is small when it is smaller than the one that starts a letter later, and large
// otherwise; a small one after a large one is leftmost. When the leftmost ones are in order,
// all others follow.
func sortSuffixes[T byte | int32](text []T, order []int32, letters int) {
	s := sorter[T]{text: text, order: order, counts: make([]int32, letters), edge: make([]int32, letters), leftmost: make([]uint64, len(text)/64+1)}
	for _, c := range text {
		s.counts[c]++
	}
	if m := s.mark(); m > 0 {
		s.placeMarked()
		s.induce()
		s.sortMarked(m)
		s.placeSorted(m)
	} else {
		s.empty(0)
	}
	s.induce()
}

type sorter[T byte | int32] struct {
	text     []T
	order    []int32
	counts   []int32 // of each letter
	edge     []int32 // of each letter's part of order: where to put the next
	leftmost []uint64
}

func (s *sorter[T]) isLeftmost(i int32) bool { return s.leftmost[i>>6]>>(i&63)&1 == 1 }

// mark finds the leftmost small suffixes and counts them.
func (s *sorter[T]) mark() int {
	n, small := 0, false
	for i := len(s.text) - 2; i >= 0; i-- {
		now := s.text[i] < s.text[i+1] || small && s.text[i] == s.text[i+1]
		if small && !now {
			s.leftmost[(i+1)>>6] |= 1 << ((i + 1) & 63)
			n++
		}
		small = now
	}
	return n
}

// eachMarked calls f with the leftmost small suffixes, the last one first.
func (s *sorter[T]) eachMarked(f func(i int32)) {
	for w, left := range slices.Backward(s.leftmost) {
		for left != 0 {
			b := bits.Len64(left) - 1
			left &^= 1 << b
			f(int32(w<<6 | b))
		}
	}
}

func (s *sorter[T]) empty(from int) {
	for i := from; i < len(s.order); i++ {
		s.order[i] = none
	}
}

// starts and ends set the edges to the first place of each letter, and behind the last.
func (s *sorter[T]) starts() {
	at := int32(0)
	for c, n := range s.counts {
		s.edge[c] = at
		at += n
	}
}

func (s *sorter[T]) ends() {
	at := int32(0)
	for c, n := range s.counts {
		at += n
		s.edge[c] = at
	}
}

func (s *sorter[T]) placeMarked() {
	s.empty(0)
	s.ends()
	s.eachMarked(func(i int32) {
		c := s.text[i]
		s.edge[c]--
		s.order[s.edge[c]] = i
	})
}

// placeSorted puts the m sorted suffixes at the beginning of order where they belong.
func (s *sorter[T]) placeSorted(m int) {
	s.empty(m)
	s.ends()
	for i := m - 1; i >= 0; i-- {
		at := s.order[i]
		s.order[i] = none
		c := s.text[at]
		s.edge[c]--
		s.order[s.edge[c]] = at
	}
}

// induce puts large suffixes behind what they begin with, then small ones before it.
func (s *sorter[T]) induce() {
	text, order, edge := s.text, s.order, s.edge
	n := len(text)
	if n == 0 {
		return
	}
	s.starts()
	last := text[n-1]
	order[edge[last]] = int32(n - 1)
	edge[last]++
	for i := range order {
		at := order[i] - 1
		if at < 0 {
			continue
		}
		if c := text[at]; c >= text[at+1] {
			order[edge[c]] = at
			edge[c]++
		}
	}
	s.ends()
	for i := n - 1; i >= 0; i-- {
		at := order[i] - 1
		if at < 0 {
			continue
		}
		// Of two equal letters the first is small if the second is, and then that lies
		// behind the edge.
		c := text[at]
		if next := text[at+1]; c < next || c == next && int32(i) >= edge[c] {
			edge[c]--
			order[edge[c]] = at
		}
	}
}

// sortMarked sorts the m leftmost small suffixes into the beginning of order. They are there
// already in the order of their first letters, up to the next leftmost one: those get names
// by that order, and the suffixes of the text of names are sorted.
func (s *sorter[T]) sortMarked(m int) {
	order := s.order
	k := 0
	for _, at := range order {
		if s.isLeftmost(at) {
			order[k] = at
			k++
		}
	}
	s.empty(m)
	names := s.name(m)
	if names == m {
		return
	}
	sub := order[len(order)-m:]
	k = len(order)
	for i := len(order) - 1; i >= m; i-- {
		if order[i] != none {
			k--
			order[k] = order[i]
		}
	}
	sortSuffixes(sub, order[:m], names)
	k = m
	s.eachMarked(func(i int32) {
		k--
		sub[k] = i
	})
	for i, at := range order[:m] {
		order[i] = sub[at]
	}
}

// name puts the names of the m suffixes at the beginning of order behind them, each at half
// its place in the text (no two stand together), and returns how many names there are.
func (s *sorter[T]) name(m int) int {
	order, text := s.order, s.text
	half := order[m:]
	end := int32(0) // behind the next leftmost one
	s.eachMarked(func(i int32) {
		half[i/2] = max(end-i, 0) // 0 for the last, which is like no other
		end = i + 1
	})
	names, before, length := int32(0), int32(0), int32(0)
	for _, at := range order[:m] {
		n := half[at/2]
		if n == 0 || n != length || !same(text[at:at+n], text[before:before+n]) {
			names++
		}
		before, length = at, n
		half[at/2] = names - 1
	}
	return int(names)
}

func same[T byte | int32](a, b []T) bool {
	for i, c := range a {
		if c != b[i] {
			return false
		}
	}
	return true
}

// Index finds what lies in a text.
type Index struct {
	text  []byte
	order []int32
	first []int32 // by the first two letters
}

// NewIndex returns the index of a text shorter than 2 GB, in time in proportion to it. While it
// works it takes about six times the text in memory, and four times after.
func NewIndex(text []byte) *Index {
	x := &Index{text, suffixes(text), make([]int32, 1<<16+1)}
	for i := 1; i < len(text); i++ {
		x.first[int(text[i-1])<<8|int(text[i])+1]++
	}
	if len(text) > 0 { // the last suffix has one letter and comes before those of two
		x.first[int(text[len(text)-1])<<8]++
	}
	for i := 1; i < len(x.first); i++ {
		x.first[i] += x.first[i-1]
	}
	return x
}

// Longest returns where in the text the longest beginning of s lies, and its length; one of
// less than two bytes is not looked for.
func (x *Index) Longest(s []byte) (at, length int) {
	if len(s) < 2 {
		return 0, 0
	}
	pair := int(s[0])<<8 | int(s[1])
	lo, hi := int(x.first[pair]), int(x.first[pair+1])
	atLo, atHi := 2, 2 // what s has in common with the bounds
	if pair+1 < 1<<16 && pair&255 == 255 && len(x.text) > 0 && int(x.text[len(x.text)-1]) == pair>>8+1 {
		hi-- // the suffix of one letter stands before the next pair
	}
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		start := int(x.order[mid])
		n := min(atLo, atHi)
		n += Common(x.text[start+n:], s[n:])
		if n > length {
			at, length = start, n
		}
		if n == len(s) {
			break
		}
		if start+n == len(x.text) || x.text[start+n] < s[n] {
			lo, atLo = mid+1, n
		} else {
			hi, atHi = mid, n
		}
	}
	return at, length
}

// Common counts the bytes that a and b begin with alike.
func Common(a, b []byte) int {
	n, i := min(len(a), len(b)), 0
	a, b = a[:n], b[:n]
	for ; n-i >= 256 && bytes.Equal(a[i:i+256], b[i:i+256]); i += 256 {
	}
	for ; n-i >= 8; i += 8 {
		if d := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); d != 0 {
			return i + bits.TrailingZeros64(d)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}
