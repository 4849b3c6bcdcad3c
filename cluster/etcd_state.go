package cluster

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fireflyrt/firefly/cluster/identity"
)

// RegistryOptions say where the registry is and which cluster's.
type RegistryOptions struct {
	Endpoints []string // host:port of etcd's nodes
	Cluster   string   // several clusters may share an etcd
	Lease     time.Duration
	Log       *slog.Logger
	// Credential is shown to an etcd off the loopback, which must prove itself too. On the loopback all is plain.
	Credential *identity.Credential
	// From is where the node that calls listens, host:port; "": it is no node. One that listens at an address of its
	// own on the loopback calls from there, as it calls other nodes, and so it can be told from others there.
	From string
}

func (o *RegistryOptions) prefix() string { return "/firefly/" + o.Cluster + "/" } // a slash: /a/ does not see /ab/

// Keys, behind the prefix.
const (
	keyMembers     = "members/" // + incarnation -> Member, under its lease
	keyOwners      = "owners/"  // + role -> Assignment
	keyDead        = "dead/"    // + incarnation -> nothing
	keyCoordinator = "coordinator"
)

// etcdState is what the keys of a cluster hold, at one revision.
type etcdState struct {
	revision    int64
	members     map[uint64]Member
	roles       map[string]*Assignment
	dead        map[uint64]bool
	coordinator uint64
}

func (s etcdState) clone() etcdState {
	s.members, s.roles, s.dead = maps.Clone(s.members), maps.Clone(s.roles), maps.Clone(s.dead)
	return s
}

// put notes what a key holds now. What it cannot read changes nothing.
func (s *etcdState) put(key string, value []byte, created, modified int64) error {
	kind, name, _ := strings.Cut(key, "/")
	switch kind + "/" {
	case keyMembers:
		var m Member
		if err := json.Unmarshal(value, &m); err != nil {
			return fmt.Errorf("cluster: read member: %w", err)
		}
		m.Since = cmp.Or(m.Since, created)
		s.members = with(s.members, m.Incarnation, m)
	case keyOwners:
		a := &Assignment{Revision: modified}
		if err := json.Unmarshal(value, a); err != nil {
			return fmt.Errorf("cluster: read assignment: %w", err)
		}
		s.roles = with(s.roles, name, a)
	case keyDead:
		n, err := parseIncarnation(name)
		if err != nil {
			return fmt.Errorf("cluster: read death certificate: %w", err)
		}
		s.dead = with(s.dead, n, true)
	case keyCoordinator + "/":
		n, err := parseIncarnation(string(value))
		if err != nil {
			return fmt.Errorf("cluster: read election: %w", err)
		}
		s.coordinator = n
	}
	return nil
}

// with sets one entry of a map that may not exist yet.
func with[K comparable, V any](m map[K]V, key K, value V) map[K]V {
	if m == nil {
		m = map[K]V{}
	}
	m[key] = value
	return m
}

// remove notes that a key is gone.
func (s *etcdState) remove(key string) {
	kind, name, _ := strings.Cut(key, "/")
	n, _ := parseIncarnation(name) // 0, which nobody has, if it is none
	switch kind + "/" {
	case keyMembers:
		delete(s.members, n)
	case keyOwners:
		delete(s.roles, name)
	case keyDead:
		delete(s.dead, n)
	case keyCoordinator + "/":
		s.coordinator = 0
	}
}

// reborn reports whether a later state is of another generation, and which role tells.
func (s *etcdState) reborn(next etcdState) (role string, other bool) {
	for _, role := range slices.Sorted(maps.Keys(s.roles)) {
		if now := next.roles[role]; now == nil || now.Generation != s.roles[role].Generation {
			return role, true
		}
	}
	return "", false
}

// record is the state as the cluster sees it. It shares nothing that changes.
func (s *etcdState) record() *Record {
	r := &Record{Revision: s.revision, Roles: maps.Clone(s.roles), Dead: maps.Clone(s.dead), Coordinator: s.coordinator}
	r.Members = slices.SortedFunc(maps.Values(s.members), bySince)
	return r
}
