package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// linesEach is how many lines a writer writes before it takes a new ledger: entities stay small, and there are many.
const linesEach = 200

// A writer writes numbered lines in ink, each once, and notes in a file of its own what came of it: "yes" before a line
// that was answered, "?" before one of which it does not know.
type writer struct {
	*customer
	notes *os.File
	known uint64 // lines of the present ledger that were answered
	tried uint64 // lines of the present ledger
}

// writers adds writers to the crowd, and returns where their notes are.
func (w *crowd) writers(n int) (notes string) {
	notes = w.t.TempDir()
	for i := range n {
		name := fmt.Sprintf("writer%d", i)
		file, err := os.Create(filepath.Join(notes, name))
		if err != nil {
			w.t.Fatal(err)
		}
		r := &writer{customer: w.customer(name), notes: file}
		w.add(r.customer, func(ctx context.Context) {
			defer file.Close()
			r.live(ctx)
		})
		w.writing = append(w.writing, r.customer)
	}
	return notes
}

func (r *writer) live(ctx context.Context) {
	for line := uint64(1); ; line++ {
		if line%linesEach == 1 {
			r.be(LedgerKind.Ref(fmt.Sprintf("%s.%d", r.name, line/linesEach)))
			r.known, r.tried = 0, 0
		}
		r.tried++
		page, err := request[*Page](ctx, r.customer, &Write{line})
		verdict, pause := "yes", pace
		if errors.Is(err, errStopped) {
			return
		} else if err != nil {
			verdict, pause = "?", 20*pace // whatever the answer says: what is there in the end is counted
		} else {
			r.known++
			r.certain(1, 0)
			r.look(line, page)
		}
		if _, err := fmt.Fprintf(r.notes, "%s %s %d\n", verdict, r.as.ID, line); err != nil {
			r.fault("taking a note: %v", err)
		}
		if !r.wait(ctx, pause) {
			return
		}
	}
}

// look compares an answer with what was answered before: a loss shows at once.
func (r *writer) look(line uint64, page *Page) {
	if n := uint64(page.Ink.Count); page.Ink.Last != line || n < r.known || n > r.tried {
		r.fault("it has written %d of %d lines, now %d, and is told of %+v", r.known, r.tried, line, page.Ink)
	}
}

// A noted ledger is what its writer knows of one.
type noted struct{ sure, unsure []string }

// readNotes reads the files of all writers.
func readNotes(t *testing.T, dir string) map[string]*noted {
	t.Helper()
	all := map[string]*noted{}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		for s := bufio.NewScanner(file); s.Scan(); {
			fields := strings.Fields(s.Text())
			if len(fields) != 3 {
				t.Fatalf("%s holds %q", name, s.Text())
			}
			n := all[fields[1]]
			if n == nil {
				n = &noted{}
				all[fields[1]] = n
			}
			if fields[0] == "yes" {
				n.sure = append(n.sure, fields[2])
			} else {
				n.unsure = append(n.unsure, fields[2])
			}
		}
		file.Close() //nolint:errcheck // it was only read
	}
	return all
}

// compareNotes compares every note with what the store holds and with what the entities say: lines that were answered
// are there once, others once or not at all.
func (w *crowd) compareNotes(t *testing.T, notes string, least int) {
	t.Helper()
	stored, err := w.vault.ledgers()
	if err != nil {
		t.Fatal(err)
	}
	sure, unsure, applied := 0, 0, 0
	for id, n := range readNotes(t, notes) {
		sure, unsure = sure+len(n.sure), unsure+len(n.unsure)
		l := stored[id]
		if l == nil {
			l = &storedLedger{}
		}
		missed := map[string]int{}
		maps.Copy(missed, l.lines)
		tally := Tally{}
		for i, line := range append(n.sure, n.unsure...) {
			times := l.lines[line]
			if isSure := i < len(n.sure); times > 1 || isSure && times != 1 {
				t.Errorf("ledger %s holds line %s %d times (answered: %v)", id, line, times, isSure)
			} else if !isSure {
				applied += times
			}
			number, _ := strconv.ParseUint(line, 10, 64)
			tally.Count, tally.Sum = tally.Count+int64(times), tally.Sum+number*uint64(times)
			delete(missed, line)
		}
		if len(missed) > 0 {
			t.Errorf("ledger %s holds lines that nobody wrote: %v", id, missed)
		}
		if ink := l.page.Ink; ink.Count != tally.Count || ink.Sum != tally.Sum {
			t.Errorf("ledger %s holds %+v, its lines sum up to %+v", id, ink, tally)
		}
		w.compareEntity(t, id, l)
	}
	t.Logf("%d lines were answered, 0 may be lost; %d were not, of which %d are there", sure, unsure, applied)
	if sure < least {
		t.Errorf("%d lines were answered, less than %d: too little was tested", sure, least)
	}
}

// compareEntity compares what a ledger says of itself with what the store has of it.
func (w *crowd) compareEntity(t *testing.T, id string, l *storedLedger) {
	t.Helper()
	c := w.customer("auditor")
	defer c.leave()
	c.be(LedgerKind.Ref(id))
	ctx, cancel := context.WithTimeout(context.Background(), 2*answerWithin)
	defer cancel()
	page, err := request[*Page](ctx, c, &Read{})
	for err != nil && c.wait(ctx, 20*pace) {
		page, err = request[*Page](ctx, c, &Read{})
	}
	if err != nil || *page != l.page {
		t.Errorf("ledger %s says %+v, %v; the store has %+v", id, page, err, l.page)
	}
}

// short is a duration as a log wants it.
func short(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
