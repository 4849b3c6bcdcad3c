package client

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

func TestTheWindowHoldsSoManyFramesOrBytesButAlwaysOne(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]int{1: windowFrames, windowBytes / 4: 4, windowBytes: 1, windowBytes + 1: 1} {
		l, n := ledger{keep: true}, 0
		for {
			if _, ok := l.add(make([]byte, size), 300); !ok {
				break
			}
		}
		if l.bytes > backlogBytes {
			t.Errorf("frames of %d bytes: %d bytes wait", size, l.bytes)
		}
		for l.next() != nil {
			n++
		}
		if n != want {
			t.Errorf("%d frames of %d bytes are under way, %d may be", n, size, want)
		}
		if err := l.ack(1); err != nil || len(l.frames) > 1 && l.next() == nil {
			t.Errorf("frames of %d bytes: an acknowledgement lets none go: %v", size, err)
		}
	}
}

func TestAPingIsDueAfterSoManyFramesOrBytes(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]int{10: pingFrames, pingBytes / 2: 2, pingBytes: 1} {
		l := ledger{keep: true}
		for i := 1; i <= 2*want; i++ {
			l.add(make([]byte, size), 1000)
			l.next()
			if due := l.pingDue(); due != (i%want == 0) {
				t.Errorf("frame %d of %d bytes: a Ping is due: %v", i, size, due)
			}
		}
	}
}

func TestAResumeCarriesAgainWhatTheGateDoesNotHave(t *testing.T) {
	t.Parallel()
	l := ledger{keep: true}
	for i := range 5 {
		if index, ok := l.add([]byte{byte(i)}, 10); !ok || index != uint64(i) {
			t.Errorf("frame %d has the index %d", i, index)
		}
	}
	for range 4 {
		l.next()
	}
	if err := l.resume(2); err != nil {
		t.Fatal(err)
	}
	var again []byte
	for f := l.next(); f != nil; f = l.next() {
		again = append(again, f...)
	}
	if !slices.Equal(again, []byte{2, 3, 4}) || l.first != 2 || l.carried != 5 || l.bytes != 3 || l.sentBytes != 3 {
		t.Errorf("carried again: %v, %+v", again, l)
	}
	if err := l.ack(1); err != nil || l.first != 2 {
		t.Errorf("old news: %v", err)
	}
	for _, err := range []error{l.ack(6), l.resume(1), l.resume(6)} {
		if !errors.Is(err, errNonsense) {
			t.Errorf("nonsense was taken: %v", err)
		}
	}
}

func TestWaitsDoubleUpToABoundAndAreSpread(t *testing.T) {
	t.Parallel()
	for advice, want := range map[wire.Return][2][]time.Duration{
		wire.ReturnNow:   {{0, 0, 0, 0}, {100, 200, 400, 800}},
		wire.ReturnLater: {{500, 1000, 2000, 4000}, {1000, 2000, 4000, 8000}},
	} {
		for luck := range 2 {
			b := backoff{luck: func() float64 { return float64(luck) }}
			for i, ms := range want[luck] {
				if is := b.next(advice); is != ms*time.Millisecond {
					t.Errorf("advice %d, luck %d: wait %d is %v", advice, luck, i, is)
				}
			}
			for range 100 {
				if is := b.next(advice); is > mostWait {
					t.Errorf("a wait of %v", is)
				}
			}
			b.useful()
			if is := b.next(advice); is != want[luck][0]*time.Millisecond {
				t.Errorf("after a connection that was of use: %v", is)
			}
		}
	}
}
