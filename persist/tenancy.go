package persist

import (
	"errors"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// A tenancy is a tenure of this node and the number that the store knows it by.
type tenancy struct {
	tenure  actors.Tenure
	fence   uint64 // 0: not known yet
	isAsked bool   // a keeper has been asked for it, and has not answered
	waiting []func(fence uint64, err error)
	term    uint64               // the newest that a keeper has told
	unsure  map[actors.Ref]doubt // what was sent and has no outcome, or none that is known
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
		fence := at.fence
		c.mu.Unlock()
		then(fence, nil)
		return
	case at != nil && at.tenure == t && at.isAsked:
		at.waiting = append(at.waiting, then)
		c.mu.Unlock()
		return
	}
	before, fresh := at, at
	if at == nil || at.tenure != t {
		fresh = &tenancy{tenure: t}
		c.tenures[key] = fresh
	}
	fresh.isAsked, fresh.waiting = true, append(fresh.waiting, then)
	c.mu.Unlock()
	if before != nil && before != fresh { // who waits for the tenure before waits in vain
		c.settle(before, 0, actors.ErrFenced)
	}
	m := &claim{Role: t.Role, Holder: c.incarnation.Load(), Tenure: t.Epoch}
	c.ask(keeperOf(t), NumberClaim, m, until, func(body []byte, err error) {
		var got claimed
		if err == nil {
			err = decoded(body, &got)
		}
		c.learn(t, got.Term)
		c.settle(fresh, got.Fence, err)
	})
}

// settle tells everybody who waits for a tenancy's number.
func (c *Client) settle(t *tenancy, fence uint64, err error) {
	c.mu.Lock()
	waiting := t.waiting
	t.waiting, t.fence = nil, fence
	t.isAsked = false
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
