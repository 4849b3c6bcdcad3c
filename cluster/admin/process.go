package admin

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// A Process is what the operating system and the Go runtime say of a node's process.
type Process struct {
	Goroutines int     `json:"goroutines"`
	RSS        int64   `json:"rss_bytes"`
	CPU        float64 `json:"cpu_seconds"` // user and system, of all threads, since its start
}

// Measure looks at this process. What cannot be read is 0.
func Measure() Process {
	p := Process{Goroutines: runtime.NumGoroutine(), RSS: residentBytes()}
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) == nil {
		p.CPU = time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
	}
	return p
}

// residentBytes is the second number in /proc/self/statm, which counts pages.
func residentBytes() int64 {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(statm)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
