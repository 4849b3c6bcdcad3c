package cluster

import "errors"

// ErrConflict means that somebody else wrote first, or that the writer is not who it thinks. Read again and decide
// anew: the record is on its way.
var ErrConflict = errors.New("cluster: the assignment was changed by another")

// ErrCondemned means that this incarnation has a death certificate: its shards are others' now. The process must end.
var ErrCondemned = errors.New("cluster: this incarnation was declared dead")

// ErrOpen means that a node would listen where the network reaches it, or call an etcd there, without asking who is
// who. Give it a certificate ([tls] in runtime.toml), or stay on the loopback.
var ErrOpen = errors.New("cluster: what leaves this machine needs certificates")

// errMalformed means that bytes are no batch of ours. It costs the connection that they came by.
var errMalformed = errors.New("cluster: malformed batch")

// errClosed means that the cluster was closed before it could leave.
var errClosed = errors.New("cluster: closed")

// errForgotten means that the registry is not the one that was joined; see Witness.
var errForgotten = errors.New("cluster: the registry has forgotten this cluster")
