package gate

import (
	"errors"
	"time"
)

const (
	room    = 256 << 10             // bytes handed to the kernel in one write, about
	recheck = 10 * time.Millisecond // for a socket that was full
)

// A line is what a visit says and hears over its connection, whatever socket carries the bytes.
// One goroutine at a time uses it.
type line struct {
	visit   *Visit
	framing framing
	partial []byte // bytes of a frame that is not whole
	owed    []byte // what the framing itself has said
	hungUp  bool   // no more is heard
	excused bool   // a page elsewhere made its browser come
	shut    bool   // our half is closed, the last frame is out
}

// hear takes what came; it keeps nothing of b, but may change it. It reports whether the framing has
// something to say to that.
func (l *line) hear(b []byte) bool {
	if len(b) == 0 || l.hungUp {
		return false
	}
	if len(l.partial) > 0 {
		l.partial = append(l.partial, b...)
		b = l.partial
	}
	done, err := l.framing.cut(b, l.visit)
	switch {
	case err == nil && done == len(b):
		l.partial = nil // a long frame's room would stay for ever
	case err == nil:
		l.partial = append(l.partial[:0], b[done:]...)
	default:
		l.broken(err)
	}
	if len(l.owed) == 0 {
		l.owed = l.framing.reply(nil)
	}
	return len(l.owed) > 0 || l.hungUp
}

// broken ends the hearing: nothing can be made of what follows.
func (l *line) broken(err error) {
	l.hungUp, l.partial = true, nil
	switch {
	case errors.Is(err, errHandshake):
		l.excused = errors.Is(err, errOrigin)
		l.visit.gate.Counters.Malformed.Add(1)
	case !errors.Is(err, errHangUp):
		l.visit.Malformed(err)
	}
}

// say returns what waits to be written, about room bytes. After the last of it nothing follows: hang
// up when it is out.
func (l *line) say() (out []byte, last bool) {
	var few [16][]byte // on the stack: a line that is idle keeps nothing
	frames, why := l.visit.Take(few[:0], room)
	out = l.framing.reply(l.owed)
	l.owed = nil
	for _, f := range frames {
		out = l.framing.wrap(out, f)
	}
	if why != nil {
		out = l.framing.farewell(out, why)
	}
	last = why != nil || l.hungUp && len(frames) == 0
	l.hungUp = l.hungUp || last
	return out, last
}
