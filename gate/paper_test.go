package gate_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/gate"
	"github.com/fireflyrt/firefly/gate/client"
)

// This file makes the certificates of gates under test, and the clients that believe them.

// An authority is a CA.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// ca is the one that clients of tests believe.
var ca = sync.OnceValue(func() *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tests"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return &authority{cert, key}
})

// trust is the way of clients who believe that CA.
func trust() client.Way { return client.Way{TLS: believing()} }

func believing() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(ca().cert)
	return &tls.Config{RootCAs: pool}
}

// issue makes a certificate for the loopback that ends after d, and its key, as files hold them.
func issue(t testing.TB, serial int64, d time.Duration) (cert, key []byte) {
	t.Helper()
	return issueFrom(t, serial, time.Now().Add(-time.Hour), d)
}

// issueFrom is issue for a certificate that begins at a time of its own.
func issueFrom(t testing.TB, serial int64, from time.Time, d time.Duration) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "gate"},
		NotBefore: from, NotAfter: time.Now().Add(d),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, form, ca().cert, &k.PublicKey, ca().key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// A paper is a certificate's two files.
type paper struct {
	t         testing.TB
	cert, key string
}

// write replaces both files, each as a whole. Files of the same length in the same tick of the
// clock would look unchanged, so the time is set.
func (p paper) write(cert, key []byte, changed time.Time) {
	p.t.Helper()
	for name, text := range map[string][]byte{p.cert: cert, p.key: key} {
		if err := os.WriteFile(name+".next", text, 0o600); err != nil {
			p.t.Fatal(err)
		}
		if err := os.Chtimes(name+".next", changed, changed); err != nil {
			p.t.Fatal(err)
		}
		if err := os.Rename(name+".next", name); err != nil {
			p.t.Fatal(err)
		}
	}
}

// certify makes the certificate with which a house begins, number 1.
func (h *house) certify() {
	h.t.Helper()
	cert, key := issue(h.t, 1, time.Hour)
	h.paper.write(cert, key, time.Now().Add(-time.Hour))
	var err error
	h.shows, err = gate.OpenCertificate(h.paper.cert, h.paper.key, slog.New(slog.NewTextHandler(&h.log, nil)))
	if err != nil {
		h.t.Fatal(err)
	}
}

// Notes are a log in memory.
type notes struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (n *notes) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(b)
}

// count is how often a text stands in them.
func (n *notes) count(text string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return bytes.Count(n.text.Bytes(), []byte(text))
}
