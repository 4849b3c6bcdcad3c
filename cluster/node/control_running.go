package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/fireflyrt/firefly/actors"
)

// shortDir begins the name of a directory that was made for a socket whose path would be too long.
const shortDir = "firefly-"

// Running is what a run file says of a process: enough to find it, to know it from a later process
// with the same pid, and to talk to it.
type Running struct {
	Name        string   `json:"name"`
	Roles       []string `json:"roles"`
	PID         int      `json:"pid"`
	Start       uint64   `json:"start"` // of the process, in clock ticks since the machine's boot
	Incarnation uint64   `json:"incarnation,string"`
	Socket      string   `json:"socket"`
	TCP         string   `json:"tcp,omitempty"` // the addresses as they are, ports chosen
	WS          string   `json:"ws,omitempty"`
	HTTP        string   `json:"http,omitempty"`
	Build       string   `json:"build,omitempty"` // which binary below Config.BinDir, or ""
}

// identify fills in what is known of this process.
func (r *Running) identify() error {
	start, _, err := processStart(os.Getpid())
	if err != nil {
		return err
	}
	r.PID, r.Start = os.Getpid(), start
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("node: finding the own binary: %w", err)
	}
	if dir := filepath.Dir(exe); filepath.Base(filepath.Dir(dir)) == "bin" {
		r.Build = filepath.Base(dir)
	}
	return nil
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
	return err == nil && start == r.Start && state != 'Z' && state != 'X'
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

// processStart reads /proc/PID/stat, whose second field is the command in brackets: it may hold
// blanks and brackets, so fields are counted from the last closing one.
func processStart(pid int) (start uint64, state byte, err error) {
	fields, err := processStat(pid)
	if err != nil {
		return 0, 0, err
	}
	start, err = strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("node: reading the start of process %d: %w", pid, err)
	}
	return start, fields[0][0], nil
}

// ProcessTicks is the CPU time that a process has used, in clock ticks (100 a second on Linux).
func ProcessTicks(pid int) (uint64, error) {
	fields, err := processStat(pid)
	if err != nil {
		return 0, err
	}
	user, err := strconv.ParseUint(fields[11], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("node: reading the time of process %d: %w", pid, err)
	}
	system, err := strconv.ParseUint(fields[12], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("node: reading the time of process %d: %w", pid, err)
	}
	return user + system, nil
}

// processStat is the third field and what follows it.
func processStat(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, fmt.Errorf("node: looking for process %d: %w", pid, err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 20 {
		return nil, fmt.Errorf("node: /proc/%d/stat has too few fields", pid)
	}
	return fields, nil
}

// Ready asks the node whether it is ready; the error is its reason, or that it cannot be reached.
func (r Running) Ready(ctx context.Context) error {
	_, err := r.call(ctx, http.MethodGet, "/readyz")
	return err
}

// Report asks the node for its report and reads it into the value that into points to.
func (r Running) Report(ctx context.Context, into any) error {
	text, err := r.call(ctx, http.MethodGet, "/report")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("node: reading the report of %s: %w", r.Name, err)
	}
	return nil
}

// Record asks the node to follow the rules of recording as their file has them now.
func (r Running) Record(ctx context.Context) error {
	_, err := r.call(ctx, http.MethodPost, "/record")
	return err
}

// Take asks the node to write what its flight recorder has of an actor, and returns the file's path; "" if the actor
// is not there.
func (r Running) Take(ctx context.Context, ref actors.Ref) (string, error) {
	text, err := r.call(ctx, http.MethodPost, "/take?actor="+url.QueryEscape(ref.String()))
	return string(text), err
}

// Box asks the node what is in an entity's box, wherever the entity lives, and has it give up the durable message drop
// first, if that is not 0.
func (r Running) Box(ctx context.Context, ref actors.Ref, drop uint64) (*actors.Contents, error) {
	text, err := r.call(ctx, http.MethodPost,
		"/box?actor="+url.QueryEscape(ref.String())+"&drop="+strconv.FormatUint(drop, 10))
	if err != nil {
		return nil, err
	}
	c := new(actors.Contents)
	if err := json.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("node: reading the box of %s: %w", ref, err)
	}
	return c, nil
}

// Stop asks the node to end in order. It does not wait for the end: watch Alive.
func (r Running) Stop(ctx context.Context) error {
	_, err := r.call(ctx, http.MethodPost, "/stop")
	return err
}

// maxReport bounds what a node may answer, in bytes.
const maxReport = 4 << 20

func (r Running) call(ctx context.Context, method, path string) ([]byte, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", r.Socket)
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, method, "http://node"+path, nil)
	if err != nil {
		return nil, fmt.Errorf("node: asking %s: %w", r.Name, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("node: asking %s: %w", r.Name, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxReport))
	if err != nil {
		return nil, fmt.Errorf("node: asking %s: %w", r.Name, err)
	}
	if response.StatusCode >= 300 {
		return nil, fmt.Errorf("node: %s: %s", r.Name, strings.TrimSpace(string(text)))
	}
	return text, nil
}

// Started is what is known of a process that was just started as a node, before its run file.
func Started(name string, roles []string, pid int) Running {
	r := Running{Name: name, Roles: roles, PID: pid}
	if start, _, err := processStart(pid); err == nil {
		r.Start = start // else it is dead already, and Alive says so
	}
	return r
}
