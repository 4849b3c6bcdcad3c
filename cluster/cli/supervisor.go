package cli

import (
	"context"
	"errors"
	"fmt"
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
	View  View
}

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
// reports through channels. When the supervisor itself dies, its nodes live on.
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

	ends    chan ending
	looks   chan look
	logins  chan error
	stopped chan []string // names of the nodes that had to be killed
	told    chan Event    // from beside
	beside  sync.WaitGroup
}

// NewSupervisor makes a supervisor; nothing starts before Run.
func NewSupervisor(p Plan) *Supervisor {
	s := &Supervisor{plan: p, follower: newFollower(p.Config.LogDir()),
		ends: make(chan ending), looks: make(chan look), logins: make(chan error),
		stopped: make(chan []string), told: make(chan Event)}
	for _, n := range p.Nodes {
		s.children = append(s.children, &child{NodeConfig: n, backoff: firstBackoff})
	}
	return s
}

// Run supervises until ctx ends, or Once is over, or every node was stopped by somebody else; then
// it stops the nodes in order and waits for them. Once rush ends, nodes are killed instead. The
// error names what failed: a node that never was ready, one that had to be killed, with Once also
// one that died on the way.
func (s *Supervisor) Run(ctx, rush context.Context) error {
	beside, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer s.beside.Wait()
	defer cancel()
	s.began = time.Now()
	s.waitTold = s.began
	if err := s.clearEarlier(beside, rush); err != nil {
		return err
	}
	if err := checkPorts(ctx, s.plan.Config, s.plan.Nodes); err != nil {
		return err
	}
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
		case e := <-s.told:
			s.plan.View.Event(e)
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
	for _, c := range s.children {
		if c.Name != l.name {
			continue
		}
		first := c.looked(l, time.Now())
		if first {
			s.tell(c, "ready", "ready after %.1fs", time.Since(c.started).Seconds())
		}
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
		if c.running.WS != "" {
			return "ws://" + c.running.WS
		}
		if c.running.TCP != "" {
			return "tcp://" + c.running.TCP
		}
	}
	return "no gate here"
}

// childEnded takes in that a process has ended.
func (s *Supervisor) childEnded(beside context.Context, e ending) {
	c := e.child
	dir := s.plan.Config.RunDir()
	dead, orderly := c.end(e, dir)
	now := time.Now()
	if !orderly {
		s.certify(beside, dead)
		dead.Forget(dir) //nolint:errcheck // the next process replaces the file
	}
	switch {
	case e.code == 0 && s.phase >= stopping:
		c.state = ended
		s.tell(c, "stopped", "stopped")
	case e.code == 0:
		c.state = ended
		s.tell(c, "stopped", "was stopped, and stays down until the next up")
		if !c.wasReady {
			s.fail("%s ended before it was ready", c.Name)
		}
	case s.phase >= stopping:
		c.state, c.failure = ended, e.text
		s.tell(c, "died", "ended with %s", e.text)
	default:
		s.rest(c, now, e.text+s.lastWords(c, e))
	}
}

// endIfBehind gives up a start that no further try can help. A node that finds so later, because somebody has changed
// the store under it, rests like others that die: once the store is migrated, it comes back by itself.
func (s *Supervisor) endIfBehind(rush context.Context, e ending) {
	if e.code != exitBehind || s.phase >= playing {
		return
	}
	s.isBehind = true
	s.fail("%s does not start: the database lacks what it needs; migrate makes it, and %s says what", e.child.Name,
		s.follower.path(e.child.Name))
	s.beginStop(rush, "giving up")
}

// rest lets a node that died wait before it is started again.
func (s *Supervisor) rest(c *child, now time.Time, why string) {
	pause := c.rest(now)
	if s.plan.Once > 0 {
		s.fail("%s died (%s)", c.Name, why)
	}
	s.tell(c, "died", "died (%s), starts again in %s", why, pause)
}

// lastWords is what a process that ended by itself wrote last, and where the rest stands.
func (s *Supervisor) lastWords(c *child, e ending) string {
	last := s.follower.last(c.Name)
	if e.code < 0 || last == "" {
		return ""
	}
	return fmt.Sprintf(": %s; more in %s", last, s.follower.path(c.Name))
}

// allStopped waits for the last processes to be reaped, and ends.
func (s *Supervisor) allStopped(beside context.Context, hung []string) {
	for !s.every(func(c *child) bool { return c.state != running }) {
		s.childEnded(beside, <-s.ends)
	}
	for _, c := range s.children {
		if slices.Contains(hung, c.Name) {
			s.fail("%s had to be killed", c.Name)
		} else if c.failure != "" {
			s.fail("%s ended with %s", c.Name, c.failure)
		}
	}
	s.plan.View.Table(s.rows())
	s.phase = over
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
