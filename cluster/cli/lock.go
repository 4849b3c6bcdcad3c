package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// A lock lets one `up` at a time run a cluster; the kernel releases it when the process ends,
// however it ends. The file holds the pid of the last holder.
type lock struct{ file *os.File }

// errLocked means that another `up` runs this cluster.
var errLocked = errors.New("another `up` runs this cluster; stop it with the verb stop")

// takeLock takes the lock of a cluster's files.
func takeLock(data string) (*lock, error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("cli: making %s: %w", data, err)
	}
	f, err := os.OpenFile(lockFile(data), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cli: opening the lock: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		pid := holder(data)
		f.Close()
		return nil, fmt.Errorf("cli: %w (pid %d holds %s)", errLocked, pid, lockFile(data))
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	if err != nil {
		return nil, fmt.Errorf("cli: taking the lock: %w", errors.Join(err, f.Close()))
	}
	return &lock{f}, nil
}

func lockFile(data string) string { return filepath.Join(data, "up.lock") }

// release gives the lock back.
func (l *lock) release() error {
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("cli: releasing the lock: %w", err)
	}
	return nil
}

// holder is the pid of the `up` that runs the cluster, or 0.
func holder(data string) int {
	f, err := os.Open(lockFile(data))
	if err != nil {
		return 0
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return 0 // free; closing gives it back
	}
	text, err := os.ReadFile(lockFile(data))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}
