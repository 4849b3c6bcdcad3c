package gate

import "time"

// A bucket is a token bucket: it fills with rate tokens per second up to burst, and each message
// takes one. The zero bucket is full at its first use.
type bucket struct {
	tokens float64
	filled int64 // Unix nanoseconds; 0: never. A time.Time is three times as large, and every session has these
}

// take takes a token, or says how long to wait for one.
func (b *bucket) take(now time.Time, rate float64, burst int) (wait time.Duration, ok bool) {
	if b.filled == 0 {
		b.tokens = float64(burst)
	} else if since := b.unused(now); since > 0 {
		b.tokens = min(float64(burst), b.tokens+since.Seconds()*rate)
	}
	b.filled = now.UnixNano()
	if b.tokens < 1 {
		return time.Duration((1 - b.tokens) / rate * float64(time.Second)), false
	}
	b.tokens--
	return 0, true
}

// unused is how long ago a token was last asked for; very long, if never.
func (b *bucket) unused(now time.Time) time.Duration { return time.Duration(now.UnixNano() - b.filled) }

// give puts a token back.
func (b *bucket) give(burst int) {
	if b.filled != 0 {
		b.tokens = min(float64(burst), b.tokens+1)
	}
}

// A patience is what the gate has with a client that sends too much.
type patience struct {
	since   int64  // the first refusal of this bout, in Unix nanoseconds
	last    uint32 // the newest one, in microseconds after it
	refused uint32 // so many there were in this bout
}

// calm is the time without a refusal that ends a bout.
const calm = time.Second

// refuse notes a refusal and says whether that is all that the bounds allow.
func (p *patience) refuse(at time.Time, l *Limits) (over bool) {
	now := at.UnixNano()
	last := p.since + int64(p.last)*int64(time.Microsecond)
	if now < last || now-last > int64(calm) { // a clock that ran back begins anew
		*p = patience{since: now}
	}
	bout := time.Duration(now - p.since)
	p.last = uint32(bout / time.Microsecond)
	p.refused++
	return bout >= l.RateGrace || int(p.refused) >= l.Refusals
}
