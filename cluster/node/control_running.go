package node

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/fireflyrt/firefly/gate"
)

// shortDir begins the name of a directory that was made for a socket whose path would be too long.
const shortDir = "firefly-"

// Running is what a run file says of a process: enough to find it, to know it from a later process
// with the same pid, and to talk to it.
type Running struct {
	Name        string   `json:"name"`
	Roles       []string `json:"roles"`
	PID         int      `json:"pid"`
	Start       uint64   `json:"start"`          // of the process, in clock ticks since the machine's boot
	Boot        string   `json:"boot,omitempty"` // of the machine's run that Start is of
	Incarnation uint64   `json:"incarnation,string"`
	Socket      string   `json:"socket"`
	Serves      bool     `json:"serves"`        // all of it has come up, though it may wait for other nodes
	TCP         string   `json:"tcp,omitempty"` // the addresses as they are, ports chosen
	WS          string   `json:"ws,omitempty"`
	TLS         string   `json:"tls,omitempty"`
	WSS         string   `json:"wss,omitempty"`
	HTTP        string   `json:"http,omitempty"`
	Build       string   `json:"build,omitempty"` // which binary below Config.BinDir, or ""

	// Settings is Config.Fingerprint as the process has read it.
	Settings string `json:"settings,omitempty"`
}

// identify fills in what is known of this process.
func (r *Running) identify() error {
	start, _, err := processStart(os.Getpid())
	if err != nil {
		return err
	}
	r.PID, r.Start, r.Boot = os.Getpid(), start, bootID()
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("node: finding the own binary: %w", err)
	}
	if dir := filepath.Dir(exe); filepath.Base(filepath.Dir(dir)) == "bin" {
		r.Build = filepath.Base(dir)
	}
	return nil
}

// Doors are the addresses where clients are taken, as they dial them, browsers' first.
func (r Running) Doors() []string {
	all := []string{dialled("ws", r.WS), dialled("tcp", r.TCP), dialled("wss", r.WSS), dialled("tls", r.TLS)}
	return slices.DeleteFunc(all, func(door string) bool { return door == "" })
}

// opens notes where clients are taken, the first address of each kind.
func (r *Running) opens(doors []gate.Listener) {
	for _, l := range doors {
		at := map[gate.Scheme]*string{gate.TCP: &r.TCP, gate.WS: &r.WS, gate.TLS: &r.TLS, gate.WSS: &r.WSS}[l.Scheme]
		if at != nil { // whoever reads this file speaks firefly/2
			*at = cmp.Or(*at, l.Address)
		}
	}
}

// write puts the run file in place, whole or not at all.
func (r Running) write(file string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("node: writing the run file: %w", err)
	}
	next := file + ".next"
	if err := os.WriteFile(next, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("node: writing the run file: %w", err)
	}
	if err := os.Rename(next, file); err != nil {
		return fmt.Errorf("node: writing the run file: %w", err)
	}
	return nil
}

// ReadRunning reads the run files in a directory, by name. What is no run file is passed over: a
// crash may have left anything. A directory that does not exist is empty.
func ReadRunning(dir string) ([]Running, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("node: reading the run directory: %w", err)
	}
	var all []Running
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue // its node has ended meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("node: reading a run file: %w", err)
		}
		var r Running
		if json.Unmarshal(text, &r) == nil && r.Name+".json" == filepath.Base(file) {
			all = append(all, r)
		}
	}
	return all, nil
}

// Forget removes the run file, and socket, of a process that is dead; not if the file says another
// process by now.
func (r Running) Forget(dir string) error {
	now, err := ReadRunning(dir)
	if err != nil {
		return err
	}
	for _, n := range now {
		if n.Name != r.Name || n.PID != r.PID || n.Start != r.Start {
			continue
		}
		if err := os.Remove(n.Socket); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("node: removing a dead node's socket: %w", err)
		}
		if d := filepath.Dir(n.Socket); strings.HasPrefix(filepath.Base(d), shortDir) {
			os.Remove(d) //nolint:errcheck // made for this socket alone; empty it does no harm
		}
		if err := os.Remove(filepath.Join(dir, n.Name+".json")); err != nil {
			return fmt.Errorf("node: removing a dead node's run file: %w", err)
		}
	}
	return nil
}

// Alive says whether that very process lives. A zombie does not.
func (r Running) Alive() bool {
	start, state, err := processStart(r.PID)
	return err == nil && start == r.Start && state != 'Z' && state != 'X' && (r.Boot == "" || r.Boot == bootID())
}

// Signal sends the process a signal, if it lives.
func (r Running) Signal(s syscall.Signal) error {
	if !r.Alive() {
		return nil
	}
	if err := syscall.Kill(r.PID, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("node: signalling %s (pid %d): %w", r.Name, r.PID, err)
	}
	return nil
}

// Started is what is known of a process that was just started as a node, before its run file.
func Started(name string, roles []string, pid int) Running {
	r := Running{Name: name, Roles: roles, PID: pid}
	if start, _, err := processStart(pid); err == nil {
		r.Start, r.Boot = start, bootID() // else it is dead already, and Alive says so
	}
	return r
}
