package server

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"uplevel/internal/blob"
	"uplevel/internal/bundle"
	"uplevel/internal/digest"
	"uplevel/internal/entitlement"
	"uplevel/internal/problem"
	"uplevel/internal/publish"
	"uplevel/internal/publish/signing"
	"uplevel/internal/trust/sign"
)

// subscribed makes an organisation that may have the product, and an operator's token.
func (h *house) subscribed(name string) (entitlement.Organisation, string) {
	h.t.Helper()
	o, err := h.db.AddOrganisation(h.t.Context(), desk, name)
	h.fine(err)
	_, err = h.db.AddSubscription(h.t.Context(), desk, entitlement.Subscription{
		Organisation: o.ID, Product: "shop", Channels: []string{"full"}, Kind: entitlement.Paid,
		Begins: h.now(), Ends: h.now().AddDate(1, 0, 0), Expiry: entitlement.Keep,
	})
	h.fine(err)
	u := h.user(o.ID, entitlement.Operator, "right pa$$word")
	token, _, err := h.door.NewToken(h.t.Context(), desk, entitlement.Token{User: u.ID, Name: "test"})
	h.fine(err)
	return o, token
}

// TestHotfixFromPublisherToOperator publishes a hotfix for one of two organisations and
// has both ask for it; then everything that must not be registered is tried.
func TestHotfixFromPublisherToOperator(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.publisher()
	_, _, err := p.Signer.Init(t.Context(), signing.InitRequest{})
	h.fine(err)
	files := map[string]string{"bin/shop": "#!/bin/sh\n", "conf/shop.ini": "colour=blue\n"}
	_, err = p.AddProduct(t.Context(), publish.ProductRequest{Line: line, Dist: build(t, files)})
	h.fine(err)
	bank, ownToken := h.subscribed("Example Bank")
	_, otherToken := h.subscribed("Other")
	files["conf/shop.ini"] = "colour=green\n"
	req := publish.HotfixRequest{Line: line, For: "Example Bank", Dist: build(t, files), Notes: []byte(fixes), Out: t.TempDir()}
	made, err := p.Hotfix(t.Context(), req)
	h.fine(err)
	data, err := os.ReadFile(made.File)
	h.fine(err)
	h.pass(time.Hour)
	if again, err := p.Hotfix(t.Context(), req); err != nil || !again.Already || again.Size != int64(len(data)) {
		t.Errorf("again: %+v, %v", again, err)
	}

	own, other := h.client(ownToken), h.client(otherToken)
	listed, err := own.Hotfixes(t.Context(), line)
	if err != nil || len(listed) != 1 || listed[0].Name != "Example_Bank-hf1" || listed[0].Organisation != bank.ID || listed[0].SHA256 != digest.Of(data) ||
		listed[0].File != "shop-1.0-Example_Bank-hf1.zip" || listed[0].Description != "Another colour." {
		t.Fatalf("%+v, %v", listed, err)
	}
	body, size, err := own.HotfixZip(t.Context(), "shop", "1.0", "Example_Bank-hf1", 7)
	h.fine(err)
	rest, err := io.ReadAll(body)
	h.fine(err)
	h.fine(body.Close())
	if size != int64(len(data)) || !bytes.Equal(rest, data[7:]) {
		t.Errorf("%d of %d bytes", len(rest), size)
	}
	if listed, err := other.Hotfixes(t.Context(), line); err != nil || len(listed) != 0 {
		t.Errorf("another sees %+v, %v", listed, err)
	}
	_, _, err = other.HotfixZip(t.Context(), "shop", "1.0", "Example_Bank-hf1", 0)
	wantKind(t, err, problem.Failed, "no such thing")

	h.refusesHotfixes(p, req, data)
	// A lapsed subscription keeps what was made before its end.
	h.pass(2 * 365 * 24 * time.Hour)
	if listed, err := own.Hotfixes(t.Context(), line); err != nil || len(listed) != 1 {
		t.Errorf("after the end: %+v, %v", listed, err)
	}
	if left, err := os.ReadDir(h.spool); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// refusesHotfixes tries what must not be registered.
func (h *house) refusesHotfixes(p *publish.Publisher, req publish.HotfixRequest, whole []byte) {
	h.t.Helper()
	t := h.t
	register := func(data []byte) error {
		_, err := p.Registry.RegisterHotfix(t.Context(), bytes.NewReader(data), int64(len(data)))
		return err
	}
	h.fine(register(whole))
	wantKind(t, register(whole[:len(whole)-1]), problem.Verification, "zip of the hotfix")
	flipped := bytes.Clone(whole)
	flipped[bytes.LastIndex(flipped, []byte("objects/"))-200] ^= 1
	wantKind(t, register(flipped), problem.Verification)
	forged := bytes.Replace(whole, []byte(`"sig":"`), []byte(`"sig":"A`), 1)
	wantKind(t, register(forged), problem.Verification)

	req.OrganisationID = "org_nobody"
	req.Sequence = 2
	_, err := p.Hotfix(t.Context(), req)
	wantKind(t, err, problem.Refused, "org_nobody")
	req.OrganisationID, req.For = "", "Other"
	out, err := p.Hotfix(t.Context(), req)
	h.fine(err)
	req.OrganisationID, req.For = out.Record.Organisation, "Example Bank"
	_, err = p.Hotfix(t.Context(), req)
	wantKind(t, err, problem.Refused, "is that of Other")

	// Another zip of the same name: what the registry holds stays.
	wantKind(t, register(h.madeLater(p, whole)), problem.Refused, "registered already")
	stored, err := h.db.Hotfix(t.Context(), "shop", "1.0", "Example_Bank-hf1")
	if err != nil || stored.Zip.Sum != digest.Of(whole) || len(stored.Files) != 0 {
		t.Errorf("%+v, %v", stored, err)
	}
	// A lost blob is stored again by the very same zip.
	h.fine(h.blobs.Delete(t.Context(), blob.HotfixName(stored.Zip.Sum)))
	h.fine(register(whole))
	if _, err := h.blobs.Stat(t.Context(), blob.HotfixName(stored.Zip.Sum)); err != nil {
		t.Error(err)
	}
}

// madeLater is the same hotfix made an hour later.
func (h *house) madeLater(p *publish.Publisher, data []byte) []byte {
	h.t.Helper()
	b, err := bundle.Open(bytes.NewReader(data), int64(len(data)))
	h.fine(err)
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	h.fine(err)
	record := b.Claimed()
	record.Created = record.Created.Add(time.Hour)
	payload, err := record.Bytes()
	h.fine(err)
	keys, err := p.Signer.Folder.Keys("hotfix")
	h.fine(err)
	spec := bundle.Spec{Open: b.Open}
	spec.Envelope, err = sign.Hotfix(payload, keys)
	h.fine(err)
	for _, f := range z.File {
		if name, ok := strings.CutPrefix(f.Name, "metadata/"); ok {
			data, err := b.Metadata(h.t.Context(), name, 1<<20)
			h.fine(err)
			spec.Metadata = append(spec.Metadata, bundle.File{Name: name, Data: data})
		}
	}
	var out bytes.Buffer
	h.fine(bundle.Write(&out, spec))
	return out.Bytes()
}
