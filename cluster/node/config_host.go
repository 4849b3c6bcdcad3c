package node

import (
	"slices"
	"strings"
)

// onlyHost is the machine that starts all nodes, if all of them name the same one. One that is implied is theirs.
func (r *reading) onlyHost() string {
	host := ""
	for i, n := range r.tables {
		if i > 0 && n.Host != host {
			return ""
		}
		host = n.Host
	}
	return host
}

// checkHosts is about a cluster on several machines: each node must know which one starts it, and be reached from the
// others.
func (r *reading) checkHosts() {
	c := r.config
	var hosts []string
	for _, n := range r.tables {
		if n.Host != "" && !slices.Contains(hosts, n.Host) {
			hosts = append(hosts, n.Host)
		}
	}
	if len(hosts) == 0 {
		return
	}
	for _, n := range r.tables {
		if n.Host == "" {
			r.wrong(r.table(n), "node %s has no host, and others have (%s): every machine would start it", n.Table,
				strings.Join(hosts, ", ")).
				advise(`write host = "` + hosts[0] + `", or whose it is`)
		}
	}
	if len(hosts) == 1 {
		return
	}
	several := strings.Join(hosts, ", ")
	for _, n := range r.tables {
		key, reached := "listen", n.Listen
		if n.Advertise != "" {
			key, reached = "advertise", n.Advertise
		}
		host, _, _, err := splitAddress(reached)
		switch {
		case err != nil: // reported where it was read
		case isLoopback(host):
			r.wrong(r.at(n, key), "node.%s.%s: %s is reached from its own machine only, and nodes are on several (%s)",
				n.Table, key, reached, several).
				advise(`write an address that the others reach: listen = "10.0.0.7:9410"`)
		case isEverywhere(host) && key == "advertise": // a listen is told so on one machine too
			r.wrong(r.at(n, key), "node.%s.%s: %s is no address that others could connect to", n.Table, key,
				reached).
				advise("write the one that the others reach")
		}
	}
	if !c.Cluster.Etcd.Embedded && c.etcdOnLoopback() {
		r.wrong(r.value("cluster.etcd"), "etcd on the loopback is another one on each machine, and nodes are on "+
			"several (%s)", several).
			advise(`write an address that all reach: etcd = ["10.0.0.5:2379"]`)
	}
}
