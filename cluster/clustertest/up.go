package clustertest

import (
	"bufio"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// An Up is an `up` that runs.
type Up struct {
	*Cluster
	Command *exec.Cmd
	Ended   chan struct{} // closed when the process is gone and all that it printed was read

	mu      sync.Mutex
	printed []string
}

// Begin starts an `up`, off a terminal.
func (c *Cluster) Begin(args ...string) *Up {
	c.t.Helper()
	u := &Up{Cluster: c, Command: c.Command(append([]string{"up"}, args...)...), Ended: make(chan struct{})}
	out, err := u.Command.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	u.Command.Stderr = u.Command.Stdout
	if err := u.Command.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.ups = append(c.ups, u)
	go func() { // ends with the process, which clear waits for
		defer close(u.Ended)
		for s := bufio.NewScanner(out); s.Scan(); {
			u.mu.Lock()
			u.printed = append(u.printed, s.Text())
			u.mu.Unlock()
		}
		_ = u.Command.Wait() // the exit code says how it ended
	}()
	return u
}

// Up starts an `up` and waits until it says that everything is ready.
func (c *Cluster) Up() *Up {
	c.t.Helper()
	began := time.Now()
	u := c.Begin()
	u.Prints("ready in ")
	c.t.Logf("ready after %v", time.Since(began).Round(LookEach))
	return u
}

// Prints waits for a line that holds a text.
func (u *Up) Prints(text string) (line string) {
	u.t.Helper()
	Await(u.t, Patience, fmt.Sprintf("`up` to print %q", text), func() error {
		u.mu.Lock()
		defer u.mu.Unlock()
		i := slices.IndexFunc(u.printed, func(l string) bool { return strings.Contains(l, text) })
		if i >= 0 {
			line = u.printed[i]
			return nil
		}
		select {
		case <-u.Ended:
			u.t.Fatalf("`up` ended without %q", text)
		default:
		}
		return errors.New("not yet")
	})
	return line
}

// Text is what it has printed so far.
func (u *Up) Text() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return strings.Join(u.printed, "\n")
}

// Signal ends `up` with a signal and returns its exit code.
func (u *Up) Signal(s syscall.Signal) int {
	u.t.Helper()
	if err := u.Command.Process.Signal(s); err != nil {
		u.t.Fatal(err)
	}
	select {
	case <-u.Ended:
	case <-time.After(2 * Patience):
		u.t.Fatalf("waited %v for `up` to end after %v", 2*Patience, s)
	}
	return u.Command.ProcessState.ExitCode()
}

// Stop ends `up` as Ctrl-C does, which must go well and leave nothing.
func (u *Up) Stop() {
	u.t.Helper()
	began := time.Now()
	if code := u.Signal(syscall.SIGINT); code != 0 {
		u.t.Errorf("`up` ended with exit code %d", code)
	}
	u.t.Logf("stopped after %v", time.Since(began).Round(LookEach))
	u.LeavesNothing()
}
