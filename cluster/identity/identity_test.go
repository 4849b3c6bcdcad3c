package identity

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const year = 365 * 24 * time.Hour

func authority(t *testing.T, cluster string) (*Authority, Pair) {
	t.Helper()
	a, pair, err := NewAuthority(cluster, noon)
	if err != nil {
		t.Fatal(err)
	}
	return a, pair
}

func issue(t *testing.T, a *Authority, id Identity, until time.Time, hosts ...string) Pair {
	t.Helper()
	pair, err := a.Issue(id, hosts, noon, until)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func node(name string) Identity { return Identity{Cluster: "arena", Role: Node, Name: name} }

// place puts files where a process would have them.
func place(t *testing.T, ca []byte, own Pair) Files {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	f := Files{CA: at("ca.pem"), Cert: at("own.pem"), Key: at("own.key")}
	write(t, f.CA, ca)
	write(t, f.Cert, own.Cert)
	write(t, f.Key, own.Key)
	return f
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func shown(t *testing.T, p Pair) []*x509.Certificate {
	t.Helper()
	all, err := readCertificates(p.Cert)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestACertificateSaysWhoseItIsAndWhereItServes(t *testing.T) {
	t.Parallel()
	a, ca := authority(t, "arena")
	f := place(t, ca.Cert, issue(t, a, node("game-1"), noon.Add(year), "10.0.0.1", "game.internal"))
	p, err := f.Read(node("game-1"), noon)
	if err != nil {
		t.Fatal(err)
	}
	if p.Self.String() != "firefly://arena/node/game-1" || !p.Until.Equal(noon.Add(year)) ||
		!slices.Equal(p.Hosts, []string{"game.internal", "10.0.0.1"}) {
		t.Errorf("it says %s, %v, until %v", p.Self, p.Hosts, p.Until)
	}
	leaf := shown(t, Pair{Cert: mustRead(t, f.Cert)})[0]
	if leaf.Subject.CommonName != "game-1" || leaf.NotAfter.Sub(leaf.NotBefore) != year+skew {
		t.Errorf("subject %q, valid for %v", leaf.Subject, leaf.NotAfter.Sub(leaf.NotBefore))
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestNothingOutlivesItsCA(t *testing.T) {
	t.Parallel()
	a, _ := authority(t, "arena")
	c := shown(t, issue(t, a, node("game-1"), noon.Add(100*year)))[0]
	if !c.NotAfter.Equal(a.Until()) {
		t.Errorf("valid until %v, the CA until %v", c.NotAfter, a.Until())
	}
}

func TestOnlyANodeOfThisClusterIsAdmitted(t *testing.T) {
	t.Parallel()
	a, ca := authority(t, "arena")
	other, _ := authority(t, "arena") // of the same name
	p, err := place(t, ca.Cert, issue(t, a, node("gate-1"), noon.Add(year))).Read(node("gate-1"), noon)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		shown Pair
		at    time.Time
		want  Reason
	}{
		"a node":               {issue(t, a, node("game-1"), noon.Add(year)), noon, ""},
		"of another CA":        {issue(t, other, node("game-1"), noon.Add(year)), noon, OtherCA},
		"of yesterday":         {issue(t, a, node("game-1"), noon.Add(time.Hour)), noon.Add(2 * time.Hour), Expired},
		"of tomorrow":          {issue(t, a, node("game-1"), noon.Add(year)), noon.Add(-2 * time.Hour), NotYet},
		"a client":             {issue(t, a, Identity{"arena", Client, "ops"}, noon.Add(year)), noon, ClientsOwn},
		"of another cluster":   {issue(t, a, Identity{"other", Node, "game-1"}, noon.Add(year)), noon, OtherCluster},
		"of no role":           {issue(t, a, Identity{"arena", "", "game-1"}, noon.Add(year)), noon, ClientsOwn},
		"of nobody":            {issue(t, a, Identity{"arena", Node, ""}, noon.Add(year)), noon, NoIdentity},
		"of a path too long":   {issue(t, a, Identity{"arena", Node, "game-1/x"}, noon.Add(year)), noon, NoIdentity},
		"that signs, a CA":     {ca, noon, NoIdentity},
		"that is not there":    {Pair{}, noon, NoCertificate},
		"of this very node":    {issue(t, a, node("gate-1"), noon.Add(year)), noon, ""},
		"of an unknown node":   {issue(t, a, node("never-heard-of"), noon.Add(year)), noon, ""},
		"with a node's prefix": {issue(t, a, Identity{"arena", "nodes", "game-1"}, noon.Add(year)), noon, ClientsOwn},
	}
	for what, c := range cases {
		var all []*x509.Certificate
		if c.shown.Cert != nil {
			all = shown(t, c.shown)
		}
		_, err := p.Admit(all, c.at)
		refusal := (*Refusal)(nil)
		if got := Reason(""); c.want == "" && err == nil {
			continue
		} else if errors.As(err, &refusal) {
			if got = refusal.Reason; got == c.want {
				continue
			}
		}
		t.Errorf("a certificate %s: %v, want %q", what, err, c.want)
	}
}

func TestFilesThatDoNotFitAreRefusedAtStart(t *testing.T) {
	t.Parallel()
	a, ca := authority(t, "arena")
	other, otherCA := authority(t, "arena")
	own, second := issue(t, a, node("gate-1"), noon.Add(year)), issue(t, a, node("game-1"), noon.Add(year))
	self, client := node("gate-1"), issue(t, a, Identity{"arena", Client, "gate-1"}, noon.Add(year))
	cases := map[string]struct {
		ca   []byte
		own  Pair
		at   time.Time
		want string
	}{
		"another node's":    {ca.Cert, second, noon, fmt.Sprintf("%s, and should be for %s", node("game-1"), self)},
		"a client's":        {ca.Cert, client, noon, "is for firefly://arena/client/gate-1"},
		"another key":       {ca.Cert, Pair{own.Cert, second.Key}, noon, "private key does not match"},
		"another CA":        {otherCA.Cert, own, noon, string(OtherCA)},
		"another CA signed": {ca.Cert, issue(t, other, node("gate-1"), noon.Add(year)), noon, string(OtherCA)},
		"expired":           {ca.Cert, own, noon.Add(2 * year), string(Expired)},
		"no certificate":    {ca.Cert, Pair{nil, own.Key}, noon, "own.pem"},
		"no CA":             {[]byte("rubbish"), own, noon, "ca.pem: identity: there is no certificate in it"},
	}
	for what, c := range cases {
		_, err := place(t, c.ca, c.own).Read(node("gate-1"), c.at)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want it to say %q", what, err, c.want)
		}
	}
	f := place(t, ca.Cert, own)
	f.Key += "x"
	_, err := f.Read(node("gate-1"), noon)
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), f.Key) {
		t.Errorf("a key that is not there: %v", err)
	}
}

// opened is a credential whose clock the test turns.
func opened(t *testing.T, f Files, log *slog.Logger) (c *Credential, turn func(time.Duration)) {
	t.Helper()
	now := noon
	c = &Credential{files: f, self: node("gate-1"), log: log, now: func() time.Time { return now }}
	c.seen, c.looked = c.stamps(), now
	var err error
	if c.proof, err = f.Read(c.self, now); err != nil {
		t.Fatal(err)
	}
	return c, func(d time.Duration) { now = now.Add(d) }
}

func TestFilesThatChangeAreReadAgainAndBadOnesChangeNothing(t *testing.T) {
	t.Parallel()
	a, ca := authority(t, "arena")
	f := place(t, ca.Cert, issue(t, a, node("gate-1"), noon.Add(year)))
	var lines bytes.Buffer
	c, turn := opened(t, f, slog.New(slog.NewTextHandler(&lines, nil)))
	first := c.Proof()

	next := issue(t, a, node("gate-1"), noon.Add(2*year))
	write(t, f.Cert, append(next.Cert, '\n')) // its key is still to come
	turn(lookEach)
	if c.Proof() != first || strings.Count(lines.String(), "cannot be used") != 1 {
		t.Errorf("half a pair was taken, or not told: %s", &lines)
	}
	turn(lookEach)
	if c.Proof() != first || strings.Count(lines.String(), "cannot be used") != 1 {
		t.Errorf("it is told again each time: %s", &lines)
	}
	write(t, f.Key, append(next.Key, '\n'))
	turn(lookEach)
	if p := c.Proof(); !p.Until.Equal(noon.Add(2 * year)) {
		t.Errorf("still valid until %v: %s", p.Until, &lines)
	}
	for _, gone := range []string{f.CA, f.Cert, f.Key} {
		if err := os.Remove(gone); err != nil {
			t.Fatal(err)
		}
	}
	turn(lookEach)
	if p := c.Proof(); !p.Until.Equal(noon.Add(2 * year)) {
		t.Errorf("without files it is another one: %v", p.Until)
	}
}

func TestACertificateThatEndsIsWarnedAboutOnceADay(t *testing.T) {
	t.Parallel()
	a, ca := authority(t, "arena")
	var lines bytes.Buffer
	c, turn := opened(t, place(t, ca.Cert, issue(t, a, node("gate-1"), noon.Add(40*24*time.Hour))),
		slog.New(slog.NewTextHandler(&lines, nil)))
	for day := range 45 {
		turn(24 * time.Hour)
		for range 3 {
			c.Proof()
			turn(time.Second)
		}
		warned := strings.Count(lines.String(), "ends soon") + strings.Count(lines.String(), "has expired")
		if want := max(0, day-9); warned < want || warned > want+1 {
			t.Fatalf("on day %d it has warned %d times:\n%s", day+1, warned, &lines)
		}
	}
	if !strings.Contains(lines.String(), "has expired: nobody lets it in") {
		t.Errorf("its end is not told:\n%s", &lines)
	}
}

func TestACAThatReplacesAnotherSignsWithItsOwnKey(t *testing.T) {
	t.Parallel()
	old, oldPair := authority(t, "arena")
	_, newPair := authority(t, "arena")
	both := append(slices.Clone(oldPair.Cert), newPair.Cert...)
	a, err := ReadAuthority(Pair{both, newPair.Key})
	if err != nil {
		t.Fatal(err)
	}
	f := place(t, both, issue(t, a, node("gate-1"), noon.Add(year)))
	p, err := f.Read(node("gate-1"), noon)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Admit(shown(t, issue(t, old, node("game-1"), noon.Add(year))), noon); err != nil {
		t.Errorf("while both are trusted, one of the old is refused: %v", err)
	}
	if _, err := ReadAuthority(Pair{oldPair.Cert, newPair.Key}); err == nil {
		t.Error("a key signs for a CA that is not its own")
	}
}

func TestEveryWayAHandshakeFailsHasAReason(t *testing.T) {
	t.Parallel()
	elsewhere := x509.HostnameError{Certificate: &x509.Certificate{}, Host: "10.0.0.1"}
	for err, want := range map[error]Reason{
		tls.RecordHeaderError{Msg: "odd"}: NoTLS, errors.New("reset"): Broken,
		&Refusal{Reason: ClientsOwn}:                      ClientsOwn,
		x509.UnknownAuthorityError{}:                      OtherCA,
		&tls.CertificateVerificationError{Err: elsewhere}: OtherAddress,
	} {
		if got := Because(err).Reason; got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

func FuzzFilesAreReadOrRefused(f *testing.F) {
	a, ca, err := NewAuthority("arena", noon)
	if err != nil {
		f.Fatal(err)
	}
	own, err := a.Issue(node("gate-1"), []string{"127.0.0.1"}, noon, noon.Add(year))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ca.Cert, own.Cert, own.Key)
	f.Add(own.Cert, ca.Cert, ca.Key)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), []byte{}, []byte("x"))
	f.Fuzz(func(t *testing.T, ca, cert, key []byte) {
		if p, err := place(t, ca, Pair{cert, key}).Read(node("gate-1"), noon); err == nil && p.Self.Name != "gate-1" {
			t.Errorf("it is %s", p.Self)
		}
		if a, err := ReadAuthority(Pair{ca, key}); err == nil && !a.cert.IsCA {
			t.Error("what is no CA signs")
		}
	})
}
