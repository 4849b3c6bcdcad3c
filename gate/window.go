package gate

// A window is what a client was sent and has not acknowledged: the newest counted frames, in the
// order of their indexes. The last of them has the index sent.
type window struct {
	frames [][]byte
	bytes  int
	sent   uint64 // counted frames handed to a socket, in the session's whole life

	unasked, unaskedBytes int32 // of them, since the client was last asked what it has
}

// The client is asked at the latest after this much, and in time for the window not to close.
const (
	askFrames = 64
	askBytes  = 64 << 10
)

// fits reports whether one more frame of n bytes may be sent.
func (w *window) fits(n int, l *Limits) bool {
	return len(w.frames) == 0 || len(w.frames) < l.UnackedFrames && w.bytes+n <= l.UnackedBytes
}

// add counts a frame that is sent now and, if it is to be kept, keeps it. It reports whether the
// client is to be asked what it has.
func (w *window) add(frame []byte, keep bool, l *Limits) (ask bool) {
	w.sent++
	if !keep {
		return false
	}
	w.frames = append(w.frames, frame)
	w.bytes += len(frame)
	w.unasked++
	w.unaskedBytes += int32(len(frame))
	if int(w.unasked) < min(askFrames, l.UnackedFrames) && int(w.unaskedBytes) < min(askBytes, l.UnackedBytes) {
		return false
	}
	w.asked()
	return true
}

func (w *window) asked() { w.unasked, w.unaskedBytes = 0, 0 }

// first is the index of the oldest frame that is kept.
func (w *window) first() uint64 { return w.sent - uint64(len(w.frames)) + 1 }

// acknowledge drops what a client has that has received so many. It reports false for old news, which drop nothing.
func (w *window) acknowledge(received uint64) bool {
	if received > w.sent || received < w.first() {
		return false
	}
	n := int(received - w.first() + 1)
	for i := range n {
		w.bytes -= len(w.frames[i])
		w.frames[i] = nil
	}
	if w.frames = w.frames[n:]; len(w.frames) == 0 {
		w.frames = nil
	}
	return true
}

// holds reports whether a client that has received so many can be given all that it missed.
func (w *window) holds(received uint64) bool {
	return received <= w.sent && received+1 >= w.first()
}
