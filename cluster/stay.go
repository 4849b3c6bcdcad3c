package cluster

import (
	"errors"
	"time"
)

// stayFor is how long moves that are under way may take to come to their end.
const stayFor = stageFor + 2*time.Second

// errStays: the node is about to end its actors itself.
var errStays = errors.New("cluster: the node stops")

// Stay lets no move begin any more, from this node or to it, puts off what can be put off, and calls done when the
// others have come to their end, after seven seconds at the latest: then no actor is at rest for a move, and whoever
// owns them may end them. done is called once, from any goroutine.
func (c *Cluster) Stay(done func()) {
	for _, m := range c.tenancy.stay() {
		c.tenancy.off(m, errStays)
	}
	c.when(stayFor, c.tenancy.isStill, done)
}

// stay lets no move begin, and returns those under way.
func (n *tenancy) stay() []*move {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stays = true
	return n.sortedMoves()
}

// isStill reports whether nothing is being moved. States that wait here do so in vain if the cluster is forgotten.
func (n *tenancy) isStill() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.moves) == 0 && (len(n.stages) == 0 || n.c.forgotten.Load())
}
