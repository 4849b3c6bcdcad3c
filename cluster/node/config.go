package node

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/gate"
	"github.com/fireflyrt/firefly/persist"
	"github.com/fireflyrt/firefly/record"
)

// The runtime's own roles. Any other name is a role of the game's, and actors.Kind.Role says who
// lives there.
const (
	RoleGate     = "gate"
	RoleGame     = "game"
	RolePersist  = "persist"
	RoleAdmin    = "admin"
	RoleRegistry = "registry"
)

// The stores that persist.store names.
const (
	StoreEmbedded = "embedded" // SQLite in a file under cluster.data
	StoreMySQL    = "mysql"    // MySQL 8 or MariaDB at persist.dsn
	StoreMemory   = "memory"   // gone at the end: for tests
)

// A Config is what one runtime.toml says, checked and complete: copies are expanded, defaults
// filled in, secrets read, paths absolute. It describes the whole cluster; a process is started as
// one of its Nodes. It does not change.
//
// The fields are described one by one in the table of keys (config_key.go), with default and bound.
type Config struct {
	Path    string // of the file, absolute
	Cluster ClusterConfig
	Nodes   []NodeConfig // as in the file; a registry that `etcd = "embedded"` implies comes first
	Gate    GateConfig
	Actors  ActorsConfig
	Persist PersistConfig
	Record  RecordConfig
	TLS     TLSConfig

	Originals []OriginalConfig

	Scaled map[string]Scaling // by table: the copies that are not as the file says
	places map[string]place   // of keys and tables in the file, by dotted path
	hand   int                // of Originals, that is being read or written
}

// ClusterConfig is the table [cluster].
type ClusterConfig struct {
	Name         string
	Etcd         Etcd
	EtcdPort     int
	Data         string // absolute
	Lease        time.Duration
	Shards       int
	DrainTimeout time.Duration
}

// Etcd says where membership and ownership live.
type Etcd struct {
	Embedded  bool     // in the node with the role registry, which `up` starts
	Endpoints []string // host:port of a client listener each, of the embedded one as well
}

// NodeConfig is a table [node.NAME], or one copy of it.
type NodeConfig struct {
	Name      string // game-2
	Table     string // game: the name in the file that this node is a copy of
	Roles     []string
	Count     int    // 0: not a copy
	Listen    string // host:port for the link; port 0: any
	Advertise string // host:port by which others reach Listen; "": the same
	TCP       string // client listener; "" none
	WS        string // client listener; "" none
	TLS       string // client listener; "" none
	WSS       string // client listener; "" none
	Originals []OriginalDoor
	HTTP      string // metrics and health, on admin nodes the page; "" none
	Host      string // name of the machine that starts it; "" any
	Weight    int    // share of the shards, relative to the other nodes'
}

// GateConfig is the table [gate].
type GateConfig struct {
	gate.Limits
	Trusted          []string // networks without limits per address
	Strict           []string // networks with them, whatever else they are
	Origins          []string // web origins that may open a WebSocket
	Proxies          []string // networks whose connections begin with a PROXY header
	Certificate, Key string   // files of what clients see in TLS, absolute; "" none
}

// ActorsConfig is the table [actors]. FlushEvery is that of [persist].
type ActorsConfig struct{ actors.Limits }

// PersistConfig is the table [persist].
type PersistConfig struct {
	Store      string
	DSN        string // the secret itself, never printed
	FlushEvery time.Duration
	persist.Limits
}

// RecordConfig is the table [record].
type RecordConfig struct{ record.Limits }

// Bytes is a size; files say "64KiB", "1MiB", "2GiB" or a plain number.
type Bytes int64

func (b Bytes) String() string {
	for _, u := range units {
		if b >= u.size && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// A size is a field of a count of bytes.
type size interface {
	get() Bytes
	set(b Bytes)
}

// sizeOf makes a size of a field in one of the floors' limits.
func sizeOf[T int | int64](field *T) size { return sizeField[T]{field} }

type sizeField[T int | int64] struct{ field *T }

func (f sizeField[T]) get() Bytes  { return Bytes(*f.field) }
func (f sizeField[T]) set(b Bytes) { *f.field = T(b) }

// Load reads and checks a file. With kinds it also compares the file's roles with them, as
// CheckRoles does. Copies are as scale has left them. The error is Problems, with everything that is wrong, or that
// of reading the file.
func Load(path string, kinds []KindRole) (*Config, error) {
	plain, err := loadPlain(path, kinds)
	if err != nil {
		return nil, err
	}
	scale := plain.kept()
	if len(scale) == 0 {
		return plain, nil
	}
	c, err := loadWith(path, kinds, scale)
	if problems := Problems(nil); errors.As(err, &problems) {
		return nil, plain.scaled(problems)
	}
	return c, err
}

// loadPlain is Load of what the file says.
func loadPlain(path string, kinds []KindRole) (*Config, error) { return loadWith(path, kinds, nil) }

func loadWith(path string, kinds []KindRole, scale map[string]Scaling) (*Config, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("node: finding %s: %w", path, err)
	}
	text, err := os.ReadFile(abs)
	if err != nil {
		return nil, fmt.Errorf("node: reading the configuration: %w", err)
	}
	return finish(newReading(abs, text, os.LookupEnv, scale), kinds)
}

// Env finds an environment variable, as os.LookupEnv does.
type Env func(name string) (string, bool)

// Parse is Load of a text; secrets come from env. Problems name the file by its last element.
func Parse(path string, text []byte, env Env, kinds []KindRole) (*Config, error) {
	return finish(newReading(path, text, env, nil), kinds)
}

// finish goes through all that was read.
func finish(r *reading, kinds []KindRole) (*Config, error) {
	r.apply()
	r.expand()
	if r.whole {
		r.check()
	}
	c := r.config
	c.Actors.FlushEvery = c.Persist.FlushEvery
	if kinds != nil && r.whole {
		r.problems = append(r.problems, roleProblems(c, kinds)...)
	}
	if len(r.problems) > 0 {
		return nil, r.problems.sorted()
	}
	return c, nil
}

// Node finds a node by its name.
func (c *Config) Node(name string) (NodeConfig, bool) {
	for _, n := range c.Nodes {
		if n.Name == name {
			return n, true
		}
	}
	return NodeConfig{}, false
}

// With lists the nodes that have a role.
func (c *Config) With(role string) []NodeConfig {
	var with []NodeConfig
	for _, n := range c.Nodes {
		if n.Has(role) {
			with = append(with, n)
		}
	}
	return with
}

// RunDir holds the run files and control sockets of the nodes on this machine.
func (c *Config) RunDir() string { return filepath.Join(c.Cluster.Data, "run") }

// LogDir holds one log file for each node that `up` started.
func (c *Config) LogDir() string { return filepath.Join(c.Cluster.Data, "log") }

// RecordDir holds the recordings that nodes on this machine make, and the rules that say of whom.
func (c *Config) RecordDir() string { return filepath.Join(c.Cluster.Data, "rec") }

// BinDir holds the binaries that nodes run, by build.
func (c *Config) BinDir() string { return filepath.Join(c.Cluster.Data, "bin") }

// EtcdDir holds the embedded registry's files.
func (c *Config) EtcdDir() string { return filepath.Join(c.Cluster.Data, "etcd") }

// StoreFile is the embedded store's file.
func (c *Config) StoreFile() string {
	return filepath.Join(c.Cluster.Data, c.Cluster.Name+".db")
}

// Has says whether the node has a role.
func (n NodeConfig) Has(role string) bool { return slices.Contains(n.Roles, role) }

// Here says whether the machine called host starts this node.
func (n NodeConfig) Here(host string) bool { return n.Host == "" || n.Host == host }

// A Listener is one address of a node, under the key that gave it.
type Listener struct {
	Key     string // listen, tcp, ws, tls, wss, http; etcd_port and its peer for a registry
	Address string
}

// Listeners lists what a node listens on, ports 0 included.
func (c *Config) Listeners(n NodeConfig) []Listener {
	var all []Listener
	for _, key := range n.listening() {
		if a := n.address(key); *a != "" {
			all = append(all, Listener{key, *a})
		}
	}
	if n.Has(RoleRegistry) {
		client := loopback(c.Cluster.EtcdPort)
		if c.Cluster.Etcd.Embedded {
			client = c.Cluster.Etcd.Endpoints[0]
		}
		all = append(all, Listener{"etcd_port", client},
			Listener{"etcd_port + 1", loopback(c.Cluster.EtcdPort + 1)})
	}
	return all
}

// taking are the keys of the node that say where clients connect, listening those that hold an address which it listens
// at, addressed those that hold any.
func (n *NodeConfig) taking() []string {
	all := slices.Clone(doorKeys[:])
	for _, d := range n.Originals {
		all = append(all, doorKey(d.Name))
	}
	return all
}

func (n *NodeConfig) listening() []string {
	return append(append([]string{"listen"}, n.taking()...), "http")
}

func (n *NodeConfig) addressed() []string { return append(n.listening(), "advertise") }

func (n *NodeConfig) address(key string) *string {
	for i, d := range n.Originals {
		if doorKey(d.Name) == key {
			return &n.Originals[i].Address
		}
	}
	switch key {
	case "listen":
		return &n.Listen
	case "tcp":
		return &n.TCP
	case "ws":
		return &n.WS
	case "tls":
		return &n.TLS
	case "wss":
		return &n.WSS
	case "http":
		return &n.HTTP
	default:
		return &n.Advertise
	}
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
