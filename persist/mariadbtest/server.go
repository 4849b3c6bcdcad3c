// Package mariadbtest starts a real MariaDB for a test: private port, private data directory,
// gone when the test ends. It is for tests only.
//
// It knows nothing of the driver: a test that calls DSN must import persist (or the driver), so
// that database/sql knows the name "mysql". Where mariadbd is not installed, tests skip and say
// so, except in CI (environment CI=true), where that is a failure.
package mariadbtest

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/freeport"
)

// startWithin is how long a server may take to answer, on a machine that does other things too.
const startWithin = 30 * time.Second

// A Server is one running mariadbd.
type Server struct {
	t         testing.TB
	dir       string
	port      int
	options   []string
	process   *exec.Cmd
	ended     chan struct{}
	databases atomic.Int32
}

// Start installs an empty server and starts it with options of mariadbd, such as --max-connections=8; the test's end
// stops it and removes its files.
func Start(t testing.TB, options ...string) *Server {
	t.Helper()
	for _, program := range []string{"mariadbd", "mariadb-install-db"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("mariadbtest: %v; CI must have it: apt-get install mariadb-server", err)
			}
			t.Skipf("needs a MariaDB: %v (apt-get install mariadb-server)", err)
		}
	}
	// Not t.TempDir: its long names do not fit a socket's path, which ends at 107 bytes.
	dir, err := os.MkdirTemp("/tmp", "fm")
	if err != nil {
		t.Fatalf("mariadbtest: %v", err)
	}
	s := &Server{t: t, dir: dir, options: options}
	t.Cleanup(s.remove)
	out, err := exec.Command("mariadb-install-db", append(asRoot(), "--datadir="+s.dir, "--tmpdir="+s.dir,
		"--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve")...).CombinedOutput()
	if err != nil {
		t.Fatalf("mariadbtest: install: %v\n%s", err, out)
	}
	port, err := freeport.Take(1)
	if err != nil {
		t.Fatalf("mariadbtest: %v", err)
	}
	t.Cleanup(port.Release)
	s.port = port.First
	s.Restart()
	return s
}

// asRoot begins the arguments of MariaDB's programs, which must be told that root means it.
func asRoot() []string {
	if os.Getuid() == 0 {
		return []string{"--no-defaults", "--user=root"}
	}
	return []string{"--no-defaults"}
}

// Restart starts the server again on the port and the files that it had, after Kill. It adds options for this life to
// those of Start.
func (s *Server) Restart(options ...string) {
	s.t.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatalf("mariadbtest: %v", err)
	}
	defer log.Close()
	s.process = exec.Command("mariadbd", slices.Concat(asRoot(), []string{"--datadir=" + s.dir, "--tmpdir=" + s.dir,
		"--bind-address=127.0.0.1", fmt.Sprintf("--port=%d", s.port), "--socket=" + filepath.Join(s.dir, "s.sock"),
		"--pid-file=" + filepath.Join(s.dir, "m.pid"), "--skip-name-resolve", "--max-allowed-packet=64M"},
		s.options, options)...)
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		s.t.Fatalf("mariadbtest: %v", err)
	}
	ended, process := make(chan struct{}), s.process
	s.ended = ended
	go func() { // ends with the process, which remove and Kill wait for
		_ = process.Wait() // how it ended is in the log
		close(ended)
	}()
	s.awaitPort()
}

// awaitPort waits until the server takes connections.
func (s *Server) awaitPort() {
	s.t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", s.port)
	for deadline := time.Now().Add(startWithin); ; {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-s.ended:
			s.t.Fatalf("mariadbtest: mariadbd ended at once:\n%s", s.log())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("mariadbtest: waited %v for %s:\n%s", startWithin, address, s.log())
		}
	}
}

// Stop ends the server in order.
func (s *Server) Stop() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(startWithin):
		s.t.Fatalf("mariadbtest: waited %v for the server's end:\n%s", startWithin, s.log())
	}
}

// Kill ends the server as a power cut would, but for what the kernel still writes.
func (s *Server) Kill() {
	_ = s.process.Process.Kill() // it may have ended by itself
	<-s.ended
}

// Freeze stops the server where it stands, as a machine that hangs does: its connections stay, nothing answers.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw lets a frozen server go on.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.process.Process.Signal(sig); err != nil {
		s.t.Fatalf("mariadbtest: %v: %v", sig, err)
	}
}

// Pin lets the server compute on these CPUs only, as in "0" or "0-3".
func (s *Server) Pin(cpus string) error {
	pid := strconv.Itoa(s.process.Process.Pid)
	if out, err := exec.Command("taskset", "-a", "-p", "-c", cpus, pid).CombinedOutput(); err != nil {
		return fmt.Errorf("mariadbtest: pin the server to CPU %s: %w\n%s", cpus, err, out)
	}
	return nil
}

// CPU is how long the server has been computing since it was started, in steps of 10 ms.
func (s *Server) CPU() time.Duration {
	s.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(stat), ") ") // fields 3 and on; utime and stime are 14 and 15
	fields := strings.Fields(after)
	ticks := int64(0)
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// DSN makes a new, empty database and returns its name for persist.OpenMySQL.
func (s *Server) DSN() string {
	s.t.Helper()
	name := fmt.Sprintf("t%d", s.databases.Add(1))
	s.Exec("CREATE DATABASE " + name)
	return s.root() + name
}

func (s *Server) root() string { return fmt.Sprintf("root@tcp(127.0.0.1:%d)/", s.port) }

// Exec has the server's administrator run statements, over a connection of their own.
func (s *Server) Exec(statements ...string) {
	s.t.Helper()
	db, err := sql.Open("mysql", s.root())
	if err != nil {
		s.t.Fatalf("mariadbtest: %v", err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	for _, statement := range statements {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			s.t.Fatalf("mariadbtest: %s: %v\n%s", statement, err, s.log())
		}
	}
}

func (s *Server) log() []byte {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return []byte(err.Error())
	}
	return text
}

func (s *Server) remove() {
	if s.process != nil && s.process.Process != nil {
		s.Kill()
	}
	if err := os.RemoveAll(s.dir); err != nil {
		s.t.Errorf("mariadbtest: %v", err)
	}
}
