package node

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fireflyrt/firefly/cluster/identity"
)

// TLSConfig is the table [tls]: where the certificates are with which nodes prove to each other, and to etcd, who they
// are. Without it connections are plain, and nothing but a client's port may be off the loopback.
type TLSConfig struct {
	CA        string // absolute, like the others
	Cert, Key string // with nodeMark for the name of the node
	EtcdCA    string // "": CA
}

// nodeMark stands in a path for the name of the node.
const nodeMark = "{node}"

// On says whether nodes prove who they are.
func (t TLSConfig) On() bool { return t.CA != "" }

func (t *TLSConfig) resolve(dir string) {
	for _, path := range [...]*string{&t.CA, &t.Cert, &t.Key, &t.EtcdCA} {
		if *path != "" {
			*path = absolute(dir, *path)
		}
	}
}

// Certificate says where a node's certificate is.
func (c *Config) Certificate(name string) identity.Files {
	return identity.Files{CA: c.TLS.CA, Cert: strings.ReplaceAll(c.TLS.Cert, nodeMark, name),
		Key: strings.ReplaceAll(c.TLS.Key, nodeMark, name), Servers: c.TLS.EtcdCA}
}

// Identity is what a node's certificate says.
func (c *Config) Identity(name string) identity.Identity {
	return identity.Identity{Cluster: c.Cluster.Name, Role: identity.Node, Name: name}
}

// ClientCertificate says where a tool's certificate is: beside the CA's. Nodes' names have no dot.
func (c *Config) ClientCertificate(name string) identity.Files {
	at := filepath.Join(filepath.Dir(c.TLS.CA), clientMark+name)
	return identity.Files{CA: c.TLS.CA, Cert: at + ".pem", Key: at + ".key", Servers: c.TLS.EtcdCA}
}

const clientMark = "client."

// OpenCredential opens a node's certificate; nil if nodes prove nothing. The error is Problems.
func OpenCredential(c *Config, n NodeConfig, log *slog.Logger) (*identity.Credential, error) {
	if !c.TLS.On() {
		return nil, nil
	}
	who, err := identity.Open(c.Certificate(n.Name), c.Identity(n.Name), log)
	if err != nil {
		return nil, Problems{c.unproved(n.Name, err)}
	}
	return who, nil
}

// unproved is what is wrong with a node's certificate.
func (c *Config) unproved(name string, err error) Problem {
	at := c.places["tls.cert="]
	what := fmt.Sprintf("node %s cannot prove who it is: %s", name, strings.ReplaceAll(err.Error(), "identity: ", ""))
	return Problem{filepath.Base(c.Path), at.line, at.col, what,
		"docs/operations.md tells how certificates are made and renewed"}
}

// CheckCertificates looks at the certificates that are on this machine; those of other hosts' nodes need not be. The
// error is Problems.
func (c *Config) CheckCertificates(now time.Time) error {
	var problems Problems
	for _, n := range c.Nodes {
		files := c.Certificate(n.Name)
		if _, err := os.Stat(files.Cert); !c.TLS.On() || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		proof, err := files.Read(c.Identity(n.Name), now)
		if hosts := n.LinkHosts(); err == nil && len(hosts) > 0 && !slices.Contains(proof.Hosts, hosts[0]) {
			err = fmt.Errorf("%s is for %s, and the node is called at %s", files.Cert, strings.Join(proof.Hosts, ", "),
				hosts[0])
		}
		if err != nil {
			problems = append(problems, c.unproved(n.Name, err))
		}
	}
	problems = append(problems, c.doorProblems()...)
	if len(problems) > 0 {
		return problems.sorted()
	}
	return nil
}

// LinkHosts are the addresses and names of a node that its certificate must be for: the first is where others call it.
func (n NodeConfig) LinkHosts() []string {
	var all []string
	for _, a := range [...]string{n.Advertise, n.Listen} {
		host, _, _, err := splitAddress(a)
		if err != nil || isEverywhere(host) {
			continue // not there, or nowhere in particular
		}
		if ip := net.ParseIP(host); ip != nil {
			host = ip.String()
		}
		if !slices.Contains(all, host) {
			all = append(all, host)
		}
	}
	return all
}

// anyCredential finds a certificate on this machine with which a tool may call etcd: a node's, or a client's. Nil if
// none is needed, or none is here.
func (c *Config) anyCredential(log *slog.Logger) *identity.Credential {
	if !c.TLS.On() || c.etcdOnLoopback() {
		return nil
	}
	for _, n := range c.Nodes {
		if who, err := identity.Open(c.Certificate(n.Name), c.Identity(n.Name), log); err == nil {
			return who
		}
	}
	clients, err := filepath.Glob(filepath.Join(filepath.Dir(c.TLS.CA), clientMark+"*.pem"))
	if err != nil {
		return nil // the folder has a name that is a bad pattern; its nodes' certificates were looked for
	}
	for _, file := range clients {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), clientMark), ".pem")
		self := identity.Identity{Cluster: c.Cluster.Name, Role: identity.Client, Name: name}
		if who, err := identity.Open(c.ClientCertificate(name), self, log); err == nil {
			return who
		}
	}
	return nil
}

func (c *Config) etcdOnLoopback() bool {
	return !slices.ContainsFunc(c.Cluster.Etcd.Endpoints, offLoopback)
}

func offLoopback(address string) bool {
	host, _, _, err := splitAddress(address)
	return err == nil && !isLoopback(host)
}

// registryAddress is where the embedded etcd is called: where others reach the registry's node.
func registryAddress(tables []NodeConfig, port int) string {
	for _, n := range tables {
		if hosts := n.LinkHosts(); n.Has(RoleRegistry) && len(hosts) > 0 && !isLoopback(hosts[0]) {
			return net.JoinHostPort(hosts[0], strconv.Itoa(port))
		}
	}
	return loopback(port)
}

// checkTLS looks whether [tls] is whole.
func (r *reading) checkTLS() {
	t := r.config.TLS
	places := map[string]string{"tls.ca": t.CA, "tls.cert": t.Cert, "tls.key": t.Key}
	if t == (TLSConfig{}) {
		return
	}
	for _, key := range [...]string{"tls.ca", "tls.cert", "tls.key"} {
		if places[key] == "" {
			r.wrong(r.config.places["tls"], "[tls] has no %s", strings.TrimPrefix(key, "tls.")).
				advise(`write ca = "tls/ca.pem", cert = "tls/{node}.pem", key = "tls/{node}.key"`)
		}
	}
	for _, key := range [...]string{"tls.cert", "tls.key"} {
		if places[key] != "" && len(r.config.Nodes) > 1 && !strings.Contains(places[key], nodeMark) {
			r.wrong(r.value(key), "%s is one file for %d nodes, and each needs its own", key, len(r.config.Nodes)).
				advise("put {node} where the name of the node is to stand")
		}
	}
}

// checkOpen is about a node that the network reaches.
func (r *reading) checkOpen(n NodeConfig, host string) {
	switch {
	case isEverywhere(host) && n.Advertise == "":
		r.wrong(r.at(n, "listen"), "node.%s.listen: %s is every address of the machine, and others are told one",
			n.Table, n.Listen).
			advise("write the address at which other nodes reach it, here or as advertise; or 127.0.0.1")
	case !r.config.TLS.On():
		r.wrong(r.at(n, "listen"), "node.%s.listen: %s is open to the network, and nobody proves who he is", n.Table,
			n.Listen).
			advise(`add [tls] with ca = "tls/ca.pem", cert = "tls/{node}.pem", key = "tls/{node}.key" and run ` +
				"`cert init`; or listen on 127.0.0.1")
	}
}

// checkRegistryHost is about an embedded etcd that nodes of several hosts call.
func (r *reading) checkRegistryHost() {
	hosts := hostsOf(r.config.Nodes)
	if len(hosts) < 2 {
		return
	}
	if r.config.etcdOnLoopback() {
		r.wrong(r.value("cluster.etcd"), "etcd is embedded, but nodes are on several hosts (%s)",
			strings.Join(hosts, ", ")).
			advise(`give them an etcd that all reach: etcd = ["10.0.0.5:2379"]; or a node of its own with ` +
				`roles = ["registry"], its host, and a listen address that all reach`)
	}
}

// checkEtcdHosts is about etcd's own addresses.
func (r *reading) checkEtcdHosts() {
	all := r.config.Cluster.Etcd.Endpoints
	switch {
	case r.config.etcdOnLoopback():
	case slices.ContainsFunc(all, func(e string) bool { return !offLoopback(e) }):
		r.wrong(r.value("cluster.etcd"), "some etcd endpoints are on the loopback, and some are not").
			advise("only the latter are asked for certificates: write all as other machines know them")
	case !r.config.TLS.On():
		r.wrong(r.value("cluster.etcd"), "etcd is on the network, and nobody proves who he is").
			advise("add [tls]: nodes show etcd their certificates, and its own is of that CA, or of tls.etcd_ca")
	}
}
