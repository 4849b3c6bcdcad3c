package cluster

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"slices"
	"strconv"
)

// Roles of the runtime's own that have no shards: what lives there is addressed by the node's name.
const (
	RoleGate     = "gate"
	RoleAdmin    = "admin"
	RoleRegistry = "registry"
)

// A Member is one running process of the cluster, as it stands in the registry.
type Member struct {
	Name        string   `json:"name"`        // from runtime.toml; without a dot
	Incarnation uint64   `json:"incarnation"` // the process; drawn once, never used again
	Link        string   `json:"link"`        // host:port where other nodes reach it
	Roles       []string `json:"roles"`
	TCP         string   `json:"tcp,omitempty"` // where clients reach it, host:port
	WS          string   `json:"ws,omitempty"`  // the same for browsers
	TLS         string   `json:"tls,omitempty"` // and for both in TLS
	WSS         string   `json:"wss,omitempty"`
	HTTP        string   `json:"http,omitempty"` // its pages, health and metrics
	Weight      int      `json:"weight,omitempty"`
	Moves       bool     `json:"moves,omitempty"`    // it can hand shards over and take them over by planned moves
	Draining    bool     `json:"draining,omitempty"` // it gets no shards and hands over what it has
	// Process is the incarnation that its process began with, after which the process's sessions are named: another one
	// if it has joined anew since. 0: Incarnation.
	Process uint64 `json:"process,omitempty"`
	// Since is the registry's revision at which this incarnation first joined: its first record was that one. It stays
	// when a lost lease is replaced. Whoever registers leaves it 0.
	Since int64 `json:"since,omitempty"`
}

// HasRole reports whether the member plays the role.
func (m *Member) HasRole(role string) bool { return slices.Contains(m.Roles, role) }

// process is what the member's sessions are named after.
func (m *Member) process() uint64 { return cmp.Or(m.Process, m.Incarnation) }

// bySince orders members by when they first joined.
func bySince(a, b Member) int { return cmp.Compare(a.Since, b.Since) }

// weight is how much the member takes compared with others; 1 unless it says more.
func (m *Member) weight() int { return max(m.Weight, 1) }

// NewIncarnation draws the number that tells one life of a node from every other. It is never 0.
func NewIncarnation() uint64 {
	var b [8]byte
	for {
		rand.Read(b[:]) // never fails: it ends the program when the system has no luck left
		if n := binary.BigEndian.Uint64(b[:]); n != 0 {
			return n
		}
	}
}

// incarnationText is how an incarnation stands in keys and logs.
func incarnationText(n uint64) string { return strconv.FormatUint(n, 16) }

// parseIncarnation reads what incarnationText wrote.
func parseIncarnation(s string) (uint64, error) { return strconv.ParseUint(s, 16, 64) }

// sharded reports whether a role's work is divided into shards.
func sharded(role string) bool {
	return role != RoleGate && role != RoleAdmin && role != RoleRegistry
}
