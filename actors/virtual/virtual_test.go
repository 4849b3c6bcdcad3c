package virtual_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/virtual"
)

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestWhatIsDueRunsInOrderOfItsTimeAndThenOfItsSetting(t *testing.T) {
	t.Parallel()
	v := virtual.New(begin, nil)
	var heard []string
	set := func(name string, d time.Duration) func() bool {
		return v.AfterFunc(d, func() { heard = append(heard, fmt.Sprint(name, v.Now().Sub(begin))) })
	}
	set("b", 2*time.Second)
	set("c", 2*time.Second)
	set("a", time.Second)
	stop := set("never", time.Second)
	set("late", time.Minute)
	if !stop() || stop() {
		t.Error("an alarm is stopped once")
	}
	v.Advance(10 * time.Second)
	if want := []string{"a1s", "b2s", "c2s"}; !slices.Equal(heard, want) {
		t.Errorf("heard %v, want %v", heard, want)
	}
	if now := v.Now().Sub(begin); now != 10*time.Second {
		t.Errorf("it is %v", now)
	}
}

func order(seed uint64) string {
	v := virtual.New(begin, rand.New(rand.NewPCG(seed, 0)))
	var b strings.Builder
	for i := range 10 {
		v.Run(func() { fmt.Fprint(&b, i) })
	}
	v.Settle()
	return b.String()
}

func TestASeedDecidesWhatIsFreeAndNothingElseDoes(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for seed := range uint64(20) {
		once, twice := order(seed), order(seed)
		if once != twice {
			t.Fatalf("seed %d has two orders", seed)
		}
		seen[once] = true
	}
	if len(seen) < 15 {
		t.Errorf("20 seeds have %d orders", len(seen))
	}
	v := virtual.New(begin, nil)
	first := true
	v.Run(func() { first = false })
	v.Run(func() {
		if first {
			t.Error("without a seed, what came second ran first")
		}
	})
	v.Settle()
}

func TestWhoSleepsLetsOthersGoOn(t *testing.T) {
	t.Parallel()
	v := virtual.New(begin, nil)
	var heard []string
	say := func(what string) { heard = append(heard, fmt.Sprint(what, v.Now().Sub(begin))) }
	v.Offload(func() {
		say("falls asleep")
		if !v.Sleep(2 * time.Second) {
			t.Error("time has not ended")
		}
		say("wakes")
	})
	v.AfterFunc(time.Second, func() { say("meanwhile") })
	v.Advance(3 * time.Second)
	if want := []string{"falls asleep0s", "meanwhile1s", "wakes2s"}; !slices.Equal(heard, want) {
		t.Errorf("heard %v, want %v", heard, want)
	}
}

func TestTheEndOfTimeWakesWhoSleepsAndRunsNothingElse(t *testing.T) {
	t.Parallel()
	v := virtual.New(begin, nil)
	told := false
	v.Offload(func() { told = !v.Sleep(time.Hour) })
	v.Settle()
	v.AfterFunc(time.Second, func() { t.Error("an alarm went off after the end") })
	v.Run(func() { t.Error("something ran after the end") })
	v.Close()
	v.Run(func() { t.Error("something ran after the end") })
	v.AfterFunc(0, func() { t.Error("an alarm went off after the end") })
	v.Advance(time.Minute)
	if !told {
		t.Error("who slept was not told that time has ended")
	}
}

func TestWhatGoesRoundForEverIsFound(t *testing.T) {
	t.Parallel()
	v := virtual.New(begin, nil)
	over := false
	v.Stuck = func(steps int, last bool) { over = last && steps == 200_000 }
	var again func()
	again = func() {
		if !over {
			v.AfterFunc(0, again)
		}
	}
	again()
	v.Advance(time.Second)
	if !over {
		t.Error("it was not found")
	}
}
