package cluster

import (
	"fmt"
	"sync"

	"github.com/fireflyrt/firefly/actors"
)

// A Network carries batches between nodes of one process, in order per pair, through a scheduler; a test can cut it.
type Network struct {
	scheduler actors.Scheduler

	mu     sync.Mutex
	nodes  map[string]*networkNode
	cut    map[[2]string]bool
	drop   map[[2]string]int
	queues map[[2]string][][]byte
}

// NewNetwork makes a network without nodes.
func NewNetwork(s actors.Scheduler) *Network {
	return &Network{scheduler: s, nodes: map[string]*networkNode{}, cut: map[[2]string]bool{},
		drop: map[[2]string]int{}, queues: map[[2]string][][]byte{}}
}

// Node returns a carrier at this address.
func (w *Network) Node(address string) Carrier { return &networkNode{shared: w, address: address} }

// Cut lets everything between two addresses be lost, both ways, or joins them again. What is on its way is lost, too.
func (w *Network) Cut(a, b string, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, pair := range [...][2]string{{a, b}, {b, a}} {
		w.cut[pair] = cut
		if cut {
			w.queues[pair] = nil
		} else if n := w.nodes[pair[0]]; n != nil && n.receiver != nil {
			w.scheduler.Run(func() { n.receiver.Connected(pair[1]) })
		}
	}
}

// Drop lets the next n batches from one address to another be lost, and nobody learns of it.
func (w *Network) Drop(from, to string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop[[2]string{from, to}] = n
}

// networkNode is one node's end of the network.
type networkNode struct {
	shared   *Network
	address  string
	receiver Receiver
}

// Listen begins to receive, as Carrier says.
func (n *networkNode) Listen(r Receiver) (string, error) {
	n.shared.mu.Lock()
	defer n.shared.mu.Unlock()
	if n.shared.nodes[n.address] != nil {
		return "", fmt.Errorf("cluster: address %s is taken", n.address)
	}
	n.receiver = r
	n.shared.nodes[n.address] = n
	return n.address, nil
}

// Connect has nothing to do: every address can be reached.
func (n *networkNode) Connect(string) {}

// Disconnect has nothing to do, either.
func (n *networkNode) Disconnect(string) {}

// Send queues a batch, as Carrier says. It never blocks.
func (n *networkNode) Send(address string, b []byte) {
	w, pair := n.shared, [2]string{n.address, address}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut[pair] || w.nodes[address] == nil || w.nodes[n.address] != n {
		return
	}
	if w.drop[pair] > 0 {
		w.drop[pair]--
		return
	}
	w.queues[pair] = append(w.queues[pair], b)
	if len(w.queues[pair]) == 1 {
		w.scheduler.Run(func() { w.carry(pair) })
	}
}

// carry delivers what stands in the queue of a pair.
func (w *Network) carry(pair [2]string) {
	for {
		w.mu.Lock()
		queue, to := w.queues[pair], w.nodes[pair[1]]
		if len(queue) == 0 {
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
		if to != nil {
			to.receiver.Receive(queue[0])
		}
		w.mu.Lock()
		if q := w.queues[pair]; len(q) > 0 {
			w.queues[pair] = q[1:]
		}
		w.mu.Unlock()
	}
}

// Close takes the node off the network.
func (n *networkNode) Close() {
	n.shared.mu.Lock()
	defer n.shared.mu.Unlock()
	if n.shared.nodes[n.address] == n {
		delete(n.shared.nodes, n.address)
	}
}
