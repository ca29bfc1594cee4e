package deflater

// The symbols that stand for more than one size of a code.
const (
	repeat    = 16 // the size before, 3 to 6 times
	fewZeros  = 17 // 3 to 10
	manyZeros = 18 // 11 to 138
)

// A header tells the codes of a block that has its own: their sizes, as runs, which have
// codes themselves.
type header struct {
	codes tree
	runs  [literals + lengths + distances]run
	n     int // of runs
	sent  int // how many sizes of codes of runs are put out
}

// A run is a symbol and what follows it.
type run struct{ symbol, more uint8 }

// order is that in which the sizes of the codes of runs are put out: those at the end are
// the likeliest to be missing.
func order() [runLengths]uint8 {
	return [...]uint8{repeat, fewZeros, manyZeros, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
}

// runExtra returns how many extra bits follow a symbol of runs.
func runExtra(symbol int) uint {
	switch symbol {
	case repeat:
		return 2
	case fewZeros:
		return 3
	case manyZeros:
		return 7
	}
	return 0
}

// prepare finds the runs and their codes, and returns how many bits the header takes.
func (h *header) prepare(b *builder, lits, dists []uint8) int {
	h.n = 0
	clear(h.codes.count[:runLengths])
	h.find(lits)
	h.find(dists)
	b.build(&h.codes, runLengths, maxRunBits)
	order := order()
	h.sent = runLengths
	for h.codes.size[order[h.sent-1]] == 0 {
		h.sent--
	}
	return h.codes.cost(h.codes.sized(), runExtra) + 3*h.sent + 5 + 5 + 4
}

// find appends the runs of sizes. What a run of three or more is cut to depends on the run
// before: zlib counts up to 138 zeros, 6 of a size that was the last one, 7 of another.
func (h *header) find(sizes []uint8) {
	last := -1
	for len(sizes) > 0 {
		size := sizes[0]
		least, most := 4, 7
		switch {
		case size == 0:
			least, most = 3, 138
		case int(size) == last:
			least, most = 3, 6
		}
		n := 1
		for n < min(most, len(sizes)) && sizes[n] == size {
			n++
		}
		h.add(size, n, least, int(size) == last)
		last, sizes = int(size), sizes[n:]
	}
}

// add appends n times a size.
func (h *header) add(size uint8, n, least int, again bool) {
	switch {
	case n < least:
		for range n {
			h.push(size, 0)
		}
	case size == 0 && n <= 10:
		h.push(fewZeros, n-3)
	case size == 0:
		h.push(manyZeros, n-11)
	default:
		if !again {
			h.push(size, 0)
			n--
		}
		h.push(repeat, n-3)
	}
}

func (h *header) push(symbol uint8, more int) {
	h.codes.count[symbol]++
	h.runs[h.n] = run{symbol, uint8(more)}
	h.n++
}

// write puts the header out for so many literals and distances.
func (h *header) write(out *bitWriter, lits, dists int) {
	out.put(uint64(lits-literals), 5)
	out.put(uint64(dists-1), 5)
	out.put(uint64(h.sent-4), 4)
	order := order()
	for _, symbol := range order[:h.sent] {
		out.put(uint64(h.codes.size[symbol]), 3)
	}
	for _, r := range h.runs[:h.n] {
		out.put(uint64(h.codes.code[r.symbol]), uint(h.codes.size[r.symbol]))
		out.put(uint64(r.more), runExtra(int(r.symbol)))
	}
}
