package main

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// An elder is a client of the original Firefly, written from the bytes of its protocol alone.
type elder struct {
	net.Conn
	t *testing.T
}

// elderPrefix stands in front of each of its frames: magic, version, server version.
const elderPrefix = "\x4e\x25\x26\x30" + "\x09" + "\x00\x00\x00\x00"

// withElders is a configuration whose gate takes elders too.
func withElders(t *testing.T, config string) string {
	t.Helper()
	const ws = "ws     = \"127.0.0.1:9401\""
	return replaced(t, config, ws, "original.elders = \"127.0.0.1:9402\"\n"+ws) +
		"\n[original.elders]\nmagic = [78, 37, 38, 48]\nversion = 9\n"
}

func (c *realCluster) elder(t *testing.T) *elder {
	t.Helper()
	conn, err := net.DialTimeout("tcp", c.Config.With("gate")[0].Originals[0].Address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &elder{conn, t}
}

func (e *elder) says(command uint32, body string) {
	e.t.Helper()
	frame := binary.BigEndian.AppendUint32([]byte(elderPrefix), uint32(len(body)+4))
	frame = append(binary.BigEndian.AppendUint32(frame, command), body...)
	if _, err := e.Write(frame); err != nil {
		e.t.Fatal(err)
	}
}

// hears reads on until a frame of this command has this in its body.
func (e *elder) hears(command uint32, part string) {
	e.t.Helper()
	if err := e.SetReadDeadline(time.Now().Add(patience)); err != nil {
		e.t.Fatal(err)
	}
	for {
		head := make([]byte, len(elderPrefix)+8)
		if _, err := io.ReadFull(e, head); err != nil || string(head[:len(elderPrefix)]) != elderPrefix {
			e.t.Fatalf("waiting for %d with %q: % x, %v", command, part, head, err)
		}
		numbers := head[len(elderPrefix):]
		body := make([]byte, binary.BigEndian.Uint32(numbers)-4)
		if _, err := io.ReadFull(e, body); err != nil {
			e.t.Fatal(err)
		}
		if binary.BigEndian.Uint32(numbers[4:]) == command && strings.Contains(string(body), part) {
			return
		}
	}
}

// eldersMeetTheYoung lets a client of firefly/1 and one of firefly/2 play in one room.
func eldersMeetTheYoung(t *testing.T, c *realCluster) {
	e := c.elder(t)
	e.says(777, `{}`) // nobody's; nobody answers
	e.says(101, `{"name":"methuselah","secret":"a secret of nobody else"}`)
	e.hears(101, `"methuselah"`)
	e.hears(5004, `"who":"methuselah"`)

	young := speak(t, c.doors()[0])
	young.answered(101, `{"name":"benjamin","secret":"a secret of nobody else"}`, 102)
	young.untilBound()
	young.answered(1101, `{"text":"is anybody here?"}`, 1101)
	e.hears(1102, `{"who":"benjamin","text":"is anybody here?"}`)

	e.says(1101, `{"text":"for ever"}`)
	e.hears(1101, "")
	for end := time.Now().Add(patience); ; {
		h, body := young.read()
		if h.Number == 1102 && string(body) == `{"who":"methuselah","text":"for ever"}` {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the young one does not hear the old one")
		}
	}
	young.hangUp()

	e.says(2, "") // goodbye
	if err := e.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, e); err != nil {
		t.Errorf("after its goodbye: %v", err)
	}
}
