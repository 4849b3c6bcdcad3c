package cluster

import (
	"slices"
	"sync"
)

// A Berth lets the lives of a process use one Carrier, one after another: its address stays, its connections do not.
type Berth struct {
	carrier Carrier

	mu      sync.RWMutex // held for reading while a batch is received
	address string
	tenant  *tenant
}

// NewBerth makes a berth at a carrier that nobody else uses.
func NewBerth(c Carrier) *Berth { return &Berth{carrier: c} }

// Tenant is a Carrier for one life. When it listens, the one before hears no more.
func (b *Berth) Tenant() Carrier { return &tenant{berth: b} }

// Close closes the carrier itself.
func (b *Berth) Close() { b.carrier.Close() }

// Receive hands a batch to the life that is, as Receiver says.
func (b *Berth) Receive(batch []byte) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.tenant == nil {
		return nil
	}
	return b.tenant.receiver.Receive(batch)
}

// Connected tells the life that is, as Receiver says.
func (b *Berth) Connected(address string) {
	b.mu.RLock()
	t := b.tenant
	b.mu.RUnlock()
	if t != nil {
		t.receiver.Connected(address)
	}
}

// A tenant is one life's use of a berth.
type tenant struct {
	berth    *Berth
	receiver Receiver
	targets  []string // that it has connected; guarded by the berth's mu
}

// Listen begins to receive, as Carrier says. The connections of the life before end.
func (t *tenant) Listen(r Receiver) (address string, err error) {
	b := t.berth
	b.mu.Lock()
	before, first := b.tenant, b.address == ""
	t.receiver, b.tenant = r, t
	address = b.address
	b.mu.Unlock()
	if before != nil {
		before.hangUp()
	}
	if !first {
		return address, nil
	}
	if address, err = b.carrier.Listen(b); err == nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.address = address
	}
	return address, err
}

// is reports whether this life is the one that listens. The caller holds the berth's mu.
func (t *tenant) is() bool { return t.berth.tenant == t }

// Connect says that batches will come, as Carrier says.
func (t *tenant) Connect(address string) {
	b := t.berth
	b.mu.Lock()
	is := t.is()
	if is && !slices.Contains(t.targets, address) {
		t.targets = append(t.targets, address)
	}
	b.mu.Unlock()
	if is {
		b.carrier.Connect(address)
	}
}

// Disconnect says that no more will come, as Carrier says.
func (t *tenant) Disconnect(address string) {
	b := t.berth
	b.mu.Lock()
	is := t.is()
	t.targets = slices.DeleteFunc(t.targets, func(a string) bool { return a == address })
	b.mu.Unlock()
	if is {
		b.carrier.Disconnect(address)
	}
}

// Send begins to carry a batch, as Carrier says; none of a life that is over.
func (t *tenant) Send(address string, batch []byte) {
	b := t.berth
	b.mu.RLock()
	is := t.is()
	b.mu.RUnlock()
	if is {
		b.carrier.Send(address, batch)
	}
}

// Close ends the connections of this life, and waits until nothing more is received for it.
func (t *tenant) Close() {
	b := t.berth
	b.mu.Lock()
	is := t.is()
	if is {
		b.tenant = nil
	}
	b.mu.Unlock()
	if is {
		t.hangUp()
	}
}

// hangUp ends the connections of a life that does not listen any more.
func (t *tenant) hangUp() {
	t.berth.mu.Lock()
	targets := t.targets
	t.targets = nil
	t.berth.mu.Unlock()
	for _, address := range targets {
		t.berth.carrier.Disconnect(address)
	}
}
