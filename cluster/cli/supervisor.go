package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fireflyrt/firefly/cluster/node"
)

// A Plan is what a supervisor is to do.
type Plan struct {
	Config *node.Config
	Nodes  []node.NodeConfig // those that this machine starts
	Binary string            // runs one node as: Binary node NAME --config FILE
	Env    []string          // of the nodes, beside the supervisor's own
	Once   time.Duration     // if not 0: stop so long after everything was ready

	// ReadyWithin bounds how long Once waits for everything to be ready.
	ReadyWithin time.Duration
	// Certify tells the registry that this process has ended. It is called off the supervisor's
	// goroutine, again and again until it succeeds or two leases have passed.
	Certify func(ctx context.Context, dead node.Running) error
	// Login logs in through the gates that run; tried until it succeeds.
	Login func(ctx context.Context, gates []node.Running) error
	// Scale makes a table have so many copies from now on, and returns the configuration that says so, and which nodes
	// this machine starts then.
	Scale func(table string, count int) (*node.Config, []node.NodeConfig, error)
	View  View
}

// build names the binary that the plan starts.
func (p *Plan) build() string { return filepath.Base(filepath.Dir(p.Binary)) }

// How often a supervisor looks at nodes, and how patient it is with those that die.
const (
	tickEvery    = 50 * time.Millisecond
	readyEvery   = time.Second // between two looks at a node that was ready
	askWithin    = 2 * time.Second
	firstBackoff = 200 * time.Millisecond
	longBackoff  = 5 * time.Second
	healthyAfter = 30 * time.Second
	certifyEvery = 250 * time.Millisecond
	loginEvery   = 100 * time.Millisecond
	maxFailures  = 20
	waitEvery    = 3 * time.Second // between two lines that say who is waited for
)

// A phase is how far a supervisor has come.
type phase uint8

const (
	registryFirst phase = iota // the registry opens, the others wait for it
	allStart                   // everything has been started, something is not ready yet
	loggingIn                  // everything was ready, the first login is being tried
	playing
	stopping
	over
)

// A Supervisor runs the nodes of one machine as processes: it starts them in order, restarts what
// dies, and stops them in order. One goroutine decides (Run); what takes time happens beside it and
// reports through channels. When the supervisor itself dies, its nodes live on, and the next one adopts them: it makes
// no difference to a node who started it.
type Supervisor struct {
	plan     Plan
	children []*child
	phase    phase
	began    time.Time
	ready    time.Time // when everything was, and a login went through
	shown    time.Time
	waitTold time.Time // when it was last said who is waited for
	failures []string
	isBehind bool // a node said, before everything was ready, that the store lacks what it needs
	// loginError is why the last login did not go through.
	loginError error
	follower   *follower
	wishes     []*wish // that are being fulfilled

	ends    chan ending
	looks   chan look
	logins  chan error
	stopped chan []string // names of the nodes that had to be killed
	told    chan Event    // from beside
	wished  chan *wish    // from operators
	asked   chan chan []Row
	retired chan retirement
	ended   chan struct{} // closed when Run returns
	beside  sync.WaitGroup
}

// NewSupervisor makes a supervisor; nothing starts before Run.
func NewSupervisor(p Plan) *Supervisor {
	s := &Supervisor{plan: p, follower: newFollower(p.Config.LogDir()),
		ends: make(chan ending), looks: make(chan look), logins: make(chan error),
		stopped: make(chan []string), told: make(chan Event), wished: make(chan *wish), asked: make(chan chan []Row),
		retired: make(chan retirement), ended: make(chan struct{})}
	for _, n := range p.Nodes {
		s.child(n)
	}
	return s
}

// child is a node that is to run from now on.
func (s *Supervisor) child(n node.NodeConfig) *child {
	c := &child{NodeConfig: n, backoff: firstBackoff}
	s.children = append(s.children, c)
	return c
}

// find finds a node by its name, or returns nil.
func (s *Supervisor) find(name string) *child {
	i := slices.IndexFunc(s.children, func(c *child) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return s.children[i]
}

// Run first adopts what runs already, and then supervises until ctx ends, or Once is over, or every node was stopped by
// somebody else; then it stops the nodes in order and waits for them. Once rush ends, nodes are killed instead. The
// error names what failed: a node that never was ready, one that had to be killed, with Once also
// one that died on the way.
func (s *Supervisor) Run(ctx, rush context.Context) error {
	defer close(s.ended)
	beside, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.began = time.Now()
	s.waitTold = s.began
	if err := s.takeOver(ctx, beside); err != nil {
		cancel() // what was adopted lives on, and nobody watches it
		return err
	}
	defer s.beside.Wait()
	defer cancel()
	s.goOn(beside, rush)
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	asked := ctx.Done()
	for s.phase != over {
		s.step(beside, rush, time.Now())
		select {
		case <-asked:
			asked = nil
			s.beginStop(rush, "stopping")
		case e := <-s.ends:
			s.childEnded(beside, e)
			s.endIfBehind(rush, e)
		case l := <-s.looks:
			s.looked(l)
		case err := <-s.logins:
			s.loggedIn(beside, err)
		case hung := <-s.stopped:
			s.allStopped(beside, hung)
		case w := <-s.wished:
			s.grant(beside, rush, w)
		case r := <-s.retired:
			s.hasRetired(r)
		case rows := <-s.asked:
			rows <- s.rows()
		case e := <-s.told:
			s.tellOn(e)
		case <-tick.C:
		}
	}
	return s.verdict()
}

// tell shows an event about a node, or about the cluster.
func (s *Supervisor) tell(c *child, what, format string, args ...any) {
	e := Event{At: time.Now(), What: what, Text: fmt.Sprintf(format, args...)}
	if c != nil {
		e.Node, e.PID = c.Name, c.running.PID
	}
	s.plan.View.Event(e)
}

// step does what is due.
func (s *Supervisor) step(beside, rush context.Context, now time.Time) {
	for _, c := range s.children {
		switch {
		case s.phase >= stopping:
		case c.state == waiting && (s.phase > registryFirst || c.Has(node.RoleRegistry)),
			c.state == resting && !now.Before(c.until):
			s.start(c, now)
		}
		if c.due(now) {
			s.look(beside, c)
		}
	}
	s.advance(beside, rush, now)
	s.fulfil(now)
	if now.Sub(s.shown) >= time.Second {
		s.shown = now
		for _, e := range s.follower.warnings(s.children) {
			s.plan.View.Event(e)
		}
		s.plan.View.Table(s.rows())
	}
}

// advance goes to the next phase if its time has come.
func (s *Supervisor) advance(beside, rush context.Context, now time.Time) {
	switch s.phase {
	case registryFirst:
		if s.every(func(c *child) bool { return c.opened || !c.Has(node.RoleRegistry) }) {
			s.phase = allStart
			s.step(beside, rush, now)
		}
	case allStart:
		if s.every(func(c *child) bool { return c.wasReady }) {
			s.phase = loggingIn
			s.login(beside, 0)
		}
	case playing:
		if s.plan.Once > 0 && now.Sub(s.ready) >= s.plan.Once {
			s.beginStop(rush, fmt.Sprintf("%s are over, stopping", s.plan.Once))
		}
	}
	if s.phase >= stopping {
		return
	}
	if s.every(func(c *child) bool { return c.state == ended }) {
		s.beginStop(rush, "every node has been stopped")
	}
	if s.phase < playing && now.Sub(s.waitTold) >= waitEvery {
		s.waitTold = now
		s.tell(nil, "waiting", "still waiting for %s", s.missing())
	}
	if s.plan.Once > 0 && s.phase < playing && now.Sub(s.began) > s.plan.ReadyWithin {
		s.fail("not ready after %s: %s", s.plan.ReadyWithin, s.missing())
		s.beginStop(rush, "giving up")
	}
}

func (s *Supervisor) every(holds func(*child) bool) bool {
	for _, c := range s.children {
		if !holds(c) {
			return false
		}
	}
	return true
}

// missing says what is not ready, and why.
func (s *Supervisor) missing() string {
	var parts []string
	for _, c := range s.children {
		if !c.wasReady {
			parts = append(parts, c.Name+" ("+c.describe()+")")
		}
	}
	if len(parts) == 0 {
		return fmt.Sprintf("no login went through (%v)", s.loginError)
	}
	return strings.Join(parts, ", ")
}

// fail notes what Run will return; the first few say enough.
func (s *Supervisor) fail(format string, args ...any) {
	if len(s.failures) == maxFailures {
		return
	}
	s.failures = append(s.failures, fmt.Sprintf(format, args...))
}

// looked takes in what a node said.
func (s *Supervisor) looked(l look) {
	c := s.find(l.name)
	switch {
	case c == nil || !c.looked(l, time.Now()):
	case c.adopted:
		s.tell(c, "ready", "ready")
	default:
		s.tell(c, "ready", "ready after %.1fs", time.Since(c.started).Seconds())
	}
}

// loggedIn takes in how the login went; after a failure it is tried again.
func (s *Supervisor) loggedIn(beside context.Context, err error) {
	if s.loginError = err; s.phase != loggingIn {
		return
	}
	if err != nil {
		s.login(beside, loginEvery)
		return
	}
	s.phase, s.ready = playing, time.Now()
	s.plan.View.Event(Event{At: s.ready, What: "play",
		Text: fmt.Sprintf("ready in %.1fs  %s", s.ready.Sub(s.began).Seconds(), s.where())})
}

// where is the address to play at: the page if there is one, else a gate.
func (s *Supervisor) where() string {
	for _, c := range s.children {
		if c.Has(node.RoleAdmin) && c.running.HTTP != "" {
			return "http://" + c.running.HTTP
		}
	}
	for _, c := range s.children {
		if doors := c.running.Doors(); len(doors) > 0 {
			return doors[0]
		}
	}
	return "no gate here"
}

// verdict is what Run returns.
func (s *Supervisor) verdict() error {
	s.tell(nil, "stopped", "all stopped")
	if len(s.failures) == 0 {
		return nil
	}
	if s.isBehind {
		return fmt.Errorf("%w: %s", errBehind, strings.Join(s.failures, "; "))
	}
	return fmt.Errorf("%w: %s", errFailed, strings.Join(s.failures, "; "))
}

// errFailed means that nodes did not do what they should; its text says which.
var errFailed = errors.New("cli: not all went well")

func (s *Supervisor) rows() []Row {
	rows := make([]Row, len(s.children))
	for i, c := range s.children {
		rows[i] = c.row()
	}
	return rows
}
