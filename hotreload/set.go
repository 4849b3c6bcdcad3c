package hotreload

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Options say what a Set reads and where from.
type Options struct {
	Tables   []Declared   // all tables of the app; no two may share a file
	Dir      string       // where their files are, for example "sample/tables"
	Fallback fs.FS        // the same files, built in, for when Dir does not exist; may be nil
	Log      *slog.Logger // nil: slog.Default()
}

// A Set holds all tables of a node: the edition that turns read, and why the last change was
// refused. Its methods may be used from any goroutine.
type Set struct {
	tables  []Declared
	source  source
	log     *slog.Logger
	current atomic.Pointer[Edition]

	mu      sync.Mutex // one reading at a time; guards what follows
	refused Digest     // the content that was refused last; zero: none
	failure error      // why
	settle  settling

	stop, done chan struct{} // the watching goroutine's; nil until Start
}

// Open reads all tables once. Its error names everything wrong with declarations and files, a line
// each.
func Open(o Options) (*Set, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	names, err := names(o.Tables)
	if err != nil {
		return nil, err
	}
	from, err := openSource(o.Dir, o.Fallback, names)
	if err != nil {
		return nil, err
	}
	first, err := edit(o.Tables, from.read(), from.dir)
	if err != nil {
		return nil, err
	}
	s := &Set{tables: o.Tables, source: from, log: o.Log, settle: settling{calm: true}}
	s.current.Store(first)
	return s, nil
}

// names are the files of the tables, if all can be what they were declared to be.
func names(tables []Declared) ([]string, error) {
	var wrong []error
	var found []string
	taken := make(map[string]bool)
	for _, t := range tables {
		name := t.File()
		switch {
		case t.problem() != nil:
			wrong = append(wrong, fmt.Errorf("hotreload: table %s: %w", name, t.problem()))
		case !fs.ValidPath(name) || name == ".":
			err := fmt.Errorf("hotreload: %q is no file; write it as dir/name.csv", name)
			wrong = append(wrong, err)
		case taken[name]:
			err := fmt.Errorf("hotreload: table %s is declared twice; use one variable", name)
			wrong = append(wrong, err)
		}
		taken[name] = true
		found = append(found, name)
	}
	return found, errors.Join(wrong...)
}

// Current is the edition to read now. A turn asks once and keeps it.
func (s *Set) Current() *Edition { return s.current.Load() }

// Status is what a Set tells its operator.
type Status struct {
	Version   string // of the edition in use
	Dir       string // where its files are; "(built in)" if they cannot change
	Tables    int
	LastError string // why the newest content is not in use, one fault a line; empty: it is
}

// Status may be asked at any time.
func (s *Set) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{Version: s.Current().Version(), Dir: s.source.dir, Tables: len(s.tables)}
	if s.failure != nil {
		st.LastError = s.failure.Error()
	}
	return st
}

// Reload reads the files now, as somebody asked who knows that they are whole. An error, usually
// Faults, means that nothing changed; it is the caller's to report, and kept as LastError.
func (s *Set) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.take(s.source.read())
}

// take makes a snapshot the edition in use, or keeps why it cannot be. The caller holds mu.
func (s *Set) take(seen snapshot) error {
	if seen.digest == s.Current().version {
		s.refused, s.failure = Digest{}, nil
		return nil
	}
	next, err := edit(s.tables, seen, s.source.dir)
	if err != nil {
		s.refused, s.failure = seen.digest, err
		return err
	}
	s.refused, s.failure = Digest{}, nil
	s.current.Store(next)
	s.log.Info("tables reloaded", "version", next.Version(), "tables", len(s.tables))
	return nil
}

// look reads the files as the watcher asks, and takes what has settled. It returns after how long
// to look again, 0 if there is no need.
func (s *Set) look(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.source.read()
	live := s.Current().version
	ready, wait := s.settle.look(now, seen, live, s.refused)
	switch {
	case seen.digest == live:
		s.refused, s.failure = Digest{}, nil // the file was put back as it was
	case ready:
		if err := s.take(seen); err != nil {
			s.report(err)
		}
	}
	return wait
}

// report logs every fault by itself, so that each can be clicked.
func (s *Set) report(err error) {
	faults := (*Faults)(nil)
	if !errors.As(err, &faults) {
		s.log.Error("tables refused", "error", err)
		return
	}
	for _, f := range faults.List {
		told := []any{"at", f.At(), "what", f.What}
		if f.Do != "" {
			told = append(told, "do", f.Do)
		}
		s.log.Error("tables refused", told...)
	}
	if faults.More > 0 {
		s.log.Error("tables refused", "more", faults.More)
	}
}
