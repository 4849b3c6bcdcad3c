package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster/freeport"
)

const quickLease = 2 * time.Second

// etcdHere starts an embedded etcd on free ports, and returns how to reach it and how to start it.
func etcdHere(t *testing.T) (RegistryOptions, EtcdOptions, *Etcd) {
	t.Helper()
	ports, err := freeport.Take(2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ports.Release)
	o := EtcdOptions{Client: fmt.Sprintf("127.0.0.1:%d", ports.First), Peer: fmt.Sprintf("127.0.0.1:%d", ports.First+1),
		Dir: t.TempDir(), Quick: true}
	server, err := StartEtcd(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return RegistryOptions{Endpoints: []string{o.Client}, Cluster: "test", Lease: quickLease,
		Log: slog.New(slog.NewTextHandler(logTo(), nil))}, o, server
}

// registered starts a node whose registry is etcd and whose link is in memory.
func registered(t *testing.T, o RegistryOptions, w *Network, name, role string) *node {
	t.Helper()
	o.Log = o.Log.With("node", name)
	registry, err := NewEtcdRegistry(o)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{actorsHere: &actorsHere{}, name: name}
	incarnation := NewIncarnation()
	n.Cluster, err = New(Options{
		Self:   Member{Name: name, Incarnation: incarnation, Roles: []string{role}},
		Shards: 16, Lease: o.Lease, Expected: map[string]int{"game": 2}, Registry: registry,
		Carrier: w.Node(name + incarnationText(incarnation)), Clock: real{}, Scheduler: real{}, Log: o.Log,
		Draw: NewIncarnation,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Start(t.Context(), n.actorsHere); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

func sharesAre(n *node, want map[string]int) func() bool {
	return func() bool { return n.View().Roles["game"] != nil && maps.Equal(shares(n.View(), "game"), want) }
}

var halves = map[string]int{"game-1": 8, "game-2": 8}

func TestARealRegistryFormsAClusterAndHandsShardsOn(t *testing.T) {
	t.Parallel()
	o, _, _ := etcdHere(t)
	o.Lease = 30 * time.Second // longer than a loaded machine takes: who waited for it is told apart from who did not
	w := NewNetwork(real{})
	two := registered(t, o, w, "game-2", "game")
	until(t, "game-2 coordinates", func() bool { return two.Report().Coordinator }) // the hardest to do without
	gate, one := registered(t, o, w, "gate-1", "gate"), registered(t, o, w, "game-1", "game")
	until(t, "each has its half", sharesAre(gate, halves))

	began := time.Now()
	one.Close()
	if err := Certify(t.Context(), o, one.Self().Incarnation); err != nil {
		t.Fatal(err)
	}
	until(t, "game-2 owns all", sharesAre(gate, map[string]int{"game-2": 16}))
	if took := time.Since(began); took > o.Lease {
		t.Errorf("a certified death was repaired after %v only", took)
	}

	back := registered(t, o, w, "game-1", "game")
	until(t, "it is a member again", func() bool { return gate.View().lives(back.Self().Incarnation) })
	began = time.Now()
	if err := two.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "game-1 owns all", sharesAre(gate, map[string]int{"game-1": 16}))
	if took := time.Since(began); took > o.Lease {
		t.Errorf("an orderly leave was taken over after %v only", took)
	}
	gate.Route(request(gate, "ann", 1))
	until(t, "a request arrives", func() bool { return len(back.take()) == 1 })
}

func TestANodeThatVanishesIsReplacedAfterItsLease(t *testing.T) {
	t.Parallel()
	o, _, _ := etcdHere(t)
	w := NewNetwork(real{})
	gate := registered(t, o, w, "gate-1", "gate")
	one := registered(t, o, w, "game-1", "game")
	registered(t, o, w, "game-2", "game")
	until(t, "each has its half", sharesAre(gate, halves))
	began := time.Now()
	one.Close()
	until(t, "game-2 owns all", sharesAre(gate, map[string]int{"game-2": 16}))
	if took := time.Since(began); took < quickLease {
		t.Errorf("its shards were taken after %v: its lease may not have been over", took)
	}
}

func TestTheCoordinatorsSuccessorGoesOn(t *testing.T) {
	t.Parallel()
	o, _, _ := etcdHere(t)
	w := NewNetwork(real{})
	first := registered(t, o, w, "gate-1", "gate")
	until(t, "the first coordinates", func() bool { return first.Report().Coordinator })
	one := registered(t, o, w, "game-1", "game")
	two := registered(t, o, w, "game-2", "game")
	until(t, "each has its half", sharesAre(two, halves))
	first.Close()
	one.Close()
	if err := Certify(t.Context(), o, one.Self().Incarnation); err != nil {
		t.Fatal(err)
	}
	until(t, "game-2 coordinates and owns all", func() bool {
		return two.Report().Coordinator && sharesAre(two, map[string]int{"game-2": 16})()
	})
}

func TestEtcdsRestartCostsAPauseAndMovesNothing(t *testing.T) {
	t.Parallel()
	o, e, server := etcdHere(t)
	w := NewNetwork(real{})
	gate := registered(t, o, w, "gate-1", "gate")
	one := registered(t, o, w, "game-1", "game")
	registered(t, o, w, "game-2", "game")
	until(t, "each has its half", sharesAre(gate, halves))
	until(t, "game-1 knows it", sharesAre(one, halves))
	owners := fmt.Sprint(gate.View().Roles["game"].Owners)
	shard := shardOf(one, "game-1")
	began := time.Now()
	server.Close()
	t.Logf("closing took %v", time.Since(began))
	until(t, "the node pauses", func() bool { _, hold := one.Tenure("game", shard); return hold == actors.Paused })
	again, err := StartEtcd(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(again.Close)
	began = time.Now()
	defer func() { t.Logf("all was well %v after its return", time.Since(began)) }()
	until(t, "the node goes on", func() bool { _, hold := one.Tenure("game", shard); return hold == actors.Held })
	until(t, "all are members", func() bool { return len(gate.View().Members) == 3 })
	if now := fmt.Sprint(gate.View().Roles["game"].Owners); now != owners {
		t.Errorf("owners changed from %s to %s", owners, now)
	}
}

func TestAWatchThatIsFarBehindBringsNothingOldAndLeavesNothingOut(t *testing.T) {
	t.Parallel()
	heard := new(listener)
	y := &EtcdRegistry{o: RegistryOptions{Log: slog.New(slog.DiscardHandler)}, prefix: "/firefly/x/", witness: heard}
	news := func(header int64, owners ...string) { // etcd tells its own revision with each part of what was missed
		r := clientv3.WatchResponse{Header: &etcdserverpb.ResponseHeader{Revision: header}}
		for _, text := range owners {
			r.Events = append(r.Events, &clientv3.Event{Type: clientv3.EventTypePut, Kv: &mvccpb.KeyValue{
				Key: []byte("/firefly/x/coordinator"), Value: []byte(text), ModRevision: 10 + int64(text[0]-'0')}})
		}
		y.apply(r)
	}
	news(30, "1", "2")
	news(30, "3")
	if got := heard.get().Coordinator; got != 3 {
		t.Errorf("of three changes in two parts the newest known is the %dth", got)
	}
	news(31, "2")
	if got := heard.get().Coordinator; got != 3 {
		t.Errorf("the %dth change came after the third", got)
	}
}

// listener keeps the newest record.
type listener struct {
	mu     sync.Mutex
	record *Record
	heard  []int64

	forgotten int
}

func (l *listener) Changed(r *Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.record = r
	l.heard = append(l.heard, r.Revision)
}

func (l *listener) Renewed(time.Time) {}

func (l *listener) Forgotten() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forgotten++
}

func (l *listener) get() Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.record == nil {
		return Record{}
	}
	return *l.record
}

// revisions are those of the records that were brought, in order.
func (l *listener) revisions() []int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.heard)
}

// count is how many records were brought.
func (l *listener) count() int { return len(l.revisions()) }

// joined is a registry alone, without a cluster above it.
func joined(t *testing.T, o RegistryOptions, name string) (*EtcdRegistry, *listener) {
	t.Helper()
	y, err := NewEtcdRegistry(o)
	if err != nil {
		t.Fatal(err)
	}
	l := new(listener)
	if err := y.Join(t.Context(), Member{Name: name, Incarnation: NewIncarnation()}, l); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(y.Close)
	return y, l
}

func assign(y Registry, d Decree) error {
	done := make(chan error, 1)
	y.Assign(d, func(err error) { done <- err })
	return <-done
}

func TestAWriteWhoseConditionsDoNotHoldIsAConflict(t *testing.T) {
	t.Parallel()
	o, _, _ := etcdHere(t)
	one, heard := joined(t, o, "one")
	until(t, "one coordinates", func() bool { return heard.get().Coordinator == one.member.Incarnation })
	two, _ := joined(t, o, "two")
	next := &Assignment{Generation: 1, Owners: make([]Owner, 4)}
	if err := assign(one, Decree{Role: "game", Next: next, Coordinator: true}); err != nil {
		t.Fatal(err)
	}
	until(t, "it is seen", func() bool { return heard.get().Roles["game"] != nil })
	current := heard.get().Roles["game"]
	cases := map[string]struct {
		by Registry
		d  Decree
	}{
		"made from nothing":    {one, Decree{Role: "game", Next: next, Coordinator: true}},
		"not the coordinator":  {two, Decree{Role: "game", Next: current, Coordinator: true}},
		"the absent came back": {one, Decree{Role: "game", Next: current, Absent: []uint64{two.member.Incarnation}}},
	}
	for what, c := range cases {
		if err := assign(c.by, c.d); !errors.Is(err, ErrConflict) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := assign(two, Decree{Role: "game", Next: current, Absent: []uint64{42}}); err != nil {
		t.Errorf("with all conditions true: %v", err)
	}
}

func TestNobodyIsMissedWhoJoinsWhileOthersDo(t *testing.T) {
	t.Parallel()
	o, _, _ := etcdHere(t)
	const n = 12
	var all sync.WaitGroup
	heard, at := make([]*listener, n), make([]*EtcdRegistry, n)
	for i := range n {
		all.Go(func() { at[i], heard[i] = joined(t, o, fmt.Sprint("node-", i)) })
	}
	all.Wait()
	for i, l := range heard {
		until(t, fmt.Sprintf("node-%d sees all", i), func() bool { return len(l.get().Members) == n })
		if r := l.revisions(); !slices.IsSorted(r) {
			t.Errorf("node-%d heard revisions %v", i, r)
		}
		if first, since := l.revisions()[0], sinceOf(l, at[i].member.Incarnation); first != since {
			t.Errorf("node-%d joined at revision %d, and first heard %d", i, since, first)
		}
	}
}

// sinceOf is when an incarnation first joined, as the record has it.
func sinceOf(l *listener, incarnation uint64) int64 {
	for _, m := range l.get().Members {
		if m.Incarnation == incarnation {
			return m.Since
		}
	}
	return 0
}

func TestARegistrationWhoseOutcomeWasLostIsMadeAnew(t *testing.T) {
	t.Parallel()
	o, _, _ := etcdHere(t)
	y, err := NewEtcdRegistry(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(y.Close)
	for _, key := range []string{y.memberKey(1), y.prefix + keyDead + "42"} { // registered, and then something happened
		if _, err := y.client.Put(t.Context(), key, "{}"); err != nil {
			t.Fatal(err)
		}
	}
	heard := new(listener)
	if err := y.Join(t.Context(), Member{Name: "one", Incarnation: 1}, heard); err != nil {
		t.Fatal(err)
	}
	if first, since := heard.revisions()[0], sinceOf(heard, 1); first != since {
		t.Errorf("it joined at revision %d, and first heard %d", since, first)
	}
}

func TestALostLeaseIsReplacedUnderTheSameIncarnation(t *testing.T) {
	t.Parallel()
	o, _, _ := etcdHere(t)
	y, heard := joined(t, o, "one")
	since := sinceOf(heard, y.member.Incarnation)
	joined(t, o, "two")
	y.mu.Lock()
	lease := y.lease
	y.mu.Unlock()
	if _, err := y.client.Revoke(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
	until(t, "it is a member under another lease", func() bool {
		y.mu.Lock()
		defer y.mu.Unlock()
		return y.lease != lease && len(y.state.members) == 2
	})
	if r := heard.get(); r.Members[0].Incarnation != y.member.Incarnation || r.Members[0].Since != since {
		t.Errorf("the record holds %+v; it first joined at revision %d", r.Members, since)
	}
}

func TestACertifiedCoordinatorGivesUpTheElectionAtOnce(t *testing.T) {
	t.Parallel()
	o, _, _ := etcdHere(t)
	o.Lease = 30 * time.Second
	one, a := joined(t, o, "one")
	until(t, "one coordinates", func() bool { return a.get().Coordinator == one.member.Incarnation })
	two, b := joined(t, o, "two")
	one.Close() // as if it had been killed: its lease lives on
	began := time.Now()
	if err := Certify(t.Context(), o, one.member.Incarnation); err != nil {
		t.Fatal(err)
	}
	until(t, "two coordinates", func() bool { return b.get().Coordinator == two.member.Incarnation })
	if took := time.Since(began); took > o.Lease/2 {
		t.Errorf("the election was free after %v only", took)
	}
}

func TestAfterALapseTheRecordIsReadBeforeTheLeaseCounts(t *testing.T) {
	t.Parallel()
	o, _, _ := etcdHere(t)
	y, heard := joined(t, o, "one")
	until(t, "one coordinates", func() bool { return heard.get().Coordinator == y.member.Incarnation })
	before := heard.count()
	y.mu.Lock()
	y.sent = y.sent.Add(-quickLease) // as if nothing had been answered since then
	y.mu.Unlock()
	until(t, "the record is brought anew", func() bool { return heard.count() > before })
}

func TestADeathCertificateForbidsToJoin(t *testing.T) {
	t.Parallel()
	o, _, _ := etcdHere(t)
	y, heard := joined(t, o, "one")
	if err := Certify(t.Context(), o, y.member.Incarnation); err != nil {
		t.Fatal(err)
	}
	until(t, "it reads its own certificate", func() bool { return heard.get().Dead[y.member.Incarnation] })
	again, err := NewEtcdRegistry(o)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := again.Join(t.Context(), y.member, new(listener)); !errors.Is(err, ErrCondemned) {
		t.Errorf("it joined again: %v", err)
	}
}

func TestClustersInOneEtcdDoNotHearEachOther(t *testing.T) {
	t.Parallel()
	o, _, _ := etcdHere(t)
	one, a := joined(t, o, "one")
	until(t, "one coordinates", func() bool { return a.get().Coordinator == one.member.Incarnation })
	before := a.count()
	other := o
	other.Cluster = "test2"
	joined(t, other, "two")
	if err := Certify(t.Context(), o, 42); err != nil {
		t.Fatal(err)
	}
	until(t, "news of its own come", func() bool { return a.get().Dead[42] })
	if news := a.count() - before; news != 1 || len(a.get().Members) != 1 {
		t.Errorf("of one change it heard %d; it sees %+v", news, a.get().Members)
	}
}

func TestWhatHappensBetweenTheFirstReadAndTheWatchIsSeen(t *testing.T) {
	t.Parallel()
	o, _, _ := etcdHere(t)
	y, err := NewEtcdRegistry(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(y.Close)
	heard := new(listener)
	y.member, y.witness = Member{Name: "one", Incarnation: 1}, heard
	if err := y.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	joined(t, o, "two")
	y.running.Go(y.watch)
	until(t, "the other is seen", func() bool { return len(heard.get().Members) == 2 })
}

func TestJoiningWaitsForEtcdAsLongAsItIsTold(t *testing.T) {
	t.Parallel()
	y, err := NewEtcdRegistry(RegistryOptions{Endpoints: []string{"127.0.0.1:1"}, Cluster: "none", Lease: quickLease,
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := y.Join(ctx, Member{Name: "one", Incarnation: 1}, new(listener)); err == nil {
		t.Error("it joined nothing")
	}
}

func TestANodeWithALoopbackAddressOfItsOwnCallsEtcdFromThere(t *testing.T) {
	t.Parallel()
	here, away := []string{"127.0.0.1:2379"}, []string{"10.0.0.5:2379"}
	for _, c := range []struct {
		from string
		to   []string
		want string
	}{
		{"127.0.0.12:9410", here, "127.0.0.12:0"},
		{"127.0.0.1:9410", here, ""},
		{"localhost:9410", here, ""},
		{"127.0.0.12:9410", away, ""},
		{"10.0.0.7:9410", away, ""},
		{"", here, ""},
	} {
		got, o := "", RegistryOptions{Endpoints: c.to, From: c.from}
		if a := o.source(); a != nil {
			got = a.String()
		}
		if got != c.want {
			t.Errorf("one that listens at %q calls %v from %q, want %q", c.from, c.to, got, c.want)
		}
	}
}

func TestAMemberThatDrainsIsSeenSoByAllAndStaysSoWhenItsLeaseIsReplaced(t *testing.T) {
	t.Parallel()
	o, _, _ := etcdHere(t)
	y, _ := joined(t, o, "one")
	_, heard := joined(t, o, "two")
	since := sinceOf(heard, y.member.Incarnation)
	drains := func() bool {
		r := heard.get()
		i := slices.IndexFunc(r.Members, func(m Member) bool { return m.Incarnation == y.member.Incarnation })
		return i >= 0 && r.Members[i].Draining && r.Members[i].Since == since
	}
	if drains() {
		t.Fatal("it drains though nobody asked it to")
	}
	marked := make(chan error, 1)
	y.Drain(func(err error) { marked <- err })
	if err := <-marked; err != nil {
		t.Fatal(err)
	}
	until(t, "the other sees it", drains)
	y.mu.Lock()
	lease := y.lease
	y.mu.Unlock()
	if _, err := y.client.Revoke(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
	until(t, "its record is gone", func() bool { return len(heard.get().Members) == 1 })
	until(t, "the other sees it again as it was", drains)
}
