package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/fireflyrt/firefly/cluster/node"
)

// install copies this program to where nodes run it from: bin/BUILD/NAME, BUILD being a hash of the
// file. So a new build does not disturb what runs, and `go run` may clear up behind itself. Builds
// that no node runs are removed.
func install(exe string, c *node.Config) (string, error) {
	build, err := hashOf(exe)
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.BinDir(), build, filepath.Base(exe))
	if err := prune(c, build); err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := copyFile(exe, path); err != nil {
		return "", fmt.Errorf("cli: installing the binary: %w", err)
	}
	return path, nil
}

func hashOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("cli: reading the own binary: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("cli: reading the own binary: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

// copyFile copies whole or not at all.
func copyFile(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	next, err := os.OpenFile(to+".next", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(next, source)
	if err = errors.Join(err, next.Close()); err != nil {
		return err
	}
	return os.Rename(to+".next", to)
}

// prune removes all builds but this one and those that nodes run.
func prune(c *node.Config, keep string) error {
	builds, err := os.ReadDir(c.BinDir())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cli: looking for old builds: %w", err)
	}
	nodes, err := node.ReadRunning(c.RunDir())
	if err != nil {
		return err
	}
	for _, b := range builds {
		used := slices.ContainsFunc(nodes, func(r node.Running) bool {
			return r.Build == b.Name() && r.Alive()
		})
		if used || b.Name() == keep {
			continue
		}
		if err := os.RemoveAll(filepath.Join(c.BinDir(), b.Name())); err != nil {
			return fmt.Errorf("cli: removing an old build: %w", err)
		}
	}
	return nil
}
