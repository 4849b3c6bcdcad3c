package clustertest

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
)

// A Proxy stands before a listener, and holds back what comes from some hosts, or goes to them, as a network does that
// loses their packets: connections stay, and go on when it is healed. Hosts are told apart by their addresses, so each
// node of such a test listens at one of its own (127.0.0.2, ...).
type Proxy struct {
	Address string // where it listens

	target string
	listen net.Listener
	ctx    context.Context
	end    context.CancelFunc
	over   sync.WaitGroup

	mu   sync.Mutex
	held map[flow]chan struct{} // closed when it is healed
	kept int
}

// A flow is one direction between a host and what stands behind the proxy.
type flow struct {
	host string
	in   bool // from the host
}

// Stand starts a proxy at an address before another one, until the test is over.
func Stand(t testing.TB, address, target string) *Proxy {
	t.Helper()
	p := &Proxy{target: target, held: map[flow]chan struct{}{}}
	p.ctx, p.end = context.WithCancel(context.Background())
	var err error
	if p.listen, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	p.Address = p.listen.Addr().String()
	p.over.Go(p.accept)
	t.Cleanup(func() {
		p.end()
		p.listen.Close() //nolint:errcheck // nothing waits in it
		p.over.Wait()
	})
	return p
}

// Cut holds back what comes from a host (in), what goes to it (out), or both.
func (p *Proxy) Cut(host string, in, out bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for f, cut := range map[flow]bool{{host, true}: in, {host, false}: out} {
		if cut && p.held[f] == nil {
			p.held[f] = make(chan struct{})
		}
	}
}

// Kept is how often something came that was held back.
func (p *Proxy) Kept() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kept
}

// Heal lets everything through again.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for f, held := range p.held {
		close(held)
		delete(p.held, f)
	}
}

// wait waits while a flow is held back, and reports whether to go on then.
func (p *Proxy) wait(ctx context.Context, f flow) bool {
	for {
		p.mu.Lock()
		held := p.held[f]
		if held != nil {
			p.kept++
		}
		p.mu.Unlock()
		if held == nil {
			return ctx.Err() == nil
		}
		select {
		case <-held:
		case <-ctx.Done():
			return false
		}
	}
}

func (p *Proxy) accept() {
	for {
		conn, err := p.listen.Accept()
		if err != nil {
			return
		}
		p.over.Go(func() { p.serve(conn) })
	}
}

// serve carries one connection both ways until one side ends it.
func (p *Proxy) serve(near net.Conn) {
	ctx, end := context.WithCancel(p.ctx)
	defer end()
	defer near.Close()
	host, _, _ := net.SplitHostPort(near.RemoteAddr().String())
	if !p.wait(ctx, flow{host, true}) || !p.wait(ctx, flow{host, false}) {
		return
	}
	far, err := new(net.Dialer).DialContext(ctx, "tcp", p.target)
	if err != nil {
		return
	}
	defer far.Close()
	context.AfterFunc(ctx, func() {
		near.Close() //nolint:errcheck // it may be closed
		far.Close()  //nolint:errcheck // likewise
	})
	var both sync.WaitGroup
	both.Go(func() { defer end(); p.carry(ctx, far, near, flow{host, true}) })
	both.Go(func() { defer end(); p.carry(ctx, near, far, flow{host, false}) })
	both.Wait()
}

// carry copies one direction, and stands still while it is held back.
func (p *Proxy) carry(ctx context.Context, to io.Writer, from io.Reader, f flow) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && (!p.wait(ctx, f) || !written(to, buffer[:n])) || err != nil {
			return
		}
	}
}

func written(to io.Writer, b []byte) bool {
	_, err := to.Write(b)
	return err == nil
}
