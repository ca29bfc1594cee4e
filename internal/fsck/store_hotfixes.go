package fsck

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
)

// storeMaxEnvelope bounds the bytes of a hotfix's envelope.
const storeMaxEnvelope = 6 << 20

const hotfixType = "application/vnd.uplevel.hotfix+json"

// storeHotfix is a row of the registered hotfixes.
type storeHotfix struct {
	product, version, name, channel, organisation string
	sequence, size                                int64
	about, sum                                    string
}

// storeHotfixKeys are whose signatures count on hotfixes, by one version of targets.
type storeHotfixKeys struct {
	keys    map[string]storeKey
	signers storeSigners
	current bool
}

// noteHotfixKeys keeps what a version of targets delegates to the role hotfix.
func (j *storeJudge) noteHotfixKeys(targets storeSigned, current bool) {
	for _, d := range targets.Delegations.Roles {
		if d.Name == "hotfix" {
			j.hotfixKeys = append(j.hotfixKeys, storeHotfixKeys{targets.Delegations.Keys, d.storeSigners, current})
		}
	}
}

// hotfixes judges every registered hotfix: its row, its zip, and that they say the same,
// signed; then whether there are zips of nothing.
func (j *storeJudge) hotfixes(ctx context.Context) error {
	var all []storeHotfix
	err := j.each(ctx, func(rows *sql.Rows) error {
		var h storeHotfix
		err := rows.Scan(&h.product, &h.version, &h.name, &h.channel, &h.organisation, &h.sequence, &h.about, &h.sum, &h.size)
		all = append(all, h)
		return err
	}, `SELECT product, version, name, channel, organisation, sequence, about, zip_sum, zip_size FROM hotfixes ORDER BY product, version, name`)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, h := range all {
		where := fmt.Sprintf("hotfix %s-%s-%s", h.product, h.version, h.name)
		if !isSum(h.sum) {
			j.damage(where, "its zip is named by %.80q", h.sum)
			continue
		}
		blob := "hotfixes/" + h.sum[:2] + "/" + h.sum
		wanted[blob] = true
		if err := j.hotfix(ctx, where, blob, h); err != nil {
			return err
		}
	}
	j.report.Hotfixes = len(all)
	unused := 0
	for name, err := range j.Blobs.Names(ctx, "hotfixes/") {
		if err != nil {
			return fmt.Errorf("listing the object store: %w", err)
		}
		if !wanted[name] {
			unused++
		}
	}
	if unused > 0 {
		j.note("hotfixes", "%d zips are not registered", unused)
	}
	return nil
}

func (j *storeJudge) hotfix(ctx context.Context, where, blob string, h storeHotfix) error {
	f, err := j.Blobs.Open(ctx, blob)
	if isAbsent(err) {
		j.damage(where, "its zip is missing; publishing the same again brings it back")
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", blob, err)
	}
	envelope, sum, size, err := readHotfix(storedReader{f})
	if err := errors.Join(err, f.Close()); errors.Is(err, errStoredRead) {
		return fmt.Errorf("reading %s: %w", blob, err)
	}
	switch {
	case sum != h.sum || size != h.size:
		j.damage(where, "its zip has %d bytes and digest %s", size, sum)
	case err != nil:
		j.damage(where, "its zip: %v", err)
	default:
		j.hotfixAgrees(where, envelope, h)
	}
	return nil
}

// readHotfix reads a zip to its end and returns its first member, which must be the
// envelope, not compressed.
func readHotfix(r io.Reader) (envelope []byte, sum string, size int64, err error) {
	hash := sha256.New()
	var count storeCount
	r = io.TeeReader(r, io.MultiWriter(hash, &count))
	envelope, err = firstMember(r)
	_, readErr := io.Copy(io.Discard, r)
	return envelope, hex.EncodeToString(hash.Sum(nil)), int64(count), errors.Join(err, readErr)
}

type storeCount int64

func (c *storeCount) Write(p []byte) (int, error) {
	*c += storeCount(len(p))
	return len(p), nil
}

func firstMember(r io.Reader) ([]byte, error) {
	const name = "hotfix.json"
	header := make([]byte, 30+len(name))
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, fmt.Errorf("it is cut: %w", err)
	}
	le := binary.LittleEndian
	size := le.Uint32(header[18:])
	if !bytes.HasPrefix(header, []byte("PK\x03\x04")) || string(header[30:]) != name || int(le.Uint16(header[26:])) != len(name) ||
		le.Uint16(header[8:]) != 0 || le.Uint16(header[28:]) != 0 || size > storeMaxEnvelope {
		return nil, fmt.Errorf("it does not begin with %s", name)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, fmt.Errorf("it is cut: %w", err)
	}
	return data, nil
}

// hotfixAgrees compares a row with the signed record, files aside, and judges signatures.
func (j *storeJudge) hotfixAgrees(where string, envelope []byte, h storeHotfix) {
	var env struct {
		PayloadType string `json:"payloadType"`
		Payload     []byte `json:"payload"`
		Signatures  []struct {
			KeyID string `json:"keyid"`
			Sig   []byte `json:"sig"`
		} `json:"signatures"`
	}
	var record, about map[string]any
	err := json.Unmarshal(envelope, &env)
	err = errors.Join(err, json.Unmarshal(env.Payload, &record), json.Unmarshal([]byte(h.about), &about))
	if err != nil || env.PayloadType != hotfixType {
		j.damage(where, "its record cannot be read: type %.60q, %v", env.PayloadType, err)
		return
	}
	delete(record, "files")
	delete(about, "files")
	row := map[string]any{
		"product": h.product, "version": h.version, "name": h.name, "channel": h.channel, "organisation": h.organisation, "sequence": float64(h.sequence),
	}
	for key, value := range row {
		if record[key] != value {
			j.damage(where, "its row says %s %v, the signed record %v", key, value, record[key])
		}
	}
	if !reflect.DeepEqual(record, about) {
		j.damage(where, "what is told of it is not the signed record")
	}
	message := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(env.PayloadType), env.PayloadType, len(env.Payload), env.Payload)
	signed, bySome := false, false
	for _, by := range j.hotfixKeys {
		good := map[string]bool{}
		for _, s := range env.Signatures {
			public, err := hex.DecodeString(by.keys[s.KeyID].KeyVal.Public)
			if err == nil && len(public) == ed25519.PublicKeySize && slices.Contains(by.signers.KeyIDs, s.KeyID) && ed25519.Verify(public, message, s.Sig) {
				good[string(public)] = true
			}
		}
		enough := len(good) >= max(by.signers.Threshold, 1)
		signed, bySome = signed || enough && by.current, bySome || enough
	}
	switch {
	case !bySome:
		j.damage(where, "it is not signed by the hotfix role")
	case !signed:
		j.note(where, "it is signed by keys that were replaced since: tools that know the new ones refuse it")
	}
}
