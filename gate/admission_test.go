package gate

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestAnAddressMayOpenSoManyAtOnceAndSoManyASecond(t *testing.T) {
	t.Parallel()
	l := DefaultLimits()
	l.AddressOpen, l.AddressNew = 5, 3
	var counted Counters
	a := newAdmission(&l, &counted, []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16")})
	now := time.UnixMilli(1_700_000_000_000)
	one, two := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.2")
	try := func(from netip.Addr, n int) (taken int) {
		for range n {
			if a.admit(from, now) {
				taken++
			}
		}
		return taken
	}
	if got := try(one, 4); got != 3 {
		t.Errorf("%d of 4 in one moment, want 3 new ones a second", got)
	}
	if got := try(two, 1); got != 1 {
		t.Error("another address pays for it")
	}
	now = now.Add(time.Second)
	if got := try(one, 4); got != 2 {
		t.Errorf("%d more, want 2: five may be open", got)
	}
	now = now.Add(time.Second)
	a.release(one)
	if got := try(one, 4); got != 1 {
		t.Errorf("%d after one has gone, want 1", got)
	}
	for _, exempt := range []string{"127.0.0.1", "127.9.9.9", "::1", "192.168.7.7"} {
		if got := try(netip.MustParseAddr(exempt), 50); got != 50 {
			t.Errorf("%d of 50 from %s, which is exempt", got, exempt)
		}
		for range 50 {
			a.release(netip.MustParseAddr(exempt))
		}
	}
	if n := counted.Shut.Load(); n != 6 {
		t.Errorf("%d were counted as shut out, want 6", n)
	}
}

func TestAllConnectionsAndHandshakesAreBoundedForEverybody(t *testing.T) {
	t.Parallel()
	l := DefaultLimits()
	l.Connections, l.Handshakes = 2, 10
	var counted Counters
	a := newAdmission(&l, &counted, nil)
	here, now := netip.MustParseAddr("127.0.0.1"), time.Now()
	first, second, third := a.admit(here, now), a.admit(here, now), a.admit(here, now)
	if !first || !second || third {
		t.Error("the bound of connections does not hold")
	}
	a.release(here)
	counted.Handshakes.Store(10)
	if a.admit(here, now) {
		t.Error("the bound of handshakes does not hold")
	}
	counted.Handshakes.Store(9)
	if !a.admit(here, now) {
		t.Error("there was room")
	}
}

func TestAddressesThatHaveGoneAreForgotten(t *testing.T) {
	t.Parallel()
	l := DefaultLimits()
	a := newAdmission(&l, new(Counters), nil)
	now := time.UnixMilli(1_700_000_000_000)
	var ip [4]byte
	for i := range 3 * sweepAt {
		ip = [4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}
		from := netip.AddrFrom4(ip)
		if !a.admit(from, now) {
			t.Fatalf("address %d was shut out", i)
		}
		a.release(from)
		now = now.Add(time.Millisecond)
	}
	if n := len(a.addresses); n > sweepAt {
		t.Errorf("%d addresses are remembered", n)
	}
}

func TestABucketFillsWithTimeAndSaysHowLong(t *testing.T) {
	t.Parallel()
	var b bucket
	now := time.UnixMilli(1_700_000_000_000)
	for i := range 5 {
		if _, ok := b.take(now, 10, 5); !ok {
			t.Fatalf("token %d of the burst was missing", i)
		}
	}
	wait, ok := b.take(now, 10, 5)
	if ok || wait != 100*time.Millisecond {
		t.Errorf("an empty bucket: %v, %v", wait, ok)
	}
	if _, ok := b.take(now.Add(wait), 10, 5); !ok {
		t.Error("it was not there when it was said to be")
	}
	if _, ok := b.take(now.Add(-time.Hour), 10, 5); ok {
		t.Error("a clock that ran back filled the bucket")
	}
	now = now.Add(time.Hour)
	for range 5 {
		b.take(now, 10, 5)
	}
	if _, ok := b.take(now, 10, 5); ok {
		t.Error("it holds more than its burst")
	}
}

func TestLimitsThatCannotWorkAreReportedAllAtOnce(t *testing.T) {
	t.Parallel()
	if err := DefaultLimits().Validate(); err != nil {
		t.Fatal(err)
	}
	l := DefaultLimits()
	l.Burst, l.Hello, l.FrameMax, l.ReplyMax, l.Dead = 0, -1, 1<<24, 1<<20, time.Second
	err := l.Validate()
	for _, want := range []string{"Burst is 0", "Hello is -1ns", "3 bytes", "never fit",
		"Dead (1s) must be longer"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the report lacks %q: %v", want, err)
		}
	}
	if _, err := New(Options{Node: "g", Limits: l}); err == nil {
		t.Error("a gate was made of them")
	}
	if _, err := New(Options{Node: strings.Repeat("n", 250), Limits: DefaultLimits()}); err == nil {
		t.Error("a gate was made whose sessions cannot be named")
	}
}
