package actors

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// This file lives one life twice: once in one place, once with moves between two nodes at random moments. Both must
// come to the same: nothing lost, nothing doubled, nothing out of order.

type deed struct {
	Seq    int
	What   string
	To     Ref
	Amount int
}
type (
	credited struct{ Amount int }
	word     struct{ Text string }
	chime    struct{ N int }
	nudge    struct{ N int }
	query    struct{}
	replied  struct{ Seq int }
)

var wanderMessages = wire.Messages(wire.In[*deed](230), wire.Internal[*credited](231).Durable(),
	wire.Out[*word](232), wire.Internal[*chime](233), wire.Internal[*nudge](234), wire.Internal[*query](235),
	wire.Out[*replied](236))

// A wanderer does what it is told, in every way that an entity may do something.
type wanderer struct {
	purse *Cell[wanderings]
	log   *Map[int, string]
	mood  *Cell[wanderings]
	seen  *Map[int, int]
	crowd *Group
}

type wanderings struct{ Gold, Beats, Nudges, Last, Starts, Wrong int }

func newWanderer(p *Props) {
	s := &wanderer{purse: State[wanderings](p, "purse"), log: Rows[int, string](p, "log"),
		mood: Carry[wanderings](p, "mood"), seen: CarryRows[int, int](p, "seen"), crowd: Audience(p)}
	On(p, func(Context, *Started) error { s.purse.Edit().Starts++; return nil })
	On(p, func(Context, *Loaded) error { s.mood.Edit().Starts++; return nil })
	Answer(p, s.do)
	Answer(p, func(Context, *query) (*replied, error) { return &replied{1}, nil })
	Handle(p, func(ctx Context, m *credited) error { s.purse.Edit().Gold += m.Amount; return nil })
	Handle(p, func(_ Context, m *chime) error { s.purse.Edit().Beats += m.N; return nil })
	Handle(p, func(_ Context, m *nudge) error { s.purse.Edit().Nudges += m.N; return nil })
}

// do does one deed. What it has done stands in the log, and in what only lives as long as it does not fall asleep.
func (s *wanderer) do(ctx Context, m *deed) (*replied, error) {
	purse := s.purse.Edit()
	if m.Seq <= purse.Last || s.log.Has(m.Seq) || s.seen.Len() != s.log.Len() {
		purse.Wrong++
	}
	purse.Last = m.Seq
	s.log.Set(m.Seq, m.What)
	s.seen.Set(m.Seq, m.Amount)
	s.mood.Edit().Last = m.Seq
	ctx.Push(&word{fmt.Sprint(ctx.Self().ID, m.Seq, m.What)})
	switch m.What {
	case "plain":
		purse.Gold += 0
	case "commit":
		ctx.Commit()
	case "credit":
		purse.Gold -= m.Amount
		ctx.Send(m.To, &credited{m.Amount})
	case "chime":
		ctx.After(time.Duration(m.Amount)*time.Millisecond, &chime{m.Seq})
	case "nudge":
		ctx.Remind(ctx.Now().Add(time.Duration(m.Amount)*time.Millisecond), &nudge{m.Seq})
	case "crowd":
		s.crowd.Send(ctx, &word{fmt.Sprint("all ", m.Seq)})
	case "rows":
		s.log.Set(-m.Seq, "gone")
		s.log.Delete(-m.Seq)
		s.log.Delete(m.Seq - 1)
		s.seen.Delete(m.Seq - 1)
	case "refuse":
		return nil, poor.Refuse("no")
	case "boom":
		panic("boom")
	case "ask", "mute", "work", "late":
		return Reply(ctx, s.question(m), func(_ Context, _ *replied, _ error) (*replied, error) {
			if m.What != "late" { // what comes meanwhile comes before or after
				s.seen.Set(m.Seq, -m.Amount)
			}
			return &replied{-m.Seq}, nil
		})
	}
	return &replied{m.Seq}, nil
}

func (s *wanderer) question(m *deed) Pending[*replied] {
	switch m.What {
	case "work":
		return Work(func() (*replied, error) { return &replied{1}, nil })
	case "mute":
		return Ask[*replied](KindName("mute").Ref("m"), &query{}).Within(150 * time.Millisecond)
	case "late":
		return Ask[*replied](m.To, &query{}).Meanwhile()
	}
	return Ask[*replied](m.To, &query{})
}

var deeds = []string{"plain", "plain", "commit", "credit", "credit", "chime", "nudge", "crowd", "rows", "refuse", "ask",
	"late", "mute", "work", "bind", "boom"}

const wandererKind KindName = "wanderer"

// A wandering is a life of a few wanderers, as a seed has it. Its store takes a while.
type wandering struct {
	*twin
	who      [6]Ref
	seq      [6]int
	booms    [6]int
	sessions [3]Ref
	versions map[Ref]uint64
	pushed   map[Ref][]string
	late     map[uint64]bool // requests that others are handled meanwhile
	moves    *rand.Rand      // nil: there are none
}

func newWandering(t *testing.T, seed uint64, moves *rand.Rand) *wandering {
	mute := Kind{Name: "mute", New: func(*Props) {}}
	order := rand.New(rand.NewPCG(seed, 1))
	kind := Kind{Name: wandererKind, New: newWanderer, IdleAfter: -1}
	w := &wandering{twin: newTwinWith(t, order, wanderMessages, kind, mute), versions: map[Ref]uint64{},
		pushed: map[Ref][]string{}, late: map[uint64]bool{}, moves: moves}
	w.witness.w.impure = seed > 0 // one life and its pieces are lived again
	w.taken = func(e *Envelope) bool { return e.To.Kind == "mute" }
	w.store.silent = true
	w.store.seenOf = func(ref Ref, c Change) {
		if c.Version <= w.versions[ref] {
			t.Errorf("seed %d: version %d of %s comes again", seed, c.Version, ref)
		}
		w.versions[ref] = c.Version
	}
	for i := range w.sessions {
		session := SessionRef("game-1", wire.JSON, 7, uint64(2+i))
		w.sessions[i] = session
		w.nodes[0].Attach(session, func(e *Envelope) {
			w.pushed[session] = append(w.pushed[session], e.From.ID+string(e.Body))
		})
	}
	for i := range w.who {
		w.who[i] = wandererKind.Ref(fmt.Sprint(i))
		w.bind(w.client, w.who[i], 1)
	}
	if moves != nil {
		w.takes = func() time.Duration { return time.Duration(moves.IntN(20)) * time.Millisecond }
	}
	return w
}

// write lets the store answer, as far as it has been asked.
func (w *wandering) write() {
	waiting := w.store.waiting
	w.store.waiting = nil
	for _, answer := range waiting {
		answer()
	}
}

// live does what the seed says, and in between moves shards, if it does.
func (w *wandering) live(seed uint64, deedsToDo int) {
	luck := rand.New(rand.NewPCG(seed, 2))
	i := 0
	for range deedsToDo {
		if luck.IntN(3) == 0 { // else one more waits in the same mailbox
			i = luck.IntN(len(w.who))
		}
		m := &deed{What: deeds[luck.IntN(len(deeds))], To: w.who[luck.IntN(len(w.who))], Amount: luck.IntN(500)}
		pause := time.Duration(max(luck.IntN(6)-3, 0)) * time.Duration(luck.IntN(100)) * time.Millisecond
		session := w.sessions[luck.IntN(len(w.sessions))]
		switch {
		case m.What == "bind":
			w.route(RuntimeMessage(session, w.who[i], &Bound{Session: session, Who: session, Number: 1, Ears: true}))
		case m.What != "boom" || w.booms[i] < 3: // else it would rest
			if m.What == "boom" {
				w.booms[i]++
			}
			w.seq[i]++
			m.Seq = w.seq[i]
			id := w.send(w.who[i], m, true)
			w.late[id] = m.What == "late"
		}
		w.wander()
		if pause > 0 {
			w.Advance(pause)
			w.write()
		}
	}
	for range 200 {
		w.wander()
		w.Advance(time.Second)
		w.write()
	}
}

// wander begins moves at random moments.
func (w *wandering) wander() {
	if w.moves == nil {
		return
	}
	for range w.moves.IntN(3) {
		for range w.moves.IntN(30) {
			w.Step()
		}
		goes := w.moves.IntN(5) > 0
		w.move(w.moves.IntN(twinShards), time.Duration(w.moves.IntN(250))*time.Millisecond,
			func(*Frozen) bool { return goes })
	}
}

// tale is all that came of it, in words: of each its state, in the store and where it lives, and what was pushed by it.
func (w *wandering) tale() string {
	var b strings.Builder
	for _, who := range w.who {
		n, s := w.entity(who), w.store.entities[who]
		if n == nil {
			fmt.Fprintf(&b, "%s is not here\n", who)
			continue
		}
		i, err := n.Image(nil)
		if err != nil {
			w.t.Fatal(err)
		}
		if purse := n.props.cells[0].peek().(wanderings); purse.Wrong > 0 {
			w.t.Errorf("%s was told something twice, or out of order: %+v", who, purse)
		}
		delete(i.State.Cells, "mood") // it counts its instances
		i.State.Rest.Failures = nil
		cells := i.State.Cells[boxName]
		if out := n.props.box.now; len(out.Out)+len(out.In)+len(out.Due) > 0 {
			fmt.Fprintf(&b, "in the box of %s: %s\n", who, cells)
		}
		delete(i.State.Cells, boxName)
		text, err := json.Marshal(i.State)
		if err != nil {
			w.t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s: %s\nstored: %s", who, text, s.Cells)
		for _, part := range sortedKeys(s.Parts) {
			fmt.Fprintf(&b, " %s=%s", part, s.Parts[part])
		}
		b.WriteString("\n")
	}
	for _, session := range w.sessions {
		slices.SortStableFunc(w.pushed[session], func(x, y string) int { return cmp.Compare(x[0], y[0]) })
		fmt.Fprintf(&b, "%s heard %s\n", session, w.pushed[session])
	}
	words := map[byte][]string{}
	for _, e := range w.got {
		if e.Request == 0 {
			words[e.From.ID[0]] = append(words[e.From.ID[0]], string(e.Body))
		}
	}
	fmt.Fprintf(&b, "%v\n", words)
	for id := range w.twin.seq {
		answer := w.answer(id + 1)
		if w.late[id+1] && answer != "" { // whether a panic comes before its answer is free
			answer = "late"
		}
		fmt.Fprintf(&b, "request %d: %s\n", id+1, answer)
	}
	return b.String()
}

func TestALifeWithMovesIsTheSameLife(t *testing.T) {
	t.Parallel()
	moved, putOff := 0, 0
	defer func() { t.Logf("%d moves, %d put off", moved, putOff) }()
	for seed := range seeds(10) {
		still := newWandering(t, seed, nil)
		still.live(seed, 150)
		restless := newWandering(t, seed, rand.New(rand.NewPCG(seed, 3)))
		restless.live(seed, 150)
		moved, putOff = moved+restless.moved, putOff+restless.putOffs
		if want, got := still.tale(), restless.tale(); want != got {
			t.Fatalf("seed %d with %d moves:\n%s", seed, restless.moved, firstDifference(want, got))
		}
		if t.Failed() {
			return
		}
	}
}

func firstDifference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return fmt.Sprintf("without moves\n%s\nwith moves\n%s", a[i], b[min(i, len(b)-1)])
		}
	}
	return "more lines"
}
