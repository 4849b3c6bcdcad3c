package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/fireflyrt/firefly/cluster/identity"
)

// This file is what a Link lets in.

// guard stands before everything that a connection brings.
func (l *Link) guard(server any, s grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	l.awaitListen(s.Context())
	l.mu.RLock()
	closed := l.closed || l.receiver == nil
	if !closed {
		l.readers.Add(1)
	}
	l.mu.RUnlock()
	if closed {
		return status.Error(codes.Unavailable, "this node is not up")
	}
	defer l.readers.Done()
	defer func() {
		if reason := recover(); reason != nil {
			l.log.Warn("a connection was ended for what it brought", "error", reason)
			err = status.Error(codes.InvalidArgument, fmt.Sprint(reason))
		}
	}()
	return next(server, guarded{s, l, nameOf(s.Context())})
}

// awaitListen lets a connection wait for Listen. A node that restarts can be dialled a moment before
// it listens. Whoever is turned away then pauses for 2 s, and moves wait for what was to be sent.
func (l *Link) awaitListen(ctx context.Context) {
	within := time.NewTimer(linkAnswer)
	defer within.Stop()
	select {
	case <-l.listens:
	case <-ctx.Done():
	case <-within.C:
	}
}

// guarded is a connection of which only well-formed messages for our process are read.
type guarded struct {
	grpc.ServerStream
	link *Link
	name string // of the node at its other end; "" if nobody has proved anything
}

// RecvMsg reads the next message, or ends the connection.
func (g guarded) RecvMsg(into any) error {
	if err := g.ServerStream.RecvMsg(into); err != nil {
		return err
	}
	m, ok := into.(*remote.RemoteMessage)
	if !ok {
		return status.Error(codes.InvalidArgument, "not a message of remote's")
	}
	if err := g.link.check(m); err != nil {
		g.link.log.Warn("a connection was ended for what it brought", "error", err)
		return status.Error(codes.InvalidArgument, err.Error())
	}
	if g.name == "" {
		return nil
	}
	for _, e := range m.GetMessageBatch().GetEnvelopes() {
		if name := signedBy(e.MessageData); name != g.name {
			r := &identity.Refusal{Reason: identity.OtherName,
				Detail: fmt.Sprintf("a batch says that it is from %q, the certificate says %q", name, g.name)}
			g.link.handshake.warnOf(peerRefused, addressOf(g.Context()), r)
			return status.Error(codes.PermissionDenied, r.Error())
		}
	}
	return nil
}

// signedBy is the name in the batch that a message holds; "" if it holds none.
func signedBy(message []byte) string {
	number, kind, n := protowire.ConsumeTag(message)
	if n < 0 || number != 1 || kind != protowire.BytesType {
		return ""
	}
	value, m := protowire.ConsumeBytes(message[n:])
	if m < 0 || n+m != len(message) { // a second value would be the one that counts
		return ""
	}
	h, err := readBatch(value)
	if err != nil {
		return ""
	}
	return h.name
}

// check refuses what would reach anything but our process, or send remote out of its arrays.
func (l *Link) check(m *remote.RemoteMessage) error {
	if c := m.GetConnectRequest(); c != nil && c.GetServerConnection() != nil {
		return nil
	}
	b := m.GetMessageBatch()
	if b == nil {
		return errors.New("cluster: neither a greeting nor a batch")
	}
	for _, t := range b.Targets {
		if t == nil || t.Id != linkName {
			return errors.New("cluster: a message for another process")
		}
		t.Address = l.system.Address() // whatever way it came by: it is meant for here
	}
	for _, e := range b.Envelopes {
		if e == nil || e.Target < 0 || int(e.Target) >= len(b.Targets) || e.TypeId < 0 ||
			int(e.TypeId) >= len(b.TypeNames) || b.TypeNames[e.TypeId] != linkType || e.Sender != 0 ||
			e.SerializerId != 0 || e.MessageHeader != nil || e.TargetRequestId != 0 || e.SenderRequestId != 0 {
			return errors.New("cluster: a message that is no batch of ours")
		}
	}
	return nil
}

// inbox is the one process that others reach. It takes batches on the goroutine that reads the connection: no mailbox
// grows behind it, and no sleeping goroutine is woken.
type inbox struct{ link *Link }

// SendUserMessage hands a batch up. Remote has no way to hear no, so a refusal is a panic, which guard catches: it ends
// the connection that the batch came by.
func (i inbox) SendUserMessage(_ *actor.PID, message any) {
	b, ok := message.(*wrapperspb.BytesValue)
	if !ok {
		return
	}
	if err := i.link.receiver.Receive(b.Value); err != nil {
		panic(err)
	}
}

// SendSystemMessage ignores what remote says on its own.
func (i inbox) SendSystemMessage(*actor.PID, any) {}

// Stop has nothing to stop.
func (i inbox) Stop(*actor.PID) {}
