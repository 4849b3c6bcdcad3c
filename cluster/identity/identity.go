// Package identity says who a process of a cluster is, and believes it of others: the identities that stand in
// certificates, the CA that issues them, the files that a node has them in, and the reasons to refuse somebody else's.
//
// It promises that a peer is let in only with a certificate of the cluster's own CA, of now, that names a node of this
// cluster; that whoever is refused is told apart by reason; and that files that change are read again, while files that
// cannot be read change nothing. It does not revoke: a certificate is believed until it ends, or its CA is taken away.
package identity

import (
	"crypto/x509"
	"net/url"
	"strings"
)

// A Role is what the holder of a certificate may be.
type Role string

// The roles that certificates name.
const (
	Node   Role = "node"   // a node of runtime.toml: others take its batches
	Client Role = "client" // a tool: etcd lets it in, and nodes do not
)

// scheme is that of the URIs that certificates carry.
const scheme = "firefly"

// An Identity is whom a certificate is for. It stands in it as a URI, such as firefly://arena/node/game-1.
type Identity struct {
	Cluster string
	Role    Role
	Name    string
}

func (i Identity) String() string { return i.url().String() }

func (i Identity) url() *url.URL {
	return &url.URL{Scheme: scheme, Host: i.Cluster, Path: "/" + string(i.Role) + "/" + i.Name}
}

// Of is the identity that a certificate names; false if it names none, or several.
func Of(c *x509.Certificate) (Identity, bool) {
	var found []Identity
	for _, u := range c.URIs {
		role, name, ok := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
		if u.Scheme == scheme && ok && u.Host != "" && name != "" && !strings.Contains(name, "/") {
			found = append(found, Identity{Cluster: u.Host, Role: Role(role), Name: name})
		}
	}
	if len(found) != 1 {
		return Identity{}, false
	}
	return found[0], true
}
