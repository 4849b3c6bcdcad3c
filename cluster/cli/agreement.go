package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/fireflyrt/firefly/cluster/contract"
	"github.com/fireflyrt/firefly/cluster/node"
)

// This file keeps the program to what its messages.lock says. Only check looks at that, never up or node: the file
// belongs to the source, and a machine that runs the game need not have it.

const messagesLock = "messages.lock"

// lockOf is where the lock is: as asked for, else beside the configuration.
func lockOf(config, asked string) string {
	if asked != "" {
		return asked
	}
	return filepath.Join(filepath.Dir(config), messagesLock)
}

// agreed is the program's own lock.
func (t *tool) agreed() (*contract.Lock, error) {
	c, err := t.contract()
	if err != nil {
		return nil, err
	}
	l, err := c.Lock()
	if err != nil {
		return nil, misuse{err}
	}
	return l, nil
}

// checkLock says in what the program has left its lock. That there is none is wrong only if it was asked for by name.
func (t *tool) checkLock(config, asked string) (wrong node.Problems, there bool, err error) {
	program, err := t.agreed()
	if err != nil {
		return nil, false, err
	}
	file := lockOf(config, asked)
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && asked != "" {
		return node.Problems{{File: file, What: "there is no such file", Do: "make it: `gen lock`"}}, false, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, len(program.Entries) == 0, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("cli: reading the lock of the messages: %w", err)
	}
	return problems(file, contract.Check(text, program)), true, nil
}

func problems(file string, all []contract.Difference) node.Problems {
	var wrong node.Problems
	for _, d := range all {
		wrong = append(wrong, node.Problem{File: file, Line: d.Line, What: d.What, Do: d.Do})
	}
	return wrong
}

// renewLock writes the lock as the program is, unless that would hurt clients in a way that nobody has accepted.
func (t *tool) renewLock(file string, accepted []uint) error {
	program, err := t.agreed()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cli: reading the lock of the messages: %w", err)
	}
	numbers := make([]uint32, 0, len(accepted))
	for _, n := range accepted {
		if numbers = append(numbers, uint32(n)); !breaks(text, program, uint32(n)) {
			return misuse{fmt.Errorf("there is nothing to accept of %d; check says what there is", n)}
		}
	}
	next, against := contract.Renew(text, program, numbers...)
	if len(against) > 0 {
		return problems(file, against)
	}
	if slices.Equal(text, next) {
		fmt.Fprintf(t.out, "%s is as it should be\n", file)
		return nil
	}
	if err := t.write(file, next); err != nil {
		return err
	}
	fmt.Fprintf(t.out, "%s is written: %d messages; keep it with the source\n", file, len(program.Entries))
	return nil
}

// breaks reports whether a number has changed in a way that somebody can accept.
func breaks(text []byte, program *contract.Lock, number uint32) bool {
	return slices.ContainsFunc(contract.Check(text, program), func(d contract.Difference) bool {
		return d.Number == number && d.Grade == contract.Breaking
	})
}
