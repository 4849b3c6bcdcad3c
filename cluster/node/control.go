package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fireflyrt/firefly/gate"
)

// maxSocketPath is how long a unix socket's path may be to work everywhere; Linux takes 107 bytes.
const maxSocketPath = 100

// A Control is a node's open control endpoint. It serves HTTP on a unix socket that only this user
// can open: GET /readyz (200, or 503 with the reason), POST /self (writes the run file once more, and answers
// with it), GET /report and GET /members
// (JSON), POST /drain (JSON: how many shards are left), POST /record (204; 500 with the reason),
// POST /take?actor=kind/id (the path of a file, or nothing if the actor is not here), POST /box?actor=kind/id&drop=0
// (JSON), POST /stop (202).
//
// While it is open no other process can open one of the same name on this machine: two processes would answer as one
// node. The kernel ends that with the process, however it ends.
type Control struct {
	file    string // the run file
	temp    string // directory made for a short socket path, or ""
	name    *nameLock
	earlier Running
	server  *http.Server
	served  chan struct{}
	once    sync.Once
	err     error

	mu      sync.Mutex // guards what follows
	running Running
}

// OpenControl serves n under r.Name in the directory dir (Config.RunDir) and then writes the run file, so that who
// reads the file can connect. It fills in what r does not say of the process itself. The error is ErrRuns if a process
// of this name lives, and still does after 2 s: one that was killed may take a moment to end. An earlier run file is
// replaced: see Earlier.
func OpenControl(dir string, r Running, n Controlled) (*Control, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("node: making the run directory: %w", err)
	}
	c := &Control{file: filepath.Join(dir, r.Name+".json"), served: make(chan struct{})}
	err := AfterDeath(ErrRuns, func() (err error) {
		c.name, c.earlier, err = claim(dir, r.Name)
		return err
	})
	if err != nil {
		return nil, err
	}
	r.Socket = socketFile(dir, r.Name)
	if len(r.Socket) > maxSocketPath {
		if c.temp, err = os.MkdirTemp("", shortDir); err != nil {
			return nil, fmt.Errorf("node: making a directory for the control socket: %w", errors.Join(err, c.release()))
		}
		r.Socket = filepath.Join(c.temp, "control.sock")
	}
	if err := r.identify(); err != nil {
		return nil, errors.Join(err, c.release())
	}
	c.running = r
	if err := c.open(n); err != nil {
		return nil, errors.Join(err, c.release())
	}
	if err := r.write(c.file); err != nil {
		return nil, errors.Join(err, c.Abandon())
	}
	return c, nil
}

// earlier is the process that left a run file of this name; zero: none did.
func earlier(dir, name string) (Running, error) {
	all, err := ReadRunning(dir)
	if err != nil {
		return Running{}, err
	}
	for _, r := range all {
		if r.Name != name {
			continue
		}
		if r.Alive() { // and has no lock: it is of an older build
			return Running{}, fmt.Errorf("%w: %s, pid %d", ErrRuns, name, r.PID)
		}
		return r, nil
	}
	return Running{}, nil
}

// socketFile is where a node's control socket is, unless that path is too long.
func socketFile(dir, name string) string { return filepath.Join(dir, name+".sock") }

// open listens and serves.
func (c *Control) open(n Controlled) error {
	if err := os.Remove(c.running.Socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("node: removing an old control socket: %w", err)
	}
	l, err := net.Listen("unix", c.running.Socket)
	if err != nil {
		return fmt.Errorf("node: opening the control socket: %w", err)
	}
	if err := os.Chmod(c.running.Socket, 0o600); err != nil {
		return fmt.Errorf("node: guarding the control socket: %w", errors.Join(err, l.Close()))
	}
	mux := controlHandler(n)
	mux.HandleFunc("POST /self", func(w http.ResponseWriter, _ *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		answer(w, c.running, c.running.write(c.file))
	})
	c.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { // ends with Close
		defer close(c.served)
		if err := c.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			c.err = fmt.Errorf("node: serving the control socket: %w", err)
		}
	}()
	return nil
}

// Running is what the run file says.
func (c *Control) Running() Running {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running
}

// Earlier is the process that ran under this name before and did not end in order; zero: there was none. It is dead.
func (c *Control) Earlier() Running { return c.earlier }

// Serves writes into the run file that all of the node has come up, and where clients reach it.
func (c *Control) Serves(doors ...gate.Listener) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running.Serves = true
	c.running.opens(doors)
	return c.running.write(c.file)
}

// Renew writes another incarnation of the process into the run file.
func (c *Control) Renew(incarnation uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running.Incarnation = incarnation
	return c.running.write(c.file)
}

// Close ends the endpoint and removes socket and run file: the orderly end of a node, its last act.
// It waits for requests under way, at most a second. Calls after the first return the same.
func (c *Control) Close() error { return c.end(true) }

// Abandon ends the endpoint and leaves the run file, which says to whoever finds it that the node did not end in order.
func (c *Control) Abandon() error { return c.end(false) }

func (c *Control) end(orderly bool) error {
	c.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		err := c.server.Shutdown(ctx)
		if err != nil {
			err = errors.Join(err, c.server.Close())
			err = fmt.Errorf("node: closing the control socket: %w", err)
		}
		<-c.served
		if orderly {
			if gone := os.Remove(c.file); gone != nil && !errors.Is(gone, os.ErrNotExist) {
				err = errors.Join(err, fmt.Errorf("node: removing the run file: %w", gone))
			}
		}
		c.err = errors.Join(c.err, err, c.release())
	})
	return c.err
}

// release gives up the name, and the directory made for the socket.
func (c *Control) release() error {
	var err error
	if c.temp != "" {
		if err = os.RemoveAll(c.temp); err != nil {
			err = fmt.Errorf("node: removing the control socket's directory: %w", err)
		}
	}
	return errors.Join(err, c.name.release())
}
