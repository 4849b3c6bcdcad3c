package persist

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
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
	clocksApart  = time.Second // how far the clocks of game and persist nodes may be apart; see doubt
)

// A Requester asks actors on behalf of the runtime; actors.System is one.
type Requester interface {
	// Request routes e and calls done exactly once, with the answer, the refusal, or a refusal with
	// DEADLINE when neither came in time.
	Request(e *actors.Envelope, within time.Duration, done func(*actors.Envelope))
}

// A Client fulfils actors.Store on a game node by asking the keepers.
type Client struct {
	incarnation uint64
	clock       actors.Clock
	system      Requester

	mu      sync.Mutex
	tenures map[fenceKey]*tenancy // the newest of each role and shard
}

// A tenancy is a tenure of this node and the number that the store knows it by.
type tenancy struct {
	tenure  actors.Tenure
	fence   uint64 // 0: not known yet
	waiting []func(fence uint64, err error)
	unsure  map[actors.Ref]doubt // versions that were sent and whose outcome is not known
}

// A doubt is a version that was sent and whose outcome is not known. The change may still be on its way to a keeper,
// which takes it until its deadline. An activation that loaded before would rest on its not being there; so the next
// one waits until no keeper takes it any more, by whichever clock.
type doubt struct {
	version uint64
	until   time.Time
}

// NewClient makes the client of a game node's process. Start it before the first use.
func NewClient(incarnation uint64, clock actors.Clock) *Client {
	return &Client{incarnation: incarnation, clock: clock, tenures: make(map[fenceKey]*tenancy)}
}

// Start gives the client the system through which it asks; the system in turn needs the client to
// be made.
func (c *Client) Start(system Requester) { c.system = system }

func keeperOf(t actors.Tenure) actors.Ref { return KeeperKind.Ref(strconv.Itoa(t.Shard)) }

// Load implements actors.Store. It waits about 5 s for a keeper and a store to be there.
func (c *Client) Load(ref actors.Ref, t actors.Tenure, done func(actors.Snapshot, error)) {
	now := c.clock.Now()
	if d := c.doubted(ref, t); now.Before(d.until) {
		c.clock.AfterFunc(d.until.Sub(now), func() { c.Load(ref, t, done) })
		return
	}
	until := now.Add(loadPatience)
	c.fence(t, until, func(fence uint64, err error) {
		if err != nil {
			done(actors.Snapshot{}, fmt.Errorf("persist: load %s: %w", ref, err))
			return
		}
		m := &load{Kind: ref.Kind, ID: ref.ID, Fence: fence}
		c.ask(keeperOf(t), NumberLoad, m, until, func(body []byte, err error) {
			var got loaded
			if err == nil {
				err = decoded(body, &got)
			}
			if err != nil {
				c.mayForget(t, fence, err)
				done(actors.Snapshot{}, fmt.Errorf("persist: load %s: %w", ref, err))
				return
			}
			version := max(got.Version, c.doubted(ref, t).version) // what was sent is never used again
			done(actors.Snapshot{Version: version, Fence: fence, Cells: got.Cells,
				Parts: got.Parts, Box: got.Box}, nil)
		})
	})
}

// fence finds the number of a tenure: the keeper raises it before the tenure's first load.
func (c *Client) fence(t actors.Tenure, until time.Time, then func(uint64, error)) {
	key := fenceKey{t.Role, t.Shard}
	c.mu.Lock()
	at := c.tenures[key]
	switch {
	case at != nil && at.tenure.Epoch > t.Epoch:
		c.mu.Unlock()
		then(0, actors.ErrFenced.Refuse("this node holds %s/%d anew since", t.Role, t.Shard))
		return
	case at != nil && at.tenure == t && at.fence != 0:
		c.mu.Unlock()
		then(at.fence, nil)
		return
	case at != nil && at.tenure == t:
		at.waiting = append(at.waiting, then)
		c.mu.Unlock()
		return
	}
	fresh := &tenancy{tenure: t, waiting: []func(uint64, error){then}}
	c.tenures[key] = fresh
	c.mu.Unlock()
	if at != nil { // who waits for the tenure before waits in vain
		c.settle(at, 0, actors.ErrFenced)
	}
	m := &claim{Role: t.Role, Holder: c.incarnation, Tenure: t.Epoch}
	c.ask(keeperOf(t), NumberClaim, m, until, func(body []byte, err error) {
		var got claimed
		if err == nil {
			err = decoded(body, &got)
		}
		c.settle(fresh, got.Fence, err)
	})
}

// settle tells everybody who waits for a tenancy's number.
func (c *Client) settle(t *tenancy, fence uint64, err error) {
	key := fenceKey{t.tenure.Role, t.tenure.Shard}
	c.mu.Lock()
	waiting := t.waiting
	t.waiting, t.fence = nil, fence
	if err != nil && c.tenures[key] == t {
		delete(c.tenures, key)
	}
	c.mu.Unlock()
	for _, then := range waiting {
		then(fence, err)
	}
}

// mayForget forgets a number that the store fences: if the tenure goes on, its next load has a new
// one raised.
func (c *Client) mayForget(t actors.Tenure, fence uint64, err error) {
	if !errors.Is(err, actors.ErrFenced) {
		return
	}
	key := fenceKey{t.Role, t.Shard}
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.tenures[key]; at != nil && at.tenure == t && at.fence == fence {
		delete(c.tenures, key)
	}
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
	pause := firstPause
	var try func()
	try = func() {
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
	m := &save{Kind: ref.Kind, ID: ref.ID, Fence: change.Fence, Holder: c.incarnation,
		Version: change.Version, Cells: change.Cells, Parts: change.Parts, Box: change.Box,
		DueAt: change.DueAt, Commit: change.Commit}
	m.Again = c.doubted(ref, t).version == change.Version
	e, err := c.saveRequest(t, m, change.Size(ref.ID))
	if err != nil {
		done(fmt.Errorf("persist: save %s: %w", ref, err))
		return
	}
	within := flushWithin
	if change.Commit {
		within = commitWithin
	}
	sent := doubt{change.Version, c.clock.Now().Add(within + clocksApart)}
	c.system.Request(e, within, func(answer *actors.Envelope) {
		var err error
		if answer.Type == actors.Refused {
			err = outcome(answer.Refusal())
		}
		err = c.sure(ref, t, sent, err)
		if err == nil {
			done(nil)
			return
		}
		c.mayForget(t, change.Fence, err)
		done(fmt.Errorf("persist: save %s: %w", ref, err))
	})
}

// sure remembers versions whose outcome is not known. When one of them is sent again, a refusal
// tells of that request only: the one before may have been written.
func (c *Client) sure(ref actors.Ref, t actors.Tenure, sent doubt, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.tenures[fenceKey{t.Role, t.Shard}]
	if at == nil || at.tenure != t {
		return err // nothing of this tenure is written any more
	}
	r := (*actors.Refusal)(nil)
	switch {
	case errors.Is(err, actors.ErrUnknown):
		if at.unsure == nil {
			at.unsure = make(map[actors.Ref]doubt)
		}
		at.unsure[ref] = sent
	case at.unsure[ref].version == sent.version && errors.As(err, &r) && mayPass(r.Code):
		return actors.ErrUnknown.Refuse("%v", r)
	default:
		delete(at.unsure, ref)
	}
	return err
}

// doubted is what was sent in this tenure and whose outcome is not known; the zero one if there is nothing.
func (c *Client) doubted(ref actors.Ref, t actors.Tenure) doubt {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.tenures[fenceKey{t.Role, t.Shard}]; at != nil && at.tenure == t {
		return at.unsure[ref]
	}
	return doubt{}
}

// saveRequest makes the request, if the change is one that a store takes.
func (c *Client) saveRequest(t actors.Tenure, m *save, bytes int) (*actors.Envelope, error) {
	for name := range m.Parts {
		if len(name) > MaxPart || name == "" {
			return nil, actors.StoreRefused.Refuse("a row's name is 1 to %d bytes: %.40q...",
				MaxPart, name)
		}
	}
	if bytes > MaxChange { // entities see to it that none is
		return nil, actors.TooBig.Refuse("the change is %d bytes, the bound is %d", bytes,
			MaxChange)
	}
	return request(keeperOf(t), NumberSave, m)
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
