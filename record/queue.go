package record

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

const (
	gatherBytes = 64 << 10              // so many bytes are written at once
	gatherFor   = 50 * time.Millisecond // and fewer after so long
	spareMost   = 1 << 20               // a buffer that has grown larger is not kept
)

// A queue is what waits for the disk. Actors put records into it in their turns, which costs a lock and a copy; one
// piece of blocking work at a time writes them. Where files begin and end is decided when a record is put.
type queue struct {
	r *Recorder

	mu      sync.Mutex // guards what follows; held for no longer than a copy takes
	parts   []part
	bytes   int64  // of the parts
	writing int64  // bytes that are being written
	file    uint64 // the number of the file that the next record stands in; 0: there was none
	size    int64  // of that file when all parts are written
	tables  map[string]bool
	working bool
	armed   bool
	broken  error // the disk took no more; until mend
	spare   []byte

	disk   sync.Mutex // held by whoever writes; guards what follows
	out    *os.File
	number uint64 // of out
}

// A part is what is written at once: bytes, or tables.
type part struct {
	file   uint64
	bytes  []byte
	tables Tables
}

// put adds records of one stream, and before them the tables that they read and what prelude says about a stream in
// the file that they will stand in. It returns the file, and false if there is no room: then nothing was added. What
// must be said finds room as long as there is a disk.
func (q *queue) put(b []byte, tables Tables, must bool, prelude func(file uint64) []byte) (uint64, bool) {
	q.mu.Lock()
	limits := &q.r.o.Limits
	if q.broken != nil || !must && q.bytes+q.writing+int64(len(b)) > limits.QueueBytes {
		q.mu.Unlock()
		return 0, false
	}
	if q.file == 0 || q.size+int64(len(b)) > limits.FileBytes && q.size > 0 {
		q.file, q.size, q.tables = q.file+1, 0, map[string]bool{}
	}
	file := q.file
	if tables != nil && !q.tables[tables.Hash()] {
		q.tables[tables.Hash()] = true
		q.parts = append(q.parts, part{file: file, tables: tables})
		for _, content := range tables.Files() {
			q.size += int64(len(content))
		}
	}
	q.add(prelude(file))
	q.add(b)
	start, arm := q.wake()
	q.mu.Unlock()
	q.r.counts.bytes.Add(uint64(len(b)))
	if start {
		q.r.o.Scheduler.Offload(q.work)
	} else if arm {
		q.r.o.Clock.AfterFunc(gatherFor, q.workNow)
	}
	return file, true
}

// add appends bytes to the newest part, or to a new one. The caller holds mu.
func (q *queue) add(b []byte) {
	n := len(q.parts)
	if n == 0 || q.parts[n-1].file != q.file || q.parts[n-1].tables != nil {
		q.parts = append(q.parts, part{file: q.file, bytes: q.spare[:0]})
		q.spare, n = nil, n+1
	}
	q.parts[n-1].bytes = append(q.parts[n-1].bytes, b...)
	q.bytes += int64(len(b))
	q.size += int64(len(b))
}

// wake says whether to start writing, or to do so soon. The caller holds mu and does it.
func (q *queue) wake() (start, arm bool) {
	switch {
	case q.working:
	case q.bytes >= gatherBytes:
		q.working, start = true, true
	case !q.armed:
		q.armed, arm = true, true
	}
	return start, arm
}

// workNow starts writing what has gathered.
func (q *queue) workNow() {
	q.mu.Lock()
	start := !q.working && len(q.parts) > 0
	q.working, q.armed = q.working || start, false
	q.mu.Unlock()
	if start {
		q.r.o.Scheduler.Offload(q.work)
	}
}

// hasRoom says whether a stream that was cut off may begin anew.
func (q *queue) hasRoom() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.broken == nil && q.bytes+q.writing < q.r.o.Limits.QueueBytes/2
}

// why says why put has refused.
func (q *queue) why() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.broken != nil {
		return whyBroken
	}
	return whyFull
}

// mend forgets that the disk took no more. What comes next stands in a new file.
func (q *queue) mend() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.broken != nil {
		q.broken, q.file, q.size, q.tables = nil, q.file+1, 0, map[string]bool{}
	}
}

// sizes are what waits, and how large the newest file is.
func (q *queue) sizes() (waiting, file int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes + q.writing, q.size
}

// work writes until nothing waits.
func (q *queue) work() {
	q.disk.Lock()
	defer q.disk.Unlock()
	for {
		q.mu.Lock()
		parts := q.parts
		q.parts, q.bytes, q.writing = nil, 0, q.bytes
		if len(parts) == 0 {
			q.working = false
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		if err := q.write(parts); err != nil {
			q.give(err)
		}
		if last := parts[len(parts)-1].bytes; cap(last) <= spareMost {
			q.mu.Lock()
			q.spare = last
			q.mu.Unlock()
		}
	}
}

// give gives the file up.
func (q *queue) give(err error) {
	q.mu.Lock()
	q.broken, q.parts, q.bytes = err, nil, 0
	q.mu.Unlock()
	if q.out != nil {
		q.out.Close() //nolint:errcheck // it is lost anyway
		q.out = nil
	}
	q.r.failed(err)
}

func (q *queue) write(parts []part) error {
	for _, p := range parts {
		if err := q.turnTo(p.file); err != nil {
			return err
		}
		b := p.bytes
		if p.tables != nil {
			b = appendTables(nil, p.tables.Hash(), p.tables.Files())
		}
		if _, err := q.out.Write(b); err != nil {
			return fmt.Errorf("record: writing a recording: %w", err)
		}
	}
	return nil
}

// turnTo opens the file with this number, if it is not open, and closes the one before.
func (q *queue) turnTo(number uint64) error {
	if q.out != nil && q.number == number {
		return nil
	}
	err := q.finish()
	if err == nil {
		err = q.r.makeDir()
	}
	if err == nil {
		err = prune(q.r.o.Dir, liveStem(q.r.o.Node), -1, q.r.o.Limits.TotalBytes-q.r.o.Limits.FileBytes)
	}
	if err == nil {
		q.out, err = create(q.r.o.Dir, liveStem(q.r.o.Node), "", q.r.o.Clock)
	}
	if err == nil {
		_, err = q.out.Write(appendHeader(appendMagic(nil), q.r.header()))
	}
	if err != nil {
		return fmt.Errorf("record: beginning a recording: %w", err)
	}
	q.number = number
	q.r.counts.files.Add(1)
	return nil
}

// finish closes the open file in order.
func (q *queue) finish() error {
	if q.out == nil {
		return nil
	}
	_, err := q.out.Write(appendEnd(nil))
	err = errors.Join(err, q.out.Close())
	q.out = nil
	return err
}

// close writes what waits and closes the file.
func (q *queue) close() error {
	q.work()
	q.disk.Lock()
	defer q.disk.Unlock()
	return q.finish()
}

// Files of a node are live.NODE.TIME.rec, those of its flight recorder panic.NODE.TIME.ACTOR.rec. By name they are in
// the order in which they were made.
func liveStem(node string) string  { return "live." + node + "." }
func panicStem(node string) string { return "panic." + node + "." }
func takenStem(node string) string { return "taken." + node + "." }

const timeShape = "20060102T150405.000000000"

// create makes a new file for this user only.
func create(dir, stem, suffix string, clock actors.Clock) (*os.File, error) {
	for at := clock.Now().UTC(); ; at = at.Add(1) {
		name := stem + strings.ReplaceAll(at.Format(timeShape), ".", "-") + suffix + ".rec"
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}

// prune deletes the oldest files with this stem until at most so many are left, and so many bytes; -1: any number.
func prune(dir, stem string, most int, bytes int64) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var names []string
	sizes := map[string]int64{}
	total := int64(0)
	for _, e := range entries {
		if at, err := e.Info(); err == nil && strings.HasPrefix(e.Name(), stem) && strings.HasSuffix(e.Name(), ".rec") {
			names, sizes[e.Name()], total = append(names, e.Name()), at.Size(), total+at.Size()
		}
	}
	slices.Sort(names)
	for len(names) > 0 && (total > bytes || most >= 0 && len(names) > most) {
		if err := os.Remove(filepath.Join(dir, names[0])); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		total, names = total-sizes[names[0]], names[1:]
	}
	return nil
}
