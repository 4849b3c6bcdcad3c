package hotreload

import "time"

// How long what the files hold must stay the same before it is believed. A save takes a moment, and
// a reader sees it half written; a file without an end of line at its end is given longer, because
// it may be cut off within a row.
const (
	settleAfter     = 200 * time.Millisecond
	settleOpenAfter = 500 * time.Millisecond
)

// A settling decides when new content may be read. It knows no clock and no files: look tells it
// the time and what the files hold.
type settling struct {
	waiting Digest // what was seen last
	since   time.Time
	calm    bool // nothing is waiting
}

// look returns ready when the content is new and has lasted, and otherwise how long it still has
// to; 0: there is nothing to wait for. Live and refused are the contents that were decided already.
func (s *settling) look(
	now time.Time, seen snapshot, live, refused Digest,
) (ready bool, wait time.Duration) {
	if seen.digest == live || seen.digest == refused {
		s.calm = true
		return false, 0
	}
	if s.calm || seen.digest != s.waiting {
		s.waiting, s.since, s.calm = seen.digest, now, false
	}
	wait = settleAfter
	if seen.open {
		wait = settleOpenAfter
	}
	wait -= now.Sub(s.since)
	if wait > 0 {
		return false, wait
	}
	s.calm = true
	return true, 0
}
