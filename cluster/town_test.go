package cluster

import (
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

func TestAClusterFormsAndEachGameNodeGetsItsHalf(t *testing.T) {
	for seed := range uint64(20) {
		w := newTown(t, seed)
		gate, one := w.join("gate-1", "gate"), w.join("game-1", "game")
		w.advance(time.Second)
		if gate.View().Roles["game"] != nil {
			t.Fatal("the role was divided before its second node came")
		}
		w.join("game-2", "game")
		w.advance(100 * time.Millisecond)
		if got := shares(gate.View(), "game"); !maps.Equal(got, map[string]int{"game-1": 8, "game-2": 8}) {
			t.Fatalf("seed %d: shares are %v", seed, got)
		}
		gate.Route(request(gate, owned(t, one), 1))
		w.settle()
		if got := one.take(); len(got) != 1 || got[0].Epoch != 1 {
			t.Fatalf("seed %d: game-1 got %v", seed, got)
		}
	}
}

func TestALoneNodeStartsAfterALeaseOfWaitingForOthers(t *testing.T) {
	w := newTown(t, 1)
	one := w.join("game-1", "game")
	w.advance(DefaultLease + time.Second)
	if got := shares(one.View(), "game"); got["game-1"] != 16 {
		t.Fatalf("shares are %v", got)
	}
}

// trio is a gate and two game nodes with their halves.
func trio(t *testing.T, seed uint64) (w *town, gate, one, two *node) {
	w = newTown(t, seed)
	gate, one, two = w.join("gate-1", "gate"), w.join("game-1", "game"), w.join("game-2", "game")
	w.advance(100 * time.Millisecond)
	return w, gate, one, two
}

func TestACertificateMovesADeadNodesShardsAtOnce(t *testing.T) {
	w, gate, one, two := trio(t, 3)
	id := owned(t, one)
	var moved []int
	gate.onOwners = append(gate.onOwners, func(_ string, _, m []int, told func()) {
		moved = append(moved, m...)
		told()
	})
	one.Close()
	w.registry.Certify(one.Self().Incarnation)
	w.advance(10 * time.Millisecond)
	if got := shares(two.View(), "game"); got["game-2"] != 16 {
		t.Fatalf("shares are %v", got)
	}
	if len(moved) != 8 {
		t.Errorf("gate heard of %d moved shards", len(moved))
	}
	gate.Route(request(gate, id, 1))
	w.settle()
	if got := two.take(); len(got) != 1 || got[0].Epoch != 2 {
		t.Fatalf("game-2 got %v", got)
	}
}

func TestWithoutACertificateADeadNodeIsWaitedForOneLease(t *testing.T) {
	w, gate, one, _ := trio(t, 4)
	one.Close()
	w.advance(DefaultLease + time.Second) // its record is gone, its shards are not
	if _, here := gate.View().Member("game-1"); here {
		t.Fatal("its lease is over, but it is a member")
	}
	if got := shares(gate.View(), "game"); got["game-1"] != 8 {
		t.Fatalf("shares are %v", got)
	}
	w.advance(DefaultLease)
	if got := shares(gate.View(), "game"); got["game-2"] != 16 {
		t.Fatalf("shares are %v", got)
	}
}

func TestARegistryThatIsAwayForLongMovesNothing(t *testing.T) {
	w, gate, one, two := trio(t, 5)
	before := shares(gate.View(), "game")
	for _, n := range []*node{gate, one, two} {
		w.registry.Cut(n.Self().Incarnation, true)
	}
	w.advance(2 * DefaultLease)
	if _, hold := one.Tenure("game", shardOf(one, "game-1")); hold != actors.Paused {
		t.Fatalf("without a lease the node stands at %v", hold)
	}
	held := 0
	one.OnHeld(func() { held++ })
	for _, n := range []*node{two, gate, one} {
		w.registry.Cut(n.Self().Incarnation, false)
		w.advance(3 * time.Second)
	}
	if got := shares(gate.View(), "game"); !maps.Equal(got, before) {
		t.Fatalf("shares are %v, were %v", got, before)
	}
	if _, hold := one.Tenure("game", shardOf(one, "game-1")); hold != actors.Held || held != 1 {
		t.Fatalf("after its return the node stands at %v, and was told %d times", hold, held)
	}
}

func shardOf(n *node, owner string) int {
	for s, o := range n.View().Roles["game"].Owners {
		if o.Name == owner {
			return s
		}
	}
	return -1
}

func TestANodePausesBeforeItsLeaseIsOver(t *testing.T) {
	w, _, one, _ := trio(t, 6)
	w.registry.Cut(one.Self().Incarnation, true)
	shard, last := shardOf(one, "game-1"), w.now
	w.advance(DefaultLease - time.Second - DefaultLease/3)
	if _, hold := one.Tenure("game", shard); hold != actors.Held {
		t.Fatal("it paused although its lease was sure")
	}
	w.advance(DefaultLease/3 + time.Millisecond)
	if _, hold := one.Tenure("game", shard); hold != actors.Paused {
		t.Fatalf("%v after it lost contact it stands at %v", w.now.Sub(last), hold)
	}
}

func TestAnOrderlyLeaveHandsShardsOnAtOnceAndAnswersEverybody(t *testing.T) {
	for seed := range uint64(20) {
		w, gate, one, two := trio(t, seed)
		id := owned(t, one)
		var left []error
		one.Leave(func(err error) { left = append(left, err) })
		for i := range uint64(10) {
			gate.Route(request(gate, id, i+1))
			w.advance(5 * time.Millisecond)
		}
		w.advance(100 * time.Millisecond)
		if len(left) != 1 || left[0] != nil {
			t.Fatalf("leaving ended with %v", left)
		}
		one.Close()
		if got := shares(gate.View(), "game"); got["game-2"] != 16 {
			t.Fatalf("shares are %v", got)
		}
		got := append(one.take(), two.take()...)
		if len(got) != 10 {
			t.Fatalf("seed %d: %d of 10 requests arrived", seed, len(got))
		}
	}
}

func TestAWholeClusterThatStartsAgainIsSpreadAnew(t *testing.T) {
	w, gate, one, two := trio(t, 8)
	for _, n := range []*node{gate, one, two} {
		n.Close()
		w.registry.Certify(n.Self().Incarnation)
	}
	w.advance(time.Second)
	again := w.join("game-2", "game")
	w.advance(time.Second)
	if got := shares(again.View(), "game"); got["game-2"] == 16 {
		t.Fatal("the first to return took everything")
	}
	w.join("game-1", "game")
	w.advance(100 * time.Millisecond)
	for s, o := range again.View().Roles["game"].Owners {
		if !again.View().lives(o.Incarnation) || o.Epoch != 2 {
			t.Fatalf("shard %d has owner %+v", s, o)
		}
	}
	if got := shares(again.View(), "game"); !maps.Equal(got, map[string]int{"game-1": 8, "game-2": 8}) {
		t.Fatalf("shares are %v", got)
	}
}

func TestTheCoordinatorsDeathChangesNothing(t *testing.T) {
	w, gate, one, two := trio(t, 9)
	if w.registry.coordinator != gate.Self().Incarnation {
		t.Fatal("the first to come should coordinate")
	}
	gate.Close()
	w.registry.Certify(gate.Self().Incarnation)
	w.advance(time.Second)
	if got := shares(two.View(), "game"); !maps.Equal(got, map[string]int{"game-1": 8, "game-2": 8}) {
		t.Fatalf("shares are %v", got)
	}
	one.Close()
	w.registry.Certify(one.Self().Incarnation)
	w.advance(time.Second)
	if got := shares(two.View(), "game"); got["game-2"] != 16 {
		t.Fatalf("shares are %v", got)
	}
}

func TestACondemnedNodeIsToldOnceAndRunsNothing(t *testing.T) {
	w, _, one, _ := trio(t, 10)
	told, shard := 0, shardOf(one, "game-1")
	one.o.Condemned = func() { told++ }
	w.registry.Certify(one.Self().Incarnation)
	w.advance(time.Second)
	if _, hold := one.Tenure("game", shard); hold == actors.Held || told != 1 {
		t.Fatalf("it stands at %v and was told %d times", hold, told)
	}
	if err := w.registry.Node().Join(t.Context(), one.Self(), one.Cluster); !errors.Is(err, ErrCondemned) {
		t.Fatalf("joining again: %v", err)
	}
}

func TestEnvelopesWaitForAnOwnerInOrderAndNotForEver(t *testing.T) {
	w := newTown(t, 11)
	gate := w.join("gate-1", "gate")
	for i := range uint64(60) {
		gate.Route(request(gate, "ann", i+1))
	}
	w.settle()
	if got := refusals(gate.take()); got[actors.Overloaded] != 10 {
		t.Fatalf("of 60 where 50 may wait, these were refused: %v", got)
	}
	one, two := w.join("game-1", "game"), w.join("game-2", "game")
	w.advance(100 * time.Millisecond)
	got := append(one.take(), two.take()...)
	if len(got) != 50 {
		t.Fatalf("%d of 50 arrived", len(got))
	}
	for i, e := range got {
		if e.Request != uint64(i+1) {
			t.Fatalf("place %d holds request %d", i, e.Request)
		}
	}
	late := newTown(t, 12).join("gate-1", "gate")
	late.Route(request(late, "ann", 1))
	late.o.Clock.(*town).advance(6 * time.Second)
	if got := refusals(late.take()); got[actors.Unavailable] != 1 {
		t.Fatalf("after 6 s without an owner: %v", got)
	}
}

// refusals counts refusals by their code.
func refusals(got []*actors.Envelope) map[actors.Code]int {
	found := map[actors.Code]int{}
	for _, e := range got {
		if e.Type == actors.Refused {
			found[e.Refusal().Code]++
		}
	}
	return found
}

func TestEveryReceiverIsFoundByItsPlacement(t *testing.T) {
	w, gate, one, two := trio(t, 13)
	keeper := w.join("persist-1", "persist")
	w.advance(100 * time.Millisecond)
	session := request(gate, "x", 1).Session
	cases := []struct {
		to   actors.Ref
		from *node
		want *node
	}{
		{actors.NodeKind.Ref("game-2"), gate, two},
		{actors.NodeKind.Ref("gate-1"), gate, gate},
		{session, one, gate},
		{actors.KindName("host").Ref("game-1"), two, one},
		{actors.KindName("login").Ref("game-2.3"), gate, two},
		{actors.KindName("login").Ref(""), one, one},
		{actors.KindName("whisper").Ref(session.ID), one, gate},
		{actors.KindName("keeper").Ref("15"), gate, keeper},
		{actors.KindName("player").Ref(owned(t, two)), two, two},
	}
	for _, c := range cases {
		c.from.Route(&actors.Envelope{Type: actors.Message, To: c.to, From: actors.NodeKind.Ref(c.from.name)})
		w.settle()
		if got := c.want.take(); len(got) != 1 {
			t.Errorf("%s from %s did not reach %s", c.to, c.from.name, c.want.name)
		}
	}
	for range 4 {
		gate.Route(&actors.Envelope{Type: actors.Message, To: actors.Ref{Kind: "login"}})
	}
	gate.Route(&actors.Envelope{Type: actors.Message, Fan: []actors.Ref{session, session}})
	w.settle()
	if a, b, g := len(one.take()), len(two.take()), len(gate.take()); a != 2 || b != 2 || g != 1 {
		t.Errorf("4 pieces of work went %d and %d, the fan %d", a, b, g)
	}
}

func TestWhatCannotGoIsRefusedWithItsCode(t *testing.T) {
	w, gate, _, _ := trio(t, 14)
	ask := func(change func(*actors.Envelope)) actors.Code {
		e := request(gate, "ann", 1)
		change(e)
		gate.Route(e)
		w.settle()
		for code := range refusals(gate.take()) {
			return code
		}
		return ""
	}
	cases := []struct {
		want   actors.Code
		change func(*actors.Envelope)
	}{
		{actors.TooManyHops, func(e *actors.Envelope) { e.Hops = actors.MaxHops + 1 }},
		{actors.TooBig, func(e *actors.Envelope) { e.Body = make([]byte, maxEnvelope+1) }},
		{actors.Unavailable, func(e *actors.Envelope) { e.To = actors.NodeKind.Ref("nobody") }},
		{actors.Unavailable, func(e *actors.Envelope) { e.To = actors.KindName("unheard").Ref("of") }},
		{actors.Unavailable, func(e *actors.Envelope) { e.To = actors.SessionKind.Ref("torn") }},
	}
	for _, c := range cases {
		if got := ask(c.change); got != c.want {
			t.Errorf("refused with %q, want %q", got, c.want)
		}
	}
	before := gate.lost.Load()
	gate.Route(&actors.Envelope{Type: actors.Message, To: actors.NodeKind.Ref("nobody")})
	if gate.lost.Load() != before+1 {
		t.Error("a one-way message that cannot go is not counted")
	}
}

func TestACutLinkLosesAndDoublesNothing(t *testing.T) {
	for seed := range uint64(30) {
		w, gate, one, _ := trio(t, seed)
		id := owned(t, one)
		for i := range 400 {
			gate.Route(oneWay(id, i))
			if i%50 == 20 {
				w.network.Cut("gate-1", "game-1", true)
			}
			if i%50 == 40 {
				w.network.Cut("gate-1", "game-1", false)
			}
			w.advance(time.Duration(w.luck.IntN(40)) * time.Millisecond)
		}
		w.network.Cut("gate-1", "game-1", false)
		w.advance(5 * time.Second)
		wantInOrder(t, one.take(), 400)
	}
}

func TestANewConnectionBringsWhatTheOldOneLostAtOnce(t *testing.T) {
	w, gate, one, _ := trio(t, 23)
	id := owned(t, one)
	w.network.Cut("gate-1", "game-1", true)
	gate.Route(oneWay(id, 0))
	w.advance(50 * time.Millisecond)
	w.network.Cut("gate-1", "game-1", false)
	w.settle()
	wantInOrder(t, one.take(), 1)
}

func oneWay(id string, n int) *actors.Envelope {
	return &actors.Envelope{Type: actors.Message, To: actors.KindName("player").Ref(id), Number: uint32(n) + 100,
		Body: fmt.Append(nil, n)}
}

func wantInOrder(t *testing.T, got []*actors.Envelope, n int) {
	t.Helper()
	if len(got) != n {
		t.Errorf("%d of %d arrived", len(got), n)
	}
	for i, e := range got {
		if e.Number != uint32(i)+100 {
			t.Fatalf("place %d holds number %d", i, e.Number-100)
		}
	}
}

func TestWhatIsLostWithoutAWordIsSentAgain(t *testing.T) {
	w, gate, one, _ := trio(t, 22)
	id := owned(t, one)
	w.network.Drop("gate-1", "game-1", 1)
	gate.Route(oneWay(id, 0))
	w.advance(resendFirst + 2*pingEvery)
	wantInOrder(t, one.take(), 1)
	for seed := range uint64(30) {
		w, gate, one, _ := trio(t, seed)
		id := owned(t, one)
		for i := range 200 {
			if w.luck.IntN(8) == 0 {
				w.network.Drop("gate-1", "game-1", 1+w.luck.IntN(3))
				w.network.Drop("game-1", "gate-1", 1+w.luck.IntN(3))
			}
			gate.Route(oneWay(id, i))
			w.advance(time.Duration(w.luck.IntN(40)) * time.Millisecond)
		}
		w.advance(20 * time.Second)
		wantInOrder(t, one.take(), 200)
	}
}

func TestASilentPeersRequestsAreRefusedAndItsOpenOnesAnsweredWhenItIsGone(t *testing.T) {
	w, gate, one, _ := trio(t, 15)
	id := owned(t, one)
	gate.Route(request(gate, id, 1))
	w.settle()
	w.network.Cut("gate-1", "game-1", true)
	w.advance(3 * time.Second)
	gate.Route(request(gate, id, 2))
	w.settle()
	if got := refusals(gate.take()); got[actors.Unavailable] != 1 {
		t.Fatalf("a request to a silent peer: %v", got)
	}
	w.network.Cut("gate-1", "game-1", false)
	w.advance(time.Second)
	gate.Route(request(gate, id, 3))
	gate.Route(request(gate, id, 4))
	w.settle()
	one.Route(one.take()[2].Answer(0, 0, nil)) // request 4 is answered, 3 is not
	w.settle()
	if got := gate.take(); len(got) != 1 || got[0].Type != actors.Answered {
		t.Fatalf("the answer became %v", got)
	}
	one.Close()
	w.registry.Certify(one.Self().Incarnation)
	w.advance(10 * time.Millisecond)
	got := gate.take()
	if len(got) != 2 || got[0].Request != 1 || got[1].Request != 3 || refusals(got)[actors.Unavailable] != 2 {
		t.Fatalf("open were 1 and 3; when the node was gone these were answered: %+v", got)
	}
}

func TestAFullLinkRefusesAndKeepsItsBound(t *testing.T) {
	w, gate, one, _ := trio(t, 16)
	id := owned(t, one)
	w.network.Cut("gate-1", "game-1", true)
	for i := range 100 {
		e := oneWay(id, i)
		e.Body = make([]byte, 1<<10)
		gate.Route(e)
	}
	e := request(gate, id, 1)
	gate.Route(e)
	w.settle()
	if got := refusals(gate.take()); got[actors.Overloaded] != 1 {
		t.Fatalf("a request to a full link: %v", got)
	}
	report := gate.Report()
	if p := report.Peers[0]; p.Queued > 66<<10 || report.Lost < 30 {
		t.Fatalf("queued %d bytes, lost %d", p.Queued, report.Lost)
	}
	w.network.Cut("gate-1", "game-1", false)
	w.advance(time.Second)
	for i := range uint64(60) {
		gate.Route(request(gate, id, i+1))
	}
	w.settle()
	if got := refusals(gate.take()); got[actors.Overloaded] != 10 {
		t.Fatalf("of 60 requests where 50 may be open: %v", got)
	}
}

func TestAnEnvelopeForAnEpochThatIsNotKnownYetWaitsForIt(t *testing.T) {
	w, gate, one, two := trio(t, 17)
	id := owned(t, one)
	w.registry.Cut(two.Self().Incarnation, true) // two's watch stands still
	one.Close()
	w.registry.Certify(one.Self().Incarnation)
	w.advance(10 * time.Millisecond)
	gate.Route(request(gate, id, 1))
	w.settle()
	if got := two.take(); len(got) != 0 {
		t.Fatal("it took an envelope of a tenure that it does not know")
	}
	w.registry.Cut(two.Self().Incarnation, false)
	w.settle()
	if got := two.take(); len(got) != 1 {
		t.Fatalf("when it knew the tenure it had %d envelopes", len(got))
	}
}

func TestAnEnvelopeForAFormerOwnerIsPassedOn(t *testing.T) {
	w, _, one, two := trio(t, 18)
	id, gate := owned(t, one), w.join("gate-2", "gate") // another coordinates
	w.registry.Cut(gate.Self().Incarnation, true)       // the gate's watch stands still
	one.Leave(func(error) {})
	w.advance(20 * time.Millisecond)
	gate.Route(request(gate, id, 1))
	w.advance(20 * time.Millisecond)
	if got := two.take(); len(got) != 1 || got[0].Epoch != 2 || len(one.take()) != 0 {
		t.Fatalf("the next owner got %v", got)
	}
}

func TestAnEnvelopeNeverEntersAStreamByAnOldPicture(t *testing.T) {
	w, gate, one, two := trio(t, 19)
	seen := gate.picture.Load()
	p := seen.peers[one.Self().Incarnation]
	if got := p.send(oneWay("ann", 0), seen); got != sent {
		t.Fatalf("by the current picture: %v", got)
	}
	two.Close()
	w.registry.Certify(two.Self().Incarnation)
	w.advance(10 * time.Millisecond)
	if got := p.send(oneWay("ann", 0), seen); got != stale {
		t.Fatalf("by an old picture: %v", got)
	}
}

func TestWhatFollowsDoesNotOvertakeWhatWaits(t *testing.T) {
	w, gate, one, _ := trio(t, 20)
	id := owned(t, one)
	shard := actors.KindName("player").Ref(id).Shard(16)
	current := func() bool { return true }
	gate.parking("game").add(parked{e: oneWay(id, 0), shard: shard}, w.now, current) // as if its owner had been away
	gate.Route(oneWay(id, 1))
	w.advance(time.Second)
	gate.Route(oneWay(id, 2))
	w.settle()
	wantInOrder(t, one.take(), 3)
}

func TestANewOwnerHearsOfSessionsBeforeAnythingElseOfTheirs(t *testing.T) {
	w, gate, one, two := trio(t, 22)
	id := owned(t, one)
	var told func()
	gate.onOwners = append(gate.onOwners, func(_ string, _, _ []int, done func()) {
		gate.Route(oneWay(id, 0)) // by the new picture
		told = done
	})
	one.Close()
	w.registry.Certify(one.Self().Incarnation)
	w.advance(10 * time.Millisecond)
	gate.Route(oneWay(id, 1))
	w.advance(time.Second)
	if got := two.take(); len(got) > 0 || told == nil {
		t.Fatalf("before it heard of any session the new owner got %v", got)
	}
	session := request(gate, id, 1).Session
	gate.Route(actors.Announce(actors.KindName("player").Ref(id), &actors.Bound{Session: session}))
	told()
	gate.Route(oneWay(id, 2))
	w.advance(100 * time.Millisecond)
	got := two.take()
	if len(got) != 4 || !got[0].Announces() {
		t.Fatalf("it got %v", got)
	}
	wantInOrder(t, got[1:], 3)
}

// TestAnAnnouncementWaitsBeforeWhatWaitedLonger: its owner cannot be reached yet.
func TestAnAnnouncementWaitsBeforeWhatWaitedLonger(t *testing.T) {
	w := newTown(t, 23)
	gate := w.join("gate-1", "gate")
	session := request(gate, "ann", 1).Session
	gate.Route(oneWay("ann", 0))
	gate.Route(actors.Announce(actors.KindName("player").Ref("ann"), &actors.Bound{Session: session}))
	gate.Route(oneWay("ann", 1))
	one, two := w.join("game-1", "game"), w.join("game-2", "game")
	w.advance(100 * time.Millisecond)
	got := append(one.take(), two.take()...)
	if len(got) != 3 || !got[0].Announces() {
		t.Fatalf("they got %v", got)
	}
	wantInOrder(t, got[1:], 2)
}

func TestAPeersReturnWithinAMinuteGoesOnWithTheSameStream(t *testing.T) {
	w, gate, one, _ := trio(t, 21)
	id, began := owned(t, one), gate.picture.Load().byName["game-1"].out.head.stream
	gate.Route(oneWay(id, 0))
	w.advance(time.Second)
	w.registry.Cut(one.Self().Incarnation, true)
	w.advance(DefaultLease + time.Second) // its record is gone
	gate.Route(oneWay(id, 1))             // waits: its owner is no member
	w.registry.Cut(one.Self().Incarnation, false)
	w.advance(2 * time.Second)
	gate.Route(oneWay(id, 2))
	w.advance(time.Second)
	wantInOrder(t, one.take(), 3)
	if p := gate.picture.Load().byName["game-1"]; p.out.head.stream != began {
		t.Error("the stream did not survive")
	}
}
