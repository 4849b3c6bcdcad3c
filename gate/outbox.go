package gate

import (
	"encoding/binary"
	"slices"

	"github.com/fireflyrt/firefly/actors/wire"
)

// An outbox is the queue of frames for a client. Its session's lock guards it. While the
// connection keeps up it is empty between two turns of the event loop; how long it may grow when
// the connection does not, or is not there, is the Limits' to say.
type outbox struct {
	first   [][]byte // before all that waits: what a client gets that came back
	waiting []parcel
	bytes   int    // of waiting
	full    bool   // the socket took no more than a part
	away    bool   // nobody is there to take: twice as much may wait
	woken   bool   // the connection knows that frames may be taken
	keeps   bool   // what is sent is kept until it is acknowledged
	window  window // of what was taken
}

// A parcel is one frame, header and body. Several outboxes may share it: it never changes.
type parcel struct {
	frame []byte
	lossy bool
	of    string // number and key of a Latest push: a newer one of the same makes it needless
}

// numberOf reads a frame's number.
func numberOf(frame []byte) uint32 { return binary.BigEndian.Uint32(frame[4:]) }

// counts reports whether a frame is one that both sides count.
func counts(frame []byte) bool { return numberOf(frame) >= wire.FirstGameNumber }

// fits reports whether n more bytes in one more frame are within the bounds. How many frames wait
// does not matter while the socket takes them: then a burst waits only for its turn, or for the
// client to say what it has.
func (o *outbox) fits(n int, l *Limits) bool {
	frames, bytes := l.QueueFrames, l.QueueBytes
	if o.away {
		frames, bytes = 2*frames, 2*bytes
	}
	return o.bytes+n <= bytes && !((o.full || o.away) && len(o.waiting) >= frames)
}

// may reports whether a frame may be sent before more is acknowledged.
func (o *outbox) may(frame []byte, l *Limits) bool {
	return !o.keeps || !counts(frame) || o.window.fits(len(frame), l)
}

// ready reports whether anything can be taken.
func (o *outbox) ready(l *Limits) bool {
	return len(o.first) > 0 || len(o.waiting) > 0 && o.may(o.waiting[0].frame, l)
}

// shut reports whether what waits does so until more is acknowledged, and for nothing else.
func (o *outbox) shut(l *Limits) bool {
	return !o.full && len(o.first) == 0 && len(o.waiting) > 0 && !o.may(o.waiting[0].frame, l)
}

// any reports whether anything waits.
func (o *outbox) any() bool { return len(o.first)+len(o.waiting) > 0 }

// all is everything that waits, to be written before the last frame.
func (o *outbox) all() [][]byte {
	all := slices.Clone(o.first)
	for _, p := range o.waiting {
		all = append(all, p.frame)
	}
	return all
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
			o.waiting[i].frame = nil
			dropped++
			o.bytes -= len(p.frame)
		}
		newer[p.of] = true
	}
	o.waiting = slices.DeleteFunc(o.waiting, func(p parcel) bool { return p.frame == nil })
	return dropped
}

// dropLossy drops lossy parcels, oldest first, until one more frame of n bytes fits.
func (o *outbox) dropLossy(n int, l *Limits) (dropped int) {
	for i := 0; i < len(o.waiting) && !o.fits(n, l); {
		if !o.waiting[i].lossy {
			i++
			continue
		}
		o.bytes -= len(o.waiting[i].frame)
		o.waiting = slices.Delete(o.waiting, i, i+1)
		dropped++
	}
	return dropped
}

// take removes frames from the front, about room bytes but at least one frame, and appends them to
// into. Counted ones stay in the window, if the outbox keeps them; when the client is due to say
// what it has, it is asked. received is what it is told in turn.
func (o *outbox) take(into [][]byte, room int, l *Limits, received uint64) [][]byte {
	o.full = false
	had := len(into)
	for len(o.first) > 0 && (len(into) == had || room >= len(o.first[0])) {
		into, room, o.first = append(into, o.first[0]), room-len(o.first[0]), o.first[1:]
	}
	n := 0
	for ; len(o.first) == 0 && n < len(o.waiting); n++ {
		f := o.waiting[n].frame
		if len(into) > had && room < len(f) || !o.may(f, l) {
			break
		}
		into, room = append(into, f), room-len(f)
		o.bytes -= len(f)
		if counts(f) && o.window.add(f, o.keeps, l) {
			into = append(into, pingFrame(received))
		}
	}
	o.waiting = shift(o.waiting, n)
	if o.woken = o.ready(l); !o.any() {
		o.first = nil
	}
	return into
}

// shift removes the first n, and gives the room up when nothing waits: most sessions say
// little, and there are very many.
func shift(waiting []parcel, n int) []parcel {
	rest := copy(waiting, waiting[n:])
	clear(waiting[rest:])
	if rest == 0 {
		return nil
	}
	return waiting[:rest]
}

// leave is for a connection that is gone: what was only for it is dropped, the rest waits.
func (o *outbox) leave() {
	o.first, o.full, o.woken, o.away = nil, false, false, true
	o.waiting = slices.DeleteFunc(o.waiting, func(p parcel) bool {
		passing := !counts(p.frame) && numberOf(p.frame) != wire.NumberError
		if passing {
			o.bytes -= len(p.frame)
		}
		return passing
	})
}

// back is for a client that is here again: what it missed goes before what waits, and it is asked
// to say when it has that.
func (o *outbox) back(welcome []byte, received uint64) {
	o.away, o.woken = false, true
	o.first = append([][]byte{welcome}, o.window.frames...)
	if len(o.window.frames) > 0 {
		o.first = append(o.first, pingFrame(received))
	}
	o.window.asked()
}

func pingFrame(received uint64) []byte {
	return frameOf(0, wire.NumberPing, 0, wire.Ping{Received: received})
}
