package node

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

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

// bootID names this run of the machine: ticks since its boot say nothing of another. It is "" where nobody says.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
