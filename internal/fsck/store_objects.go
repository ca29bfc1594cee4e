package fsck

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Bounds of what is read into memory, in bytes.
const (
	storeMaxRecord   = 256 << 10
	storeMaxNotes    = 4 << 20
	storeMaxManifest = 512 << 20
)

// storeRef names an object by digest and size.
type storeRef struct {
	Sum  string `json:"sum"`
	Size int64  `json:"size"`
}

// storeRecord is a release record.
type storeRecord struct {
	Format   int      `json:"format"`
	Product  string   `json:"product"`
	Version  string   `json:"version"`
	Channel  string   `json:"channel"`
	Level    int64    `json:"level"`
	Manifest storeRef `json:"manifest"`
	Notes    storeRef `json:"notes"`
}

// storeLevel is one level as the signed metadata and its record say.
type storeLevel struct {
	listing                 map[string]any
	record, manifest, notes storeRef
}

// levels reads every level that a signed role lists: record, manifest and notes, and
// what objects they need.
func (j *storeJudge) levels(ctx context.Context) error {
	for _, role := range slices.Sorted(maps.Keys(j.roles)) {
		if !strings.HasPrefix(role, "line.") {
			continue
		}
		targets := j.roles[role].signed.Targets
		for _, path := range slices.Sorted(maps.Keys(targets)) {
			j.report.Levels++
			if err := j.level(ctx, path, targets[path]); err != nil {
				return err
			}
		}
	}
	return nil
}

// level judges one level, notes what it needs, and keeps what it says when all of it
// can be read; else that was reported.
func (j *storeJudge) level(ctx context.Context, path string, t storeTarget) error {
	l := storeLevel{record: storeRef{t.Hashes["sha256"], t.Length}}
	if err := json.Unmarshal(t.Custom, &l.listing); err != nil {
		j.damage("level "+path, "its listing cannot be read: %v", err)
		return nil
	}
	text, ok, err := j.object(ctx, "level "+path+", record", l.record, storeMaxRecord)
	if err != nil || !ok {
		return err
	}
	var r storeRecord
	if err := json.Unmarshal(text, &r); err != nil {
		j.damage("level "+path, "its record cannot be read: %v", err)
		return nil
	}
	j.agree(path, r, l)
	l.manifest, l.notes = r.Manifest, r.Notes
	j.signed[path] = l
	if _, _, err := j.object(ctx, "level "+path+", notes", r.Notes, storeMaxNotes); err != nil {
		return err
	}
	tree, ok, err := j.object(ctx, "level "+path+", manifest", r.Manifest, storeMaxManifest)
	if err != nil || !ok {
		return err
	}
	files, err := storeFiles(tree)
	if err != nil {
		j.damage("level "+path+", manifest", "%v", err)
	}
	for _, f := range files {
		j.want("level "+path, f)
	}
	return nil
}

// agree checks that path, listing and record speak of one level.
func (j *storeJudge) agree(path string, r storeRecord, l storeLevel) {
	if want := fmt.Sprintf("%s/%s/%s/%d.json", r.Product, r.Version, r.Channel, r.Level); want != path || r.Format != 1 {
		j.damage("level "+path, "its record is that of %s (format %d)", want, r.Format)
	}
	for key, want := range map[string]any{"product": r.Product, "version": r.Version, "channel": r.Channel, "level": float64(r.Level)} {
		if l.listing[key] != want {
			j.damage("level "+path, "the listing says %s %v, the record %v", key, l.listing[key], want)
		}
	}
}

// want notes an object that must be there.
func (j *storeJudge) want(by string, ref storeRef) {
	known, ok := j.wanted[ref.Sum]
	if ok && known.size != ref.Size {
		j.damage(by, "object %s has size %d here and %d in %s", ref.Sum, ref.Size, known.size, known.by)
	}
	if !ok {
		j.wanted[ref.Sum] = storeWanted{size: ref.Size, by: by}
	}
}

// object reads a small object whole and reports it when it is not what it should be.
func (j *storeJudge) object(ctx context.Context, where string, ref storeRef, limit int64) ([]byte, bool, error) {
	if !isSum(ref.Sum) || ref.Size < 0 || ref.Size > limit {
		j.damage(where, "it is named by %q with %d bytes", ref.Sum, ref.Size)
		return nil, false, nil
	}
	j.want(where, ref)
	f, err := j.Blobs.Open(ctx, storeName(ref.Sum))
	if isAbsent(err) {
		return nil, false, nil // reported with the objects
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading object %s: %w", ref.Sum, err)
	}
	var b bytes.Buffer
	sum, size, decodeErr := decodeStored(&b, f, limit)
	if err := f.Close(); err != nil {
		return nil, false, fmt.Errorf("reading object %s: %w", ref.Sum, err)
	}
	// What is wrong with its bytes is reported with the objects.
	return b.Bytes(), decodeErr == nil && sum == ref.Sum && size == ref.Size, nil
}

// objects decodes every stored object once and compares it with its name and with what
// levels need.
func (j *storeJudge) objects(ctx context.Context) error {
	unused, unusedBytes := 0, int64(0)
	for name, err := range j.Blobs.Names(ctx, "objects/") {
		if err != nil {
			return fmt.Errorf("listing the object store: %w", err)
		}
		size, wanted, err := j.oneObject(ctx, name)
		if err != nil {
			return err
		}
		j.report.Objects++
		j.report.Bytes += size
		if !wanted {
			unused++
			unusedBytes += size
		}
	}
	for _, sum := range slices.Sorted(maps.Keys(j.wanted)) {
		if w := j.wanted[sum]; !w.seen {
			j.damage("object "+sum, "it is missing; needed by %s", w.by)
		}
	}
	if unused > 0 {
		j.note("objects", "%d are not needed by any level (%d bytes)", unused, unusedBytes)
	}
	return nil
}

func (j *storeJudge) oneObject(ctx context.Context, name string) (size int64, wanted bool, err error) {
	want := name[strings.LastIndexByte(name, '/')+1:]
	if !isSum(want) || name != storeName(want) {
		j.damage("object store "+name, "this is no object's name")
		return 0, true, nil
	}
	f, err := j.Blobs.Open(ctx, name)
	if err != nil {
		return 0, true, fmt.Errorf("reading %s: %w", name, err)
	}
	w, wanted := j.wanted[want]
	sum, size, decodeErr := decodeStored(io.Discard, f, -1)
	if err := f.Close(); err != nil {
		return 0, true, fmt.Errorf("reading %s: %w", name, err)
	}
	switch {
	case errors.Is(decodeErr, errStoredRead):
		return 0, true, fmt.Errorf("reading %s: %w", name, decodeErr)
	case decodeErr != nil:
		j.damage("object "+want, "its bytes are damaged: %v", decodeErr)
	case sum != want:
		j.damage("object "+want, "its content has digest %s", sum)
	case wanted && size != w.size:
		j.damage("object "+want, "its content has %d bytes, %s says %d", size, w.by, w.size)
	}
	if wanted {
		w.seen = true
		j.wanted[want] = w
	}
	return size, wanted, nil
}

// errStoredRead is wrapped when the store, not the content, failed.
var errStoredRead = errors.New("the object store failed")

type storedReader struct{ r io.Reader }

func (s storedReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", errStoredRead, err)
	}
	return n, err
}

// decodeStored decodes a zstd stream and returns digest and size of its content; a
// limit of -1 is none.
func decodeStored(w io.Writer, stored io.Reader, limit int64) (string, int64, error) {
	d, err := zstd.NewReader(storedReader{stored}, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return "", 0, err
	}
	defer d.Close()
	var r io.Reader = d
	if limit >= 0 {
		r = io.LimitReader(d, limit+1)
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), r)
	if err == nil && limit >= 0 && n > limit {
		err = fmt.Errorf("longer than %d bytes", limit)
	}
	return hex.EncodeToString(h.Sum(nil)), n, err
}

// storeFiles reads the objects that a manifest lists. Its lines are
// "file TAB mode TAB size TAB digest TAB path", "dir TAB mode TAB path" and
// "link TAB path TAB target", sorted by path.
func storeFiles(text []byte) ([]storeRef, error) {
	lines := strings.Split(string(text), "\n")
	if !strings.HasPrefix(lines[0], "uplevel-manifest") || lines[len(lines)-1] != "" {
		return nil, fmt.Errorf("it begins with %.40q or its end is missing", lines[0])
	}
	var files []storeRef
	last := ""
	for i, line := range lines[1 : len(lines)-1] {
		path, ref, err := storeLine(line)
		if err == nil && i > 0 && path <= last {
			err = errors.New("it is not sorted")
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+2, err)
		}
		last = path
		if ref.Sum != "" {
			files = append(files, ref)
		}
	}
	return files, nil
}

func storeLine(line string) (path string, ref storeRef, err error) {
	f := strings.Split(line, "\t")
	switch {
	case f[0] == "dir" && len(f) == 3:
		path = f[2]
	case f[0] == "link" && len(f) == 3:
		path = f[1]
	case f[0] == "file" && len(f) == 5 && isSum(f[3]):
		size, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil || size < 0 {
			return "", ref, fmt.Errorf("size %.40q", f[2])
		}
		path, ref = f[4], storeRef{f[3], size}
	default:
		return "", ref, fmt.Errorf("unknown form %.80q", line)
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." {
			return "", ref, fmt.Errorf("path %.80q leaves its folder", path)
		}
	}
	return path, ref, nil
}

// catalogue compares the catalogue's rows with what is signed.
func (j *storeJudge) catalogue(ctx context.Context) error {
	rows := map[string][8]string{}
	err := j.each(ctx, func(r *sql.Rows) error {
		var product, version, channel, level string
		var c [8]string
		err := r.Scan(&product, &version, &channel, &level, &c[0], &c[1], &c[2], &c[3], &c[4], &c[5], &c[6], &c[7])
		rows[fmt.Sprintf("%s/%s/%s/%s.json", product, version, channel, level)] = c
		return err
	}, `SELECT product, version, channel, level, state, listing, record_sum, record_size, manifest_sum, manifest_size, notes_sum, notes_size FROM levels`)
	if err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(j.signed)) {
		row, ok := rows[path]
		delete(rows, path)
		if !ok {
			j.damage("catalogue "+path, "it is signed but not in the catalogue")
			continue
		}
		j.catalogueRow(path, row, j.signed[path])
	}
	for _, path := range slices.Sorted(maps.Keys(rows)) {
		j.damage("catalogue "+path, "it is in the catalogue, but not signed or not readable")
	}
	return nil
}

func (j *storeJudge) catalogueRow(path string, row [8]string, l storeLevel) {
	var listing map[string]any
	if err := json.Unmarshal([]byte(row[1]), &listing); err != nil {
		j.damage("catalogue "+path, "its listing cannot be read: %v", err)
		return
	}
	if !reflect.DeepEqual(listing, l.listing) || row[0] != l.listing["state"] {
		j.damage("catalogue "+path, "its listing is not the signed one")
	}
	for i, ref := range []storeRef{l.record, l.manifest, l.notes} {
		if row[2+2*i] != ref.Sum || row[3+2*i] != strconv.FormatInt(ref.Size, 10) {
			j.damage("catalogue "+path, "its %s is not the signed one", [3]string{"record", "manifest", "notes"}[i])
		}
	}
}

// storeName returns the blob name of an object.
func storeName(sum string) string { return "objects/" + sum[:2] + "/" + sum }

func isSum(text string) bool {
	return len(text) == 64 && strings.Trim(text, "0123456789abcdef") == ""
}
