package client

import (
	"bufio"
	"net"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// mute makes a client whose gate has a heartbeat of 20 ms, and the gate's end.
func mute(t *testing.T) (*pulse, *Pipe) {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	if err := far.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	p := &Pipe{conn: near, in: bufio.NewReader(near)}
	c := &Client{o: Options{Policy: Resume}, pipe: p, out: ledger{keep: true}, welcome: wire.Welcome{Heartbeat: 1}}
	u := feel(c, p)
	t.Cleanup(u.stop)
	return u, &Pipe{conn: far, in: bufio.NewReader(far)}
}

func TestASilentGateIsAskedAndThenGivenUp(t *testing.T) {
	t.Parallel()
	u, gate := mute(t)
	u.soon(0)
	u.mu.Lock()
	u.every = 20 * time.Millisecond
	u.mu.Unlock()
	for range deadBeats - 1 { // the first beat finds that something was heard
		if h, _, err := gate.Read(); err != nil || h.Number != wire.NumberPing {
			t.Fatalf("it was asked by %+v, %v", h, err)
		}
	}
	if _, _, err := gate.Read(); err == nil {
		t.Error("the connection is still there")
	}
	if _, _, err := (&Pipe{conn: u.pipe.conn, in: u.pipe.in}).Read(); err == nil {
		t.Error("the client's end is still there")
	}
}

func TestWhatIsNotAcknowledgedIsAskedForEvenIfTheGateIsHeard(t *testing.T) {
	t.Parallel()
	u, gate := mute(t)
	u.client.out.add([]byte("frame"), 10)
	u.client.out.next()
	u.soon(0)
	if h, _, err := gate.Read(); err != nil || h.Number != wire.NumberPing {
		t.Fatalf("it was asked by %+v, %v", h, err)
	}
}

func TestTheLastBeatIsTheLast(t *testing.T) {
	t.Parallel()
	u, gate := mute(t)
	u.stop()
	u.beat()
	u.soon(0)
	if err := gate.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if h, _, err := gate.Read(); err == nil {
		t.Errorf("it was asked by %+v", h)
	}
}
