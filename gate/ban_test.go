package gate

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

func TestAnAddressWhoseConnectionsComeToNothingIsShutOutForAWhile(t *testing.T) {
	t.Parallel()
	l := DefaultLimits()
	l.Offences, l.Ban, l.BanMax = 3, time.Second, 4*time.Second
	a := admits(l)
	var log bytes.Buffer
	a.log = slog.New(slog.NewTextHandler(&log, nil))
	one, two := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.2")
	now := time.UnixMilli(1_700_000_000_000)
	// flap opens and loses until it is shut out, and returns how often that went well.
	flap := func() (times int) {
		for a.admit(one, now) {
			a.release(one, rude, now)
			times++
		}
		return times
	}
	for round, length := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 4 * time.Second} {
		if got := flap(); got != 4 {
			t.Errorf("round %d: shut out after %d, want three, and the one too many", round, got)
		}
		if a.admit(one, now.Add(length-1)) {
			t.Errorf("round %d: let in again before %v were over", round, length)
		}
		now = now.Add(length)
		if !a.admit(two, now) {
			t.Error("another address pays for it")
		}
		a.release(two, fair, now)
	}
	now = now.Add(l.BanMax + time.Minute)
	flap()
	if a.admit(one, now.Add(time.Second-1)) || !a.admit(one, now.Add(time.Second)) {
		t.Error("after a time without offences it does not begin at the first length again")
	}
	if n := a.counters.Bans.Load(); n != 5 {
		t.Errorf("%d bans were counted", n)
	}
	if n := a.counters.ShutBanned.Load(); n != 10 {
		t.Errorf("%d connections were counted as banned, want each attempt but the one after the last", n)
	}
	if n := strings.Count(log.String(), "address=203.0.113.1"); n != 5 {
		t.Errorf("five bans were logged %d times:\n%s", n, log.String())
	}
}

func TestWhatIsOpenWhenABanBeginsStaysAndIsNotBlamed(t *testing.T) {
	t.Parallel()
	l := DefaultLimits()
	l.Offences = 1
	a := admits(l)
	from, now := netip.MustParseAddr("203.0.113.1"), time.Now()
	for range 20 {
		if !a.admit(from, now) {
			t.Fatal("shut out before anything happened")
		}
	}
	for range 20 {
		a.release(from, rude, now)
	}
	if n := a.counters.Bans.Load(); n != 1 {
		t.Errorf("%d bans for one burst", n)
	}
	if !a.admit(from, now.Add(l.Ban)) {
		t.Error("the rest of the burst made the ban longer")
	}
}

// Two thousand players behind one address of a mobile carrier: their connections break and come
// again, one in three does not even get to Hello, and half of the players only look at the title.
func TestAnHonestNetworkWithBadRadioIsNotBanned(t *testing.T) {
	t.Parallel()
	a := admits(DefaultLimits())
	from, now := netip.MustParseAddr("203.0.113.1"), time.UnixMilli(1_700_000_000_000)
	kinds := []conduct{
		conductOf(nil, false, false, time.Second), // lost before Hello
		conductOf(nil, true, true, time.Second),   // lost soon, but logged in
		conductOf(nil, true, false, time.Minute),  // looked at the title
	}
	for i := range 60_000 { // ten minutes of a hundred a second
		if !a.admit(from, now) {
			t.Fatalf("connection %d was shut out: %d bans", i, a.counters.Bans.Load())
		}
		a.release(from, kinds[i%len(kinds)], now)
		now = now.Add(10 * time.Millisecond)
	}
}

func TestAConnectionIsJudgedByItsEnd(t *testing.T) {
	t.Parallel()
	said := func(n wire.CloseNumber) *wire.Close { return &wire.Close{Number: n} }
	for name, c := range map[string]struct {
		last               *wire.Close
		welcomed, loggedIn bool
		lasted             time.Duration
		want               conduct
	}{
		"gone before Hello":             {nil, false, false, time.Hour, rude},
		"gone at once after it":         {nil, true, false, settled - 1, rude},
		"stayed without a login":        {nil, true, false, settled, honest},
		"logged in and gone":            {nil, true, true, 0, honest},
		"no Hello in time":              {said(wire.CloseHelloTimeout), false, false, settled, rude},
		"a bad frame at last":           {said(wire.CloseBadFrame), true, true, time.Hour, rude},
		"too much at last":              {said(wire.CloseRateLimited), true, true, time.Hour, rude},
		"a false ticket":                {said(wire.CloseUnauthenticated), false, false, 0, rude},
		"an old version":                {said(wire.CloseVersion), false, false, 0, fair},
		"we restart":                    {said(wire.CloseRestarting), false, false, 0, fair},
		"too slow, but logged in":       {said(wire.CloseSlowClient), true, true, time.Second, honest},
		"logged in elsewhere, too":      {said(wire.CloseTakenOver), true, true, time.Second, honest},
		"kicked before it ever settled": {said(wire.CloseKicked), true, false, time.Second, rude},
	} {
		if got := conductOf(c.last, c.welcomed, c.loggedIn, c.lasted); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func (c conduct) String() string { return [...]string{"fair", "honest", "rude"}[c] }
