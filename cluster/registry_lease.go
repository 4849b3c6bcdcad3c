package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// This file holds a member's registration: a record under a lease, kept as long as the process lives.

// errTwice means that a registration whose outcome was unknown had taken place. It is taken back and made anew.
var errTwice = errors.New("cluster: registered before")

// errLeft means that the registration was taken back in order.
var errLeft = errors.New("cluster: left")

// register takes a new lease, writes the member under it and brings the record as it is with it: all others that see
// this revision see the member, and the member's first picture is none but this.
func (y *EtcdRegistry) register(ctx context.Context) (sent time.Time, err error) {
	within, cancel := context.WithTimeout(ctx, registryCall)
	defer cancel()
	sent = time.Now()
	lease, err := y.client.Grant(within, int64((y.o.Lease+time.Second-1)/time.Second))
	if err != nil {
		return sent, fmt.Errorf("cluster: take a lease: %w", err)
	}
	text, err := json.Marshal(y.member)
	if err != nil {
		return sent, fmt.Errorf("cluster: write member %s: %w", y.member.Name, err)
	}
	seen := y.seen()
	written, err := y.client.Txn(within).If(y.alive()).Then(y.enter(string(text), lease.ID)).Commit()
	if err != nil {
		return sent, fmt.Errorf("cluster: register %s: %w", y.member.Name, err)
	}
	if !written.Succeeded {
		return sent, ErrCondemned
	}
	if entered := written.Responses[0].GetResponseTxn(); entered.Succeeded {
		return sent, y.entered(seen, lease.ID, written.Header.Revision, entered.Responses[1].GetResponseRange().Kvs)
	}
	return sent, errTwice
}

// alive is the condition that this incarnation has no death certificate.
func (y *EtcdRegistry) alive() clientv3.Cmp {
	dead := y.prefix + keyDead + incarnationText(y.member.Incarnation)
	return clientv3.Compare(clientv3.CreateRevision(dead), "=", 0)
}

// enter writes the member and reads all there is. The first time the member must be new.
func (y *EtcdRegistry) enter(text string, lease clientv3.LeaseID) clientv3.Op {
	key := y.memberKey(y.member.Incarnation)
	var unknown []clientv3.Cmp
	if y.member.Since == 0 {
		unknown = append(unknown, clientv3.Compare(clientv3.CreateRevision(key), "=", 0))
	}
	return clientv3.OpTxn(unknown, []clientv3.Op{clientv3.OpPut(key, text, clientv3.WithLease(lease)),
		clientv3.OpGet(y.prefix, clientv3.WithPrefix())}, []clientv3.Op{clientv3.OpDelete(key)})
}

// entered notes what a registration brought.
func (y *EtcdRegistry) entered(seen int64, lease clientv3.LeaseID, revision int64, all []*mvccpb.KeyValue) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.lease = lease
	if y.member.Since == 0 {
		y.member.Since = revision
	}
	return y.take(seen, revision, all)
}

// memberKey is where a member stands.
func (y *EtcdRegistry) memberKey(incarnation uint64) string {
	return y.prefix + keyMembers + incarnationText(incarnation)
}

// renewed tells the witness how long the lease runs.
func (y *EtcdRegistry) renewed(sent time.Time) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.sent = sent
	y.witness.Renewed(sent)
}

// Drain marks the member, as Registry says. One that is not registered at the moment will be so marked.
func (y *EtcdRegistry) Drain(done func(error)) {
	y.async(done, func(ctx context.Context) error {
		y.keeping.Lock()
		defer y.keeping.Unlock()
		y.member.Draining = true
		text, err := json.Marshal(y.member)
		if err != nil {
			return fmt.Errorf("cluster: write member %s: %w", y.member.Name, err)
		}
		y.mu.Lock()
		lease, key := y.lease, y.memberKey(y.member.Incarnation)
		y.mu.Unlock()
		there := clientv3.Compare(clientv3.CreateRevision(key), ">", 0)
		_, err = y.client.Txn(ctx).If(there).Then(clientv3.OpPut(key, string(text), clientv3.WithLease(lease))).Commit()
		if err != nil {
			return fmt.Errorf("cluster: mark %s as draining: %w", y.member.Name, err)
		}
		return nil
	})
}

// keep keeps the lease, until Close or Leave.
func (y *EtcdRegistry) keep() {
	for wait := y.o.Lease / 3; pause(y.ctx, wait); {
		sent, err := y.renew()
		wait = y.o.Lease / 3
		switch {
		case errors.Is(err, errLeft):
			return
		case err == nil:
			y.renewed(sent)
			y.elect()
		case y.ctx.Err() == nil:
			y.o.Log.Warn("the lease was not renewed", "error", err)
			wait = registryPause
		}
	}
	y.revoke()
}

// renew extends the lease. If the node has had to pause meanwhile, the record is read before it may go on: nothing may
// be done by what it knew before. It is read before the lease is extended, too: who is heard and hears nothing would
// keep up a lease by which nobody lives, and nobody else could take over.
func (y *EtcdRegistry) renew() (sent time.Time, err error) {
	y.keeping.Lock()
	defer y.keeping.Unlock()
	y.mu.Lock()
	left, lease, last := y.left, y.lease, y.sent
	y.mu.Unlock()
	if left {
		return sent, errLeft
	}
	if y.isGone() {
		return y.replace()
	}
	paused := time.Since(last) >= y.o.Lease-margin(y.o.Lease)
	if paused {
		if err = y.read(y.ctx); err != nil {
			return sent, err
		}
	}
	if sent, err = y.extend(lease); err == nil && paused {
		err = y.read(y.ctx)
	}
	return sent, err
}

// isGone reports whether the record of this member is gone, though nobody has declared it dead: its lease says nothing
// then, and whoever does not see it takes its shards.
func (y *EtcdRegistry) isGone() bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	_, here := y.state.members[y.member.Incarnation]
	return !here && !y.state.dead[y.member.Incarnation]
}

// extend renews the lease, or replaces one that is gone.
func (y *EtcdRegistry) extend(lease clientv3.LeaseID) (sent time.Time, err error) {
	within, cancel := context.WithTimeout(y.ctx, min(registryCall, y.o.Lease/3))
	defer cancel()
	sent = time.Now()
	seen := y.seen()
	kept, err := y.client.KeepAliveOnce(within, lease)
	switch {
	case errors.Is(err, rpctypes.ErrLeaseNotFound):
		return y.replace()
	case err == nil && kept.ResponseHeader.GetRevision() < seen: // by a member of etcd that is behind, or restored
		err = y.read(y.ctx)
	}
	return sent, err
}

// replace registers again under a new lease, if this is still the registry that was joined.
func (y *EtcdRegistry) replace() (sent time.Time, err error) {
	if err = y.read(y.ctx); err != nil {
		return sent, err
	}
	sent, err = y.register(y.ctx)
	if errors.Is(err, ErrCondemned) {
		err = y.read(y.ctx) // the witness sees the certificate
	}
	return sent, err
}

// revoke takes a registration back that stands in a registry of another generation. Who was closed leaves it to its
// lease.
func (y *EtcdRegistry) revoke() {
	y.mu.Lock()
	lease, strange := y.lease, y.strange
	y.mu.Unlock()
	if !strange {
		return
	}
	within, cancel := context.WithTimeout(context.Background(), registryCall)
	defer cancel()
	y.client.Revoke(within, lease) //nolint:errcheck // a wiped registry does not know it, and any other forgets it
}
