package cluster

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"sync"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/fireflyrt/firefly/cluster/identity"
)

// EtcdOptions say where an embedded etcd listens and keeps its files.
type EtcdOptions struct {
	Client string // host:port for nodes
	Peer   string // host:port; there are no peers, but etcd wants one
	// Certificate is what the server proves itself with, and asks of nodes and tools, off the loopback. On the loopback
	// connections are plain.
	Certificate identity.Files
	Dir         string // made if it is not there; the same after a restart, with the same addresses
	// Quick makes elections and leases as short as they can be, for tests.
	Quick bool
}

// An Etcd is a registry server of one, in this process: what `up` starts on one machine. It is no cluster: while it is
// away play pauses, and goes on when it is back.
type Etcd struct {
	server *embed.Etcd
	close  sync.Once
}

// StartEtcd starts the server and waits, as long as ctx lives, until it serves.
func StartEtcd(ctx context.Context, o EtcdOptions) (*Etcd, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("cluster: registry's folder: %w", err)
	}
	c := embed.NewConfig()
	c.Name, c.Dir = "registry", o.Dir
	c.ListenClientUrls, c.AdvertiseClientUrls = addressURL(o.Client), addressURL(o.Client)
	if open(o.Client) {
		c.ListenClientUrls[0].Scheme, c.AdvertiseClientUrls[0].Scheme = "https", "https"
		c.ClientTLSInfo = transport.TLSInfo{CertFile: o.Certificate.Cert, KeyFile: o.Certificate.Key,
			TrustedCAFile: o.Certificate.CA, ClientCertAuth: true}
	}
	c.ListenPeerUrls, c.AdvertisePeerUrls = addressURL(o.Peer), addressURL(o.Peer)
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.AutoCompactionMode, c.AutoCompactionRetention = "periodic", "10m"
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop()) // it prints stacks on an orderly close
	if o.Quick {
		c.TickMs, c.ElectionMs, c.UnsafeNoFsync = 10, 100, true
	}
	for _, address := range [...]string{o.Client, o.Peer} {
		if err := free(address); err != nil {
			return nil, fmt.Errorf("cluster: registry: %w", err)
		}
	}
	server, err := embed.StartEtcd(c)
	if err != nil {
		return nil, fmt.Errorf("cluster: start the registry in %s: %w", o.Dir, err)
	}
	select {
	case <-server.Server.ReadyNotify():
		return &Etcd{server: server}, nil
	case err = <-server.Err():
	case <-ctx.Done():
		err = ctx.Err()
	}
	server.Close()
	return nil, fmt.Errorf("cluster: the registry does not come up: %w", err)
}

// Err tells when the server ended by itself, and why.
func (e *Etcd) Err() <-chan error { return e.server.Err() }

// Close ends the server in order and waits for it. A second Close does nothing.
func (e *Etcd) Close() { e.close.Do(e.server.Close) }

func addressURL(hostPort string) []url.URL { return []url.URL{{Scheme: "http", Host: hostPort}} }
