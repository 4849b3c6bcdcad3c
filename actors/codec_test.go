package actors

import (
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/fireflyrt/firefly/actors/wire"
)

func TestAClientIsAnsweredInTheCodecItSpeaks(t *testing.T) {
	const kind KindName = "echo"
	messages := wire.Messages(wire.In[*wrapperspb.StringValue](200), wire.Out[*wrapperspb.BytesValue](201))
	w := newWorld(t, messages, Kind{Name: kind, New: func(p *Props) {
		Answer(p, func(ctx Context, m *wrapperspb.StringValue) (*wrapperspb.BytesValue, error) {
			ctx.Send(ctx.Session(), wrapperspb.Bytes([]byte("push")))
			return wrapperspb.Bytes([]byte(m.Value)), nil
		})
	}})
	for serial, codec := range []wire.Codec{wire.JSON, wire.Proto} {
		var got []*Envelope
		client := SessionRef("game-1", codec, 7, uint64(serial)+10)
		w.sys.Attach(client, func(e *Envelope) { got = append(got, e) })
		body, err := messages.ByNumber(200).Encode(codec, wrapperspb.String("hello"))
		if err != nil {
			t.Fatal(err)
		}
		w.sys.Deliver(&Envelope{Type: Message, To: kind.Ref("a"), From: client, Session: client, Number: 200,
			Codec: codec, Body: body, Request: 1})
		w.settle()
		if len(got) != 2 {
			t.Fatalf("%s: %d envelopes, want a push and an answer", codec, len(got))
		}
		for i, want := range []string{"push", "hello"} {
			msg, err := messages.ByNumber(201).Decode(codec, got[i].Body)
			if err != nil || got[i].Codec != codec || string(msg.(*wrapperspb.BytesValue).Value) != want {
				t.Errorf("%s: got %v in %s, %v; want %s", codec, msg, got[i].Codec, err, want)
			}
		}
	}
}
