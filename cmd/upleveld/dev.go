package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"time"

	"uplevel/internal/durable"
	"uplevel/internal/entitlement"
	"uplevel/internal/entitlement/access"
	"uplevel/internal/sqlstore"
)

// devUser is the vendor's one person on a throw-away service.
const devUser = "dev@vendor.example"

// devLife is how long a throw-away certificate is good.
const devLife = 90 * 24 * time.Hour

// devCertificate makes a certificate authority, signs a certificate for this machine,
// and forgets the authority's key. The certificate of the authority is written to
// DIR/dev-ca.pem.
func (p *program) devCertificate() (tls.Certificate, error) {
	now := p.now()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a certificate authority: %w", err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "Uplevel throw-away authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(devLife), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a certificate authority: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a certificate: %w", err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano() + 1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(devLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a certificate: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, durable.WriteFile(p.devFile("dev-ca.pem"), text, 0o644)
}

func (p *program) devFile(name string) string { return filepath.Join(p.data, name) }

// seedDev makes the vendor's person and a publisher's token, and writes demo.env, last:
// after it every command works without an option.
func (p *program) seedDev(ctx context.Context, db *sqlstore.DB, door *access.Door, service string) error {
	password, passphrase := rand.Text(), rand.Text()
	hash, err := hashPassword(ctx, devUser, password)
	if err != nil {
		return err
	}
	u, err := db.AddUser(ctx, p.actor(), entitlement.User{Email: devUser, Role: entitlement.Administrator}, hash)
	if err != nil {
		return err
	}
	token, _, err := door.NewToken(ctx, p.actor(), entitlement.Token{User: u.ID, Name: "publisher", Scopes: []string{"publish"}, Expires: p.now().Add(devLife)})
	if err != nil {
		return err
	}
	if err := durable.WriteFile(p.devFile("publisher.token"), []byte(token+"\n"), 0o600); err != nil {
		return err
	}
	dir, err := filepath.Abs(p.data)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	b.WriteString("# Made by upleveld serve --dev; for this machine and this run only.\n")
	for _, v := range [][2]string{
		{"UPLEVEL_SERVICE", service},
		{"UPLEVEL_CA_CERT", filepath.Join(dir, "dev-ca.pem")},
		{"UPLEVEL_DATA", dir},
		{"UPLEVEL_KEYS", filepath.Join(dir, "keys")},
		{"UPLEVEL_TOKEN_FILE", filepath.Join(dir, "publisher.token")},
		{"UPLEVEL_KEY_PASSPHRASE", passphrase},
		{"UPDATE_TOOL_USERNAME", devUser},
		{"UPDATE_TOOL_PASSWORD", password},
	} {
		fmt.Fprintf(&b, "export %s='%s'\n", v[0], strings.ReplaceAll(v[1], "'", `'\''`))
	}
	return durable.WriteFile(p.devFile("demo.env"), b.Bytes(), 0o600)
}
