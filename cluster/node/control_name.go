package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrRuns means that a process of this node lives on this machine: end it first, with the verb stop.
var ErrRuns = errors.New("node: it runs already")

// dying is how long a process that was killed may take to end: it keeps its locks until the kernel has put it away.
const dying = 2 * time.Second

// AfterDeath tries to take what only one process has, and tries again for 2 s while the error is taken, which says that
// another process has it: that one may be dying. It returns the last error.
func AfterDeath(taken error, try func() error) error {
	for deadline := time.Now().Add(dying); ; time.Sleep(10 * time.Millisecond) {
		if err := try(); !errors.Is(err, taken) || time.Now().After(deadline) {
			return err
		}
	}
}

// A nameLock keeps a second process of a node from starting on this machine. The kernel gives it back while the process
// ends. The empty file stays: removing it would let two processes hold locks of the same name.
type nameLock struct{ file *os.File }

// claim takes a name, and says what process left a run file of that name.
func claim(dir, name string) (l *nameLock, before Running, err error) {
	if l, err = lockName(dir, name); err != nil {
		return nil, Running{}, err
	}
	if before, err = earlier(dir, name); err != nil {
		return nil, Running{}, errors.Join(err, l.release())
	}
	return l, before, nil
}

// lockName takes the lock of a name, in a directory beside that of the run files.
func lockName(dir, name string) (*nameLock, error) {
	path := filepath.Join(filepath.Dir(dir), "lock", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("node: making the directory of locks: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("node: opening the lock of %s: %w", name, err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(fmt.Errorf("%w: %s, somebody holds %s", ErrRuns, name, path), f.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("node: taking the lock of %s: %w", name, errors.Join(err, f.Close()))
	}
	return &nameLock{f}, nil
}

func (l *nameLock) release() error {
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("node: giving back the lock of a name: %w", err)
	}
	return nil
}
