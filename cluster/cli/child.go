package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fireflyrt/firefly/cluster/node"
)

// A state is what a supervisor knows of a node's process.
type state uint8

const (
	waiting state = iota // for its turn in the order of start
	running
	resting // died, and is started again when the back-off is over
	ended   // stays down
)

// A child is one node in the eyes of its supervisor, and only its goroutine's.
type child struct {
	node.NodeConfig
	state    state
	command  *exec.Cmd // nil: not started by this supervisor
	adopted  bool      // the process that runs was started by somebody else
	held     bool      // an operator wants it down
	leaving  bool      // it is no node of this machine any more: forgotten when it has ended
	shards   int       // that are left, while it drains
	drains   bool
	note     string       // what is unusual about the process
	followed bool         // its log is read
	running  node.Running // as started, then as the run file says
	started  time.Time
	opened   bool      // its run file was there: it serves, though it may wait for others
	wasReady bool      // ever, in this supervisor's life
	readyAt  time.Time // of this process; zero: not yet
	trouble  string    // why it is not ready
	failure  string    // how it ended, if not with 0
	backoff  time.Duration
	until    time.Time // end of the rest
	looking  bool
	lookedAt time.Time
	report   node.Report
	rate     float64 // messages a second
}

// start begins the process, in a session of its own, so that it outlives this one.
func (c *child) start(p Plan, log *os.File, now time.Time) error {
	c.command = exec.Command(p.Binary, "node", c.Name, "--config", p.Config.Path)
	c.command.Env = append(os.Environ(), p.Env...)
	c.command.Stdout, c.command.Stderr = log, log
	c.command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.command.Start(); err != nil {
		return fmt.Errorf("cli: starting %s: %w", c.Name, err)
	}
	c.begins(node.Started(c.Name, c.Roles, c.command.Process.Pid), now)
	return nil
}

// begins notes that a process runs as the node from now on.
func (c *child) begins(r node.Running, now time.Time) {
	c.state, c.started, c.readyAt, c.trouble = running, now, time.Time{}, "starting"
	c.report, c.rate, c.running = node.Report{}, 0, r
	c.adopted, c.drains, c.note, c.failure = false, false, "", ""
}

// An ending is how a process ended.
type ending struct {
	child  *child
	code   int            // -1: by a signal
	signal syscall.Signal // 0 or less: none was seen
	text   string
}

// unseen is the code of a process that is not this one's child: only its run file says how it ended.
const unseen = -2

// wait returns when the process has ended. It reads nothing of c that changes meanwhile.
func (c *child) wait() ending {
	command := c.command
	err := command.Wait()
	at := command.ProcessState
	e := ending{child: c, code: at.ExitCode(), text: at.String()}
	if how, ok := at.Sys().(syscall.WaitStatus); ok {
		e.signal = how.Signal()
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		e.text = err.Error()
	}
	return e
}

// end takes in an ending: what the process was last known as, and whether it left its run file, which it removes as its
// last act in an orderly end. The file is left to the caller.
func (c *child) end(e *ending, dir string) (dead node.Running, left bool) {
	dead = c.running
	r, left := findRunning(dir, c.Name, c.running.PID)
	if left {
		dead = r
	}
	if e.code == unseen && left {
		e.code, e.text = -1, "nobody saw how"
	} else if e.code == unseen {
		e.code, e.text = 0, "in order"
	}
	c.state, c.readyAt, c.trouble, c.drains = ended, time.Time{}, "", false
	c.report, c.rate = node.Report{}, 0
	return dead, left
}

// rest begins the pause before the next start and returns how long it is.
func (c *child) rest(now time.Time) time.Duration {
	if now.Sub(c.started) >= healthyAfter {
		c.backoff = firstBackoff
	}
	pause := c.backoff
	c.backoff = min(2*c.backoff, longBackoff)
	c.state, c.until, c.trouble = resting, now.Add(pause), "died"
	return pause
}

// due says whether it is time to look at the node.
func (c *child) due(now time.Time) bool {
	if c.state != running || c.looking {
		return false
	}
	return c.trouble != "" || now.Sub(c.lookedAt) >= readyEvery
}

// A look is what a node said of itself.
type look struct {
	name    string
	pid     int
	running node.Running
	report  node.Report
	err     error
}

// lookAt finds a node's run file and asks it, and its HTTP address if it has one.
func lookAt(ctx context.Context, dir, name string, pid int) look {
	l := look{name: name, pid: pid}
	var ok bool
	if l.running, ok = findRunning(dir, name, pid); !ok {
		l.err = errors.New("starting")
		return l
	}
	l.report, l.err = ask(ctx, l.running)
	return l
}

// ask asks a node whether it is ready and what it counts.
func ask(ctx context.Context, r node.Running) (node.Report, error) {
	var report node.Report
	if err := r.Ready(ctx); err != nil {
		return report, err
	}
	if r.HTTP != "" {
		if err := readyOverHTTP(ctx, r.HTTP); err != nil {
			return report, err
		}
	}
	return report, r.Report(ctx, &report)
}

func readyOverHTTP(ctx context.Context, address string) error {
	url := "http://" + address + "/readyz"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("cli: asking %s: %w", address, err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("cli: asking %s: %w", address, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("cli: %s/readyz says %s", address, response.Status)
	}
	return nil
}

// looked takes in a look; it returns true when the process is ready for the first time. A look at
// an earlier process is dropped.
func (c *child) looked(l look, now time.Time) bool {
	c.looking = false
	if c.state != running || l.pid != c.running.PID {
		return false
	}
	if l.running.PID == l.pid {
		c.running, c.opened = l.running, c.opened || l.running.Serves
	}
	if l.err != nil {
		c.trouble = l.err.Error()
		return false
	}
	if since := now.Sub(c.lookedAt).Seconds(); c.trouble == "" && since > 0 {
		c.rate = max(0, float64(l.report.Messages)-float64(c.report.Messages)) / since
	}
	c.trouble, c.report, c.lookedAt = "", l.report, now
	if !c.readyAt.IsZero() {
		return false
	}
	c.readyAt, c.wasReady = now, true
	return true
}

// findRunning finds the run file of a name, if it is that process's.
func findRunning(dir, name string, pid int) (node.Running, bool) {
	all, err := node.ReadRunning(dir)
	if err != nil {
		return node.Running{}, false // as good as not there: asked again soon
	}
	i := slices.IndexFunc(all, func(r node.Running) bool { return r.Name == name && r.PID == pid })
	if i < 0 {
		return node.Running{}, false
	}
	return all[i], true
}

// stateDraining begins the state of a node that hands its shards over.
const stateDraining = "draining"

// describe is the node's state in a word or two.
func (c *child) describe() string {
	switch {
	case c.state == running && c.drains:
		return fmt.Sprintf(stateDraining+", %d shards left", c.shards)
	case c.state == running && c.trouble == "":
		return "ready"
	case c.state == running && c.trouble != "starting":
		return "not ready: " + c.trouble
	case c.state == running:
		return "starting"
	case c.state == resting:
		return "died, restarting"
	case c.state == ended:
		return "stopped"
	default:
		return "waiting"
	}
}

func (c *child) row() Row {
	r := Row{Node: c.Name, Roles: strings.Join(c.Roles, ","), State: c.describe(),
		Sessions: c.report.Sessions, Actors: c.report.Actors, Rate: c.rate, Note: c.note, Watched: true}
	if c.state == running {
		r.PID = c.running.PID
	}
	return r
}
