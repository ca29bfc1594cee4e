package dist

import (
	"bufio"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"
	"time"

	"uplevel/internal/manifest"
)

// defaultMaxTotal bounds what an archive may unpack to: 256 GiB.
const defaultMaxTotal = 256 << 30

// maxRatio is more than deflate can reach; a size beyond it is a lie.
const maxRatio = 1040

// archive is a zip archive whose records were compared and found to agree.
type archive struct {
	file    *os.File
	stamp   string
	when    time.Time
	records []record
	byPath  map[string]record
}

func openArchive(name string, maxTotal int64) (source, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	a, err := readArchive(file, maxTotal)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return a, nil
}

func readArchive(file *os.File, maxTotal int64) (*archive, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if maxTotal <= 0 {
		maxTotal = defaultMaxTotal
	}
	records, err := readRecords(file, info.Size())
	if err != nil {
		return nil, err
	}
	if err := checkRecords(records, maxTotal); err != nil {
		return nil, err
	}
	dropTop(records)
	a := &archive{file: file, records: records, byPath: map[string]record{}}
	a.stamp, a.when = stampOf(info)
	for _, r := range records {
		if r.name == "" {
			continue
		}
		if _, twice := a.byPath[r.name]; twice {
			return nil, fmt.Errorf("%q stands in it twice", r.name)
		}
		a.byPath[r.name] = r
	}
	return a, nil
}

// checkRecords judges names, kinds and sizes of all records.
func checkRecords(records []record, maxTotal int64) error {
	var total int64
	for i := range records {
		r := &records[i]
		if err := r.classify(); err != nil {
			return fmt.Errorf("%q: %w", r.name, err)
		}
		total += r.size
		if r.size > manifest.MaxFile || total > maxTotal {
			return fmt.Errorf("%q: what it unpacks to is beyond %d bytes", r.name, maxTotal)
		}
	}
	return nil
}

// dropTop drops the folder that everything lies in, if there is one. The record of the
// folder itself gets an empty name.
func dropTop(records []record) {
	if len(records) == 0 {
		return
	}
	top, _, _ := strings.Cut(records[0].name, "/")
	for _, r := range records {
		if r.name == top && r.kind != manifest.Dir || r.name != top && !strings.HasPrefix(r.name, top+"/") {
			return
		}
	}
	for i := range records {
		records[i].name = strings.TrimPrefix(strings.TrimPrefix(records[i].name, top), "/")
	}
}

func (a *archive) Close() error { return a.file.Close() }

func (a *archive) items(ctx context.Context) ([]item, error) {
	items := make([]item, 0, len(a.records))
	for _, r := range a.records {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if r.name == "" || skipped(r.name) {
			continue
		}
		i := item{entry: manifest.Entry{Path: r.name, Kind: r.kind, Mode: r.mode}, setID: r.setID}
		switch r.kind {
		case manifest.File:
			i.entry.Size = r.size
			i.stamp, i.when = fmt.Sprintf("%s %d %08x", a.stamp, r.offset, r.crc), a.when
		case manifest.Link:
			target, err := a.target(r)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", r.name, err)
			}
			i.entry.Mode, i.entry.Target = 0, target
		case manifest.Dir, manifest.Other:
		}
		items = append(items, i)
	}
	return items, nil
}

func (a *archive) target(r record) (string, error) {
	if r.size > manifest.MaxPath {
		return "", errors.New("link target is too long")
	}
	text, err := io.ReadAll(a.reader(r))
	return string(text), err
}

func (a *archive) open(name string) (io.ReadCloser, error) {
	r, ok := a.byPath[name]
	if !ok || r.kind != manifest.File {
		return nil, fmt.Errorf("%q is no file of the archive", name)
	}
	return io.NopCloser(a.reader(r)), nil
}

// reader returns the content of a record. It fails instead of io.EOF unless size,
// checksum and the end of the compressed bytes agree with what the record says.
func (a *archive) reader(r record) io.Reader {
	packed := bufio.NewReaderSize(io.NewSectionReader(a.file, r.data, r.packed), 64<<10)
	m := &member{record: r, packed: packed, plain: packed, crc: crc32.NewIEEE()}
	if r.method == methodDeflate {
		m.plain = flate.NewReader(packed)
	}
	return m
}

type member struct {
	record record
	packed *bufio.Reader
	plain  io.Reader
	crc    interface {
		io.Writer
		Sum32() uint32
	}
	read int64
}

func (m *member) Read(p []byte) (int, error) {
	n, err := m.plain.Read(p)
	m.read += int64(n)
	_, _ = m.crc.Write(p[:n])
	if m.read > m.record.size {
		return 0, errors.New("it is longer than its record says")
	}
	if err == io.EOF {
		return n, m.finish()
	}
	return n, err
}

func (m *member) finish() error {
	_, err := m.packed.ReadByte()
	switch {
	case m.read != m.record.size:
		return fmt.Errorf("it has %d bytes, its record says %d", m.read, m.record.size)
	case m.crc.Sum32() != m.record.crc:
		return errors.New("its checksum is not the one of its record")
	case err == nil:
		return errors.New("something follows its compressed content")
	}
	return io.EOF
}
