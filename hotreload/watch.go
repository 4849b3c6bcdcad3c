package hotreload

import (
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	debounce  = 20 * time.Millisecond  // one save makes several events
	pollEvery = 500 * time.Millisecond // for file systems without events, and for lost ones
)

// Start watches the files from now on, in a goroutine that Stop ends. Tables built into the binary
// cannot change and are not watched. Start may be called once.
func (s *Set) Start() {
	if !s.source.live {
		return
	}
	s.begin(newEyes(s), pollEvery)
}

func (s *Set) begin(e *eyes, poll time.Duration) {
	s.stop, s.done = make(chan struct{}), make(chan struct{})
	go s.watch(e, poll)
}

// Stop ends the watching and waits for its end. The tables stay readable.
func (s *Set) Stop() {
	if s.stop == nil {
		return
	}
	close(s.stop)
	<-s.done
}

// watch looks at the files when an event or a changed stamp says so, until Stop.
func (s *Set) watch(e *eyes, every time.Duration) {
	defer close(s.done)
	defer e.close()
	poll := time.NewTicker(every)
	defer poll.Stop()
	stamp := s.source.stamp()
	look := time.NewTimer(0) // at once: a save between Open and Start made no event
	defer look.Stop()
	for {
		select {
		case <-s.stop:
			return
		case event := <-e.events:
			if e.matter(event) {
				look.Reset(debounce)
			}
		case <-e.errors: // events were lost
			look.Reset(debounce)
		case <-poll.C:
			e.open()
			if now := s.source.stamp(); now != stamp {
				stamp = now
				look.Reset(debounce)
			}
		case now := <-look.C:
			if wait := s.look(now); wait > 0 {
				look.Reset(wait)
			}
		}
	}
}

// eyes watch the directories of the tables. Where the system gives no events they see nothing, and
// polling does it.
type eyes struct {
	watcher     *fsnotify.Watcher
	directories []string
	names       []string // of the tables, without directories
	events      <-chan fsnotify.Event
	errors      <-chan error
}

func newEyes(s *Set) *eyes {
	e := &eyes{directories: s.source.directories()}
	for _, name := range s.source.names {
		e.names = append(e.names, path.Base(name))
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		s.log.Warn("tables are polled", "every", pollEvery, "error", err)
		return e
	}
	e.watcher, e.events, e.errors = w, w.Events, w.Errors
	e.open()
	return e
}

// open adds the directories that are not watched: also those that went away and came back.
func (e *eyes) open() {
	if e.watcher == nil {
		return
	}
	watched := e.watcher.WatchList()
	for _, d := range e.directories {
		if !slices.Contains(watched, d) {
			_ = e.watcher.Add(d) // if it is not there, the next poll tries again
		}
	}
}

func (e *eyes) matter(event fsnotify.Event) bool {
	return !event.Has(fsnotify.Chmod) && slices.Contains(e.names, filepath.Base(event.Name))
}

func (e *eyes) close() {
	if e.watcher != nil {
		_ = e.watcher.Close()
	}
}
