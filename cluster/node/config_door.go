package node

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fireflyrt/firefly/gate"
)

// This file is where clients come in: the addresses of a gate, the certificate that it shows in TLS, and the networks
// that it knows.

// doorKeys are the keys of a node that say where clients connect, each by the scheme of its name.
var doorKeys = [...]string{"tcp", "ws", "tls", "wss"}

// doors are where the node takes clients.
func (n NodeConfig) doors() []gate.Listener {
	var all []gate.Listener
	for _, key := range doorKeys {
		if a := *n.address(key); a != "" {
			all = append(all, gate.Listener{Scheme: gate.Scheme(key), Address: a})
		}
	}
	return all
}

// secureDoor is a key by which the node takes clients in TLS, "" if it does not.
func (n NodeConfig) secureDoor() string {
	for _, l := range n.doors() {
		if l.Scheme.Secure() {
			return string(l.Scheme)
		}
	}
	return ""
}

func (g *GateConfig) resolve(dir string) {
	for _, path := range [...]*string{&g.Certificate, &g.Key} {
		if *path != "" {
			*path = absolute(dir, *path)
		}
	}
}

// checkDoors looks whether there is a certificate for clients who come in TLS.
func (r *reading) checkDoors() {
	g := r.config.Gate
	const both = `write certificate = "tls/play.pem" and key = "tls/play.key" in [gate]`
	switch {
	case g.Certificate != "" && g.Key == "":
		r.wrong(r.value("gate.certificate"), "gate.certificate has no gate.key").advise(both)
	case g.Certificate == "" && g.Key != "":
		r.wrong(r.value("gate.key"), "gate.key has no gate.certificate").advise(both)
	case g.Certificate == "":
		for _, n := range r.tables {
			if key := n.secureDoor(); key != "" {
				r.wrong(r.at(n, key), "node %s takes clients in TLS (%s), and there is no certificate for them",
					n.Table, key).advise(both)
			}
		}
	}
}

// doorProblems looks at the certificate of gates that may be on this machine. Those of other hosts need not have their
// files here.
func (c *Config) doorProblems() (problems Problems) {
	for _, n := range c.With(RoleGate) {
		if n.secureDoor() == "" {
			continue
		}
		_, err := OpenDoorCertificate(c, n, slog.New(slog.DiscardHandler))
		if _, gone := os.Stat(c.Gate.Certificate); n.Host != "" && errors.Is(gone, fs.ErrNotExist) {
			continue
		}
		if found := Problems(nil); errors.As(err, &found) {
			return found // the same for all of them
		}
	}
	return nil
}

// OpenDoorCertificate opens what a gate shows to clients in TLS; nil if none come so. The error is Problems.
func OpenDoorCertificate(c *Config, n NodeConfig, log *slog.Logger) (*gate.Certificate, error) {
	if n.secureDoor() == "" {
		return nil, nil
	}
	opened, err := gate.OpenCertificate(c.Gate.Certificate, c.Gate.Key, log)
	if err == nil {
		return opened, nil
	}
	at := c.places["gate.certificate="]
	return nil, Problems{{filepath.Base(c.Path), at.line, at.col, "clients cannot come in TLS: " +
		strings.TrimPrefix(err.Error(), "gate: "), "docs/operations.md tells which files a gate wants"}}
}

// sockets are where and to whom the node's gate listens.
func (c *Config) sockets(n NodeConfig, shown *gate.Certificate) (gate.Sockets, error) {
	s := gate.Sockets{Listeners: append(n.doors(), c.oldDoors(n)...), Certificate: shown, Origins: c.Gate.Origins}
	for _, networks := range []struct {
		key  string
		from []string
		to   *[]netip.Prefix
	}{{"gate.trusted", c.Gate.Trusted, &s.Trusted}, {"gate.strict", c.Gate.Strict, &s.Strict},
		{"gate.proxies", c.Gate.Proxies, &s.Proxies}} {
		var err error
		if *networks.to, err = prefixes(networks.key, networks.from); err != nil {
			return s, err
		}
	}
	return s, nil
}

// prefixes reads networks that the table of keys has let through.
func prefixes(key string, texts []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		all = append(all, network)
	}
	return all, nil
}

// Proxied reports whether a gate takes a connection of its own machine to this address for a proxy's.
func (c *Config) Proxied(address string) bool {
	host, _, _, err := splitAddress(address)
	if err == nil && isEverywhere(host) || host == "localhost" {
		host = "127.0.0.1"
	}
	from, err := netip.ParseAddr(host)
	networks, err2 := prefixes("gate.proxies", c.Gate.Proxies)
	return err == nil && err2 == nil &&
		slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(from) })
}
