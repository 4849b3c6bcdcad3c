package gate_test

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
)

// What stands in front of each frame of the published games, and what a listener must be told for it.
const publishedPrefix = "4e252630" + "09" + "00000000"

var published = gate.Original{Codec: wire.JSON,
	Original: wire.Original{Magic: [4]byte{78, 37, 38, 48}, Version: 9}}

// telling is a listener that tells its clients of errors.
func telling(o gate.Original) gate.Original {
	o.Errors = 999
	return o
}

// serves opens a listener for clients of the original's before the house's gate.
func (h *house) serves(o gate.Original) string {
	h.t.Helper()
	v, err := gate.Serve(h.gate, gate.Sockets{
		Listeners: []gate.Listener{{Scheme: gate.Firefly1, Address: anyPort, Original: &o}}})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patient)
		defer cancel()
		if err := v.Stop(ctx); err != nil {
			h.t.Errorf("stopping: %v", err)
		}
	})
	return v.Address(gate.Firefly1)
}

// An elder is a client of the original's. It is written from the bytes alone.
type elder struct {
	net.Conn
	t      *testing.T
	prefix string // in front of its frames, in hex
}

func (h *house) elder(at, prefix string) *elder {
	h.t.Helper()
	c, err := net.DialTimeout("tcp", at, patient)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	h.within(c)
	return &elder{c, h.t, prefix}
}

func (e *elder) bytes(hexes string) []byte {
	e.t.Helper()
	b, err := hex.DecodeString(hexes)
	if err != nil {
		e.t.Fatal(err)
	}
	return b
}

func (e *elder) frame(command uint32, body string) []byte {
	e.t.Helper()
	b := binary.BigEndian.AppendUint32(e.bytes(e.prefix), uint32(len(body)+4))
	return append(binary.BigEndian.AppendUint32(b, command), body...)
}

func (e *elder) writes(b []byte) {
	e.t.Helper()
	if _, err := e.Write(b); err != nil {
		e.t.Fatal(err)
	}
}

func (e *elder) says(command uint32, body string) {
	e.t.Helper()
	e.writes(e.frame(command, body))
}

// hears fails unless these bytes are the next that come.
func (e *elder) hears(want []byte) {
	e.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(e, got); err != nil || string(got) != string(want) {
		e.t.Fatalf("got  % x %q (%v)\nwant % x %q", got[:n], got[:n], err, want, want)
	}
}

// next reads a frame.
func (e *elder) next() (command uint32, body []byte) {
	e.t.Helper()
	e.hears(e.bytes(e.prefix))
	rest := make([]byte, 8)
	if _, err := io.ReadFull(e, rest); err != nil {
		e.t.Fatal(err)
	}
	body = make([]byte, binary.BigEndian.Uint32(rest)-4)
	if _, err := io.ReadFull(e, body); err != nil {
		e.t.Fatal(err)
	}
	return binary.BigEndian.Uint32(rest[4:]), body
}

// isTold fails unless the next frame is an error of this code, about this command.
func (e *elder) isTold(code actors.Code, about uint32) {
	e.t.Helper()
	command, body := e.next()
	var m struct {
		Code    actors.Code
		Command uint32
	}
	if err := json.Unmarshal(body, &m); err != nil || command != 999 || m.Code != code || m.Command != about {
		e.t.Errorf("told under %d: %s (%v); want %s about %d", command, body, err, code, about)
	}
}

// isHungUpOn reads to the end of the connection.
func (e *elder) isHungUpOn() []byte {
	e.t.Helper()
	rest, err := io.ReadAll(e)
	if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		e.t.Error("the connection was not closed")
	}
	if errors.Is(err, syscall.ECONNRESET) {
		e.t.Error("the connection was reset: last words may get lost")
	}
	return rest
}

// enters logs in as player/name; the reply is empty, and comes nevertheless.
func (e *elder) enters(name string) {
	e.t.Helper()
	e.says(101, `{"name":"`+name+`"}`)
	e.hears(e.frame(101, ""))
}

// speaks shows that the connection serves, and that nothing else was said before.
func (e *elder) speaks(text string) {
	e.t.Helper()
	e.says(110, `{"text":"`+text+`"}`)
	e.hears(e.frame(110, `{"text":"`+text+`"}`))
}

func TestClientsOfTheOriginalConnectUnchangedToTheByte(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	e := h.elder(h.serves(published), publishedPrefix)
	// 101, {"name":"ann"}; the reply is empty.
	e.writes(e.bytes("4e25263009000000000000001200000065" + "7b226e616d65223a22616e6e227d"))
	e.hears(e.bytes("4e25263009000000000000000400000065"))
	// 110, {"text":"hi"}; the reply is of type 201, and carries the number of the request.
	e.writes(e.bytes("4e2526300900000000000000110000006e" + "7b2274657874223a226869227d"))
	e.hears(e.bytes("4e2526300900000000000000110000006e" + "7b2274657874223a226869227d"))
	// A push carries its own number.
	to := h.gate.Sessions(1)[0].Session
	h.cluster.deliver(&actors.Envelope{Type: actors.Message, To: to, Number: 201, Codec: wire.JSON,
		Body: []byte(`{"text":"hi"}`)})
	e.hears(e.bytes("4e252630090000000000000011000000c9" + "7b2274657874223a226869227d"))
	if s := h.gate.Sessions(1)[0]; s.Client != "firefly/1" || s.Who != player.Ref("ann") || s.In != 2 {
		t.Errorf("the session is %+v", s)
	}
}

// The vector that was captured from the original: command 1, body "hi", no magic and no versions set.
func TestTheCapturedFrameIsTakenAndItsUnknownCommandAnswered(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	captured := "00000000" + "00" + "00000000" + "00000006" + "00000001" + "6869"
	e := h.elder(h.serves(telling(gate.Original{Codec: wire.JSON})), "000000000000000000")
	e.writes(e.bytes(captured))
	e.hears(e.frame(999, `{"code":"UNKNOWN_NUMBER","text":"1 is not a client's to send","command":1}`))
	for _, runtimes := range []uint32{0, 3, 4, 5, 6, 99} { // not to them
		e.says(runtimes, `{"version":2}`)
		e.isTold(actors.UnknownNumber, runtimes)
	}
	quiet := h.elder(h.serves(gate.Original{Codec: wire.JSON}), "000000000000000000")
	quiet.writes(quiet.bytes(captured))
	quiet.enters("ann")
	if n := h.gate.Counters.Unsaid.Load(); n != 1 {
		t.Errorf("%d errors were kept quiet, want 1", n)
	}
}

func TestAnOriginalFrameArrivesWholeHoweverItIsCut(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	e := h.elder(h.serves(published), publishedPrefix)
	e.enters("ann")
	for _, b := range e.frame(110, `{"text":"slowly"}`) {
		e.writes([]byte{b})
	}
	e.hears(e.frame(110, `{"text":"slowly"}`))
	e.writes(append(e.frame(110, `{"text":"two"}`), e.frame(110, `{"text":"at once"}`)...))
	e.hears(append(e.frame(110, `{"text":"two"}`), e.frame(110, `{"text":"at once"}`)...))
}

func TestErrorsKeepTheConnectionAndAreToldOrNotAsTheListenerSays(t *testing.T) {
	t.Parallel()
	faults := []struct {
		command uint32
		body    string
		code    actors.Code
	}{
		{110, `{"text":"INTERNAL"}`, actors.Internal}, // a handler's error
		{110, `{"text":"PANIC"}`, actors.Panicked},
		{110, `{"text":"NO_REPLY"}`, actors.NoReply},
		{110, `{{{`, actors.BadBody},
		{777, `{}`, actors.UnknownNumber},
		{201, `{}`, actors.UnknownNumber},                  // only clients receive it
		{110, `{"text":"silence"}`, actors.DeadlinePassed}, // a handler that hangs
	}
	short := func(o *gate.Options) { o.Limits.Within = time.Second }
	t.Run("told under a number", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, short)
		e := h.elder(h.serves(telling(published)), publishedPrefix)
		e.says(110, `{"text":"hi"}`)
		e.isTold(actors.NotBound, 110)
		e.enters("ann")
		for _, f := range faults {
			e.says(f.command, f.body)
			e.isTold(f.code, f.command)
			e.speaks("still here")
		}
	})
	t.Run("silent", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, short)
		e := h.elder(h.serves(published), publishedPrefix)
		e.enters("ann")
		for _, f := range faults {
			e.says(f.command, f.body)
			e.speaks("still here")
		}
		until(t, "the deadline of the handler that hangs", func() bool {
			return h.gate.Counters.Errors()[actors.DeadlinePassed] == 1
		})
		e.speaks("and after it")
		if n := h.gate.Counters.Unsaid.Load(); n != uint64(len(faults)) {
			t.Errorf("%d errors were kept quiet, want %d", n, len(faults))
		}
	})
}

func TestWhatIsNoOriginalFrameIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	quiet, loud := h.serves(published), h.serves(telling(published))
	for name, c := range map[string]struct {
		wrong string
		told  wire.CloseNumber
	}{
		"another magic":          {"4f", wire.CloseBadFrame},
		"a browser":              {hex.EncodeToString([]byte("GET / HTTP/1.1\r\n")), wire.CloseBadFrame},
		"firefly/2":              {"00000000" + "00000001" + "00000001", wire.CloseBadFrame},
		"another version":        {"4e252630" + "08", wire.CloseVersion},
		"another server version": {"4e252630" + "09" + "00000001", wire.CloseVersion},
		"length 0":               {publishedPrefix + "00000000", wire.CloseBadFrame},
		"length 3":               {publishedPrefix + "00000003", wire.CloseBadFrame},
		"one over the bound":     {publishedPrefix + "00010005", wire.CloseBadFrame},
		"length 0xffffffff":      {publishedPrefix + "ffffffff", wire.CloseBadFrame},
	} {
		e := h.elder(quiet, publishedPrefix)
		e.writes(e.bytes(c.wrong))
		if said := e.isHungUpOn(); len(said) > 0 {
			t.Errorf("%s: a silent listener says % x", name, said)
		}
		e = h.elder(loud, publishedPrefix)
		e.writes(e.bytes(c.wrong))
		command, body := e.next()
		var told wire.Close
		if err := json.Unmarshal(body, &told); err != nil || command != 999 || told.Number != c.told ||
			told.Code != c.told.String() {
			t.Errorf("%s: told under %d %s", name, command, body)
		}
		if more := e.isHungUpOn(); len(more) > 0 {
			t.Errorf("%s: and then % x", name, more)
		}
	}
	n := &h.gate.Counters
	if magic, version := n.WrongMagic.Load(), n.WrongVersion.Load(); magic != 2*3 || version != 2*2 {
		t.Errorf("counted %d of another magic and %d of another version", magic, version)
	}
}

func TestEachListenerHasAMagicOfItsOwn(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	other := published
	other.Magic, other.ServerVersion = [4]byte{1, 2, 3, 4}, 5
	const prefix = "01020304" + "09" + "00000005"
	first, second := h.serves(published), h.serves(other)
	h.elder(first, publishedPrefix).enters("ann")
	h.elder(second, prefix).enters("bob")
	for at, wrong := range map[string]string{first: prefix, second: publishedPrefix} {
		e := h.elder(at, wrong)
		e.says(101, `{"name":"eve"}`)
		e.isHungUpOn()
	}
	if n := h.gate.Counters.WrongMagic.Load(); n != 2 {
		t.Errorf("%d were counted", n)
	}
}

// One envelope, made once for all: each hears it as it speaks.
func TestPlayersOfBothProtocolsHearTheSameRoom(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	e := h.elder(h.serves(published), publishedPrefix)
	e.enters("ann")
	c := h.login(h.at(gate.TCP), "bob")
	var both []actors.Ref
	for _, s := range h.gate.Sessions(2) {
		both = append(both, s.Session)
	}
	h.cluster.deliver(&actors.Envelope{Type: actors.Message, Fan: both, Number: 201, Codec: wire.JSON,
		Body: []byte(`{"text":"all"}`)})
	e.hears(e.frame(201, `{"text":"all"}`))
	select {
	case m := <-c.Pushes():
		if m.(*said).Text != "all" {
			t.Errorf("firefly/2 heard %+v", m)
		}
	case <-time.After(patient):
		t.Error("firefly/2 heard nothing")
	}
}

// An old client's place is taken by a new one of the same player, and the other way round.
func TestASecondLoginTakesOverFromTheOtherProtocol(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	at := h.serves(telling(published))
	e := h.elder(at, publishedPrefix)
	e.enters("ann")
	c := h.login(h.at(gate.TCP), "ann")
	e.hears(e.frame(999, `{"code":"TAKEN_OVER","number":3005,"text":"logged in elsewhere"}`))
	e.isHungUpOn()
	h.elder(at, publishedPrefix).enters("ann")
	select {
	case <-c.Done():
	case <-time.After(patient):
		t.Error("the new client's session was not taken over")
	}
}

func TestAGoodbyeEndsTheSessionAndItsEntityHears(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	e := h.elder(h.serves(published), publishedPrefix)
	e.enters("ann")
	h.cluster.take()
	e.writes(append(e.frame(2, ""), e.frame(110, `{"text":"too late"}`)...))
	if said := e.isHungUpOn(); len(said) > 0 {
		t.Errorf("it was answered % x", said)
	}
	e.Close()
	until(t, "the session's end", func() bool { return h.gate.Counters.Sessions.Load() == 0 })
	heard := h.cluster.take()
	if len(heard) != 1 || heard[0].To != player.Ref("ann") || heard[0].Number != actors.NumberUnbound {
		t.Errorf("heard of it: %v", heard)
	}
}

func TestAnOriginalListenerMustSayHowItsClientsSpeak(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	_, err := gate.Serve(h.gate, gate.Sockets{Listeners: []gate.Listener{{Scheme: gate.Firefly1, Address: anyPort}}})
	if err == nil || !strings.Contains(err.Error(), "firefly1://127.0.0.1:0: nothing says how") {
		t.Errorf("the error: %v", err)
	}
}

// The kernel tells which timer runs for a connection, and when it goes off: 2 is keep-alive's.
func TestTheKernelWatchesOverOldClients(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	e := h.elder(h.serves(published), publishedPrefix)
	e.enters("ann")
	local, remote := e.RemoteAddr().(*net.TCPAddr).Port, e.LocalAddr().(*net.TCPAddr).Port
	until(t, "the kernel to wait for 30 s of silence", func() bool {
		all, err := os.ReadFile("/proc/net/tcp")
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(all), "\n") {
			f := strings.Fields(line) // sl local remote st tx:rx tr:when ...
			if len(f) < 6 || !strings.HasSuffix(f[1], fmt.Sprintf(":%04X", local)) ||
				!strings.HasSuffix(f[2], fmt.Sprintf(":%04X", remote)) {
				continue
			}
			var timer, hundredths int
			_, err := fmt.Sscanf(f[5], "%02X:%08X", &timer, &hundredths)
			return err == nil && timer == 2 && hundredths > 1600 && hundredths <= 3000
		}
		return false
	})
}
