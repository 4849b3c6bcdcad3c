package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/fireflyrt/firefly/cluster/node"
)

// This file is what a supervisor lets happen beside its own goroutine, because it takes time:
// processes that run, questions to nodes, logins, certificates, the stop. Each reports through one
// of the supervisor's channels, and Run waits for all of them before it returns.

// start begins a node's process, unless somebody else has.
func (s *Supervisor) start(c *child, now time.Time) {
	if r, ok := living(s.plan.Config.RunDir(), c.Name); ok {
		s.adopt(c, r, now)
		return
	}
	s.follow(c)
	log, err := openLog(filepath.Join(s.plan.Config.LogDir(), c.Name+".log"))
	if err == nil {
		err = c.start(s.plan, log, now)
		err = errors.Join(err, log.Close()) // the process has its own descriptor
	}
	if err != nil {
		s.rest(c, now, err.Error())
		return
	}
	s.tell(c, "started", "started, pid %d", c.running.PID)
	s.beside.Add(1)
	go func() { // ends with the process: Run does not return before
		defer s.beside.Done()
		s.ends <- c.wait()
	}()
}

// follow reads what the node logs from now on.
func (s *Supervisor) follow(c *child) {
	if !c.followed {
		s.follower.begin(c.Name)
	}
	c.followed = true
}

// look asks a node how it is, beside.
func (s *Supervisor) look(beside context.Context, c *child) {
	c.looking = true
	dir, pid := s.plan.Config.RunDir(), c.running.PID // the plan changes with scale
	s.beside.Add(1)
	go func() { // ends within askWithin
		defer s.beside.Done()
		ctx, cancel := context.WithTimeout(beside, askWithin)
		defer cancel()
		l := lookAt(ctx, dir, c.Name, pid)
		select {
		case s.looks <- l:
		case <-beside.Done():
		}
	}()
}

// login tries to log in through the gates, beside, after a pause.
func (s *Supervisor) login(beside context.Context, pause time.Duration) {
	var gates []node.Running
	for _, c := range s.children {
		if c.Has(node.RoleGate) {
			gates = append(gates, c.running)
		}
	}
	s.beside.Add(1)
	go func() { // ends within loginEvery + askWithin
		defer s.beside.Done()
		var err error
		if len(gates) > 0 && s.plan.Login != nil {
			err = sleep(beside, pause)
			if err == nil {
				ctx, cancel := context.WithTimeout(beside, askWithin)
				defer cancel()
				err = s.plan.Login(ctx, gates)
			}
		}
		select {
		case s.logins <- err:
		case <-beside.Done():
		}
	}()
}

// certify tells the registry of a death, beside, until it has heard. A note of it stays until then,
// for the next supervisor if this one dies meanwhile.
func (s *Supervisor) certify(beside context.Context, dead node.Running) {
	if s.plan.Certify == nil || dead.Incarnation == 0 {
		return
	}
	note, within := noteDeath(s.plan.Config.RunDir(), dead), 2*s.plan.Config.Cluster.Lease
	s.beside.Add(1)
	go func() { // ends when the registry knows, or would have found out by itself
		defer s.beside.Done()
		defer func() {
			if beside.Err() == nil {
				os.Remove(note) //nolint:errcheck // the next supervisor certifies once more
			}
		}()
		ctx, cancel := context.WithTimeout(beside, within)
		defer cancel()
		for {
			err := s.plan.Certify(ctx, dead)
			if err == nil || sleep(ctx, certifyEvery) != nil {
				return
			}
		}
	}()
}

// beginStop asks the nodes to end, in order, beside; it does nothing the second time.
func (s *Supervisor) beginStop(rush context.Context, why string) {
	if s.phase >= stopping {
		return
	}
	s.tell(nil, "stopping", "%s", why)
	if s.phase < playing && s.plan.Once > 0 && len(s.failures) == 0 {
		s.fail("stopped before it was ready: %s", s.missing())
	}
	s.phase = stopping
	var alive []node.Running
	for _, c := range s.children {
		if c.state == running {
			alive = append(alive, c.running)
		} else {
			c.state = ended
		}
	}
	within := s.plan.Config.Cluster.DrainTimeout
	s.beside.Add(1)
	go func() { // ends when the last node has
		defer s.beside.Done()
		tell := func(e Event) { s.told <- e }
		s.stopped <- stopInOrder(rush, alive, within, tell)
	}()
}

// sleep waits, unless ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
