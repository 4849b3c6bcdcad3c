package cli

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"
)

// This file is what a supervisor does when a process has ended.

// childEnded takes in that a process has ended.
func (s *Supervisor) childEnded(beside context.Context, e ending) {
	c := e.child
	dir := s.plan.Config.RunDir()
	dead, left := c.end(&e, dir)
	now := time.Now()
	if left || e.code != 0 {
		s.certify(beside, dead)
		dead.Forget(dir) //nolint:errcheck // the next process replaces the file
	}
	if told := s.phase >= stopping || c.held; told && !left && e.signal == syscall.SIGTERM {
		e.code = 0 // it was told to stop before it had begun anything, and to listen to that
	}
	switch {
	case e.code == 0 && s.phase >= stopping:
		s.tell(c, "stopped", "stopped")
	case e.code == 0 && c.leaving:
		s.tell(c, "stopped", "stopped, and is no node of this cluster any more")
	case e.code == 0:
		s.tell(c, "stopped", "was stopped, and stays down until it is started, or the next up")
		if !c.wasReady && !c.held {
			s.fail("%s ended before it was ready", c.Name)
		}
	case s.phase >= stopping || c.held:
		c.failure = e.text
		s.tell(c, "died", "ended with %s", e.text)
	case c.leaving:
		s.tell(c, "died", "died (%s), and is no node of this cluster any more", e.text)
	default:
		s.rest(c, now, e.text+s.lastWords(c, e))
	}
	if c.leaving && s.phase < stopping {
		s.children = slices.DeleteFunc(s.children, func(o *child) bool { return o == c })
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
