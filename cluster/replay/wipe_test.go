package replay_test

import (
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/replay"
)

// busy lets ann add one again and again, for a time, and counts what was done.
func busy(w *replay.World, ann *replay.Client, d time.Duration) (done int, paused time.Duration) {
	last := w.Now()
	for end := last.Add(d); w.Now().Before(end) && ann.Closed() == nil; w.Advance(20 * time.Millisecond) {
		r := ann.Begin(&add{N: 1})
		for !r.Answered() && ann.Closed() == nil {
			w.Advance(5 * time.Millisecond)
		}
		if _, err := r.Answer(); err == nil {
			done++
			paused = max(paused, w.Now().Sub(last))
			last = w.Now()
		}
	}
	return done, max(paused, w.Now().Sub(last))
}

func TestAWipedRegistryCostsAPauseAndNothingThatWasDone(t *testing.T) {
	t.Parallel()
	each(t, 10, func(t *testing.T, seed uint64) {
		w := replay.NewWorld(t, hall, replay.Seed(seed))
		ann, bob := login(w, "ann"), login(w, "bob")
		before, _ := busy(w, ann, time.Second)
		w.Wipe()
		after, paused := busy(w, ann, 20*time.Second)
		e := replay.Call[*entered](ann, &add{})
		if e.Loose != before+after {
			t.Fatalf("seed %d: %d and %d were added, and ann has %d", seed, before, after, e.Loose)
		}
		if paused > 15*time.Second || after < 300 {
			t.Fatalf("seed %d: the pause was %v, and %d were added after the wipe", seed, paused, after)
		}
		if ann.Closed() != nil || bob.Closed() != nil {
			t.Fatalf("seed %d: a session was closed", seed)
		}
		replay.Call[*entered](bob, &add{N: 1}) // he had not said anything: his session was announced
		if seed == 0 {
			t.Logf("the pause was %v", paused)
		}
	})
}

func TestARegistryThatIsWipedAfterALongAbsenceOrTwiceIsJoinedAnew(t *testing.T) {
	t.Parallel()
	everybody := []string{"gate-1", "game-1", "game-2", "persist-1"}
	each(t, 10, func(t *testing.T, seed uint64) {
		w := replay.NewWorld(t, hall, replay.Seed(seed))
		ann := login(w, "ann")
		before, _ := busy(w, ann, time.Second)
		for _, n := range everybody {
			w.Partition(n, replay.Registry)
		}
		during, _ := busy(w, ann, 10*time.Second) // longer than a lease: all have paused
		w.Wipe()
		w.Heal()
		w.Advance(time.Duration(seed%30) * 700 * time.Millisecond) // before, while and after they join anew
		w.Wipe()
		after, _ := busy(w, ann, 30*time.Second)
		if e := replay.Call[*entered](ann, &add{}); e.Loose != before+during+after || after == 0 {
			t.Fatalf("seed %d: %d, %d and %d were added, and ann has %d", seed, before, during, after, e.Loose)
		}
		if ann.Closed() != nil {
			t.Fatalf("seed %d: the session was closed", seed)
		}
	})
}

func TestOfANodeThatMissesTheNewClusterNothingReachesTheStore(t *testing.T) {
	t.Parallel()
	for _, victim := range []string{"game-1", "game-2", "persist-1"} {
		w := replay.NewWorld(t, hall)
		ann := login(w, "ann")
		before, _ := busy(w, ann, time.Second)
		w.Partition(victim)
		w.Wipe()
		w.Advance(20 * time.Second)
		after, _ := busy(w, ann, 20*time.Second)
		w.Heal()
		late, _ := busy(w, ann, 20*time.Second)
		e, err := ann.Ask(&add{})
		if err != nil || late == 0 {
			t.Fatalf("without %s: %d were added after its return: %v", victim, late, err)
		}
		// what it had not written when it was cut off may be lost, as if it had died, and nothing later
		if lost := before + after + late - e.(*entered).Loose; lost < 0 || lost > before {
			t.Errorf("without %s: %d, %d and %d were added, and ann has %d", victim, before, after, late,
				e.(*entered).Loose)
		}
	}
}

// The registry is wiped while shards move: some of their actors are at rest, some states wait for a transaction that
// was written, or not, or nobody knows; some nodes have yet to see what was.
func TestARegistryThatIsWipedWhileShardsMoveCostsNothingThatWasCommitted(t *testing.T) {
	t.Parallel()
	each(t, 5, func(t *testing.T, seed uint64) {
		w := replay.NewWorld(t, hall, replay.Seed(seed))
		g := gather(t, w, seed, 8)
		w.Store().Slow(time.Millisecond, time.Duration(1+g.luck.IntN(500))*time.Millisecond)
		g.busy(500 * time.Millisecond)
		w.Start("game-3")
		if g.luck.IntN(2) == 0 {
			g.busy(time.Second)
			w.Drain([]string{"game-1", "game-2", "game-3"}[g.luck.IntN(3)])
		}
		g.busy(time.Duration(g.luck.IntN(600)) * time.Millisecond)
		for range g.luck.IntN(3) {
			switch victim := w.Nodes()[g.luck.IntN(len(w.Nodes()))]; g.luck.IntN(3) {
			case 0:
				w.Blind(victim)
			case 1:
				w.Partition(victim, replay.Registry)
			default:
				w.Partition(w.Nodes()[g.luck.IntN(len(w.Nodes()))], victim)
			}
			g.busy(time.Duration(g.luck.IntN(600)) * time.Millisecond)
		}
		w.Wipe()
		g.busy(time.Duration(g.luck.IntN(1000)) * time.Millisecond)
		w.Heal()
		g.busy(5 * time.Second)
		if g.settles(true); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	})
}
