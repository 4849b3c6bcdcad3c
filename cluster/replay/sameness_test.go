package replay_test

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"
	"weak"

	"github.com/fireflyrt/firefly/cluster/replay"
)

// TestMain lets random tests live as many lives as others have seeds, if the command line does not say how many.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", strconv.FormatUint(seeds(25), 10)); err != nil {
		panic(err)
	}
	m.Run()
}

// seeds are as many as a test asks for, or as FIREFLY_SEEDS says: make chaos.
func seeds(n uint64) uint64 {
	if asked, err := strconv.ParseUint(os.Getenv("FIREFLY_SEEDS"), 10, 64); err == nil {
		return max(n, asked)
	}
	return n
}

// each does a test for as many seeds, one after the other, up to the first that fails. Each is a test of its own: a
// World lasts as long as its test, with all that it has heard, and those of a thousand seeds would fill the memory.
// Those that have failed once come too.
func each(t *testing.T, n uint64, does func(t *testing.T, seed uint64), failed ...uint64) {
	t.Helper()
	for seed := range seeds(n) {
		failed = append(failed, seed)
	}
	slices.Sort(failed)
	for _, seed := range slices.Compact(failed) {
		if !t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { does(t, seed) }) {
			return
		}
	}
}

func TestAWorldIsForgottenWhenItsTestIsOver(t *testing.T) {
	t.Parallel()
	var worlds []weak.Pointer[replay.World]
	each(t, 3, func(t *testing.T, seed uint64) {
		d := newDay(t, seed, nil)
		d.hour(20, (*day).any)
		worlds = append(worlds, weak.Make(d.w))
	})
	for i, w := range worlds {
		for end := time.Now().Add(time.Minute); w.Value() != nil; runtime.GC() {
			if time.Now().After(end) {
				t.Fatalf("the World of seed %d is still there a minute after its test", i)
			}
		}
	}
}

// seen is a hash of all that can be seen of a day, which is over when it returns.
func seen(t *testing.T, seed uint64, steps int) (all [sha256.Size]byte) {
	t.Helper()
	t.Run("day", func(t *testing.T) {
		h := sha256.New()
		d := newDay(t, seed, h)
		d.hour(steps, (*day).any)
		d.w.Heal()
		d.w.Advance(time.Second)
		all = [sha256.Size]byte(h.Sum(nil))
	})
	return all
}

func TestTheSameSeedGivesTheSameBytesAThousandTimes(t *testing.T) {
	t.Parallel()
	steps := 12
	if seeds(0) > 0 {
		steps = 30
	}
	first := seen(t, 1, steps)
	for i := range 1000 {
		if again := seen(t, 1, steps); again != first {
			t.Fatalf("the run after %d others was another", i+1)
		}
	}
}

func TestALongDayIsTheSameDayEachTimeAndAnotherWithAnotherSeed(t *testing.T) {
	t.Parallel()
	days := map[[sha256.Size]byte]uint64{}
	for seed := range seeds(6) {
		first := seen(t, seed, 200)
		for range 2 {
			if seen(t, seed, 200) != first {
				t.Fatalf("seed %d has two days", seed)
			}
		}
		if other, known := days[first]; known {
			t.Fatalf("seeds %d and %d have one day", seed, other)
		}
		days[first] = seed
	}
}
