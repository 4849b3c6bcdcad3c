package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster"
)

// startControl opens the control endpoint before anything else: from then on this process is the node, whoever started
// it, and an `up` finds it.
func (p *process) startControl(context.Context) (err error) {
	r := Running{Name: p.self.Name, Roles: p.self.Roles, Incarnation: p.incarnation, HTTP: p.self.HTTP,
		Settings: p.config.Fingerprint(p.self)}
	p.control, err = OpenControl(p.config.RunDir(), r, controlled{p})
	return err
}

// announce says that all has come up.
func (p *process) announce(context.Context) error {
	if p.sockets == nil {
		return p.control.Serves()
	}
	return p.control.Serves(p.sockets.Listeners()...)
}

// certifyPause is between two tries to tell of a death.
const certifyPause = 200 * time.Millisecond

// certifyEarlier tells the registry that the process which had this name before is dead. Without a registry there is
// nothing to join either, so it waits for one; but not longer than leases take to say the same.
func (p *process) certifyEarlier(ctx context.Context) {
	dead := p.control.Earlier()
	if dead.Incarnation == 0 {
		return
	}
	within, cancel := context.WithTimeout(ctx, 2*p.config.Cluster.Lease)
	defer cancel()
	for {
		err := cluster.Certify(within, RegistryOptions(p.config, p.log), dead.Incarnation)
		if err == nil {
			return
		}
		select {
		case <-time.After(certifyPause):
		case <-within.Done():
			p.log.Warn("the death of the process before this one could not be told", "pid", dead.PID, "error", err)
			return
		}
	}
}

// controlled is the process as its control endpoint sees it.
type controlled struct{ p *process }

// errStarting is what a node says of itself until it has joined.
var errStarting = errors.New("starting")

// node is nil until there is one.
func (c controlled) node() *Node {
	if !c.p.began.Load() {
		return nil
	}
	return c.p.node
}

func (c controlled) Ready() error {
	if n := c.node(); n != nil {
		return n.Ready()
	}
	return errStarting
}

func (c controlled) Report() any {
	if n := c.node(); n != nil {
		return n.Report()
	}
	return Report{}
}

func (c controlled) Members() []Membership {
	n := c.node()
	if n == nil {
		return nil
	}
	view := n.Cluster().View()
	all := make([]Membership, len(view.Members))
	for i, m := range view.Members {
		all[i] = Membership{Name: m.Name, Incarnation: m.Incarnation, Roles: m.Roles,
			Shards: shardsOf(view, m.Incarnation), Draining: m.Draining}
	}
	return all
}

// shardsOf counts what an incarnation owns, in all roles.
func shardsOf(view *cluster.View, incarnation uint64) int {
	shards := 0
	for _, a := range view.Roles {
		for _, o := range a.Owners {
			if o.Incarnation == incarnation {
				shards++
			}
		}
	}
	return shards
}

// A drain is the newest try of a node to hand its shards over.
type drain struct {
	mu    sync.Mutex
	of    uint64 // the incarnation
	began bool
	done  bool
	err   error // of the try before, until it was told
}

// begin says whether a try is to begin, and why the one before was given up.
func (d *drain) begin(of uint64) (isNew bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.of != of { // what the one before had begun is over with it
		d.of, d.began, d.done, d.err = of, false, false, nil
	}
	if err, d.err = d.err, nil; err != nil || d.began {
		return false, err
	}
	d.began = true
	return true, nil
}

// over takes in how a try went, unless that incarnation is.
func (d *drain) over(of uint64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.of != of {
		return
	}
	d.done, d.began, d.err = err == nil, err == nil, err
}

func (d *drain) isDone() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.done
}

// handOver begins to hand over all that can be. Of a node whose actors cannot travel nothing can: it gives its shards
// up when it leaves.
func (c controlled) handOver(n *Node, of uint64) {
	over := func(err error) { c.p.drain.over(of, err) }
	if me, here := n.Cluster().View().Member(c.p.self.Name); !here || !me.Moves {
		over(nil)
		return
	}
	n.Cluster().Drain(c.p.config.Cluster.DrainTimeout, over)
}

func (c controlled) Drain() (Drained, error) {
	n := c.node()
	if n == nil {
		return Drained{}, errStarting
	}
	of := n.Incarnation()
	isNew, err := c.p.drain.begin(of)
	if isNew {
		c.handOver(n, of)
	}
	now := Drained{Shards: shardsOf(n.Cluster().View(), of), Done: c.p.drain.isDone()}
	if rest := n.Cluster().Undrained(); rest != nil && !now.Done {
		now.Rest = rest.Error()
	}
	return now, err
}

func (c controlled) Record() error {
	if c.node() == nil {
		return errStarting
	}
	return c.p.recorder.FollowFile()
}

func (c controlled) Stop() { c.p.stop() }

// boxWithin is how long an entity may take to come up and show its box.
const boxWithin = 5 * time.Second

func (c controlled) Box(ctx context.Context, ref actors.Ref, drop uint64) ([]byte, error) {
	if c.node() == nil {
		return nil, errStarting
	}
	found := make(chan *actors.Envelope, 1)
	e := actors.RuntimeMessage(actors.Ref{}, ref, &actors.Inspect{Drop: drop})
	c.p.node.System.Request(e, boxWithin, func(answer *actors.Envelope) { found <- answer })
	select {
	case answer := <-found:
		if answer.Type == actors.Refused {
			return nil, answer.Refusal()
		}
		return answer.Body, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("node: look into the box of %s: %w", ref, ctx.Err())
	}
}

func (c controlled) Take(ctx context.Context, ref actors.Ref) (string, error) {
	if c.node() == nil {
		return "", errStarting
	}
	type taken struct {
		path string
		err  error
	}
	found := make(chan taken, 2)
	done := func(path string, err error) { found <- taken{path, err} }
	waits := 0
	if c.p.recorder.TakeGone(ref, done) {
		waits++
	}
	if c.p.node.System.Listen(ref, func(of actors.Trace) { c.p.recorder.Take(of, done) }) {
		waits++
	}
	var all taken
	for range waits {
		select {
		case f := <-found:
			all = taken{cmp.Or(f.path, all.path), errors.Join(all.err, f.err)}
		case <-ctx.Done():
			return "", fmt.Errorf("node: take what %s did: %w", ref, ctx.Err())
		}
	}
	return all.path, all.err
}
