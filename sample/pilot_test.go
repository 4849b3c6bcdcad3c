package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate/client"
	"github.com/fireflyrt/firefly/modules/account"
	"github.com/fireflyrt/firefly/modules/chat"
	"github.com/fireflyrt/firefly/modules/scene"
	"github.com/fireflyrt/firefly/modules/wallet"
)

// answerWithin is much more than the 5 s after which the gate answers, whatever happens behind it.
const answerWithin = 30 * time.Second

// A pilot is a player over a real socket, and what it has seen and was told.
type pilot struct {
	t    *testing.T
	name string
	door string // tcp://... or ws://...
	wish string
	save bool // buys nothing: no commit of a purchase saves what it gathers

	mu      sync.Mutex
	client  *client.Client
	seen    map[string]Body // in the room, itself too
	sparks  map[uint32]Spark
	room    string
	purse   int64
	heard   []string
	left    []string      // who left the room
	counts  client.Counts // of connections that have ended
	goal    scene.Spot
	journal journal
}

// newPilot makes a player who is not connected yet. Half of them come over WebSocket.
func (c *realCluster) newPilot(name, wish string, ws bool) *pilot {
	c.t.Helper()
	gate := c.Config.With("gate")[0]
	p := &pilot{t: c.t, name: name, door: "tcp://" + gate.TCP, wish: wish, journal: newJournal()}
	if ws {
		p.door = "ws://" + gate.WS
	}
	c.t.Cleanup(p.leave)
	return p
}

// join is a player who has logged in and seen itself.
func (c *realCluster) join(name, wish string, ws bool) *pilot {
	c.t.Helper()
	p := c.newPilot(name, wish, ws)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := p.login(ctx); err != nil {
		c.t.Fatalf("%s logs in: %v", name, err)
	}
	p.await("to see itself", func() bool { _, ok := p.seen[name]; return ok && p.room != "" })
	return p
}

// login connects and logs in; what was seen before is forgotten.
func (p *pilot) login(ctx context.Context) (*account.LoggedIn, error) {
	p.leave()
	p.mu.Lock()
	p.seen, p.sparks, p.room, p.purse = map[string]Body{}, map[uint32]Spark{}, "", 0
	p.mu.Unlock()
	c, err := client.Dial(ctx, p.door, client.Options{Catalogue: meadowNumbers(), Name: "test/1", Push: p.push})
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.client = c
	p.mu.Unlock()
	secret := "the well kept secret of " + p.name
	return client.Call[*account.LoggedIn](ctx, c, &account.Login{Name: p.name, Secret: secret, Wish: p.wish})
}

// leave closes the connection, if there is one.
func (p *pilot) leave() {
	c := p.connection()
	if c == nil {
		return
	}
	c.Close() //nolint:errcheck // the gate may have closed it
	p.mu.Lock()
	defer p.mu.Unlock()
	n := c.Counts()
	p.counts.Calls += n.Calls
	p.counts.Crossed += n.Crossed
	p.counts.Strays += n.Strays
	p.client = nil
}

func (p *pilot) connection() *client.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.client
}

// push takes in what the server tells.
func (p *pilot) push(msg any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch m := msg.(type) {
	case *Snapshot:
		p.room, p.seen, p.sparks = m.Room, map[string]Body{}, map[uint32]Spark{}
		for _, b := range m.Bodies {
			p.seen[b.Who] = b
		}
		for _, s := range m.Sparks {
			p.sparks[s.ID] = s.Spark
		}
	case *Moved:
		for _, b := range m.Bodies {
			p.seen[b.Who] = b
		}
	case *Left:
		delete(p.seen, m.Who)
		p.left = append(p.left, m.Who)
	case *Sparked:
		p.sparks[m.ID] = m.Spark
	case *Collected:
		delete(p.sparks, m.ID)
	case *wallet.Balance:
		p.purse = m.Amount
	case *chat.Heard:
		p.heard = append(p.heard, m.Who+": "+m.Text)
	}
}

// await waits until something is so; what is looked at is the pilot's, under its lock.
func (p *pilot) await(what string, so func() bool) {
	p.t.Helper()
	await(p.t, patience, p.name+" "+what, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !so() {
			return fmt.Errorf("in room %q with %d sparks it sees %v", p.room, p.purse, p.seen)
		}
		return nil
	})
}

// call asks and must be given an R.
func call[R any](p *pilot, msg any) R {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	r, err := client.Call[R](ctx, p.connection(), msg)
	if err != nil {
		p.t.Fatalf("%s asks for %T: %v", p.name, msg, err)
	}
	return r
}

// at is the pilot itself, as the room showed it last.
func (p *pilot) at() Body {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[p.name]
}

// collect flies until it has so many sparks.
func (p *pilot) collect(sparks int64) {
	p.t.Helper()
	awaitEach(p.t, pilotPace, patience, fmt.Sprintf("%s to collect %d sparks", p.name, sparks), func() error {
		at := call[*Flown](p, &Fly{p.next()})
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.purse < sparks {
			return fmt.Errorf("it has %d, flies at %v and sees %d", p.purse, at, len(p.sparks))
		}
		return nil
	})
}

// next is where it flies next: a step towards the nearest spark, or to and fro.
func (p *pilot) next() scene.Spot {
	p.mu.Lock()
	defer p.mu.Unlock()
	me := p.seen[p.name]
	ids := slices.Collect(maps.Keys(p.sparks))
	if len(ids) == 0 {
		if me.Far(p.goal) < 40 || !meadow.Has(p.goal) || meadow.Room(p.goal) != p.room {
			p.goal = meadow.Within(p.room, 0.2+0.6*float64(len(p.journal.tops)%2), 0.5)
		}
		return me.Towards(p.goal, 60)
	}
	nearest := slices.MinFunc(ids, func(a, b uint32) int {
		return int(me.Far(p.sparks[a].Spot) - me.Far(p.sparks[b].Spot))
	})
	return me.Towards(p.sparks[nearest].Spot, 60)
}

// A journal is what became of a pilot's requests.
type journal struct {
	done    map[string]time.Time // when the newest one of each sort was sent that went well
	refused map[actors.Code]int
	faults  []string // what must not happen, whatever dies
	light   int      // of the last purchase that was answered with yes
	tops    []count  // what the leaderboard said of its own sparks
	wares   []Price
}

// A count is a number that was told, when it was asked for and when it was heard.
type count struct {
	asked, heard time.Time
	sparks       int64
}

func newJournal() journal {
	return journal{done: map[string]time.Time{}, refused: map[actors.Code]int{}}
}

// What a client may be answered while a node is dying. The last two are answers to a client that thinks it has more
// than survived, or that was not told of its own purchase.
var excusable = []actors.Code{actors.Unavailable, actors.DeadlinePassed, actors.Restarted, actors.StoreUnavailable,
	actors.StoreBehind, actors.CommitUnknown, actors.Overloaded, actors.MailboxFull, wallet.Poor, AlreadyLit}

// request asks, and notes in the journal what came of it. It returns nil if it was refused.
func (p *pilot) request(sort string, msg any) any {
	asked := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	c := p.connection()
	reply, err := c.Call(ctx, msg)
	p.mu.Lock()
	defer p.mu.Unlock()
	refusal := (*actors.Refusal)(nil)
	switch {
	case err == nil:
		if at, ok := reply.(*Flown); !ok || at.Room != "" {
			p.journal.done[sort] = asked
		}
		return reply
	case errors.As(err, &refusal):
		p.journal.refused[refusal.Code]++
		if !slices.Contains(excusable, refusal.Code) {
			p.journal.fault("%s was answered %v", sort, refusal)
		}
	case ctx.Err() != nil:
		p.journal.fault("%s was not answered within %v", sort, answerWithin)
	default:
		return err // the connection broke
	}
	return nil
}

func (j *journal) fault(format string, args ...any) {
	if len(j.faults) < 5 {
		j.faults = append(j.faults, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
	}
}

// act does the nth thing: mostly it flies, and now and then it does what people do. The error is that the connection
// broke.
func (p *pilot) act(n int) error {
	var reply any
	switch n % 12 {
	case 3:
		reply = p.request("browse", &Browse{})
	case 6:
		reply = p.buy()
	case 9:
		asked := time.Now()
		reply = p.request("top", &Top{})
		if m, ok := reply.(*Leaders); ok {
			p.mu.Lock()
			p.journal.tops = append(p.journal.tops, count{asked, time.Now(), m.You.Sparks})
			p.mu.Unlock()
		}
	default:
		reply = p.request("fly", &Fly{p.next()})
	}
	if m, ok := reply.(*Wares); ok {
		p.mu.Lock()
		p.journal.wares = m.Wares
		p.mu.Unlock()
	}
	err, _ := reply.(error)
	return err
}

// buy buys the next light if it can be paid, else it looks at the shop once more.
func (p *pilot) buy() any {
	p.mu.Lock()
	light := max(p.seen[p.name].Light, p.journal.light)
	purse, wares := p.purse, p.journal.wares
	p.mu.Unlock()
	i := slices.IndexFunc(wares, func(w Price) bool { return w.Light == light+1 && w.Sparks <= purse })
	if i < 0 || p.save {
		return p.request("browse", &Browse{})
	}
	reply := p.request("buy", &Buy{wares[i].Item})
	if m, ok := reply.(*Bought); ok {
		p.mu.Lock()
		p.journal.light = m.Light
		p.mu.Unlock()
	}
	return reply
}

// meadowNumbers is the catalogue of all that the meadow says.
func meadowNumbers() wire.Catalogue { return blueprint().Catalogue }
