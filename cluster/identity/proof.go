package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// Files are where a process has its certificate.
type Files struct {
	CA   string // those whom it trusts; several while one CA replaces another
	Cert string // its own
	Key  string // the key of that
	// Servers is whom it trusts of those that it calls and that are no nodes, such as etcd's; "": CA too.
	Servers string
}

// A Proof is what files held when they were read: whom to trust, and how to prove who one is. It does not change.
type Proof struct {
	Self  Identity
	Until time.Time // end of the own certificate
	Hosts []string  // that it is for
	own   tls.Certificate
	open  bool // others than the owner may read the key

	roots, servers *x509.CertPool
}

// Read reads files and looks whether they fit each other and prove that the process is who it should be, now.
func (f Files) Read(self Identity, now time.Time) (*Proof, error) {
	p, err := f.read(now)
	if err != nil {
		return nil, err
	}
	if p.Self != self {
		return nil, fmt.Errorf("identity: %s is for %s, and should be for %s", f.Cert, p.Self, self)
	}
	return p, nil
}

func (f Files) read(now time.Time) (*Proof, error) {
	p := &Proof{}
	var err error
	if p.roots, err = readPool(f.CA); err != nil {
		return nil, err
	}
	if p.servers = p.roots; f.Servers != "" {
		if p.servers, err = readPool(f.Servers); err != nil {
			return nil, err
		}
	}
	cert, err := readFile(f.Cert)
	if err != nil {
		return nil, err
	}
	key, err := readFile(f.Key)
	if err != nil {
		return nil, err
	}
	if p.own, err = tls.X509KeyPair(cert, key); err != nil {
		return nil, fmt.Errorf("identity: %s with key %s: %w", f.Cert, f.Key, err)
	}
	leaf := p.own.Leaf
	usages := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if err := p.verify(leaf, nil, usages, now); err != nil {
		return nil, fmt.Errorf("identity: %s: %w", f.Cert, err)
	}
	p.Self, _ = Of(leaf) // of nobody: it is not the one that was asked for
	p.Until, p.Hosts = leaf.NotAfter, leaf.DNSNames
	for _, ip := range leaf.IPAddresses {
		p.Hosts = append(p.Hosts, ip.String())
	}
	if at, err := os.Stat(f.Key); err == nil {
		p.open = at.Mode().Perm()&0o077 != 0
	}
	return p, nil
}

func readPool(path string) (*x509.CertPool, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	all, err := readCertificates(text)
	if err != nil {
		return nil, fmt.Errorf("identity: read %s: %w", path, err)
	}
	pool := x509.NewCertPool()
	for _, c := range all {
		pool.AddCert(c)
	}
	return pool, nil
}

func readFile(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("identity: there is no %s: make it with `cert init`: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	return text, nil
}

// verify looks for a way from a certificate to a CA that is trusted. The error is a Refusal.
func (p *Proof) verify(leaf *x509.Certificate, more []*x509.Certificate, usages []x509.ExtKeyUsage,
	now time.Time) error {
	between := x509.NewCertPool()
	for _, c := range more {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: p.roots, Intermediates: between, CurrentTime: now,
		KeyUsages: usages})
	if err == nil {
		return nil
	}
	if r := invalid(err, now); r != nil {
		return r
	}
	return refuse(Unfit, "%v", err)
}

// Admit says who a peer is that has shown these certificates, its own first, or why it is not let in: only a node of
// the same cluster is. The error is a Refusal.
func (p *Proof) Admit(shown []*x509.Certificate, now time.Time) (Identity, error) {
	if len(shown) == 0 {
		return Identity{}, refuse(NoCertificate, "")
	}
	usages := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if err := p.verify(shown[0], shown[1:], usages, now); err != nil {
		return Identity{}, err
	}
	return p.fellow(shown[0])
}

// fellow says which node of this cluster a certificate is for.
func (p *Proof) fellow(c *x509.Certificate) (Identity, error) {
	id, ok := Of(c)
	switch {
	case !ok:
		return id, refuse(NoIdentity, "%q has no URI %s://%s/node/NAME", c.Subject, scheme, p.Self.Cluster)
	case id.Cluster != p.Self.Cluster:
		return id, refuse(OtherCluster, "%s", id)
	case id.Role != Node:
		return id, refuse(ClientsOwn, "%s", id)
	}
	return id, nil
}

// Serve is how a connection from another node is answered: nothing is read from who is not admitted.
func (p *Proof) Serve() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{p.own},
		NextProtos: []string{"h2"}, SessionTicketsDisabled: true,
		ClientAuth: tls.RequestClientCert, // so that Admit can say what is wrong with it
		VerifyConnection: func(s tls.ConnectionState) error {
			_, err := p.Admit(s.PeerCertificates, time.Now())
			return err
		}}
}

// Call is how another node is called that is reached by a host: its certificate must be for that too.
func (p *Proof) Call(host string) *tls.Config {
	c := p.CallServer(host)
	c.MinVersion, c.RootCAs = tls.VersionTLS13, p.roots
	c.VerifyConnection = func(s tls.ConnectionState) error {
		_, err := p.fellow(s.PeerCertificates[0])
		return err
	}
	return c
}

// CallServer is how a server is called that is no node, such as etcd's.
func (p *Proof) CallServer(host string) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{p.own}, RootCAs: p.servers,
		NextProtos: []string{"h2"}, ServerName: host}
}
