package original

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The roles that servers of the original play.
const (
	gate    = "gate"
	game    = "game"
	persist = "persist"
	admin   = "admin"
)

// clients names how the clients of the original speak, for all nodes where they connect.
const clients = "clients"

// A node is a server in today's words.
type node struct {
	name   string
	roles  []string
	listen int // 0: any
	old    int // where clients connect; 0: none
	http   int // 0: none
	at     int
	key    string // servers.net
}

// A server is what the file says of one.
type server struct {
	netport, webport, rootport int
	remote, app, db, mem       bool
	places                     map[string]int // of its keys
}

// makeNodes turns servers, and the master's pages, into nodes.
func (m *mapping) makeNodes() {
	m.reserve(m.master.value)
	m.reserve(m.servers.value)
	for _, f := range m.fields(m.servers.value, "servers") {
		key := joined("servers", f.name)
		if f.value.is != object {
			m.odd(f, key, "an object")
			continue
		}
		s := m.server(f, key)
		n := &node{at: f.at, key: key, roles: m.roles(s, f, key)}
		if len(n.roles) == 0 {
			m.note(f.at, key, "is left out: it has neither a port nor an app, nor db or mem")
			continue
		}
		n.name = m.named(f.name, key, f.at)
		n.listen = m.take(s.rootport, key+".rootport", s.places["rootport"], true)
		n.old = m.take(s.netport, key+".netport", s.places["netport"], false)
		n.http = m.take(s.webport, key+".webport", s.places["webport"], false)
		m.nodes = append(m.nodes, n)
	}
	m.masterNode()
	m.complete()
}

// reserve keeps the ports of the file from being given to whoever needs another.
func (m *mapping) reserve(v value) {
	for _, f := range v.fields {
		if port, ok := f.value.port(); ok {
			m.reserved[port] = true
		}
		m.reserve(f.value)
	}
}

// server reads one, and notes what has no counterpart.
func (m *mapping) server(f field, key string) (s server) {
	ports := map[string]*int{"netport": &s.netport, "webport": &s.webport, "rootport": &s.rootport}
	s.places = map[string]int{}
	for _, o := range m.fields(f.value, key) {
		at, v := joined(key, o.name), o.value
		s.places[o.name] = o.at
		if port := ports[o.name]; port != nil {
			n, ok := v.port()
			if *port = n; !ok {
				*port = 0
				m.note(v.at, at, "is left out: it is %s, and no port", v.is)
			}
			continue
		}
		switch o.name {
		case "db":
			s.db = m.said(o, at)
		case "mem":
			s.mem = m.said(o, at)
		case "app":
			s.app = true
			m.note(o.at, at, "is left out: what a node runs is compiled into the program, and its role says what")
		case "remoteport":
			s.remote = true
			m.remotes(o, at)
		case "name":
			if v.text != f.name {
				m.note(o.at, at, "is left out: a node's name is that of its table")
			}
		case "log":
			m.note(o.at, at, "is left out: up keeps the logs, one file per node below .firefly/log")
		case "reload":
			m.note(o.at, at, "is left out: tables are read again when their files change, and code never is")
		case "cpu":
			m.note(o.at, at, "is left out: a node uses all cores; taskset or systemd's CPUAffinity bind it to some")
		default:
			m.note(o.at, at, "is left out: the original knows no such key")
		}
	}
	if s.netport > 0 {
		m.note(s.places["netport"], joined(key, "netport"), "%d takes clients as they are: if the app gives its "+
			"frames a magic or versions, [original.%s] must say so", s.netport, clients)
	}
	return s
}

// said is a truth.
func (m *mapping) said(f field, key string) bool {
	if f.value.is != truth {
		m.odd(f, key, string(truth))
	}
	return f.value.truth
}

// remotes notes which roots a server dialled.
func (m *mapping) remotes(f field, key string) {
	if f.value.is != list {
		m.odd(f, key, string(list))
		return
	}
	for i, v := range f.value.items {
		to := ""
		for _, o := range v.fields {
			if o.name == "rootname" && o.value.is == text {
				to = " (" + printable(o.value.text) + ")"
			}
		}
		m.note(v.at, fmt.Sprintf("%s[%d]", key, i), "needs no counterpart%s: every node reaches every other", to)
	}
}

// roles are what a server does.
func (m *mapping) roles(s server, f field, key string) (roles []string) {
	keeps := s.db || s.mem
	alone := keeps && s.netport+s.rootport+s.webport == 0 && !s.remote
	if s.netport > 0 {
		roles = append(roles, gate)
	}
	if s.rootport > 0 || s.app && s.netport == 0 && !alone {
		roles = append(roles, game)
	}
	if keeps {
		roles = append(roles, persist)
	}
	if s.webport > 0 {
		roles = append(roles, admin)
		m.note(s.places["webport"], joined(key, "webport"), "%d serves the runtime's own pages, on the "+
			"loopback; the app's pages are left out", s.webport)
	}
	if alone && s.app {
		m.note(f.at, key, "becomes a persist node only: nobody called it, so it is taken for what wrote rows back")
	}
	return roles
}

// masterNode makes a node of the master's pages.
func (m *mapping) masterNode() {
	if m.master.name == "" {
		return
	}
	if m.master.value.is != object {
		m.odd(m.master, "master", "an object")
		return
	}
	for _, f := range m.fields(m.master.value, "master") {
		key := joined("master", f.name)
		switch f.name {
		case "webport":
			port, ok := f.value.port()
			if !ok {
				m.note(f.value.at, key, "is left out: it is %s, and no port", f.value.is)
				continue
			}
			n := &node{name: m.named("admin-1", key, f.at), roles: []string{admin}, at: f.at, key: key}
			n.http = m.take(port, key, f.at, false)
			m.nodes = append(m.nodes, n)
			m.note(f.at, key, "becomes node %s: who stops or reloads there must log in", n.name)
		case "roothost", "rootport":
			m.note(f.at, key, "is left out: nodes find each other in etcd, in whatever order they start")
		case "log":
			m.note(f.at, key, "is left out: up keeps the logs, one file per node below .firefly/log")
		default:
			m.note(f.at, key, "is left out: the original knows no such key")
		}
	}
}

// complete adds what a game cannot do without.
func (m *mapping) complete() {
	has := func(role string) bool {
		return slices.ContainsFunc(m.nodes, func(n *node) bool { return slices.Contains(n.roles, role) })
	}
	if !has(game) {
		for _, n := range m.nodes {
			if slices.Contains(n.roles, gate) {
				n.roles = append(n.roles, game)
				m.note(n.at, n.key, "gets the role game as well: no other server has it")
			}
		}
	}
	if !has(game) {
		m.nodes = append(m.nodes, &node{name: m.named("game-1", "servers", m.servers.at), roles: []string{game}})
		m.note(m.servers.at, "servers", "has none that runs the game: game-1 is added")
	}
	if !has(persist) {
		m.nodes = append(m.nodes, &node{name: m.named("persist-1", "servers", m.servers.at), roles: []string{persist}})
		m.note(m.servers.at, "servers", "has none with db or mem: persist-1 is added, for state must be kept somewhere")
	}
}

// named makes a name that a node may have, and that no other has.
func (m *mapping) named(wish, key string, at int) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		default:
			return '-'
		}
	}, wish)
	if name = strings.Trim(name, "-"); name == "" || name[0] < 'a' {
		name = "node-" + name
	}
	name = strings.TrimRight(name[:min(len(name), maxName)], "-")
	free := name
	taken := func(n *node) bool { return n.name == free }
	for i := 2; free == registry || slices.ContainsFunc(m.nodes, taken); i++ {
		free = name + "-" + strconv.Itoa(i)
	}
	if free != wish {
		m.note(at, key, "becomes node %s: names are lower-case letters, digits and -, and each is there once", free)
	}
	return free
}

const (
	maxName  = 34           // with a number behind it, it has room in a node's name
	registry = "registry-1" // is the embedded etcd's
)

// take gives a port to a node: the one that the file says, or, if another node has it, the next free one, or any.
func (m *mapping) take(port int, key string, at int, any bool) int {
	if port == 0 {
		return 0
	}
	owner, taken := m.ports[port]
	if !taken {
		m.ports[port] = key
		return port
	}
	if any {
		m.note(at, key, "%d is %s too: it gets any free port", port, printable(owner))
		return 0
	}
	free := m.free(port, 1)
	m.ports[free] = key
	m.note(at, key, "%d is %s too: it becomes %d", port, printable(owner), free)
	return free
}

// free finds the first of some free ports in a row, from one on.
func (m *mapping) free(from, row int) int {
	for port := from; ; port++ {
		if port+row > 1<<16 {
			port = 1024
		}
		fits := true
		for i := range row {
			_, taken := m.ports[port+i]
			fits = fits && !taken && !m.reserved[port+i]
		}
		if fits {
			return port
		}
	}
}
