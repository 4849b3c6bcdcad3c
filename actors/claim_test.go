package actors

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A login is a world with an account, and notes whom the account closes.
type login struct {
	*world
	ann    Ref
	closed []Ref
}

func newLogin(t *testing.T) *login {
	w := &login{world: newWorld(t, testMessages), ann: plain.Ref("ann")}
	w.boot(testMessages, Kind{Name: plain, New: func(p *Props) {
		State[int](p, "n")
		aud := Audience(p)
		Answer(p, func(Context, *look) (*bought, error) { return &bought{aud.Len()}, nil })
	}})
	w.routed = func(e *Envelope) bool {
		if e.Number == NumberKick {
			w.closed = append(w.closed, e.To)
		}
		return e.Number == NumberKick
	}
	return w
}

// session names the serial's session, on one of two gates.
func (w *login) session(serial int) Ref {
	return SessionRef(fmt.Sprintf("gate-%d", serial%2), wire.JSON, 7, uint64(serial))
}

func (w *login) says(serial int, number uint64) {
	s := w.session(serial)
	w.sys.Deliver(Announce(w.ann, &Bound{Session: s, Who: w.ann, Number: number}))
	w.settle()
}

func (w *login) leaves(serial int) {
	s := w.session(serial)
	w.sys.Deliver(RuntimeMessage(s, w.ann, &Unbound{Session: s, Who: w.ann}))
	w.settle()
}

func (w *login) closes(want ...Ref) {
	w.t.Helper()
	if !slices.Equal(w.closed, want) {
		w.t.Errorf("closed %v, want %v", w.closed, want)
	}
	w.closed = nil
}

func TestOfTwoSessionsThatClaimAnAccountTheNewerStays(t *testing.T) {
	t.Parallel()
	w := newLogin(t)
	w.says(1, 10)
	w.says(2, 12)
	w.closes(w.session(1))
	w.leaves(1)
	w.says(3, 11) // began before, and comes later
	w.closes(w.session(3))
	w.leaves(3)
	w.says(4, 12) // at once: the larger name
	w.closes(lesser(w.session(2), w.session(4)))
	if r, err := w.call(w.ann, &look{}); err != nil || r.(*bought).Gold != 2 {
		t.Errorf("%v %v", r, err)
	}
}

func lesser(a, b Ref) Ref {
	if compareRefs(a, b) < 0 {
		return a
	}
	return b
}

func TestAnOlderSessionThatIsAnnouncedAfterADeathIsClosedThoughItsRivalHasLeft(t *testing.T) {
	t.Parallel()
	w := newLogin(t)
	w.says(1, 10)
	w.says(2, 12)
	w.closes(w.session(1)) // but it does not hear of it
	w.leaves(2)
	w.advance(2 * time.Second)
	w.sys.Crash(w.ann)
	w.settle()
	w.epoch = 2
	w.sys.Release("game", []int{w.ann.Shard(16)})
	w.settle()
	w.says(1, 10)
	w.closes(w.session(1))
	w.says(3, 13)
	w.closes(w.session(1)) // it is still bound
	w.says(3, 13)          // again: it is the newest itself
	w.closes(w.session(1))
}

// Whatever comes in whatever order: all but the newest of those that are bound have been closed.
func TestWhateverTheOrderAllButTheNewestAreClosed(t *testing.T) {
	t.Parallel()
	for seed := range seeds(100) {
		w := newLogin(t)
		r := rand.New(rand.NewPCG(seed, 9))
		var newest Claim
		closed, bound := map[Ref]bool{}, map[Ref]bool{}
		for range 30 {
			serial := r.IntN(6)
			if s := w.session(serial); r.IntN(4) == 0 {
				w.leaves(serial)
				delete(bound, s)
			} else {
				number := uint64(10 + serial/2)
				w.says(serial, number)
				bound[s] = true
				if c := (Claim{number, s}); c.isNewer(newest) {
					newest = c
				}
			}
			for _, s := range w.closed {
				closed[s] = true
			}
			w.closed = nil
			if r.IntN(8) == 0 {
				w.advance(2 * time.Second)
				w.sys.Crash(w.ann)
				w.settle()
			}
			for s := range bound {
				if !closed[s] && s != newest.Session {
					t.Fatalf("seed %d: %s is not closed, and %s is newer", seed, s, newest.Session)
				}
			}
		}
	}
}
