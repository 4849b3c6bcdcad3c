package actors

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"time"
)

// frozenState is the state of a traveller that has something of everything.
func frozenState(t testing.TB, prepare func(*twin, Ref)) (w *twin, next Tenure, state []byte) {
	s := &journal{}
	w = newTwin(t, testMessages, Kind{Name: travellerKind, IdleAfter: -1, New: func(p *Props) {
		(&traveller{journal: s}).mount(p)
	}})
	w.witness.w.impure = true
	a := travellerKind.Ref("t")
	prepare(w, a)
	f := w.freeze(a, time.Second)
	if w.Settle(); f.err != nil {
		t.Fatal(f.err)
	}
	state, err := f.State(1 << 30)
	if err != nil {
		t.Fatal(err)
	}
	return w, w.tenure(a.Shard(twinShards)), state
}

// sealed gives a state its checksum.
func sealed(body []byte) []byte {
	return binary.BigEndian.AppendUint32(body[:len(body):len(body)], crc32.ChecksumIEEE(body))
}

func FuzzAStateNeverPanics(f *testing.F) {
	w, next, state := frozenState(f, func(w *twin, a Ref) {
		w.bind(w.client, a, 1)
		w.send(a, &nap{}, false)
		w.call(a, &buy{1})
		w.entity(a).box.hold(true)
		w.route(w.tell(a, "waits"))
		w.entity(a).box.tick(&Unbound{Session: w.client, Who: a})
	})
	f.Add(state[:len(state)-crc32.Size])
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, b := range [][]byte{body, sealed(body)} { // the second comes further
			if len(b) == 0 {
				continue
			}
			if a, err := w.nodes[1].prepare(next, b); (a == nil) == (err == nil) {
				t.Fatalf("%v and %v", a, err)
			}
		}
	})
}

func TestEveryByteOfAStateIsLookedAt(t *testing.T) {
	w, next, state := frozenState(t, func(w *twin, a Ref) { w.call(a, &buy{1}) })
	body := state[:len(state)-crc32.Size]
	for i := range state {
		bad := append([]byte(nil), state...)
		bad[i] ^= 0x20
		if _, err := w.nodes[1].Prepare(next, bad); err == nil {
			t.Fatalf("byte %d may be anything", i)
		}
	}
	if _, err := w.nodes[1].Prepare(next, sealed(append(body[:len(body):len(body)], 0))); err == nil {
		t.Error("more follows, and it is taken")
	}
}

func TestAStateOfAnotherBuildIsAnErrorThatNamesWhatDoesNotFit(t *testing.T) {
	_, next, state := frozenState(t, func(w *twin, a Ref) {
		w.send(a, &nap{}, false)
		w.call(a, &buy{1})
	})
	for what, kind := range map[string]Kind{
		"no cell bag any more":  {Name: travellerKind, New: func(p *Props) { State[purse](p, "purse") }},
		"load cell purse":       {Name: travellerKind, New: func(p *Props) { State[string](p, "purse") }},
		"knows no such kind":    {Name: "other", New: func(*Props) {}},
		"is an actor of type 1": {Name: travellerKind, Receiver: func(r Runner) Receiver { return echo{r} }},
		"is not of this shard":  {Name: travellerKind, Role: "battle", New: func(*Props) {}},
		"boom in a constructor": {Name: travellerKind, New: explodesLater()},
	} {
		_, err := newTwin(t, testMessages, kind).nodes[1].Prepare(next, state)
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// explodesLater is a constructor that only probing survives.
func explodesLater() func(*Props) {
	return func(p *Props) {
		if !p.probing {
			panic("boom in a constructor")
		}
	}
}

// BenchmarkMove: what a planned move costs beside the network. A shard with 1,000 players must not keep anybody waiting
// for more than 250 ms, so state and arrival of it may take a tenth of a second each.
func BenchmarkMove(b *testing.B) {
	for what, load := range map[string]func(w *twin) []Ref{
		"one entity of 5000 rows": func(w *twin) []Ref {
			a := travellerKind.Ref("t")
			for i := range 5000 {
				w.send(a, &buy{2 * i}, false)
			}
			return []Ref{a}
		},
		"1000 entities": func(w *twin) (all []Ref) {
			for i := 0; len(all) < 1000; i++ {
				if a := travellerKind.Ref(fmt.Sprint(i)); a.Shard(twinShards) == 0 {
					all = append(all, a)
					w.send(a, &nap{}, false)
					w.send(a, &buy{3}, false)
				}
			}
			return all
		},
	} {
		b.Run(what, func(b *testing.B) {
			s := &journal{}
			w := newTwin(b, testMessages, Kind{Name: travellerKind, IdleAfter: -1, New: func(p *Props) {
				(&traveller{journal: s}).mount(p)
			}})
			w.witness.w.impure = true
			all := load(w)
			w.Settle()
			shard := all[0].Shard(twinShards)
			var pack, unpack time.Duration
			for b.Loop() {
				f := w.freeze(all[0], time.Second)
				if w.Settle(); f.err != nil {
					b.Fatal(f.err)
				}
				began := time.Now()
				state, err := f.State(1 << 30)
				if err != nil {
					b.Fatal(err)
				}
				pack += time.Since(began)
				w.bytes = len(state)
				next := w.tenure(shard)
				next.Epoch++
				began = time.Now()
				a, err := w.nodes[1-w.owner[shard]].Prepare(next, state)
				if err != nil {
					b.Fatal(err)
				}
				w.owner[shard], w.epoch[shard] = 1-w.owner[shard], next.Epoch
				f.Discard()
				a.Begin()
				w.Settle()
				unpack += time.Since(began)
			}
			b.ReportMetric(float64(w.bytes), "bytes")
			b.ReportMetric(float64(pack.Microseconds())/1e3/float64(b.N), "ms/state")
			b.ReportMetric(float64(unpack.Microseconds())/1e3/float64(b.N), "ms/arrival")
		})
	}
}

func TestADurableMessageLeavesAfterAMoveAsSoonAsItIsStored(t *testing.T) {
	w := newTwin(t, wanderMessages, Kind{Name: wandererKind, New: newWanderer, IdleAfter: -1})
	a, b := wandererKind.Ref("a"), elsewhere(wandererKind.Ref("a"))
	w.store.silent = true
	w.send(a, &deed{Seq: 1, What: "credit", To: b, Amount: 7}, true)
	w.Settle()
	w.moves(a) // while the flush that holds the message is under way
	w.store.silent = false
	for _, answer := range w.store.waiting {
		answer() // it comes too late
	}
	w.Advance(100 * time.Millisecond)
	if n := w.entity(b); n == nil || n.props.cells[0].peek().(wanderings).Gold != 7 {
		t.Error("the message has not left")
	}
	w.Advance(5 * time.Minute)
	out := w.entity(a).props.box.now
	if resent := w.nodes[0].Report().Resent + w.nodes[1].Report().Resent; resent > 0 || len(out.Out) > 0 {
		t.Errorf("%d were sent again, %d are on their way", resent, len(out.Out))
	}
}

func TestWhatIsNotWrittenIsWrittenAlsoIfNobodyIsToldOfTheMove(t *testing.T) {
	w := newTwin(t, testMessages, Kind{Name: travellerKind, New: func(p *Props) {
		s := State[purse](p, "purse")
		Answer(p, func(_ Context, m *buy) (*bought, error) { s.Edit().Gold += m.Price; return &bought{}, nil })
	}})
	a := travellerKind.Ref("t")
	w.call(a, &buy{3})
	w.Advance(400 * time.Millisecond)
	w.moves(a)
	w.Advance(99 * time.Millisecond)
	if w.store.saves > 0 {
		t.Error("it was written too early")
	}
	w.Advance(time.Millisecond) // half of flush_every after the change, and not after the move
	if got := string(w.store.entities[a].Cells); !strings.Contains(got, `"Gold":3`) {
		t.Errorf("the store has %s", got)
	}
}

func TestWhoIsToRestBeginsNothingNew(t *testing.T) {
	handled := 0
	w := newTwin(t, testMessages, Kind{Name: travellerKind, New: func(p *Props) {
		Answer(p, func(ctx Context, m *relay) (*bought, error) {
			return Reply(ctx, Ask[*bought](m.To, &look{}).Meanwhile(),
				func(_ Context, b *bought, err error) (*bought, error) { return b, err })
		})
		Handle(p, func(Context, *tell) error { handled++; return nil })
	}})
	w.witness.w.impure = true
	a, mute := travellerKind.Ref("t"), travellerKind.Ref("mute")
	w.taken = func(e *Envelope) bool { return e.To == mute }
	w.send(a, &relay{mute}, true)
	w.send(a, &tell{"meanwhile"}, false)
	w.Settle()
	f := w.freeze(a, 250*time.Millisecond)
	w.Settle()
	w.send(a, &tell{"not now"}, false) // it was on its way to the mailbox
	if w.Settle(); handled != 1 || f.told > 0 {
		t.Errorf("%d were handled: %v", handled, f.err)
	}
	w.Advance(250 * time.Millisecond)
	if handled != 2 || f.err == nil {
		t.Errorf("then %d were handled: %v", handled, f.err)
	}
}
