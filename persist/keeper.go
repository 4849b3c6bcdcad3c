package persist

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// How long a keeper waits before it tries again what did not depend on the store's health.
const (
	retryAfter  = 100 * time.Millisecond
	verifyAfter = time.Second
	comeBackIn  = 1000 // milliseconds, the advice in refusals while the store is down
)

var errNotHeld = errors.New("the shard may be another node's by now")

// A keeper is the actor that keeps the entities of one shard. All its fields belong to its turns,
// but for oldestAt. Whatever blocks is offloaded, and its result comes back as a turn.
type keeper struct {
	archive  *Archive
	runner   actors.Runner
	shard    int
	fence    Fence // under which its statements are written; zero until it was raised
	term     uint64
	raising  bool
	early    []*actors.Envelope // what came before the fence was raised
	owners   map[string]*owner  // by role
	entities map[actors.Ref]*entity
	ages     []age                          // entities with something pending, oldest first; see oldest
	pending  int                            // entities with something pending
	reading  int                            // loads that wait for the store
	stopped  func()                         // it stops: what to call then
	frozen   func(left ...*actors.Envelope) // it is to rest: what to call then
	oldestAt atomic.Int64                   // Unix nanoseconds of the oldest pending change; 0: nothing is pending
	retired  atomic.Bool
	rows     *rowKeeper
	held     struct{ rows, bytes atomic.Int64 } // its share of what the node has pending
}

func newKeeper(a *Archive, r actors.Runner) *keeper {
	k := &keeper{archive: a, runner: r, shard: r.Tenure().Shard,
		owners: make(map[string]*owner), entities: make(map[actors.Ref]*entity)}
	k.rows = newRowKeeper(k)
	return k
}

// Receive implements actors.Receiver.
func (k *keeper) Receive(e *actors.Envelope) {
	if k.fence.Epoch != 0 {
		k.dispatch(e)
		return
	}
	switch {
	case k.archive.health.down():
		k.refuse(e, actors.StoreUnavailable, k.archive.health.outage().Error())
	case len(k.early) >= k.archive.o.Limits.Waiting:
		k.refuse(e, actors.Overloaded, "too many requests wait for the store")
	default:
		k.early = append(k.early, e)
		k.raise()
	}
}

func (k *keeper) dispatch(e *actors.Envelope) {
	var err error
	switch e.Number {
	case NumberClaim:
		m := new(claim)
		if err = read(e, m); err == nil {
			k.claim(e, m)
		}
	case NumberLoad:
		m := new(load)
		if err = read(e, m); err == nil {
			k.load(e, m)
		}
	case NumberSave:
		m := new(save)
		if err = read(e, m); err == nil {
			k.save(e, m)
		}
	case NumberRowAsk:
		m := new(RowAsk)
		if err = read(e, m); err == nil {
			err = k.rows.ask(e, m)
		}
	case NumberRowsFind:
		m := new(RowsFind)
		if err = read(e, m); err == nil {
			err = k.rows.find(e, m)
		}
	default:
		err = actors.UnknownNumber.Refuse("a keeper does not handle number %d", e.Number)
	}
	if r, ok := err.(*actors.Refusal); ok {
		k.refuse(e, r.Code, r.Text)
	}
}

// raise takes the shard's own fence over, before the first answer and again whenever the number
// may be stale.
func (k *keeper) raise() {
	if k.raising {
		return
	}
	k.raising, k.fence = true, Fence{}
	k.ask()
}

// ask asks for the number, if the shard is surely this node's. A process that was frozen, and whose
// statement has lost its answer meanwhile, would take it from the keeper that the shard has now.
func (k *keeper) ask() {
	if k.archive.holds(k.runner.Tenure()) != actors.Held {
		k.raised(0, errNotHeld)
		return
	}
	c := Claim{Role: KeeperRole, Shard: k.shard, Holder: k.archive.holder.Load()}
	k.archive.raiser.ask(c, func(number uint64, err error) {
		k.runner.Post(func() { k.raised(number, err) })
	})
}

// askLater asks again: what failed for the store's health, when that is better.
func (k *keeper) askLater(err error) {
	if errors.Is(err, ErrDown) || errors.Is(err, ErrUnclear) {
		k.archive.health.await(func() { k.runner.Post(k.ask) })
		return
	}
	k.after(retryAfter, k.ask)
}

// raised takes the number, if the shard is still this node's: then it was so when the number was
// raised, and nobody else has written since what is pending here would make old again.
func (k *keeper) raised(number uint64, err error) {
	hold := k.archive.holds(k.runner.Tenure())
	if err == nil && hold != actors.Held {
		err = errNotHeld
	}
	early := k.early
	k.early = nil
	if err != nil || number == 0 {
		for _, e := range early {
			k.refuse(e, actors.StoreUnavailable, fmt.Sprintf("the shard's fence: %v", err))
		}
		for _, e := range k.sorted() {
			k.leaveOpen(e, fmt.Sprintf("the shard's fence: %v", err))
		}
		busy := k.pending > 0 || k.rows.busy()
		if k.raising = busy && hold != actors.Lost; k.raising {
			k.askLater(err)
		}
		k.mayRest()
		return
	}
	k.raising = false
	k.fence = Fence{Epoch: number, Holder: k.archive.holder.Load()}
	k.term = number << termBits
	for _, o := range k.owners {
		o.told = 0 // another keeper may have raised it since
	}
	k.handAll()
	k.rows.resume()
	for _, e := range early {
		k.Receive(e)
	}
	k.mayRest()
}

// A save carries the newest term that its node knows of the shard, and one with an older term is not taken. Terms begin
// anew with each keeper, and with each load of an entity of which something was sent that has no outcome: it may still
// be under way, at whatever node, and what is loaded rests on its not coming any more. What others have sent at that
// moment is sent again.
//
// Terms of a shard only grow: the number of the fence, which each keeper raises, is in their upper bits.
const (
	termBits   = 20
	newestTerm = math.MaxUint64 // of what a keeper hands to the next
)

// nextTerm begins a term.
func (k *keeper) nextTerm() {
	if k.term++; k.term>>termBits != k.fence.Epoch {
		k.raise() // no number is left
	}
}

// Stop implements actors.Receiver: it writes what is pending and then calls done.
func (k *keeper) Stop(done func()) {
	for _, e := range k.early {
		k.refuse(e, actors.Unavailable, "the keeper is stopping")
	}
	k.early = nil
	k.stopped = done
	k.handAll()
	k.mayStop()
}

// mayStop ends the keeper when there is nothing left to write, or it is not its to write.
func (k *keeper) mayStop() {
	k.mayRest()
	if k.stopped == nil || (k.pending > 0 || k.rows.busy()) && (k.fence.Epoch != 0 || k.raising) {
		return
	}
	if k.pending > 0 {
		k.archive.o.Log.Warn("keeper stopped with changes unwritten: another keeper has the shard",
			"shard", k.shard, "entities", k.pending)
	}
	k.retire()
	k.stopped()
	k.stopped = nil
}

// Lost implements actors.Receiver: what is pending is its senders' to send to the next keeper.
func (k *keeper) Lost() {
	for _, e := range k.sorted() {
		k.archive.writers.withdraw(e.parcel)
	}
	k.rows.lost()
	k.retire()
}

// retire takes the keeper's share out of what the node has pending. Any goroutine may call it.
func (k *keeper) retire() {
	if !k.retired.Swap(true) {
		k.archive.counters.rows.Add(-k.held.rows.Load())
		k.archive.counters.bytes.Add(-k.held.bytes.Load())
		k.oldestAt.Store(0)
		k.rows.oldestAt.Store(0)
	}
}

// handAll hands everything that is pending to the writers.
func (k *keeper) handAll() {
	for _, e := range k.sorted() {
		k.hand(e)
	}
}

// sorted lists the entities in the order of their names, so that a World sees one order.
func (k *keeper) sorted() []*entity {
	all := make([]*entity, 0, len(k.entities))
	for _, e := range k.entities {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *entity) int {
		return strings.Compare(a.ref.String(), b.ref.String())
	})
	return all
}

// after runs f as a turn, d from now.
func (k *keeper) after(d time.Duration, f func()) {
	k.archive.o.Clock.AfterFunc(d, func() { k.runner.Post(f) })
}

// answer answers with a result; nil is the empty one.
func (k *keeper) answer(e *actors.Envelope, result any) {
	if result == nil {
		k.reply(e, e.Answer(e.Number, wire.JSON, nil))
		return
	}
	codec, body, err := encoded(result)
	if err != nil {
		k.refuse(e, actors.Internal, err.Error())
		return
	}
	k.reply(e, e.Answer(e.Number, codec, body))
}

func (k *keeper) refuse(e *actors.Envelope, c actors.Code, text string) {
	r := &actors.Refusal{Code: c, Text: "persist/" + strconv.Itoa(k.shard) + ": " + text}
	if c == actors.StoreUnavailable || c == actors.StoreBehind {
		r.RetryAfter = comeBackIn
	}
	k.reply(e, e.Refuse(r))
}

// reply sends an answer to whoever wants one.
func (k *keeper) reply(e, answer *actors.Envelope) {
	if e.Request != 0 {
		k.runner.Send(answer)
	}
}
