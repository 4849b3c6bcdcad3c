package client

import "fmt"

// What may be under way, and when a Ping is due. Both sides of a session hold to them.
const (
	windowFrames = 256
	windowBytes  = 1 << 20
	pingFrames   = 64
	pingBytes    = 64 << 10
)

// A ledger holds the counted frames that the gate is not known to have: those that the connection
// has carried, and behind them those that wait for it. The client's mu guards it.
type ledger struct {
	keep        bool     // carried frames are kept until they are acknowledged
	frames      [][]byte // in order
	bytes       int      // of frames
	sent        int      // of frames, those that this connection has carried
	sentBytes   int
	first       uint64 // how many came before frames
	carried     uint64 // how many any connection has carried
	since, size int    // frames and bytes carried since the last Ping
}

// add appends a frame and returns its index, or false if there is no room for it.
func (l *ledger) add(frame []byte, most int) (index uint64, ok bool) {
	if len(l.frames) >= most || l.bytes+len(frame) > backlogBytes {
		return 0, false
	}
	l.frames = append(l.frames, frame)
	l.bytes += len(frame)
	return l.first + uint64(len(l.frames)) - 1, true
}

// next is the next frame that the connection may carry, or nil if there is none. A ledger that keeps
// lets so many be under way that they fit into the window, or one that does not.
func (l *ledger) next() []byte {
	if l.sent == len(l.frames) {
		return nil
	}
	frame := l.frames[l.sent]
	if l.sent > 0 && (l.sent == windowFrames || l.sentBytes+len(frame) > windowBytes) {
		return nil
	}
	l.sent++
	l.sentBytes += len(frame)
	l.carried = max(l.carried, l.first+uint64(l.sent))
	l.since++
	l.size += len(frame)
	if !l.keep {
		l.drop(l.sent)
	}
	return frame
}

// pingDue says, once, that the gate is to be asked what it has.
func (l *ledger) pingDue() bool {
	if l.since < pingFrames && l.size < pingBytes {
		return false
	}
	l.since, l.size = 0, 0
	return true
}

// ack takes the gate's word that it has n counted frames of the session. Less than it said before is
// nothing new; more than it was sent is an error.
func (l *ledger) ack(n uint64) error {
	if n > l.carried {
		return fmt.Errorf("%w: it has %d frames, and was sent %d", errNonsense, n, l.carried)
	}
	if n > l.first && l.keep {
		l.drop(int(n - l.first))
	}
	return nil
}

// resume takes the gate's word as another connection begins, which carries all that is not
// acknowledged.
func (l *ledger) resume(n uint64) error {
	if n < l.first {
		return fmt.Errorf("%w: it has %d frames, and had %d", errNonsense, n, l.first)
	}
	if err := l.ack(n); err != nil {
		return err
	}
	l.sent, l.sentBytes, l.since, l.size = 0, 0, 0, 0
	return nil
}

// drop removes the first n frames.
func (l *ledger) drop(n int) {
	for _, f := range l.frames[:n] {
		l.bytes -= len(f)
	}
	for _, f := range l.frames[:min(n, l.sent)] {
		l.sentBytes -= len(f)
	}
	l.sent = max(0, l.sent-n)
	l.first += uint64(n)
	rest := copy(l.frames, l.frames[n:])
	clear(l.frames[rest:])
	l.frames = l.frames[:rest]
}
