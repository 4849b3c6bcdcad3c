// Package gate is where clients meet the cluster: connections, frames, sessions. It says Hello and
// Welcome, holds each client to its limits, knows to which entities a session is bound, turns
// frames into envelopes and answers into frames.
//
// It promises that every request gets exactly one reply, the actor's or an error, within its
// deadline; that messages of one session leave in the order in which they came; that a client
// which sends nonsense, too much, or does not read costs its own connection and nothing else; and
// that memory is bounded, by Limits.
//
// It never decodes a body of the game's, and knows no entity's state. A session outlives its
// connections, if its client comes back in time, but not its gate.
//
// Visits know sockets only as a Conn, and time only as a Clock: Gate runs as well in one
// goroutine with virtual time. Server, in gnet.go, puts real sockets before it.
package gate

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// A Backend is the cluster behind the gate. *actors.System fulfils it.
type Backend interface {
	// Route hands an envelope on. It never blocks. An answer to it may come back at once, in the
	// same goroutine.
	Route(e *actors.Envelope)
	// Attach makes deliver get what is sent to a session of this node, until detach is called.
	Attach(session actors.Ref, deliver func(*actors.Envelope)) (detach func())
	// Handles names the one kind that handles a number.
	Handles(number uint32) (actors.KindName, bool)
}

// Options are what a gate is made of. All but Authenticate and Log are needed.
type Options struct {
	Node        string // this node's name; it is a part of each session's
	Incarnation uint64 // of this process, so that no session's name is used twice
	Catalogue   wire.Catalogue
	Backend     Backend
	Clock       actors.Clock
	Scheduler   actors.Scheduler
	Limits      Limits
	Draw        func() uint64 // luck for tokens; no stranger may be able to guess it
	Log         *slog.Logger

	// Authenticate says whom a ticket in Hello stands for. It may block; it runs offloaded and
	// should end when ctx does. An error that is a Refusal or a Code is shown to the client.
	Authenticate func(ctx context.Context, ticket string) (actors.Ref, error)
	// Plays reports whether clients can be logged in as actors of a kind; nil: as any.
	Plays func(kind actors.KindName) bool
	// Listens reports whether actors of a kind want to know when a client is away or back; nil: all do.
	Listens func(kind actors.KindName) bool
}

// A Gate holds the sessions of one node. Its methods may be called from any goroutine.
type Gate struct {
	Options
	Counters Counters

	began  time.Time
	serial atomic.Uint64
	binds  atomic.Uint64          // the newest bind number
	fanned atomic.Pointer[fanned] // the newest fan-out
	warned sync.Map               // numbers of pushes that no client may get

	mu        sync.Mutex          // never held while a session's is taken
	strangers map[*Visit]struct{} // without a session yet
	sessions  map[string]*Session // by the ID of their Ref
	logins    map[actors.Ref]*Session
	graves    map[actors.Ref]grave
	dead      []actors.Ref // of graves, oldest first
}

// New makes a gate without sockets. The error names every limit that cannot work.
func New(o Options) (*Gate, error) {
	if err := o.Limits.Validate(); err != nil {
		return nil, err
	}
	if err := actors.SessionRef(o.Node, wire.JSON, o.Incarnation, 0).Check(); err != nil {
		return nil, fmt.Errorf("gate: naming sessions after node %q: %w", o.Node, err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Gate{Options: o, began: o.Clock.Now(), strangers: map[*Visit]struct{}{}, sessions: map[string]*Session{},
		logins: map[actors.Ref]*Session{}, graves: map[actors.Ref]grave{}}, nil
}

// Announce says Bound again for every session bound to an entity that covers accepts: those of the
// shards that have got a new owner after a death. The bind numbers are the old ones. It calls told
// once, from any goroutine, when all have been routed: a session that is just being served by
// another goroutine routes its own after what it has decided before.
func (g *Gate) Announce(covers func(entity actors.Ref) bool, told func()) {
	var left atomic.Int64
	left.Store(1)
	done := func() {
		if left.Add(-1) == 0 {
			told()
		}
	}
	for _, s := range g.list() {
		left.Add(1)
		s.announce(covers, done)
	}
	done()
}

// Kick closes a session with KICKED and the code in its text. It returns false if there is none.
func (g *Gate) Kick(session actors.Ref, code actors.Code, text string) bool {
	s := g.session(session)
	if s != nil {
		s.Deliver(actors.RuntimeMessage(actors.NodeKind.Ref(g.Node), session,
			&actors.KickOrder{Code: code, Text: text}))
	}
	return s != nil
}

// Close ends every session and connection with this number.
func (g *Gate) Close(n wire.CloseNumber, text string) {
	g.mu.Lock()
	strangers := slices.Collect(maps.Keys(g.strangers))
	g.mu.Unlock()
	for _, v := range strangers {
		v.Close(n, text)
	}
	for _, s := range g.list() {
		s.Close(n, text)
	}
}

// A SessionReport is what the admin page shows of a session.
type SessionReport struct {
	Session, Who actors.Ref
	Client       string // as it called itself in Hello
	Remote       string
	Since        time.Time
	Away         time.Time // since when its client is away; zero if it is here
	In, Out      uint64    // counted frames
	Requests     int       // open
	Waiting      int       // frames in its outbox
	Bound        []actors.Ref
}

// Sessions reports the welcomed sessions, oldest first, at most limit of them.
func (g *Gate) Sessions(limit int) []SessionReport {
	var all []SessionReport
	for _, s := range g.list() {
		if len(all) == limit {
			break
		}
		if r, ok := s.report(); ok {
			all = append(all, r)
		}
	}
	return all
}

// list returns the sessions in the order in which they began.
func (g *Gate) list() []*Session {
	g.mu.Lock()
	all := make([]*Session, 0, len(g.sessions))
	for _, s := range g.sessions {
		all = append(all, s)
	}
	g.mu.Unlock()
	slices.SortFunc(all, func(a, b *Session) int { return cmp.Compare(a.serial, b.serial) })
	return all
}

func (g *Gate) session(ref actors.Ref) *Session {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.sessions[ref.ID]; s != nil && s.ref == ref {
		return s
	}
	return nil
}

// name gives a session its Ref and makes it findable: for strangers, too, who guess what it will be called.
func (g *Gate) name(s *Session) {
	s.ref = actors.SessionRef(g.Node, s.codec, g.Incarnation, s.serial)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sessions[s.ref.ID] = s
}

// claim makes s the one session logged in as who. It returns the number of that bind, and the session that was: of two
// that claim at once, the one that stays here has the higher number, and so stays everywhere.
func (g *Gate) claim(who actors.Ref, s *Session) (number uint64, rival *Session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if old := g.logins[who]; old != s {
		rival = old
	}
	g.logins[who] = s
	return g.nextBind(g.Clock.Now()), rival
}

// release gives a login up, unless another session has claimed it since.
func (g *Gate) release(who actors.Ref, s *Session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.logins[who] == s {
		delete(g.logins, who)
	}
}

func (g *Gate) forget(s *Session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.sessions, s.ref.ID)
	if g.logins[s.who] == s {
		delete(g.logins, s.who)
	}
}

// overtaken notes that a bind of this number has won against one of ours: a clock that is behind
// loses once.
func (g *Gate) overtaken(number uint64) {
	for last := g.binds.Load(); number > last && !g.binds.CompareAndSwap(last, number); {
		last = g.binds.Load()
	}
}

// nextBind returns a bind number higher than any before it on this gate and, if clocks agree, on
// others: the clock in ms, or one more than the last.
func (g *Gate) nextBind(now time.Time) uint64 {
	for {
		last := g.binds.Load()
		next := max(last+1, uint64(now.UnixMilli()))
		if g.binds.CompareAndSwap(last, next) {
			return next
		}
	}
}
