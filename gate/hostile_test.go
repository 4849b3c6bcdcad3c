package gate_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
)

// strictly are limits that come soon, so that a test need not wait for them.
func strictly(o *gate.Options) {
	l := gate.DefaultLimits()
	l.Hello, l.RateGrace, l.Linger = 2*time.Second, 200*time.Millisecond, 200*time.Millisecond
	l.Heartbeat, l.Dead = time.Second, 4*time.Second
	l.ResumeFor = briefly
	l.Refusals = 100 // which find room in the queue, so that a flood is not ended as a slow client's by chance
	o.Limits = l
}

// briefly is how long the sessions of rogues wait for them.
const briefly = 300 * time.Millisecond

// ended reports how often the gate counted an end of this kind.
func ended(g *gate.Gate, how string) uint64 {
	switch how {
	case "malformed":
		return g.Counters.Malformed.Load()
	case "unsecured":
		return g.Counters.Unsecured.Load()
	}
	return g.Counters.Closes()[actors.Code(how)]
}

// Each rogue alone: the gate ends it, for the right reason and without its help, and another client is
// served all the while. Most of the time is waiting, so all wait at once.
func TestARogueCostsItsOwnConnectionAndNothingElse(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	for _, r := range rogues() {
		all.Go(func() { t.Run(r.name, func(t *testing.T) { endures(t, r) }) })
	}
	all.Wait()
}

func endures(t *testing.T, r rogue) {
	h := newHouse(t, strictly)
	fine := h.login(h.at(gate.TCP), "fine")
	c, err := dialFrom("127.0.0.1", h.server.Address(r.over))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var done sync.WaitGroup
	done.Go(func() { r.does(c) })
	until(t, "its end, counted as "+r.ends, func() bool {
		if a, err := h.call(fine, &say{"still here"}); err != nil || a.(*said).Text != "still here" {
			t.Fatalf("another client: %v, %v", a, err)
		}
		time.Sleep(50 * time.Millisecond) // within its rate
		return ended(h.gate, r.ends) == 1
	})
	until(t, "its connection to be given up", func() bool { return h.gate.Counters.Connections.Load() == 1 })
	done.Wait()
	until(t, "its session to be given up", func() bool {
		got := h.gate.Sessions(5)
		return len(got) == 1 && got[0].Who == player.Ref("fine")
	})
}

// A reset may come behind any byte, and leaves nothing behind.
func TestAResetAtAnyByteLeavesNothing(t *testing.T) {
	t.Parallel()
	all := slices.Concat(helloFrame, aLogin, aSay(2, "one"), aSay(3, "two"))
	wrapped := slices.Concat([]byte(upgrade+"\r\n"), masked(ws.OpBinary, true, helloFrame),
		masked(ws.OpBinary, true, aLogin), masked(ws.OpBinary, false, aSay(2, "one")[:7]),
		masked(ws.OpContinuation, true, aSay(2, "one")[7:]))
	for transport, said := range map[gate.Scheme][]byte{gate.TCP: all, gate.WS: wrapped} {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, func(o *gate.Options) { o.Limits.ResumeFor = briefly })
			at := h.server.Address(transport)
			for n := range len(said) + 1 {
				c, err := dialFrom("127.0.0.1", at)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := c.Write(said[:n]); err != nil {
					t.Fatal(err)
				}
				if n%2 == 0 { // at another moment of the gate's
					time.Sleep(200 * time.Microsecond)
				}
				resets(c)
			}
			until(t, "all to be taken", func() bool {
				return h.gate.Counters.Accepted.Load() == uint64(len(said)+1)
			})
			until(t, "all to be forgotten", func() bool {
				c := &h.gate.Counters
				return c.Connections.Load() == 0 && c.Handshakes.Load() == 0 && c.Sessions.Load() == 0
			})
			h.login(h.at(transport), "next")
		})
	}
}

// A watched is a backend of which it is known what comes to it.
type watched struct {
	gate.Backend
	comes func(*actors.Envelope)
}

func (w watched) Route(e *actors.Envelope) { w.comes(e); w.Backend.Route(e) }

// A flood waits in its socket while others have their turn: only a few gulps of 4 KiB of it are heard first.
func TestAFloodWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	held, release := make(chan struct{}), make(chan struct{})
	flood := wire.AppendFrame(nil, 0, 110, 0, []byte(`{"text":"x"}`))
	var mu sync.Mutex
	heard, before := 0, map[string]int{} // frames of the flood, and how many of them before another's
	h := newHouse(t, func(o *gate.Options) {
		o.Backend = watched{o.Backend, func(e *actors.Envelope) {
			if e.Number != 110 {
				return
			}
			text := string(e.Body)
			if strings.Contains(text, "hold") {
				close(held)
				<-release
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if strings.Contains(text, `"x"`) {
				heard++
			} else {
				before[text] = heard
			}
		}}
	})
	var clients []net.Conn // there are two loops: one of the last two shares the first one's
	for _, name := range []string{"flood", "one", "other"} {
		c, err := dialFrom("127.0.0.1", h.server.Address(gate.TCP))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		says(helloFrame, wire.AppendFrame(nil, 0, 101, 1, []byte(`{"name":"`+name+`"}`)))(c)
		clients = append(clients, c)
	}
	until(t, "all to be logged in", func() bool {
		return len(h.gate.Sessions(5)) == 3 && !slices.ContainsFunc(h.gate.Sessions(5),
			func(r gate.SessionReport) bool { return r.Who.IsZero() })
	})
	says(aSay(2, "hold"))(clients[0])
	<-held
	says(bytes.Repeat(flood, 60_000/len(flood)))(clients[0])
	says(aSay(2, "one"))(clients[1])
	says(aSay(2, "other"))(clients[2])
	others := func() int { mu.Lock(); defer mu.Unlock(); return len(before) }
	until(t, "the one on the other loop to be heard", func() bool { return others() == 1 })
	close(release)
	until(t, "the one on this loop to be heard", func() bool { return others() == 2 })
	for who, n := range before {
		if n*len(flood) > 16<<10 {
			t.Errorf("%s was heard after %d bytes of the flood", who, n*len(flood))
		}
	}
}

// Slow is not hostile: who sends whole frames within their time is served, even byte by byte.
func TestAClientThatSendsOneByteAtATimeIsServed(t *testing.T) {
	t.Parallel()
	for transport, said := range map[gate.Scheme][]byte{
		gate.TCP: slices.Concat(helloFrame, aLogin, aSay(2, "slowly")),
		gate.WS: slices.Concat([]byte(upgrade+"\r\n"), masked(ws.OpBinary, true, helloFrame),
			masked(ws.OpBinary, true, aLogin), masked(ws.OpBinary, true, aSay(2, "slowly"))),
	} {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, nil)
			c, err := dialFrom("127.0.0.1", h.server.Address(transport))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for i := range said {
				if _, err := c.Write(said[i : i+1]); err != nil {
					t.Fatal(err)
				}
			}
			var heard []byte
			for b := make([]byte, 4096); !bytes.Contains(heard, []byte(`"text":"slowly"`)); {
				n, err := c.Read(b)
				if err != nil {
					t.Fatalf("after %q: %v", heard, err)
				}
				heard = append(heard, b[:n]...)
			}
		})
	}
}

// guarded is a house whose bounds per address hold for 127.0.0.7, too.
func guarded(t *testing.T, change func(*gate.Limits)) *house {
	return newHouse(t, func(o *gate.Options) { strictly(o); change(&o.Limits) }, func(s *gate.Sockets) {
		s.Strict = []netip.Prefix{netip.MustParsePrefix("127.0.0.7/32")}
	})
}

// isShut connects from an address and reports whether the gate closes at once.
func isShut(t *testing.T, h *house, source string) bool {
	t.Helper()
	c, err := dialFrom(source, h.server.Address(gate.TCP))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write(helloFrame)
	n, err := c.Read(make([]byte, 1))
	if n == 0 && err == nil {
		err = io.ErrNoProgress
	}
	return err != nil
}

func TestAnAddressIsHeldToItsBoundsThroughSockets(t *testing.T) {
	t.Parallel()
	h := guarded(t, func(l *gate.Limits) { l.AddressOpen, l.AddressNew = 3, 1000 })
	for range 3 {
		c, err := dialFrom("127.0.0.7", h.server.Address(gate.TCP))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	until(t, "three to be taken", func() bool { return h.gate.Counters.Accepted.Load() == 3 })
	if !isShut(t, h, "127.0.0.7") {
		t.Error("a fourth was let in")
	}
	if isShut(t, h, "127.0.0.8") || isShut(t, h, "127.0.0.1") {
		t.Error("other addresses pay for it")
	}
	if n := h.gate.Counters.ShutOpen.Load(); n != 1 {
		t.Errorf("%d were counted", n)
	}
}

// Whatever a stranger does over and over, its address is shut out, and that of the others is not. Of
// those whose browser was sent by a page elsewhere nobody knows whether they know of it.
func TestAnAddressThatKeepsAtItIsShutOut(t *testing.T) {
	t.Parallel()
	for _, r := range rogues() {
		switch r.name {
		case "says nothing", "says Hello a byte at a time", "announces a body of 16 MiB", "closes its half at once",
			"floods with pings", "resets a WebSocket", "sends ten thousand headers", "masks nothing",
			"comes from a page elsewhere", "begins no TLS", "speaks no TLS":
		default:
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			h := guarded(t, func(l *gate.Limits) { l.Offences, l.Ban, l.BanMax = 5, time.Hour, time.Hour })
			fine := h.login(h.at(gate.TCP), "fine")
			at := h.server.Address(r.over)
			var all sync.WaitGroup
			for range 6 {
				c, err := dialFrom("127.0.0.7", at)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				all.Go(func() { r.does(c) })
			}
			until(t, "the last of them to be ended", func() bool {
				return h.gate.Counters.Accepted.Load() == 7 && h.gate.Counters.Connections.Load() == 1
			})
			all.Wait()
			if want := r.name != "comes from a page elsewhere"; isShut(t, h, "127.0.0.7") != want {
				t.Errorf("shut out: %v; %d bans", !want, h.gate.Counters.Bans.Load())
			}
			if isShut(t, h, "127.0.0.8") {
				t.Error("another address pays for it")
			}
			if _, err := h.call(fine, &say{"still here"}); err != nil {
				t.Error(err)
			}
		})
	}
}

// Players come and go: who logs in is never blamed, however often the connection breaks.
func TestPlayersWhoseConnectionsBreakAreNotShutOut(t *testing.T) {
	t.Parallel()
	h := guarded(t, func(l *gate.Limits) { l.Offences = 3 })
	for i := range 20 {
		c, err := dialFrom("127.0.0.7", h.server.Address(gate.TCP))
		if err != nil {
			t.Fatal(err)
		}
		after(func(net.Conn) {})(c)
		if i%4 == 3 { // now and then one breaks before it gets so far
			if c, err := dialFrom("127.0.0.7", h.server.Address(gate.TCP)); err == nil {
				resets(c)
			}
		}
		resets(c)
		until(t, fmt.Sprint("connection ", i, " to end"), func() bool {
			return h.gate.Counters.Connections.Load() == 0 && h.gate.Counters.Accepted.Load() >= uint64(i+1)
		})
	}
	if n := h.gate.Counters.Bans.Load(); n != 0 || isShut(t, h, "127.0.0.7") {
		t.Errorf("shut out, with %d bans", n)
	}
}
