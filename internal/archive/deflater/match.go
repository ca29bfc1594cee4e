package deflater

// What zlib calls TOO_FAR: deflateLazy takes no match of three bytes from farther back.
const tooFar = 4096

// deflateGreedy takes the first match that is good enough: levels 1 to 3.
func (z *Writer) deflateGreedy(last bool) {
	w := &z.window
	for w.ahead() >= minAhead || w.scarce(last) {
		length := 0
		if w.ahead() >= minMatch {
			if at := w.insert(w.start); w.reachable(at) {
				length = w.search(at, minMatch-1, &z.effort)
			}
		}
		var full bool
		if length >= minMatch {
			full = z.block.add(w.start-w.match, length)
			if length <= z.effort.enough {
				w.insertRange(w.start+1, w.start+length)
			}
			w.start += length
		} else {
			full = z.block.addByte(w.data[w.start])
			w.start++
		}
		if full && !z.endBlock(false) {
			return
		}
	}
}

// deflateLazy takes a match only if none longer begins at the next byte: levels 4 to 9.
func (z *Writer) deflateLazy(last bool) {
	w := &z.window
	for w.ahead() >= minAhead || w.scarce(last) {
		at := uint16(0)
		if w.ahead() >= minMatch {
			at = w.insert(w.start)
		}
		length, match := z.length, w.match
		z.length = minMatch - 1
		if length < z.effort.enough && w.reachable(at) {
			z.length = z.searchLazy(at, length)
		}
		switch {
		case length >= minMatch && z.length <= length:
			full := z.block.add(w.start-1-match, length)
			w.insertRange(w.start+1, w.start+length-1)
			w.start += length - 1
			z.length, z.literal = minMatch-1, false
			if full && !z.endBlock(false) {
				return
			}
		case z.literal:
			// A block that is full ends before the current byte, which is still in question.
			if z.block.addByte(w.data[w.start-1]) && !z.endBlock(false) {
				return
			}
			w.start++
		default:
			z.literal = true
			w.start++
		}
	}
	if last && z.literal {
		z.block.addByte(w.data[w.start-1])
		z.literal = false
	}
}

// searchLazy searches, and does not take what is not worth its bits.
func (z *Writer) searchLazy(at uint16, length int) int {
	n := z.window.search(at, length, &z.effort)
	if n <= 5 && (z.params.Strategy == Filtered || n == minMatch && z.window.start-z.window.match > tooFar) {
		return minMatch - 1
	}
	return n
}

// deflateRuns takes runs of one byte only.
func (z *Writer) deflateRuns(last bool) {
	w := &z.window
	for w.ahead() > maxMatch || w.scarce(last) {
		length := 0
		if most := min(maxMatch, w.ahead()); most >= minMatch && w.start > 0 {
			length = w.common(w.start-1, w.start, most)
		}
		var full bool
		if length >= minMatch {
			full = z.block.add(1, length)
			w.start += length
		} else {
			full = z.block.addByte(w.data[w.start])
			w.start++
		}
		if full && !z.endBlock(false) {
			return
		}
	}
}

// deflateHuffman takes every byte by itself.
func (z *Writer) deflateHuffman(last bool) {
	w := &z.window
	for w.ahead() > 0 || w.scarce(last) {
		full := z.block.addByte(w.data[w.start])
		w.start++
		if full && !z.endBlock(false) {
			return
		}
	}
}
