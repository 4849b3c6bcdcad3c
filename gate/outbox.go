package gate

import (
	"slices"

	"github.com/fireflyrt/firefly/actors/wire"
)

// An outbox is the queue of frames that wait for a client's connection. Its session's lock guards
// it. While the connection keeps up it is empty between two turns of the event loop; how long it
// may grow when the connection does not is the Limits' to say.
type outbox struct {
	waiting []parcel
	bytes   int         // of waiting
	full    bool        // the socket took no more than a part
	woken   bool        // the connection knows that frames wait
	last    *wire.Close // after waiting nothing follows: close, for this reason
}

// A parcel is one frame, header and body. Several outboxes may share it: it never changes.
type parcel struct {
	frame []byte
	lossy bool
	of    string // number and key of a Latest push: a newer one of the same makes it needless
}

// fits reports whether n more bytes in one more frame are within the bounds.
func (o *outbox) fits(n int, l *Limits) bool {
	return o.bytes+n <= l.QueueBytes && !(o.full && len(o.waiting) >= l.QueueFrames)
}

// add queues a frame. At the bound it makes room by dropping those that newer ones of their key have
// overtaken, and then lossy ones, oldest first, and the new one if it is lossy itself; it returns
// how many, and false if there was still no room.
func (o *outbox) add(p parcel, l *Limits) (dropped int, ok bool) {
	if !o.fits(len(p.frame), l) {
		dropped = o.coalesce(p.of)
	}
	if !o.fits(len(p.frame), l) {
		if p.lossy {
			return dropped + 1, true
		}
		dropped += o.dropLossy(len(p.frame), l)
		if !o.fits(len(p.frame), l) {
			return dropped, false
		}
	}
	o.waiting = append(o.waiting, p)
	o.bytes += len(p.frame)
	return dropped, true
}

// coalesce drops every parcel of which a newer one waits, or is about to: next.
func (o *outbox) coalesce(next string) (dropped int) {
	newer := map[string]bool{next: true}
	for i, p := range slices.Backward(o.waiting) {
		if p.of != "" && newer[p.of] {
			o.bytes -= len(p.frame)
			o.waiting[i].frame = nil
			dropped++
		}
		newer[p.of] = true
	}
	o.waiting = slices.DeleteFunc(o.waiting, func(p parcel) bool { return p.frame == nil })
	return dropped
}

func (o *outbox) dropLossy(room int, l *Limits) (dropped int) {
	kept := o.waiting[:0]
	frames := len(o.waiting)
	for _, p := range o.waiting {
		over := o.bytes+room > l.QueueBytes || o.full && frames >= l.QueueFrames
		if p.lossy && over {
			o.bytes -= len(p.frame)
			frames--
			dropped++
			continue
		}
		kept = append(kept, p)
	}
	clear(o.waiting[len(kept):])
	o.waiting = kept
	return dropped
}

// close makes c the last frame. If drop is set, what waits is given up for it.
func (o *outbox) close(c wire.Close, frame []byte, drop bool) {
	if drop {
		clear(o.waiting)
		o.waiting, o.bytes = o.waiting[:0], 0
	}
	o.waiting = append(o.waiting, parcel{frame: frame})
	o.bytes += len(frame)
	o.last = &c
}

// take removes frames from the front, about room bytes but at least one frame, and appends them to
// into. Once the last has left it returns why the connection is to be closed.
func (o *outbox) take(into [][]byte, room int) ([][]byte, *wire.Close) {
	o.full = false
	n := 0
	for ; n < len(o.waiting) && (n == 0 || room >= len(o.waiting[n].frame)); n++ {
		into = append(into, o.waiting[n].frame)
		room -= len(o.waiting[n].frame)
		o.bytes -= len(o.waiting[n].frame)
	}
	rest := copy(o.waiting, o.waiting[n:])
	clear(o.waiting[rest:])
	o.waiting = o.waiting[:rest]
	if rest > 0 {
		return into, nil
	}
	o.woken = false
	return into, o.last
}
