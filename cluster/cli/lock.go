package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/fireflyrt/firefly/cluster/node"
)

// A lock lets one `up` at a time run a cluster; the kernel releases it when the process ends,
// however it ends. The file says who holds it, or held it last.
type lock struct{ file *os.File }

// A holding is what the file says: the pid of an `up`, its control socket, and which machine it took itself for, a line
// each.
type holding struct {
	pid    int
	socket string
	host   string
}

func (h holding) String() string { return fmt.Sprintf("%d\n%s\n%s\n", h.pid, h.socket, h.host) }

// errLocked means that another `up` runs this cluster.
var errLocked = errors.New("another `up` runs this cluster; stop it with the verb stop")

// takeLock takes the lock of a cluster's files. The error is errLocked if another `up` lives, and still does after 2 s.
func takeLock(data string) (*lock, error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("cli: making %s: %w", data, err)
	}
	f, err := os.OpenFile(lockFile(data), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cli: opening the lock: %w", err)
	}
	err = node.AfterDeath(syscall.EWOULDBLOCK, func() error {
		return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	})
	if errors.Is(err, syscall.EWOULDBLOCK) {
		h, _ := holder(data)
		f.Close()
		return nil, fmt.Errorf("cli: %w (pid %d holds %s)", errLocked, h.pid, lockFile(data))
	}
	if err != nil {
		return nil, fmt.Errorf("cli: taking the lock: %w", errors.Join(err, f.Close()))
	}
	return &lock{f}, nil
}

func lockFile(data string) string { return filepath.Join(data, "up.lock") }

// say writes into the file who holds the lock.
func (l *lock) say(h holding) error {
	err := l.file.Truncate(0)
	if err == nil {
		_, err = l.file.WriteAt([]byte(h.String()), 0)
	}
	if err != nil {
		return fmt.Errorf("cli: saying who holds the lock: %w", err)
	}
	return nil
}

// release gives the lock back.
func (l *lock) release() error {
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("cli: releasing the lock: %w", err)
	}
	return nil
}

// holder is the `up` that runs the cluster. It reports false if none does.
func holder(data string) (holding, bool) {
	f, err := os.Open(lockFile(data))
	if err != nil {
		return holding{}, false
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return holding{}, false // free; closing gives it back
	}
	h := lastHolder(data)
	return h, h.pid > 0
}

// lastHolder is what the newest `up` has said of itself, whether it lives or not.
func lastHolder(data string) holding {
	text, err := os.ReadFile(lockFile(data))
	if err != nil {
		return holding{}
	}
	said := append(strings.Split(string(text), "\n"), "", "", "")
	pid, err := strconv.Atoi(said[0])
	if err != nil {
		return holding{}
	}
	return holding{pid: pid, socket: said[1], host: said[2]}
}
