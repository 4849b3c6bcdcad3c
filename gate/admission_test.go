package gate

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// admits is an admission of these limits; networks are trusted, but for those that begin with a !, which are strict.
func admits(l Limits, networks ...string) *admission {
	var trusted, strict []netip.Prefix
	for _, n := range networks {
		if n, ok := strings.CutPrefix(n, "!"); ok {
			strict = append(strict, netip.MustParsePrefix(n))
			continue
		}
		trusted = append(trusted, netip.MustParsePrefix(n))
	}
	return newAdmission(&Gate{Options: Options{Limits: l, Log: slog.New(slog.DiscardHandler)}}, trusted, strict)
}

func TestAnAddressMayOpenSoManyAtOnceAndSoManyASecond(t *testing.T) {
	t.Parallel()
	l := DefaultLimits()
	l.AddressOpen, l.AddressNew = 5, 3
	a := admits(l, "192.168.0.0/16", "!192.168.9.0/24", "!127.0.0.7/32")
	counted := a.counters
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
	a.release(one, fair, now)
	if got := try(one, 4); got != 1 {
		t.Errorf("%d after one has gone, want 1", got)
	}
	for _, exempt := range []string{"127.0.0.1", "127.9.9.9", "::1", "192.168.7.7"} {
		if got := try(netip.MustParseAddr(exempt), 50); got != 50 {
			t.Errorf("%d of 50 from %s, which is exempt", got, exempt)
		}
		for range 50 {
			a.release(netip.MustParseAddr(exempt), rude, now)
		}
	}
	for _, strict := range []string{"127.0.0.7", "192.168.9.1"} {
		if got := try(netip.MustParseAddr(strict), 4); got != 3 {
			t.Errorf("%d of 4 from %s, which is not exempt", got, strict)
		}
	}
	if n, fresh, open := counted.Shut.Load(), counted.ShutNew.Load(), counted.ShutOpen.Load(); n != 8 ||
		fresh != 3 || open != 5 {
		t.Errorf("%d were counted as shut out, %d for new ones a second, %d for open ones", n, fresh, open)
	}
}

func TestAllConnectionsAndHandshakesAreBoundedForEverybody(t *testing.T) {
	t.Parallel()
	l := DefaultLimits()
	l.Connections, l.Handshakes = 2, 10
	a := admits(l)
	counted := a.counters
	here, now := netip.MustParseAddr("127.0.0.1"), time.Now()
	first, second, third := a.admit(here, now), a.admit(here, now), a.admit(here, now)
	if !first || !second || third {
		t.Error("the bound of connections does not hold")
	}
	a.release(here, fair, now)
	counted.Handshakes.Store(10)
	if a.admit(here, now) {
		t.Error("the bound of handshakes does not hold")
	}
	counted.Handshakes.Store(9)
	if !a.admit(here, now) {
		t.Error("there was room")
	}
	if counted.ShutConnections.Load() != 1 || counted.ShutHandshakes.Load() != 1 {
		t.Error("it is not counted which bound was met")
	}
}

func TestAddressesThatHaveGoneAreForgotten(t *testing.T) {
	t.Parallel()
	a := admits(DefaultLimits())
	now := time.UnixMilli(1_700_000_000_000)
	for i := range 3 * sweepFirst {
		from := netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)})
		if !a.admit(from, now) {
			t.Fatalf("address %d was shut out", i)
		}
		a.release(from, fair, now)
		now = now.Add(time.Millisecond)
	}
	if n := len(a.addresses); n > sweepFirst {
		t.Errorf("%d addresses are remembered", n)
	}
}

// An attacker with a network of his own has more addresses than anybody can remember.
func TestTheTableOfAddressesIsBoundedWhateverTheyDid(t *testing.T) {
	t.Parallel()
	l := DefaultLimits()
	l.Connections, l.Offences = 2000, 1
	a := admits(l)
	now := time.UnixMilli(1_700_000_000_000)
	stays := netip.MustParseAddr("203.0.113.1")
	if !a.admit(stays, now) {
		t.Fatal("the first was shut out")
	}
	most := 0
	for i := range 10 * perConnection * l.Connections {
		from := netip.AddrFrom16([16]byte{0x20, 0x01, 4: byte(i >> 16), 5: byte(i >> 8), 6: byte(i), 15: 1})
		for a.admit(from, now) {
			a.release(from, rude, now)
		}
		most = max(most, len(a.addresses))
	}
	if want := perConnection * l.Connections; most != want {
		t.Errorf("%d addresses were remembered at once, the bound is %d", most, want)
	}
	if v := a.addresses[stays]; v == nil || v.open != 1 {
		t.Errorf("the one that has a connection open was forgotten")
	}
	if got := a.counters.Addresses.Load(); got < int64(perConnection*l.Connections/2) {
		t.Errorf("the metric says %d", got)
	}
}

func TestAnIPv6HostIsBoundedWithAllOfItsAddresses(t *testing.T) {
	t.Parallel()
	l := DefaultLimits()
	l.AddressOpen = 2
	a := admits(l)
	now := time.Now()
	for i, want := range []bool{true, true, false} {
		if got := a.admit(netip.AddrFrom16([16]byte{0x20, 0x01, 8: byte(i), 15: byte(i)}), now); got != want {
			t.Errorf("address %d of one /64: %v", i, got)
		}
	}
	if !a.admit(netip.AddrFrom16([16]byte{0x20, 0x01, 7: 1}), now) {
		t.Error("another /64 pays for it")
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
	l.Burst, l.Hello, l.FrameMax, l.ReplyMax, l.Dead, l.BanMax = 0, -1, 1<<24, 1<<20, time.Second, time.Second
	err := l.Validate()
	for _, want := range []string{"Burst is 0", "Hello is -1ns", "3 bytes", "never fit",
		"Dead (1s) must be longer", "BanMax (1s) must"} {
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
