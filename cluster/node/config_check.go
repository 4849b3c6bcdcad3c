package node

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/persist"
)

// expand makes the nodes: copies, ports, and the registry that embedded etcd implies.
func (r *reading) expand() {
	c := r.config
	c.Cluster.Data = absolute(filepath.Dir(c.Path), c.Cluster.Data)
	c.TLS.resolve(filepath.Dir(c.Path))
	c.Gate.resolve(filepath.Dir(c.Path))
	hosted := slices.ContainsFunc(r.tables, func(n NodeConfig) bool { return n.Has(RoleRegistry) })
	if c.Cluster.Etcd.Embedded {
		c.Cluster.Etcd.Endpoints = []string{registryAddress(r.tables, c.Cluster.EtcdPort)}
		if !hosted {
			c.Nodes = append(c.Nodes, impliedRegistry(r.onlyHost()))
		}
	}
	for i, n := range r.tables {
		if s, ok := c.Scaled[n.Table]; ok {
			n.Count, r.tables[i].Count = s.Count, s.Count
		}
		for i := range min(max(n.Count, 1), maxCopies) {
			c.Nodes = append(c.Nodes, n.copied(i))
		}
	}
}

// impliedRegistry is the node that `etcd = "embedded"` stands for, where no table does.
func impliedRegistry(host string) NodeConfig {
	return NodeConfig{Name: "registry-1", Table: "registry-1", Roles: []string{RoleRegistry}, Host: host,
		Listen: loopback(0), Weight: 100}
}

func absolute(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

// copied makes copy i of a node, counted from 0, with its own name and ports.
func (n NodeConfig) copied(i int) NodeConfig {
	if n.Count > 0 {
		n.Name = fmt.Sprintf("%s-%d", n.Table, i+1)
	}
	n.Roles, n.Originals = slices.Clone(n.Roles), slices.Clone(n.Originals)
	for _, key := range n.addressed() {
		a := n.address(key)
		host, port, rises, err := splitAddress(*a)
		if err == nil && rises && port > 0 {
			*a = net.JoinHostPort(host, strconv.Itoa(port+i))
		} else if err == nil {
			*a = net.JoinHostPort(host, strconv.Itoa(port))
		}
	}
	return n
}

// check compares what stands in different places of the file.
func (r *reading) check() {
	if len(r.tables) == 0 {
		r.wrong(place{}, "no nodes").
			advise(`add a table such as [node.all] with roles = ["gate", "game"]`)
		return
	}
	r.checkNames()
	r.checkRegistry()
	for _, n := range r.tables {
		r.checkRoles(n)
		r.checkAddresses(n)
	}
	r.checkOriginals()
	r.checkHosts()
	r.checkPorts()
	r.checkTLS()
	r.checkDoors()
	r.checkStore()
	r.checkLimits()
}

// at is the place of a node's key, or else of its table.
func (r *reading) at(n NodeConfig, key string) place {
	if p, ok := r.config.places["node."+n.Table+"."+key+"="]; ok {
		return p
	}
	return r.table(n)
}

// table is the place of a node's table; a node that is only implied has none.
func (r *reading) table(n NodeConfig) place { return r.config.places["node."+n.Table] }

// value is the place of a value in a table that is no node's, or the zero place.
func (r *reading) value(path string) place { return r.config.places[path+"="] }

func (r *reading) checkNames() {
	first := map[string]NodeConfig{}
	for _, n := range r.config.Nodes {
		other, twice := first[n.Name]
		if !twice {
			first[n.Name] = n
			continue
		}
		r.wrong(r.at(n, "count"), "[node.%s] makes a node %s, and so does [node.%s]", n.Table,
			n.Name, other.Table).
			advise("rename one of the tables")
	}
}

func (r *reading) checkRegistry() {
	c := r.config
	with := c.With(RoleRegistry)
	if !c.Cluster.Etcd.Embedded {
		r.checkEtcd(with)
		return
	}
	if len(with) > 1 {
		r.wrong(r.at(with[1], "roles"), "nodes %s and %s both have the role registry",
			with[0].Name, with[1].Name).
			advise("one embedded etcd serves the cluster: keep one")
	}
	r.checkRegistryHost()
}

// checkEtcd is about an etcd that runs elsewhere.
func (r *reading) checkEtcd(with []NodeConfig) {
	c := r.config
	for _, n := range with {
		r.wrong(r.at(n, "roles"), "node %s has the role registry, but etcd is not embedded",
			n.Name).
			advise(`remove the role, or write etcd = "embedded"`)
	}
	for _, e := range c.Cluster.Etcd.Endpoints {
		if _, _, rises, err := splitAddress(e); err != nil || rises {
			r.wrong(r.value("cluster.etcd"), "etcd endpoint %q is no host:port", e).
				advise(`write etcd = ["10.0.0.5:2379"]`)
			return
		}
	}
	r.checkEtcdHosts()
	if len(c.Cluster.Etcd.Endpoints) == 0 {
		r.wrong(r.value("cluster.etcd"), "etcd is an empty list").
			advise(`write etcd = "embedded"`)
	}
}

// hostsOf lists the machines that nodes name; "" counts as one of its own beside others.
func hostsOf(nodes []NodeConfig) []string {
	var hosts []string
	for _, n := range nodes {
		name := n.Host
		if n.Has(RoleRegistry) && name == "" {
			continue
		}
		if name == "" {
			name = "here"
		}
		if !slices.Contains(hosts, name) {
			hosts = append(hosts, name)
		}
	}
	return hosts
}

func (r *reading) checkRoles(n NodeConfig) {
	at := r.at(n, "roles")
	if _, written := r.config.places["node."+n.Table+".roles"]; written && at == r.table(n) {
		return // and reported there
	}
	if len(n.Roles) == 0 {
		r.wrong(at, "node %s has no roles", n.Table).
			advise(`give it some, such as roles = ["game"]`)
	}
	for i, role := range n.Roles {
		if !nameShape.MatchString(role) {
			r.wrong(at, "%q cannot be a role of node %s", role, n.Table).
				advise("use " + named.text)
		}
		if slices.Contains(n.Roles[:i], role) {
			r.wrong(at, "node %s has the role %s twice", n.Table, role).
				advise("remove one")
		}
	}
	if n.Has(RoleRegistry) && n.Count > 1 {
		r.wrong(r.at(n, "count"), "node %s has the role registry and %d copies", n.Table, n.Count).
			advise("one embedded etcd serves the cluster: give the registry a node of its own")
	}
	if n.Has(RoleAdmin) && n.HTTP == "" {
		r.wrong(at, "node %s has the role admin, but no http", n.Table).
			advise(`say where its page is: http = "127.0.0.1:9480"`)
	}
	if n.Has(RoleGate) && len(n.doors())+len(n.Originals) == 0 {
		r.wrong(at, "node %s has the role gate, but none of tcp, ws, tls, wss", n.Table).
			advise(`say where clients connect: ws = "127.0.0.1:9401"`)
	}
	for _, key := range n.taking() {
		if !n.Has(RoleGate) && *n.address(key) != "" {
			r.wrong(r.at(n, key), "node %s listens to clients (%s), but has not the role gate",
				n.Table, key).
				advise("add the role, or remove the key")
		}
	}
}

// checkAddresses refuses what would be open to the network without protection.
func (r *reading) checkAddresses(n NodeConfig) {
	for _, key := range n.addressed() {
		host, port, rises, err := splitAddress(*n.address(key))
		if err != nil {
			continue // reported where it was read, or not there
		}
		if rises && port == 0 {
			r.wrong(r.at(n, key), "node.%s.%s: port 0 is any free port and cannot rise", n.Table,
				key).
				advise("remove the +")
		}
		if port+max(n.Count, 1)-1 > 65535 && rises {
			r.wrong(r.at(n, key), "node.%s.%s: port %d + %d copies is over 65535", n.Table, key,
				port, n.Count).
				advise("begin lower")
		}
		if isLoopback(host) {
			continue
		}
		switch key {
		case "listen":
			r.checkOpen(n, host)
		case "http":
			r.wrong(r.at(n, key),
				"node.%s.http: %s is open to the network, with profiles for everyone",
				n.Table, *n.address(key)).
				advise("listen on 127.0.0.1, with a TLS proxy before it if others must reach it")
		}
	}
}

// checkPorts finds two listeners that would need the same port of one machine.
func (r *reading) checkPorts() {
	type taken struct {
		node NodeConfig
		Listener
		host string
	}
	var ports = map[int][]taken{}
	told := map[string]bool{}
	registries := r.config.With(RoleRegistry)
	for _, n := range r.config.Nodes {
		for _, l := range r.config.Listeners(n) {
			if strings.HasPrefix(l.Key, "etcd_port") && n.Name != registries[0].Name {
				continue // a second registry is reported as such
			}
			host, port, _, err := splitAddress(l.Address)
			if err != nil || port == 0 {
				continue
			}
			for _, o := range ports[port] {
				if o.node.Host != n.Host || !overlap(host, o.host) {
					continue
				}
				if pair := n.Table + l.Key + o.node.Table + o.Key; !told[pair] {
					told[pair] = true
					r.reportClash(n, l, o.node, o.Listener)
				}
			}
			ports[port] = append(ports[port], taken{n, l, host})
		}
	}
}

func overlap(a, b string) bool {
	if a == "localhost" {
		a = "127.0.0.1"
	}
	if b == "localhost" {
		b = "127.0.0.1"
	}
	return a == b || isEverywhere(a) || isEverywhere(b)
}

func (r *reading) reportClash(n NodeConfig, l Listener, o NodeConfig, other Listener) {
	if n.Table == o.Table && l.Key == other.Key && n.Name != o.Name {
		r.wrong(r.at(n, l.Key), "%d copies of node.%s would share %s = %q", n.Count, n.Table,
			l.Key, l.Address).
			advise(fmt.Sprintf(`write %s = "%s+": one port up per copy`, l.Key, l.Address))
		return
	}
	at, do := r.at(n, l.Key), "give one of them another port"
	if n.Has(RoleRegistry) && strings.HasPrefix(l.Key, "etcd_port") {
		at, do = r.value("cluster.etcd_port"), "change cluster.etcd_port, or the other one"
	}
	if o.Has(RoleRegistry) && strings.HasPrefix(other.Key, "etcd_port") {
		do = "change it, or cluster.etcd_port"
	}
	first := ""
	if p := r.at(o, other.Key); p != (place{}) {
		first = fmt.Sprintf(" (line %d)", p.line)
	}
	r.wrong(at, "%s of node %s, %s, is taken by %s of node %s%s", l.Key, n.Name, l.Address,
		other.Key, o.Name, first).
		advise(do)
}

func (r *reading) checkStore() {
	p, with := r.config.Persist, r.config.With(RolePersist)
	at := r.value("persist.store")
	hosts := hostsOf(with)
	switch {
	case p.Store == StoreMySQL && p.DSN == "":
		r.reportSecret(at)
	case p.Store == StoreMySQL && persist.CheckDSN(p.DSN) != nil:
		r.wrong(r.value("persist.dsn"), "%v", persist.CheckDSN(p.DSN)).
			advise("it is like user:password@tcp(127.0.0.1:3306)/game")
	case p.Store == StoreEmbedded && len(hosts) > 1:
		r.wrong(at, "store is embedded, but persist nodes are on several hosts (%s)",
			strings.Join(hosts, ", ")).
			advise(`use store = "mysql", or put them on one host`)
	case p.Store == StoreMemory && len(with) > 1:
		r.wrong(at,
			"store is memory, but there are %d persist nodes, each with a memory of its own",
			len(with)).
			advise("keep one persist node, or use another store")
	}
}

// reportSecret tells a dsn that is not there from one whose environment variable is not set.
func (r *reading) reportSecret(store place) {
	for path, at := range r.config.places {
		if name, ok := strings.CutPrefix(path, secret+"=env:"); ok {
			r.wrong(at, "the environment variable %s is not set", name).
				advise(fmt.Sprintf("export %s='user:password@tcp(127.0.0.1:3306)/game'", name))
			return
		}
	}
	r.wrong(store, "store is mysql, but there is no dsn").
		advise(`write dsn = "env:FIREFLY_MYSQL_DSN" in [persist]`)
}

// checkLimits compares limits that only make sense together.
func (r *reading) checkLimits() {
	g := r.config.Gate
	if g.Dead <= g.Heartbeat {
		r.wrong(r.value("gate.dead_after"),
			"gate.dead_after, %s, is not longer than gate.heartbeat, %s", brief(g.Dead),
			brief(g.Heartbeat)).
			advise("make it about three times as long")
	}
	if g.Burst < g.Rate {
		r.wrong(r.value("gate.burst"), "gate.burst, %d, is less than gate.rate, %d", g.Burst,
			g.Rate).
			advise("make it at least as large")
	}
	if g.BanMax < g.Ban {
		r.wrong(r.value("gate.ban_max"), "gate.ban_max, %s, is shorter than gate.ban, %s", brief(g.BanMax),
			brief(g.Ban)).
			advise("make it at least as long")
	}
	if a := r.config.Actors; a.MailboxWarn > a.Mailbox {
		r.wrong(r.value("actors.mailbox"), "actors.mailbox_warn, %d, is more than actors.mailbox, %d",
			a.MailboxWarn, a.Mailbox).
			advise("make it smaller")
	}
	if need := g.ReplyMax + wire.HeaderSize; need > g.QueueBytes {
		r.wrong(r.value("gate.queue_bytes"),
			"gate.reply_max, %s, does not fit into gate.queue_bytes, %s",
			Bytes(g.ReplyMax), Bytes(g.QueueBytes)).
			advise("make the queue larger, or the replies smaller")
	}
	if c := r.config.Record; c.TotalBytes < 2*c.FileBytes {
		r.wrong(r.value("record.total_bytes"),
			"record.total_bytes, %s, is less than two files of record.file_bytes, %s",
			Bytes(c.TotalBytes), Bytes(c.FileBytes)).
			advise("make the files smaller, or keep more of them")
	}
}
