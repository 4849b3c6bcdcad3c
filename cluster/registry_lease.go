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
	written, err := y.client.Txn(within).If(y.alive()).Then(y.enter(string(text), lease.ID)).Commit()
	if err != nil {
		return sent, fmt.Errorf("cluster: register %s: %w", y.member.Name, err)
	}
	if !written.Succeeded {
		return sent, ErrCondemned
	}
	if entered := written.Responses[0].GetResponseTxn(); entered.Succeeded {
		y.entered(lease.ID, written.Header.Revision, entered.Responses[1].GetResponseRange().Kvs)
		return sent, nil
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
func (y *EtcdRegistry) entered(lease clientv3.LeaseID, revision int64, all []*mvccpb.KeyValue) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.lease = lease
	if y.member.Since == 0 {
		y.member.Since = revision
	}
	y.take(revision, all)
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

// keep keeps the lease, until Close or Leave.
func (y *EtcdRegistry) keep() {
	for wait := y.o.Lease / 3; pause(y.ctx, wait); {
		y.mu.Lock()
		left, lease, last := y.left, y.lease, y.sent
		y.mu.Unlock()
		if left {
			return
		}
		sent, err := y.extend(lease)
		if err == nil && sent.Sub(last) >= y.o.Lease-time.Second {
			err = y.read(y.ctx) // after a lapse: nothing may be done by what I knew before
		}
		wait = y.o.Lease / 3
		switch {
		case err == nil:
			y.renewed(sent)
			y.elect()
		case y.ctx.Err() == nil:
			y.o.Log.Warn("the lease was not renewed", "node", y.member.Name, "error", err)
			wait = registryPause
		}
	}
}

// extend renews the lease, or replaces one that is gone.
func (y *EtcdRegistry) extend(lease clientv3.LeaseID) (sent time.Time, err error) {
	within, cancel := context.WithTimeout(y.ctx, min(registryCall, y.o.Lease/3))
	defer cancel()
	sent = time.Now()
	_, err = y.client.KeepAliveOnce(within, lease)
	if !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return sent, err
	}
	sent, err = y.register(y.ctx)
	if errors.Is(err, ErrCondemned) {
		return sent, y.read(y.ctx) // the witness sees the certificate
	}
	return sent, err
}
