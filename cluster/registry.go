package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Times of the way to etcd.
const (
	registryCall  = 2 * time.Second        // one request
	registryPause = 200 * time.Millisecond // after one that failed
)

// dial makes a client; it does not need etcd to be up yet.
func (o *RegistryOptions) dial() (*clientv3.Client, error) {
	calls, err := o.calls()
	if err != nil {
		return nil, err
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: o.Endpoints, DialTimeout: registryCall, Logger: zap.NewNop(),
		DialOptions: calls, DialKeepAliveTime: linkAlive, DialKeepAliveTimeout: linkAnswer})
	if err != nil {
		return nil, fmt.Errorf("cluster: registry at %s: %w", strings.Join(o.Endpoints, ", "), err)
	}
	return c, nil
}

// EtcdRegistry is the Registry on etcd.
//
// Two goroutines serve it from Join to Close: one watches, one keeps the lease.
type EtcdRegistry struct {
	o       RegistryOptions
	client  *clientv3.Client
	prefix  string
	member  Member
	witness Witness
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex // guards what follows, and lets the witness hear one thing at a time
	state etcdState
	lease clientv3.LeaseID
	sent  time.Time // of the newest answered keep-alive
	left  bool
	// strange: this is another registry than the one that was joined.
	strange bool

	keeping sync.Mutex // held while the registration is renewed or taken back
}

// NewEtcdRegistry makes a registry; it does not need etcd to be up yet.
func NewEtcdRegistry(o RegistryOptions) (*EtcdRegistry, error) {
	client, err := o.dial()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &EtcdRegistry{o: o, client: client, prefix: o.prefix(), ctx: ctx, cancel: cancel}, nil
}

// Join registers the member, as Registry says. While etcd is away it tries again.
func (y *EtcdRegistry) Join(ctx context.Context, m Member, w Witness) error {
	y.member, y.witness = m, w
	for {
		err := y.begin(ctx)
		if err == nil {
			break
		}
		if ctx.Err() != nil || errors.Is(err, ErrCondemned) {
			return err
		}
		pause(ctx, registryPause)
	}
	y.running.Go(y.watch)
	y.running.Go(y.keep)
	return nil
}

// begin registers, which brings the first record.
func (y *EtcdRegistry) begin(ctx context.Context) error {
	sent, err := y.register(ctx)
	if err == nil {
		y.renewed(sent)
	}
	return err
}

// read brings the whole record, as etcd's majority has it.
func (y *EtcdRegistry) read(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, registryCall)
	defer cancel()
	seen := y.seen()
	all, err := y.client.Get(within, y.prefix, clientv3.WithPrefix())
	if err != nil {
		return fmt.Errorf("cluster: read the registry: %w", err)
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.take(seen, all.Header.Revision, all.Kvs)
}

// seen is the newest revision that this node knows.
func (y *EtcdRegistry) seen() int64 {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.state.revision
}

// take brings the whole record of a revision, unless the watch was faster. It was asked for when this node had seen
// another revision: one that is older now, or another generation, means that this is not the registry that it joined.
// The caller holds mu.
func (y *EtcdRegistry) take(seen, revision int64, all []*mvccpb.KeyValue) error {
	next := etcdState{revision: revision}
	for _, kv := range all {
		key := strings.TrimPrefix(string(kv.Key), y.prefix)
		if err := next.put(key, kv.Value, kv.CreateRevision, kv.ModRevision); err != nil {
			y.o.Log.Error("the registry holds what I cannot read", "key", string(kv.Key), "error", err)
		}
	}
	if revision < seen {
		y.o.Log.Warn("the registry has forgotten", "revision", revision, "seen", seen)
		return y.forgotten()
	}
	if revision < y.state.revision {
		return nil
	}
	return y.show(next)
}

// show brings a state that is not older than the last. The caller holds mu.
func (y *EtcdRegistry) show(next etcdState) error {
	if role, other := y.state.reborn(next); other {
		y.o.Log.Warn("the registry has another generation", "role", role)
		return y.forgotten()
	}
	y.state = next
	y.witness.Changed(next.record())
	return nil
}

// forgotten ends all dealings with a registry that is another than the one that was joined. The caller holds mu.
func (y *EtcdRegistry) forgotten() error {
	if !y.strange && y.ctx.Err() == nil {
		y.witness.Forgotten()
	}
	y.strange = true
	y.cancel()
	return errForgotten
}

// watch brings every change after what was read, until Close.
func (y *EtcdRegistry) watch() {
	for y.ctx.Err() == nil {
		y.mu.Lock()
		from := y.state.revision + 1
		y.mu.Unlock()
		y.follow(from)
		pause(y.ctx, registryPause)
		if err := y.read(y.ctx); err != nil && y.ctx.Err() == nil {
			y.o.Log.Warn("the registry cannot be read", "error", err)
		}
	}
}

// follow watches from a revision until the watch breaks: etcd restarts, or has forgotten that revision.
func (y *EtcdRegistry) follow(from int64) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(y.ctx))
	defer cancel()
	y.elect()
	for news := range y.client.Watch(ctx, y.prefix, clientv3.WithPrefix(), clientv3.WithRev(from)) {
		if err := news.Err(); err != nil {
			return
		}
		if len(news.Events) > 0 {
			y.apply(news)
			y.elect()
		}
	}
}

// apply brings one response of the watch: all changes of its revisions at once. How far it goes its events say: of a
// watch that is far behind there is more to come, and the header's revision is etcd's own.
func (y *EtcdRegistry) apply(news clientv3.WatchResponse) {
	y.mu.Lock()
	defer y.mu.Unlock()
	next := y.state.clone()
	for _, e := range news.Events {
		if e.Kv.ModRevision <= y.state.revision {
			continue // a read was faster
		}
		next.revision = e.Kv.ModRevision
		key := strings.TrimPrefix(string(e.Kv.Key), y.prefix)
		if e.Type == clientv3.EventTypeDelete {
			next.remove(key)
		} else if err := next.put(key, e.Kv.Value, e.Kv.CreateRevision, e.Kv.ModRevision); err != nil {
			y.o.Log.Error("the registry holds what I cannot read", "key", string(e.Kv.Key), "error", err)
		}
	}
	if next.revision > y.state.revision {
		y.show(next) //nolint:errcheck // if it is another registry's, the watch ends
	}
}

// elect takes the election if nobody holds it.
func (y *EtcdRegistry) elect() {
	y.mu.Lock()
	free, lease := y.state.coordinator == 0 && !y.left, y.lease
	y.mu.Unlock()
	if !free {
		return
	}
	within, cancel := context.WithTimeout(y.ctx, registryCall)
	defer cancel()
	key := y.prefix + keyCoordinator
	// An error is no loss: the lease is kept, and then this is tried again.
	y.client.Txn(within).If(y.belongs(), clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, incarnationText(y.member.Incarnation), clientv3.WithLease(lease))).Commit()
}

// Assign writes an assignment, as Registry says.
func (y *EtcdRegistry) Assign(d Decree, done func(error)) {
	y.async(done, func(ctx context.Context) error {
		conditions, put, err := y.decree(d)
		if err != nil {
			return err
		}
		if d.Coordinator {
			conditions = append(conditions, y.coordinates())
		}
		for _, incarnation := range d.Absent {
			key := y.memberKey(incarnation)
			conditions = append(conditions, clientv3.Compare(clientv3.CreateRevision(key), "=", 0))
		}
		for _, incarnation := range d.Alive {
			key := y.memberKey(incarnation)
			conditions = append(conditions, clientv3.Compare(clientv3.CreateRevision(key), ">", 0))
		}
		return y.commit(ctx, conditions, put)
	})
}

// Leave removes the member, as Registry says.
func (y *EtcdRegistry) Leave(without []Decree, done func(error)) {
	y.async(done, func(ctx context.Context) error {
		resign := []clientv3.Op{clientv3.OpDelete(y.prefix + keyCoordinator)}
		ops := []clientv3.Op{clientv3.OpDelete(y.memberKey(y.member.Incarnation)),
			clientv3.OpTxn([]clientv3.Cmp{y.coordinates()}, resign, nil)}
		var conditions []clientv3.Cmp
		for _, d := range without {
			unchanged, put, err := y.decree(d)
			if err != nil {
				return err
			}
			conditions, ops = append(conditions, unchanged...), append(ops, put)
		}
		y.keeping.Lock()
		defer y.keeping.Unlock()
		err := y.commit(ctx, conditions, ops...)
		y.leaving(err == nil)
		return err
	})
}

// leaving forbids, or allows again, to renew the lease and to take the election.
func (y *EtcdRegistry) leaving(is bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.left = is
}

// async runs a request that may wait; Close waits for it.
func (y *EtcdRegistry) async(done func(error), f func(context.Context) error) {
	y.running.Go(func() {
		within, cancel := context.WithTimeout(y.ctx, registryCall)
		defer cancel()
		done(f(within))
	})
}

// decree is an assignment as etcd writes it, and the condition that nobody else wrote meanwhile.
func (y *EtcdRegistry) decree(d Decree) ([]clientv3.Cmp, clientv3.Op, error) {
	text, err := json.Marshal(d.Next)
	if err != nil {
		return nil, clientv3.Op{}, fmt.Errorf("cluster: write the assignment of %s: %w", d.Role, err)
	}
	key := y.prefix + keyOwners + d.Role
	unchanged := clientv3.Compare(clientv3.ModRevision(key), "=", d.Next.Revision)
	return []clientv3.Cmp{unchanged}, clientv3.OpPut(key, string(text)), nil
}

// coordinates is the condition that this node holds the election.
func (y *EtcdRegistry) coordinates() clientv3.Cmp {
	return clientv3.Compare(clientv3.Value(y.prefix+keyCoordinator), "=", incarnationText(y.member.Incarnation))
}

// belongs is the condition that this node is a member, of this very registry.
func (y *EtcdRegistry) belongs() clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(y.memberKey(y.member.Incarnation)), ">", 0)
}

func (y *EtcdRegistry) commit(ctx context.Context, conditions []clientv3.Cmp, ops ...clientv3.Op) error {
	written, err := y.client.Txn(ctx).If(append(conditions, y.belongs())...).Then(ops...).Commit()
	if err != nil {
		return fmt.Errorf("cluster: write to the registry: %w", err)
	}
	if !written.Succeeded {
		return ErrConflict
	}
	return nil
}

// Close ends the watch, as Registry says.
func (y *EtcdRegistry) Close() {
	y.cancel()
	y.running.Wait()
	y.client.Close()
}

// pause waits, and reports false if ctx ended meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
