package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/etcdtest"
	"github.com/fireflyrt/firefly/cluster/identity"
)

// credential is a node's certificate of this office. It trusts the servers of another one, or, if that is nil, its own.
func (o *office) credential(j *journal, name string, trusts *office) *identity.Credential {
	o.t.Helper()
	f := o.files(name, o.issue(nodeOf("arena", name), time.Now(), time.Hour))
	if trusts != nil {
		f.Servers = trusts.files("trusted", identity.Pair{}).CA
	}
	who, err := identity.Open(f, nodeOf("arena", name), slog.New(slog.NewTextHandler(j, nil)))
	if err != nil {
		o.t.Fatal(err)
	}
	return who
}

func TestAnEtcdOfOnesOwnIsCalledWithCertificatesAndWhoIsNotBelievedIsTold(t *testing.T) {
	t.Parallel()
	o, other, j := newOffice(t, "arena"), newOffice(t, "arena"), &journal{}
	pair, err := o.ca.Issue(nodeOf("arena", "etcd"), []string{"0.0.0.0"}, time.Now(), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	server := o.files("etcd", pair)
	called := RegistryOptions{Endpoints: []string{etcdtest.Secured(t, server.CA, server.Cert, server.Key)},
		Cluster: "test", Lease: quickLease, Log: slog.New(slog.NewTextHandler(j, nil))}
	by := func(who *identity.Credential) RegistryOptions {
		as := called
		as.Credential = who
		return as
	}
	w := NewNetwork(real{})
	gate := registered(t, by(o.credential(j, "gate-1", nil)), w, "gate-1", "gate")
	registered(t, by(o.credential(j, "game-1", nil)), w, "game-1", "game")
	registered(t, by(o.credential(j, "game-2", nil)), w, "game-2", "game")
	until(t, "each has its half", sharesAre(gate, halves))

	if _, err := NewEtcdRegistry(called); !errors.Is(err, ErrOpen) || !strings.Contains(err.Error(), "0.0.0.0") {
		t.Errorf("without a certificate: %v", err)
	}
	for _, c := range []struct {
		what string
		who  *identity.Credential
		says []string
	}{
		{"whoever trusts another CA", o.credential(j, "game-3", other),
			[]string{"a server was not believed", fmt.Sprintf("reason=%q", identity.OtherCA)}},
		{"whoever has a certificate of another CA", other.credential(j, "game-4", o),
			[]string{"this node was refused; the other's log says why"}},
	} {
		y, err := NewEtcdRegistry(by(c.who))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- y.Join(ctx, Member{Name: "game-5", Incarnation: NewIncarnation()}, new(listener)) }()
		until(t, c.what+" stands in the log", func() bool { return j.line(c.says...) })
		cancel()
		if err := <-ended; err == nil {
			t.Errorf("%s has joined", c.what)
		}
		y.Close()
	}
}
