package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"time"
)

// How long things are valid by default.
const (
	AuthorityFor = 10 * 365 * 24 * time.Hour
	IssuedFor    = 365 * 24 * time.Hour
	skew         = time.Hour // how far the clock of another machine may be behind
)

// The types of PEM blocks.
const (
	certificateBlock = "CERTIFICATE"
	keyBlock         = "PRIVATE KEY"
)

// A Pair is a certificate and its key, as they stand in files.
type Pair struct{ Cert, Key []byte }

// An Authority is the CA of a cluster: a certificate that all nodes trust, and the key that signs theirs. Keys are
// ECDSA P-256, which everything that speaks TLS can verify.
type Authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// NewAuthority makes a CA that is valid from a moment on.
func NewAuthority(cluster string, from time.Time) (*Authority, Pair, error) {
	key, serial, err := draw()
	if err != nil {
		return nil, Pair{}, err
	}
	template := &x509.Certificate{SerialNumber: serial, NotBefore: from.Add(-skew), NotAfter: from.Add(AuthorityFor),
		Subject: pkix.Name{CommonName: "CA of " + cluster, Organization: []string{"firefly " + cluster}},
		IsCA:    true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	pair, err := sign(template, template, key, key)
	if err != nil {
		return nil, Pair{}, err
	}
	a, err := ReadAuthority(pair)
	return a, pair, err
}

// ReadAuthority reads a CA from its two files. The first may hold certificates of other CAs too, as it does while one
// replaces another: the one that the key belongs to signs.
func ReadAuthority(p Pair) (*Authority, error) {
	block, _ := pem.Decode(p.Key)
	if block == nil || block.Type != keyBlock {
		return nil, errors.New("identity: the CA's key file holds no private key")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("identity: read the CA's key: %w", err)
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("identity: the CA's key is a %T, which signs nothing", parsed)
	}
	all, err := readCertificates(p.Cert)
	if err != nil {
		return nil, fmt.Errorf("identity: read the CA: %w", err)
	}
	for _, c := range all {
		mine, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
		if ok && mine.Equal(c.PublicKey) && c.IsCA {
			return &Authority{c, key}, nil
		}
	}
	return nil, errors.New("identity: the CA's key belongs to none of the CA's certificates")
}

// readCertificates reads all certificates of a file; none is an error.
func readCertificates(text []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		if text = rest; block.Type != certificateBlock {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("identity: read certificate %d: %w", len(all)+1, err)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("identity: there is no certificate in it")
	}
	return all, nil
}

// Until is when the CA itself ends. Nothing that it issues is valid for longer.
func (a *Authority) Until() time.Time { return a.cert.NotAfter }

// Issue makes a certificate with a new key. Hosts are IP addresses and names by which others reach its holder. A
// client's certificate serves for calling only, a node's for being called too.
func (a *Authority) Issue(id Identity, hosts []string, from, until time.Time) (Pair, error) {
	key, serial, err := draw()
	if err != nil {
		return Pair{}, err
	}
	if until.After(a.cert.NotAfter) {
		until = a.cert.NotAfter
	}
	template := &x509.Certificate{SerialNumber: serial, NotBefore: from.Add(-skew), NotAfter: until,
		Subject: pkix.Name{CommonName: id.Name, OrganizationalUnit: []string{string(id.Role)},
			Organization: []string{"firefly " + id.Cluster}},
		URIs: []*url.URL{id.url()}, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if id.Role == Node {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	return sign(template, a.cert, key, a.key)
}

// draw makes a key, and a number that no other certificate has.
func draw() (*ecdsa.PrivateKey, *big.Int, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("identity: make a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, fmt.Errorf("identity: draw a serial number: %w", err)
	}
	return key, serial.Add(serial, big.NewInt(1)), nil
}

// sign writes a certificate for a key, signed by another.
func sign(template, parent *x509.Certificate, key *ecdsa.PrivateKey, by crypto.Signer) (Pair, error) {
	cert, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		return Pair{}, fmt.Errorf("identity: sign %q: %w", template.Subject, err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("identity: write the key of %q: %w", template.Subject, err)
	}
	return Pair{Cert: pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: cert}),
		Key: pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: secret})}, nil
}
