// Package etcdtest runs a real etcd of three processes for a test: private ports, private data, gone when the test
// ends. They can be killed, frozen, started again and wiped. It is for tests only.
//
// Where etcd is not installed, tests skip and say so, except in CI (environment CI=true), where that is a failure.
package etcdtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/freeport"
)

const (
	size        = 3
	startWithin = 30 * time.Second // a machine may do other things too
	lookEvery   = 20 * time.Millisecond
)

// A Cluster is three processes of etcd.
type Cluster struct {
	t       testing.TB
	dir     string
	first   int // of the ports: one for clients and one for the others, by turns
	members []*exec.Cmd
	wipes   int
}

// Start starts a cluster and waits until each of it answers.
func Start(t testing.TB) *Cluster {
	t.Helper()
	installed(t)
	ports, err := freeport.Take(2 * size)
	if err != nil {
		t.Fatalf("etcdtest: %v", err)
	}
	t.Cleanup(ports.Release)
	c := &Cluster{t: t, dir: t.TempDir(), first: ports.First, members: make([]*exec.Cmd, size)}
	t.Cleanup(func() { c.KillAll() })
	c.StartAll()
	return c
}

// installed skips the test where there is no etcd.
func installed(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("etcd"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("etcdtest: %v; CI must have it: apt-get install etcd-server", err)
		}
		t.Skipf("needs an etcd: %v (apt-get install etcd-server)", err)
	}
}

// Endpoints are where clients reach it, host:port.
func (c *Cluster) Endpoints() []string {
	var all []string
	for i := range size {
		all = append(all, c.client(i))
	}
	return all
}

func (c *Cluster) client(i int) string { return fmt.Sprintf("127.0.0.1:%d", c.first+2*i) }
func (c *Cluster) peer(i int) string   { return fmt.Sprintf("http://127.0.0.1:%d", c.first+2*i+1) }

// StartAll starts whatever does not run, and waits until each answers.
func (c *Cluster) StartAll() {
	c.t.Helper()
	var names []string
	for i := range size {
		names = append(names, fmt.Sprintf("etcd-%d=%s", i, c.peer(i)))
	}
	for i, m := range c.members {
		if m == nil {
			c.start(i, strings.Join(names, ","))
		}
	}
	for i := range size {
		c.await(i)
	}
}

// start runs one process. Its elections are quick and its disk is not waited for: it is the machine's that all share.
func (c *Cluster) start(i int, all string) {
	c.t.Helper()
	client := "http://" + c.client(i)
	m := exec.Command("etcd", "--name", fmt.Sprintf("etcd-%d", i), "--data-dir", c.data(i), "--unsafe-no-fsync",
		"--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", c.peer(i),
		"--initial-advertise-peer-urls", c.peer(i), "--initial-cluster", all, "--heartbeat-interval", "50",
		"--election-timeout", "500", "--log-level", "error")
	m.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.Start(); err != nil {
		c.t.Fatalf("etcdtest: %v", err)
	}
	c.members[i] = m
}

func (c *Cluster) data(i int) string { return filepath.Join(c.dir, fmt.Sprintf("%d-%d", c.wipes, i)) }

// await waits until a process says that it is healthy, which needs a leader.
func (c *Cluster) await(i int) {
	c.t.Helper()
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	await(c.t, fmt.Sprintf("etcd-%d", i), &client, "http://"+c.client(i))
}

// await waits until one that listens there says that it is healthy.
func await(t testing.TB, who string, client *http.Client, at string) {
	t.Helper()
	for deadline := time.Now().Add(startWithin); ; time.Sleep(lookEvery) {
		got, err := client.Get(at + "/health")
		if err == nil {
			got.Body.Close()
		}
		if err == nil && got.StatusCode == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("etcdtest: %s does not answer: %v", who, err)
		}
	}
}

// Kill kills one process as nothing can be caught, and waits for its end.
func (c *Cluster) Kill(i int) {
	if m := c.members[i]; m != nil {
		m.Process.Kill() //nolint:errcheck // it may have ended
		m.Wait()         //nolint:errcheck // it was killed
		c.members[i] = nil
	}
}

// Leader is which process leads.
func (c *Cluster) Leader() int {
	c.t.Helper()
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for i := range size {
		text := strings.NewReader("{}")
		got, err := client.Post("http://"+c.client(i)+"/v3/maintenance/status", "application/json", text)
		if err != nil {
			continue
		}
		var status struct {
			Header struct {
				Member string `json:"member_id"`
			} `json:"header"`
			Leader string `json:"leader"`
		}
		err = json.NewDecoder(got.Body).Decode(&status)
		got.Body.Close()
		if err == nil && status.Leader == status.Header.Member && status.Leader != "" {
			return i
		}
	}
	c.t.Fatal("etcdtest: nobody leads")
	return -1
}

// KillAll kills all of them.
func (c *Cluster) KillAll() {
	for i := range size {
		c.Kill(i)
	}
}

// Freeze stops all of them where they are, and returns what lets them go on.
func (c *Cluster) Freeze() (thaw func()) {
	c.signal(syscall.SIGSTOP)
	return func() { c.signal(syscall.SIGCONT) }
}

func (c *Cluster) signal(s syscall.Signal) {
	c.t.Helper()
	for _, m := range c.members {
		if m == nil {
			continue
		}
		if err := m.Process.Signal(s); err != nil {
			c.t.Fatalf("etcdtest: %v", err)
		}
	}
}

// Wipe kills all of them and starts them without anything that they held. The data of before stays until the test's
// end.
func (c *Cluster) Wipe() {
	c.t.Helper()
	c.KillAll()
	c.wipes++
	c.StartAll()
}
