package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// Controlled is a node as its control endpoint sees it.
type Controlled interface {
	// Ready returns nil when the node does its work, else what it still waits for. It returns soon.
	Ready() error
	// Report returns what the node counts, for JSON. `up` and `ps` read of it what Report names.
	Report() any
	// Record makes the node follow the rules of recording as their file has them now.
	Record() error
	// Take writes what the flight recorder has of an actor to a file and returns its path; "" if the actor is not here.
	Take(ctx context.Context, ref actors.Ref) (string, error)
	// Box is what is in an entity's box, wherever it lives: actors.Contents in JSON. A drop other than 0 is the number
	// of a durable message to give up first.
	Box(ctx context.Context, ref actors.Ref, drop uint64) ([]byte, error)
	// Stop begins an orderly end and returns at once. Further calls do nothing.
	Stop()
}

// A Report is the part of every node's report that `up`, `ps` and `bots` read. A node's own report
// may hold more; it embeds this one, or has fields of the same names in JSON.
type Report struct {
	Sessions int    `json:"sessions"`
	Actors   int    `json:"actors"`
	Messages uint64 `json:"messages"` // handled by actors or taken by the gate, since the start

	Store *StoreReport `json:"store,omitempty"` // of a persist node
}

// A StoreReport says what a commit means in the node's store.
type StoreReport struct {
	Level string `json:"level"`
}

// maxSocketPath is how long a unix socket's path may be to work everywhere; Linux takes 107 bytes.
const maxSocketPath = 100

// A Control is a node's open control endpoint. It serves HTTP on a unix socket that only this user
// can open: GET /readyz (200, or 503 with the reason), GET /report (JSON), POST /record (204; 500 with the reason),
// POST /take?actor=kind/id (the path of a file, or nothing if the actor is not here), POST /box?actor=kind/id&drop=0
// (JSON), POST /stop (202).
type Control struct {
	running Running
	file    string // the run file
	temp    string // directory made for a short socket path, or ""
	server  *http.Server
	served  chan struct{}
	once    sync.Once
	err     error
}

// OpenControl serves n under r.Name in the directory dir (Config.RunDir) and then writes the run
// file, so that who reads the file can connect. It fills in what r does not say of the process
// itself. An earlier run file of the name is replaced: its process must be known to be dead.
func OpenControl(dir string, r Running, n Controlled) (*Control, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("node: making the run directory: %w", err)
	}
	c := &Control{file: filepath.Join(dir, r.Name+".json"), served: make(chan struct{})}
	r.Socket = filepath.Join(dir, r.Name+".sock")
	if len(r.Socket) > maxSocketPath {
		temp, err := os.MkdirTemp("", shortDir)
		if err != nil {
			return nil, fmt.Errorf("node: making a directory for the control socket: %w", err)
		}
		c.temp, r.Socket = temp, filepath.Join(temp, "control.sock")
	}
	if err := r.identify(); err != nil {
		return nil, errors.Join(err, c.clear())
	}
	c.running = r
	if err := c.open(n); err != nil {
		return nil, errors.Join(err, c.clear())
	}
	if err := r.write(c.file); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

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
	c.server = &http.Server{Handler: controlHandler(n), ReadHeaderTimeout: 5 * time.Second}
	go func() { // ends with Close
		defer close(c.served)
		if err := c.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			c.err = fmt.Errorf("node: serving the control socket: %w", err)
		}
	}()
	return nil
}

func controlHandler(n Controlled) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := n.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /report", func(w http.ResponseWriter, _ *http.Request) {
		text, err := json.Marshal(n.Report())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(text) //nolint:errcheck // whoever asked is gone
	})
	mux.HandleFunc("POST /record", func(w http.ResponseWriter, _ *http.Request) {
		if err := n.Record(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /take", func(w http.ResponseWriter, r *http.Request) {
		ref, err := actors.ParseRef(r.FormValue("actor"))
		path := ""
		if err == nil {
			path, err = n.Take(r.Context(), ref)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Write([]byte(path)) //nolint:errcheck // whoever asked is gone
	})
	mux.HandleFunc("POST /box", func(w http.ResponseWriter, r *http.Request) {
		ref, err := actors.ParseRef(r.FormValue("actor"))
		drop, bad := strconv.ParseUint(r.FormValue("drop"), 10, 64)
		contents := []byte(nil)
		if err = errors.Join(err, bad); err == nil {
			contents, err = n.Box(r.Context(), ref, drop)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Write(contents) //nolint:errcheck // whoever asked is gone
	})
	mux.HandleFunc("POST /stop", func(w http.ResponseWriter, _ *http.Request) {
		n.Stop()
		w.WriteHeader(http.StatusAccepted)
	})
	return mux
}

// Running is what the run file says.
func (c *Control) Running() Running { return c.running }

// Close ends the endpoint and removes socket and run file: the orderly end of a node, its last act.
// It waits for requests under way, at most a second. Calls after the first return the same.
func (c *Control) Close() error {
	c.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		err := c.server.Shutdown(ctx)
		if err != nil {
			err = errors.Join(err, c.server.Close())
			err = fmt.Errorf("node: closing the control socket: %w", err)
		}
		<-c.served
		c.err = errors.Join(c.err, err, c.clear())
	})
	return c.err
}

// clear removes the files.
func (c *Control) clear() error {
	err := os.Remove(c.file)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if c.temp != "" {
		err = errors.Join(err, os.RemoveAll(c.temp))
	}
	if err != nil {
		return fmt.Errorf("node: removing the run file: %w", err)
	}
	return nil
}
