package gate

import "time"

// A bucket is a token bucket: it fills with rate tokens per second up to burst, and each message
// takes one. The zero bucket is full at its first use.
type bucket struct {
	tokens float64
	filled time.Time
}

// take takes a token, or says how long to wait for one.
func (b *bucket) take(now time.Time, rate float64, burst int) (wait time.Duration, ok bool) {
	if b.filled.IsZero() {
		b.tokens = float64(burst)
	} else if since := now.Sub(b.filled); since > 0 {
		b.tokens = min(float64(burst), b.tokens+since.Seconds()*rate)
	}
	b.filled = now
	if b.tokens < 1 {
		return time.Duration((1 - b.tokens) / rate * float64(time.Second)), false
	}
	b.tokens--
	return 0, true
}

// give puts a token back.
func (b *bucket) give(burst int) {
	if !b.filled.IsZero() {
		b.tokens = min(float64(burst), b.tokens+1)
	}
}

// A patience is what the gate has with a client that sends too much.
type patience struct {
	since time.Time // the first refusal of this bout
	last  time.Time // the newest one
}

// calm is the time without a refusal that ends a bout.
const calm = time.Second

// refused notes a refusal and says whether the bout has lasted for grace.
func (p *patience) refused(now time.Time, grace time.Duration) (over bool) {
	if p.last.IsZero() || now.Sub(p.last) > calm {
		p.since = now
	}
	p.last = now
	return now.Sub(p.since) >= grace
}
