package freeport

import (
	"net"
	"strconv"
	"testing"
)

func TestBlocksAreOnesOwnUntilTheyAreReleased(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	for range 5 {
		b, err := Take(Most)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Release()
		for port := b.First; port < b.First+Most; port++ {
			if seen[port] || port <= lowest || port >= highest {
				t.Errorf("port %d, twice or out of bounds", port)
			}
			seen[port] = true
		}
		if other := take(b.First-1, 1); other != nil {
			t.Errorf("a block that is taken was taken again")
		}
		b.Release()
		if other := take(b.First-1, 1); other == nil {
			t.Errorf("a block that was released could not be taken")
		} else {
			defer other.Release()
		}
	}
}

func TestABlockInWhichAStrangerListensIsPassedOver(t *testing.T) {
	t.Parallel()
	b, err := Take(2)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(b.First+1))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	b.Release()
	if other := take(b.First-1, 2); other != nil {
		t.Error("taken although somebody listens at its second port")
	}
	if other := take(b.First-1, 1); other == nil {
		t.Error("not taken although its first port is free")
	} else {
		other.Release()
	}
}

func TestTooManyPortsAreRefused(t *testing.T) {
	t.Parallel()
	for _, n := range []int{-1, 0, Most + 1} {
		if b, err := Take(n); err == nil {
			b.Release()
			t.Errorf("%d ports were found", n)
		}
	}
}
