package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fireflyrt/firefly/cluster/node"
)

// This file is how a supervisor comes by nodes that it has not started: those of one that died, and those that somebody
// started by hand. It watches them as its own, though they are not its children.

// lostWithin is how long a control socket without a run file may take to answer.
const lostWithin = 500 * time.Millisecond

// takeOver adopts what runs, certifies the deaths that nobody saw, and then sees to it that the others can start. A
// process that has begun a moment ago has no run file yet but may listen already: it is waited for.
func (s *Supervisor) takeOver(ctx, beside context.Context) error {
	for _, dead := range uncertified(s.plan.Config.RunDir()) {
		s.certify(beside, dead)
	}
	within, cancel := context.WithTimeout(ctx, portsWithin)
	defer cancel()
	for {
		if err := s.adoptAll(ctx, beside); err != nil {
			return err
		}
		var next []node.NodeConfig
		for _, c := range s.children {
			if c.state == waiting {
				next = append(next, c.NodeConfig)
			}
		}
		taken := takenPorts(s.plan.Config, next)
		if len(taken) == 0 {
			return nil
		}
		if sleep(within, aliveEvery) != nil {
			return fmt.Errorf("cli: another program listens where a node should; stop it, "+
				"or change %s:\n  %s", s.plan.Config.Path, strings.Join(taken, "\n  "))
		}
	}
}

// adoptAll goes through the run files once: the living are adopted, the dead certified. A node without a file may still
// answer at its socket.
func (s *Supervisor) adoptAll(ctx, beside context.Context) error {
	dir := s.plan.Config.RunDir()
	found, err := node.ReadRunning(dir)
	if err != nil {
		return err
	}
	for _, r := range found {
		if !r.Alive() {
			s.certify(beside, r)
			if err := r.Forget(dir); err != nil {
				return err
			}
			continue
		}
		c := s.find(r.Name)
		if c == nil {
			c = s.child(node.NodeConfig{Name: r.Name, Roles: r.Roles})
			c.leaving = true
		}
		if c.state == waiting {
			s.adopt(c, r, time.Now())
		}
	}
	for _, c := range s.children {
		if c.state != waiting {
			continue
		}
		within, cancel := context.WithTimeout(ctx, lostWithin)
		if r, ok := node.FindLost(within, dir, c.Name); ok {
			s.adopt(c, r, time.Now())
		}
		cancel()
	}
	return nil
}

// living finds the process that runs as a node, if one does.
func living(dir, name string) (node.Running, bool) {
	all, err := node.ReadRunning(dir)
	if err != nil {
		return node.Running{}, false // whoever starts a second one is refused by the first one's lock
	}
	i := slices.IndexFunc(all, func(r node.Running) bool { return r.Name == name && r.Alive() })
	if i < 0 {
		return node.Running{}, false
	}
	return all[i], true
}

// adopt watches a process that somebody else has started.
func (s *Supervisor) adopt(c *child, r node.Running, now time.Time) {
	s.follow(c)
	c.begins(r, now)
	c.adopted, c.note = true, notice(s.plan.Config, c.NodeConfig, r, s.plan.build())
	if c.leaving {
		c.note = strange(s.plan.Config)
	}
	text := "runs already: adopted"
	if c.note != "" {
		text += "; " + c.note
	}
	s.tell(c, "adopted", "%s", text)
	s.beside.Add(1)
	go func() { // ends with the process: Run does not return before
		defer s.beside.Done()
		awaitEnd(r)
		select {
		case s.ends <- ending{child: c, code: unseen}:
		case <-s.ended: // it was adopted, and then the start was given up
		}
	}()
}

// awaitEnd returns when a process that is not this one's child has ended.
func awaitEnd(r node.Running) {
	fd, err := unix.PidfdOpen(r.PID, unix.PIDFD_NONBLOCK)
	if err != nil {
		awaitDeath(r) // it has ended, or the kernel has no such thing
		return
	}
	file := os.NewFile(uintptr(fd), "pidfd") // the runtime's poller waits: no thread does
	defer file.Close()
	if !r.Alive() { // the descriptor is of a later process
		return
	}
	conn, err := file.SyscallConn()
	if err == nil {
		err = conn.Read(func(fd uintptr) bool { return ready(int(fd)) })
	}
	if err != nil {
		awaitDeath(r)
	}
}

// ready says whether a descriptor can be read now: of a process, that it has ended.
func ready(fd int) bool {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		if !errors.Is(err, unix.EINTR) {
			return err != nil || n > 0
		}
	}
}

// awaitDeath looks again and again whether a process lives.
func awaitDeath(r node.Running) {
	for r.Alive() {
		time.Sleep(aliveEvery)
	}
}

// notice says what is unusual about a process that runs as a node: another binary, other settings.
func notice(c *node.Config, n node.NodeConfig, r node.Running, build string) string {
	var all []string
	if at := buildOf(r); build != "" && at != "" && at != build {
		all = append(all, fmt.Sprintf("it runs build %s, and this is %s", at, build))
	}
	if r.Settings != "" && r.Settings != c.Fingerprint(n) {
		all = append(all, "its configuration has changed since it started")
	}
	return strings.Join(all, "; ")
}

// strange is the notice of a process that no configuration asks for.
func strange(c *node.Config) string {
	return "it is not in " + filepath.Base(c.Path) + ": stop it when nobody needs it"
}

// buildOf names the binary that a process runs, as install does; "" if it cannot be told.
func buildOf(r node.Running) string {
	if r.Build != "" {
		return r.Build
	}
	build, err := hashOf("/proc/" + strconv.Itoa(r.PID) + "/exe")
	if err != nil {
		return ""
	}
	return build
}
