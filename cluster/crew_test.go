package cluster

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// A crew is the actors of one node of a simulation, as simple as they can be and still notice what goes wrong: each
// counts what every sender sends it, answers with numbers of its own, and writes to another now and then.
type crew struct {
	w       *voyage
	n       *Cluster
	name    string
	sailor  map[int]map[string]*sailor // by shard and id
	asleep  map[int]bool               // shards that are frozen
	dead    bool
	leaves  bool     // it asks nothing any more
	doubted []string // who may not have heard what sessions told them
	// starved: it was no member for a while, and answers to it went nowhere then; who asked hears DEADLINE.
	starved bool
}

// A sailor is one of them. What it knows is what travels.
type sailor struct {
	Got  map[string]uint32 // by sender, the newest number
	Sent map[string]uint32 // by receiver, the newest number
	Box  [][]byte          // messages that wait, as the link writes them
}

func (h *crew) Placement(k actors.KindName) (actors.Placement, bool) {
	return actors.Placement{Role: "game"}, k == "player"
}

func (h *crew) shard(to actors.Ref) int { return to.Shard(h.w.shards) }

func (h *crew) Deliver(e *actors.Envelope) {
	if h.dead {
		return
	}
	if e.Type == actors.Message && e.Number == actors.NumberDoubt {
		h.doubted = append(h.doubted, e.From.ID)
		return
	}
	if e.To.Kind == actors.SessionKind {
		h.w.answered(h, e)
		return
	}
	s := h.shard(e.To)
	epoch, hold := h.n.Tenure("game", s)
	switch {
	case h.asleep[s]:
		h.w.t.Errorf("%s: %d of %s was delivered at %s while its actors rest", h.w, e.Number, e.From, h.name)
	case hold == actors.Lost || epoch != e.Epoch:
		e.Hops++
		h.w.bounced++
		h.n.Route(e)
	default:
		a := h.actor(s, e.To.ID)
		a.Box = append(a.Box, e.Append(nil))
		h.later(s, e.To.ID, a)
	}
}

func (h *crew) actor(s int, id string) *sailor {
	if h.sailor[s] == nil {
		h.sailor[s] = map[string]*sailor{}
	}
	a := h.sailor[s][id]
	if a == nil {
		a = &sailor{Got: map[string]uint32{}, Sent: map[string]uint32{}}
		h.sailor[s][id] = a
		h.w.alone(h, s, id)
	}
	return a
}

// later lets an actor handle one message, after a while.
func (h *crew) later(s int, id string, a *sailor) {
	h.w.clock.AfterFunc(h.w.upTo(3*time.Millisecond)+time.Microsecond, func() {
		if h.dead || h.asleep[s] || h.sailor[s][id] != a || len(a.Box) == 0 {
			return
		}
		if _, hold := h.n.Tenure("game", s); hold == actors.Paused {
			h.w.at(5*time.Millisecond, func() { h.later(s, id, a) })
			return
		}
		e, _, err := actors.ReadEnvelope(a.Box[0])
		if err != nil {
			panic(err)
		}
		a.Box = a.Box[1:]
		h.handle(id, a, e)
	})
}

// handle is an actor's turn.
func (h *crew) handle(id string, a *sailor, e *actors.Envelope) {
	from, number := e.From.String(), e.Number-wire.FirstGameNumber
	if !h.w.mourning && number != a.Got[from]+1 && !(h.w.rough && number > a.Got[from]) {
		h.w.t.Errorf("%s: %s got %d from %s after %d", h.w, id, number, from, a.Got[from])
	}
	a.Got[from] = number
	h.w.handled++
	if e.Request != 0 {
		to := e.Session.String()
		a.Sent[to]++
		h.n.Route(e.Answer(a.Sent[to], e.Codec, nil))
	}
	if friend := h.w.friend(id); e.Request != 0 && friend != "" && number%2 == 0 {
		ref := actors.KindName("player").Ref(friend)
		a.Sent[ref.String()]++
		h.w.expected[[2]string{e.To.String(), friend}]++
		h.n.Route(&actors.Envelope{Type: actors.Message, To: ref, From: e.To,
			Number: wire.FirstGameNumber + a.Sent[ref.String()]})
	}
}

// release ends actors of shards that were lost.
func (h *crew) release(_ string, lost, _ []int, told func()) {
	defer told()
	for _, s := range lost {
		delete(h.sailor, s)
		delete(h.asleep, s)
	}
}

func (h *crew) Freeze(t actors.Tenure, within time.Duration, done func(Frozen, error)) {
	h.w.clock.AfterFunc(h.w.upTo(20*time.Millisecond), func() {
		if h.w.some(h.w.stubborn) {
			done(nil, errors.New("a question is open"))
			return
		}
		h.asleep[t.Shard] = true
		done(&resters{h, t}, nil)
	})
}

// resters are the actors of a shard at rest.
type resters struct {
	h *crew
	t actors.Tenure
}

func (r *resters) State(limit int) ([]byte, error) {
	b, err := json.Marshal(r.h.sailor[r.t.Shard])
	if len(b) > limit {
		err = errors.New("too much")
	}
	return b, err
}

func (r *resters) Asked() (all []*actors.Envelope) {
	for _, id := range slices.Sorted(maps.Keys(r.h.sailor[r.t.Shard])) {
		for _, b := range r.h.sailor[r.t.Shard][id].Box {
			if e, _, err := actors.ReadEnvelope(b); err == nil && isRequest(e) {
				all = append(all, e)
			}
		}
	}
	return all
}

func (r *resters) Thaw() {
	delete(r.h.asleep, r.t.Shard)
	r.h.wake(r.t.Shard)
}

func (r *resters) Discard() {
	delete(r.h.asleep, r.t.Shard)
	delete(r.h.sailor, r.t.Shard)
}

// wake lets actors handle what waits.
func (h *crew) wake(shard int) {
	for _, id := range slices.Sorted(maps.Keys(h.sailor[shard])) {
		for range h.sailor[shard][id].Box {
			h.later(shard, id, h.sailor[shard][id])
		}
	}
}

func (h *crew) Prepare(t actors.Tenure, state []byte) (Arrival, error) {
	a := &newcomers{h: h, t: t}
	if h.w.some(h.w.stubborn) {
		return nil, errors.New("it does not fit")
	}
	return a, json.Unmarshal(state, &a.all)
}

// newcomers are actors that do not run yet.
type newcomers struct {
	h   *crew
	t   actors.Tenure
	all map[string]*sailor
}

func (a *newcomers) Begin() {
	if len(a.h.sailor[a.t.Shard]) > 0 {
		a.h.w.t.Errorf("%s: shard %d has actors at %s before its state begins", a.h.w, a.t.Shard, a.h.name)
	}
	a.h.sailor[a.t.Shard] = a.all
	if a.all == nil {
		a.h.sailor[a.t.Shard] = map[string]*sailor{}
	}
	for _, id := range slices.Sorted(maps.Keys(a.all)) {
		a.h.w.alone(a.h, a.t.Shard, id)
	}
	a.h.wake(a.t.Shard)
}

func (a *newcomers) Drop() {}
