package gate_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// This file is what a gate costs and how fast it is, through real sockets and another process. The
// figures of the design are asserted by `make bench` alone; here it is shown that so many fit, and
// that nothing of them is left.

// sized is how many of something there are to be: an environment variable says, or few.
func sized(t testing.TB, name string, few int) (n int, isLong bool) {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return few, false
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n, true
}

// long is how long the slow steps of these tests may take on a machine that has other things to do.
const long = 60 * time.Second

// A throng is a swarm at a keep.
type throng struct {
	*swarm
	t                         testing.TB
	k                         *keep
	welcomes, answers, pushes int
	took                      []time.Duration // of answers
}

func newThrong(t testing.TB, k *keep) *throng {
	t.Helper()
	s, err := newSwarm()
	if err != nil {
		t.Fatal(err)
	}
	g := &throng{swarm: s, t: t, k: k}
	s.heard = g.hears
	t.Cleanup(s.leave)
	return g
}

func (g *throng) hears(c *buzzer, h wire.Header, body []byte) {
	switch {
	case h.Number == wire.NumberWelcome:
		g.welcomes++
	case h.Number == wire.NumberPing:
		pong := []byte(`{"received":` + strconv.Itoa(c.received) + `}`)
		_ = g.say(c, wire.AppendFrame(nil, 0, wire.NumberPong, h.Seq, pong))
	case h.Number == wire.NumberClose:
		g.t.Errorf("a client was closed: %s", body)
	case isPush(h):
		c.received++
		g.pushes++
	case h.Number >= wire.FirstGameNumber && h.Seq != 0 && h.Flags == 0:
		c.received++
		g.answers++
		g.took = append(g.took, time.Since(c.since))
	default:
		g.t.Errorf("a client heard %+v %s", h, body)
	}
}

// joins lets n more in, and waits until all of them are welcome.
func (g *throng) joins(n int, first func(*buzzer) []byte) {
	g.t.Helper()
	if err := g.join(g.k.tcp, n, first); err != nil {
		g.t.Fatal(err)
	}
	all := g.open
	g.waits("Welcome", func() bool { return g.welcomes == all })
}

func (g *throng) waits(what string, done func() bool) {
	g.t.Helper()
	if err := g.hear(long, done); err != nil {
		g.t.Fatalf("waiting for %s: %v", what, err)
	}
}

func greets(*buzzer) []byte { return helloFrame }

// logsIn greets and logs in in one breath.
func logsIn(c *buzzer) []byte {
	c.seq++
	return wire.AppendFrame(slices.Clone(helloFrame), 0, 101, c.seq,
		[]byte(`{"name":"player-`+strconv.Itoa(c.number)+`"}`))
}

// 10,000 idle and 5,000 chatty connections on one gate, of which nothing is left afterwards: as many once more find
// room where the first were. Budget: 2.5 KB resident an idle session, all in.
func TestManyIdleAndChattyClientsFitAndLeaveNothingBehind(t *testing.T) {
	idle, isLong := sized(t, "FIREFLY_IDLE", 1000)
	if !isLong { // and no figure counts
		t.Parallel()
	}
	chatty, _ := sized(t, "FIREFLY_CHATTY", 500)
	k := startKeep(t, "gate")
	warm := newThrong(t, k) // what comes up once and stays does not count
	warm.joins(100, logsIn)
	warm.waits("logins", func() bool { return warm.answers == 100 })
	warm.leave()
	before := k.settles(nil)

	g := newThrong(t, k)
	g.joins(idle, greets)
	with := k.ask("look")
	each := (with.Resident - before.Resident) / idle
	t.Logf("%d idle sessions: %d B resident each, %d B of them on the heap; %d B while garbage lies there, too", idle,
		each, (with.Heap-before.Heap)/idle, (with.Untidy-before.Resident)/idle)
	if isLong && each > 2560 {
		t.Errorf("an idle session costs %d B, the budget is 2,560", each)
	}
	g.lets(chatty)
	seconds := 2
	if isLong {
		seconds = 10
	}
	g.chat(idle, chatty, seconds)
	both := k.ask("look")
	t.Logf("with %d chatty ones, each a player's: %d B resident each of %d", chatty,
		(both.Resident-before.Resident)/(idle+chatty), idle+chatty)
	g.leave()
	first := k.settles(nil)

	again := newThrong(t, k)
	again.joins(idle, greets)
	again.lets(chatty)
	again.leave()
	last := k.settles(&first)
	t.Logf("afterwards %d descriptors, %d goroutines, %d KiB on the heap; after as many once more %d, %d, %d",
		first.Files, first.Goroutines, first.Heap>>10, last.Files, last.Goroutines, last.Heap>>10)
	if first.Files > before.Files || first.Goroutines > before.Goroutines {
		t.Errorf("before there were %d descriptors and %d goroutines", before.Files, before.Goroutines)
	}
}

// settles waits until the keep has no connections, sessions and players any more, and no more of anything else than
// it had before, if that is given. Tables do not give back the room that they have had, and grow a little where others
// were let out; a session itself, if it stayed, would cost more than that.
func (k *keep) settles(before *measure) (m measure) {
	k.t.Helper()
	until(k.t, "all connections, sessions and players to end", func() bool {
		m = k.ask("cpu")
		return m.Connections == 0 && m.Sessions == 0 && m.Players == 0
	})
	for end := time.Now().Add(patient); ; time.Sleep(100 * time.Millisecond) {
		m = k.ask("look")
		room := 256 << 10
		if before != nil {
			room += int(m.Accepted-before.Accepted) * 256
		}
		if before == nil || m.Goroutines <= before.Goroutines && m.Files <= before.Files && m.Heap <= before.Heap+room {
			return m
		}
		if time.Now().After(end) {
			k.t.Fatalf("it does not come to rest: it was %+v, and is %+v", *before, m)
		}
	}
}

// lets lets n more in, as players.
func (g *throng) lets(n int) {
	g.t.Helper()
	all := g.answers + n
	g.joins(n, logsIn)
	g.waits("logins", func() bool { return g.answers == all })
}

// chat has n clients, from the first on, each say something once a second.
func (g *throng) chat(first, n, seconds int) {
	g.t.Helper()
	before := g.k.ask("cpu")
	took := g.asks(g.order[first:first+n], n*seconds, time.Duration(seconds)*time.Second)
	used := g.k.ask("cpu").CPU - before.CPU
	g.t.Logf("%d clients said %d messages in %d s: p50 %v, p99 %v; CPU of the gate and its players %v a message", n,
		n*seconds, seconds, took[len(took)/2], took[len(took)*99/100], used/time.Duration(n*seconds))
}

// asks has clients ask something in turn, so often in all and spread over a time, and returns how long the answers
// took, the quickest first.
func (g *throng) asks(of []*buzzer, n int, within time.Duration) (took []time.Duration) {
	g.t.Helper()
	g.took = nil
	answers, began := g.answers, time.Now()
	for i := 0; i < n; {
		for burst := 0; burst < 16 && i < n && time.Since(began) >= within*time.Duration(i)/time.Duration(n); burst++ {
			c := of[i%len(of)]
			c.seq++
			c.since = time.Now()
			if err := g.say(c, aSay(c.seq, "it is a fine night, is it not")); err != nil {
				g.t.Fatal(err)
			}
			i++
		}
		if err := g.turn(1); err != nil {
			g.t.Fatal(err)
		}
	}
	g.waits("all answers", func() bool { return g.answers == answers+n })
	slices.Sort(g.took)
	return g.took
}

// Push of 100 B to 10,000 sessions: at most 60 ms until the last has it. The ceiling is the same
// frames to as many sockets by bare loops of writes.
func BenchmarkPushToAll(b *testing.B) {
	n, _ := sized(b, "FIREFLY_IDLE", 10_000)
	best := map[string]time.Duration{}
	for _, of := range []string{"bare", "gate"} {
		k := startKeep(b, of)
		g := newThrong(b, k)
		if of == "bare" {
			if err := g.join(k.tcp, n, func(*buzzer) []byte { return nil }); err != nil {
				b.Fatal(err)
			}
			g.waits("sockets", func() bool { return k.ask("look").Connections == int64(n) })
		} else {
			g.joins(n, greets)
		}
		var all []time.Duration
		cpu := k.ask("cpu").CPU
		const rounds = 15
		for range rounds {
			all = append(all, g.pushed(n))
		}
		cpu = k.ask("cpu").CPU - cpu
		slices.Sort(all)
		best[of] = all[0]
		b.Logf("%s: the last of %d has it after %v at best, %v at the median, %v at worst; CPU %v a push", of, n,
			all[0], all[rounds/2], all[rounds-1], cpu/rounds)
		g.leave()
	}
	ratio := float64(best["gate"]) / float64(best["bare"])
	b.ReportMetric(float64(best["gate"].Milliseconds()), "ms/push")
	b.ReportMetric(ratio, "x-bare-writes")
	b.ReportMetric(0, "ns/op")
}

// pushed has one pushed and returns when the last client had it.
func (g *throng) pushed(n int) time.Duration {
	g.t.Helper()
	g.pushes = 0
	g.k.tell("push")
	g.waits("the push", func() bool { return g.pushes == n })
	end := time.Now()
	return end.Sub(time.Unix(0, g.k.answer().Began))
}

// Connection storm: 5,000 logged in within 10 s.
func BenchmarkStorm(b *testing.B) {
	n, _ := sized(b, "FIREFLY_STORM", 5000)
	k := startKeep(b, "gate")
	g := newThrong(b, k)
	cpu, began := k.ask("cpu").CPU, time.Now()
	g.lets(n)
	took := time.Since(began)
	b.Logf("%d connected and logged in within %v; CPU of the gate %v", n, took, k.ask("cpu").CPU-cpu)
	b.ReportMetric(took.Seconds(), "s/storm")
	b.ReportMetric(0, "ns/op")
	if took > 10*time.Second {
		b.Errorf("it took %v, the budget is 10 s", took)
	}
}

// BenchmarkShares says whose memory an idle session is.
func BenchmarkShares(b *testing.B) {
	const n = 2000
	k := startKeep(b, "profiled")
	g := newThrong(b, k)
	g.joins(100, greets)
	before := k.ask("shares").Shares
	g.joins(n, greets)
	for whose, bytes := range k.ask("shares").Shares {
		b.ReportMetric(float64(bytes-before[whose])/n, fmt.Sprintf("B-of-%s", whose))
	}
	b.ReportMetric(0, "ns/op")
}
