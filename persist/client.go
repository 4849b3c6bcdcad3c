package persist

import (
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// How long a Client waits for keepers. The bounds of one request are short, because a request may
// be lost with its keeper, and sending it again is harmless.
const (
	loadWithin   = 2 * time.Second
	loadPatience = 5 * time.Second // for all tries together
	commitWithin = time.Second     // below the 2 s after which an entity tells COMMIT_UNKNOWN
	flushWithin  = 3 * time.Second
	firstPause   = 50 * time.Millisecond // between tries of a load; doubles
	longestPause = 500 * time.Millisecond
)

// A Requester asks actors on behalf of the runtime; actors.System is one.
type Requester interface {
	// Request routes e and calls done exactly once, with the answer, the refusal, or a refusal with
	// DEADLINE when neither came in time.
	Request(e *actors.Envelope, within time.Duration, done func(*actors.Envelope))
}

// A Client fulfils actors.Store on a game node by asking the keepers.
type Client struct {
	incarnation atomic.Uint64
	clock       actors.Clock
	system      Requester

	mu      sync.Mutex
	tenures map[fenceKey]*tenancy // the newest of each role and shard
}

// A doubt is a version of an entity that was sent, and may be written or not.
type doubt struct {
	version uint64
	isOver  bool // the entity was loaded since: it must not be sent any more
}

// NewClient makes the client of a game node's process. Start it before the first use.
func NewClient(incarnation uint64, clock actors.Clock) *Client {
	c := &Client{clock: clock, tenures: make(map[fenceKey]*tenancy)}
	c.incarnation.Store(incarnation)
	return c
}

// Start gives the client the system through which it asks; the system in turn needs the client to
// be made.
func (c *Client) Start(system Requester) { c.system = system }

// Renew makes the client one of another incarnation, to which nothing belongs yet. Entities of the one before must have
// ended: what they still send is fenced.
func (c *Client) Renew(incarnation uint64) {
	c.incarnation.Store(incarnation)
	c.mu.Lock()
	before := c.tenures
	c.tenures = make(map[fenceKey]*tenancy)
	c.mu.Unlock()
	for _, t := range before {
		c.settle(t, 0, actors.ErrFenced) // in any order: nobody is left whom it could surprise
	}
}

func keeperOf(t actors.Tenure) actors.Ref { return KeeperKind.Ref(strconv.Itoa(t.Shard)) }

// Load implements actors.Store. It waits about 5 s for a keeper and a store to be there.
func (c *Client) Load(ref actors.Ref, t actors.Tenure, done func(actors.Snapshot, error)) {
	until := c.clock.Now().Add(loadPatience)
	c.fence(t, until, func(fence uint64, err error) {
		if err != nil {
			done(actors.Snapshot{}, fmt.Errorf("persist: load %s: %w", ref, err))
			return
		}
		m := &load{Kind: ref.Kind, ID: ref.ID, Fence: fence, Anew: c.overtakes(ref, t)}
		c.pages(t, m, nil, until, func(got *loaded, err error) {
			if err != nil {
				c.mayForget(t, fence, err)
				done(actors.Snapshot{}, fmt.Errorf("persist: load %s: %w", ref, err))
				return
			}
			c.learn(t, got.Term)
			version := max(got.Version, c.doubted(ref, t).version) // what was sent is never used again
			done(actors.Snapshot{Version: version, Fence: fence, Cells: got.Cells,
				Parts: got.Parts, Box: got.Box}, nil)
		})
	})
}

// pages loads an entity, by as many messages as it takes. If it has changed between two of them, it is loaded from the
// beginning.
func (c *Client) pages(t actors.Tenure, m *load, before *loaded, until time.Time, done func(*loaded, error)) {
	c.ask(keeperOf(t), NumberLoad, m, until, func(body []byte, err error) {
		got := new(loaded)
		if err == nil {
			err = decoded(body, got)
		}
		if err != nil {
			done(nil, err)
			return
		}
		next := *m
		next.Page, next.Anew = m.Page+1, false
		switch {
		case before != nil && before.Version != got.Version:
			next.Page, got = 0, nil
		case before != nil:
			if before.Parts == nil {
				before.Parts = got.Parts
			}
			maps.Copy(before.Parts, got.Parts)
			before.Term, before.More = got.Term, got.More
			got = before
		}
		if got != nil && !got.More {
			done(got, nil)
			return
		}
		c.pages(t, &next, got, until, done)
	})
}

// ask sends a request that changes no entity, again and again until it is answered or until has
// come.
func (c *Client) ask(keeper actors.Ref, number uint32, m any, until time.Time,
	done func(body []byte, err error)) {
	e, err := request(keeper, number, m)
	if err != nil {
		done(nil, err)
		return
	}
	pause, asks := firstPause, c.incarnation.Load()
	var try func()
	try = func() {
		if c.incarnation.Load() != asks { // for who was forgotten; a keeper of today could take it for an owner's
			done(nil, actors.ErrFenced.Refuse("this node has joined anew since"))
			return
		}
		fresh := *e
		c.system.Request(&fresh, loadWithin, func(answer *actors.Envelope) {
			if answer.Type == actors.Answered {
				done(answer.Body, nil)
				return
			}
			r := answer.Refusal()
			switch {
			case !mayPass(r.Code), r.Code == actors.StoreBehind:
				done(nil, r)
			case !c.clock.Now().Add(pause).Before(until):
				done(nil, actors.StoreUnavailable.Refuse("%v", r))
			default:
				after := pause
				pause = min(2*pause, longestPause) // now: the next try may be another goroutine's
				c.clock.AfterFunc(after, try)
			}
		})
	}
	try()
}

// mayPass: refusals of a keeper, or on the way to it, that say nothing of the next try.
func mayPass(code actors.Code) bool {
	switch code {
	case actors.Unavailable, actors.DeadlinePassed, actors.StoreUnavailable, actors.StoreBehind,
		actors.Overloaded, actors.MailboxFull:
		return true
	}
	return false
}

// Save implements actors.Store.
func (c *Client) Save(ref actors.Ref, t actors.Tenure, change actors.Change, done func(error)) {
	within := flushWithin
	if change.Commit {
		within = commitWithin
	}
	until := c.clock.Now().Add(within)
	if change.Fence != 0 {
		c.save(ref, t, change, until, done)
		return
	}
	c.fence(t, until, func(fence uint64, err error) {
		if err != nil {
			done(fmt.Errorf("persist: save %s: %w", ref, err)) // and nothing was sent
			return
		}
		change.Fence = fence
		c.save(ref, t, change, until, done)
	})
}

// save sends a change under the number that it names.
func (c *Client) save(ref actors.Ref, t actors.Tenure, change actors.Change, until time.Time, done func(error)) {
	m := &save{Kind: ref.Kind, ID: ref.ID, Fence: change.Fence, Holder: c.incarnation.Load(),
		Version: change.Version, Cells: change.Cells, Parts: change.Parts, Box: change.Box,
		DueAt: change.DueAt, Commit: change.Commit}
	if err := m.suits(change.Size(ref.ID)); err != nil {
		done(fmt.Errorf("persist: save %s: %w", ref, err))
		return
	}
	m.Again = c.doubt(ref, t, change.Version)
	c.send(t, m, until, func(err error) {
		if err = c.sure(ref, t, m, err); err == nil {
			done(nil)
			return
		}
		c.mayForget(t, change.Fence, err)
		done(fmt.Errorf("persist: save %s: %w", ref, err))
	})
}

// send sends a save, and again if its keeper has begun a new term meanwhile.
func (c *Client) send(t actors.Tenure, m *save, until time.Time, done func(error)) {
	m.Term = max(m.Term, c.learn(t, 0))
	e, err := request(keeperOf(t), NumberSave, m)
	if err != nil {
		done(err)
		return
	}
	c.system.Request(e, until.Sub(c.clock.Now()), func(answer *actors.Envelope) {
		switch {
		case answer.Type == actors.Refused:
			done(outcome(answer.Refusal()))
			return
		case len(answer.Body) == 0:
			done(nil)
			return
		}
		var got saved
		over := c.doubted(actors.Ref{Kind: m.Kind, ID: m.ID}, t) == doubt{m.Version, true}
		if err := decoded(answer.Body, &got); err != nil || got.Term <= m.Term || over || !c.clock.Now().Before(until) {
			done(actors.ErrUnknown.Refuse("%v in term %d, after %d: %v", e.To, got.Term, m.Term, err))
			return
		}
		again := *m
		again.Term = c.learn(t, got.Term)
		c.send(t, &again, until, done)
	})
}

// learn takes notice of a term, and returns the newest.
func (c *Client) learn(t actors.Tenure, term uint64) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.tenures[fenceKey{t.Role, t.Shard}]
	if at == nil || at.tenure != t {
		return term
	}
	at.term = max(at.term, term)
	return at.term
}

// doubt notes that a version is sent, and reports whether it was sent before. Until its outcome is known it may be
// written at any moment: also after the activation that sent it has ended.
func (c *Client) doubt(ref actors.Ref, t actors.Tenure, version uint64) (again bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.tenures[fenceKey{t.Role, t.Shard}]
	if at == nil || at.tenure != t {
		return false // nothing of this tenure is written any more
	}
	if again = at.unsure[ref].version == version; again {
		return again
	}
	if at.unsure == nil {
		at.unsure = make(map[actors.Ref]doubt)
	}
	at.unsure[ref] = doubt{version: version}
	return again
}

// sure forgets the doubt if the outcome is known. When a version was sent twice, a refusal tells of the second request
// only: the first may have been written.
func (c *Client) sure(ref actors.Ref, t actors.Tenure, m *save, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.tenures[fenceKey{t.Role, t.Shard}]
	if at == nil || at.tenure != t {
		return err
	}
	r := (*actors.Refusal)(nil)
	switch {
	case errors.Is(err, actors.ErrUnknown):
	case m.Again && errors.As(err, &r) && mayPass(r.Code):
		return actors.ErrUnknown.Refuse("%v", r)
	case at.unsure[ref].version == m.Version:
		delete(at.unsure, ref)
	}
	return err
}

// doubted is what was sent in this tenure and has no known outcome; its version is 0 if there is nothing.
func (c *Client) doubted(ref actors.Ref, t actors.Tenure) doubt {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.tenures[fenceKey{t.Role, t.Shard}]; at != nil && at.tenure == t {
		return at.unsure[ref]
	}
	return doubt{}
}

// overtakes sees to it that what an activation before has sent is not sent again, and reports whether there is such.
func (c *Client) overtakes(ref actors.Ref, t actors.Tenure) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.tenures[fenceKey{t.Role, t.Shard}]
	if at == nil || at.tenure != t || at.unsure[ref].version == 0 {
		return false
	}
	at.unsure[ref] = doubt{at.unsure[ref].version, true}
	return true
}

// outcome says what a refused save came to. Only what is known not to be written may be called so.
func outcome(r *actors.Refusal) error {
	switch r.Code {
	case actors.ErrFenced, actors.StoreUnavailable, actors.StoreBehind, actors.StoreRefused,
		actors.BadBody, actors.Overloaded, actors.MailboxFull:
		return r // by whoever refused it, before anything was written
	}
	return actors.ErrUnknown.Refuse("%v", r)
}
