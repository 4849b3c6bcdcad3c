package gate_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
)

// A keep is a gate in a process of its own, so that what it costs can be told from what its clients
// cost, and 10,000 connections have descriptors enough on both sides. It is this test's binary again,
// and does what it is told by lines on its standard input.
type keep struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
	end func()

	tcp, ws string
}

// keepOf is the environment variable that makes this binary a keep, and says of what kind.
const keepOf = "FIREFLY_KEEP"

// A measure is how a keep is.
type measure struct {
	TCP, WS               string        `json:",omitempty"` // where it listens
	Resident, Heap        int           // bytes, after collection and with free pages given back
	Untidy                int           // bytes resident before that
	Goroutines, Files     int           // files are open descriptors
	CPU                   time.Duration // user and system, since its start
	Connections, Sessions int64
	Players               int
	Accepted, Shut, Bans  uint64
	Began                 int64 // of a push, Unix nanoseconds
	Took                  time.Duration
	Shares                map[string]int `json:",omitempty"` // bytes in use on the heap, by whose code asked for them
}

// startKeep starts one: "gate", "bare" (sockets and nothing else), "profiled", or a "crowd" of rogues for the gate at
// two addresses.
func startKeep(t testing.TB, of ...string) *keep {
	t.Helper()
	k := &keep{t: t, cmd: exec.Command(os.Args[0])}
	k.cmd.Env = append(os.Environ(), keepOf+"="+strings.Join(of, " "))
	if of[0] == "profiled" {
		k.cmd.Env = append(k.cmd.Env, "GODEBUG=memprofilerate=1")
	}
	k.cmd.Stderr = os.Stderr
	var out io.Reader
	var err error
	if k.in, err = k.cmd.StdinPipe(); err == nil {
		if out, err = k.cmd.StdoutPipe(); err == nil {
			err = k.cmd.Start()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	k.out = bufio.NewScanner(out)
	k.end = sync.OnceFunc(func() {
		k.in.Close() // it hears that
		if err := k.cmd.Wait(); err != nil {
			t.Errorf("the gate's process: %v", err)
		}
	})
	t.Cleanup(k.end)
	at := k.answer()
	k.tcp, k.ws = at.TCP, at.WS
	return k
}

func (k *keep) answer() (m measure) {
	k.t.Helper()
	if !k.out.Scan() {
		k.t.Fatalf("the gate's process says nothing: %v", k.out.Err())
	}
	if err := json.Unmarshal(k.out.Bytes(), &m); err != nil {
		k.t.Fatal(err)
	}
	return m
}

// tell gives an order, ask waits for what it says to that.
func (k *keep) tell(order string) {
	k.t.Helper()
	if _, err := io.WriteString(k.in, order+"\n"); err != nil {
		k.t.Fatal(err)
	}
}

func (k *keep) ask(order string) measure {
	k.t.Helper()
	k.tell(order)
	return k.answer()
}

// runKeep is the other process. It ends with its standard input.
func runKeep(of string) error {
	var at measure
	var obey func(order string) measure
	var end func() error
	var err error
	switch of := strings.Fields(of); of[0] {
	case "bare":
		at.TCP, obey, end, err = bareKeep()
	case "crowd":
		obey, end = crowdKeep(of[1], of[2], of[3])
	default:
		at, obey, end, err = gateKeep()
	}
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(at); err != nil {
		return err
	}
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
		if err := out.Encode(obey(orders.Text())); err != nil {
			return err
		}
	}
	return end()
}

// A realm is the cluster of a keep: a real System, and no other node.
type realm struct{ *actors.System }

func (r realm) Route(e *actors.Envelope)               { r.System.Deliver(e) }
func (realm) Tenure(string, int) (uint64, actors.Hold) { return 1, actors.Held }
func (realm) Shards() int                              { return 256 }

// gateKeep is a whole gate before real actors.
func gateKeep() (at measure, obey func(string) measure, end func() error, err error) {
	work := new(workers)
	var r realm
	r.System, err = actors.NewSystem(actors.Options{Node: "gate-1", Incarnation: 7, Catalogue: messages,
		Clock: realClock{}, Scheduler: work, Kinds: []actors.Kind{
			{Name: door, Workers: 2, New: func(p *actors.Props) {
				actors.Handle(p, func(ctx actors.Context, m *enter) error {
					ctx.Login(player.Ref(m.Name))
					return nil
				})
			}},
			{Name: player, IdleAfter: time.Second, New: func(p *actors.Props) {
				actors.Answer(p, func(_ actors.Context, m *say) (*said, error) { return &said{m.Text}, nil })
			}},
		}})
	if err != nil {
		return at, nil, nil, err
	}
	r.Start(r)
	o := gate.Options{Node: "gate-1", Incarnation: 7, Catalogue: messages, Backend: r, Clock: realClock{},
		Scheduler: work, Limits: gate.DefaultLimits(), Draw: rand.Uint64}
	o.Limits.ResumeFor = 500 * time.Millisecond // who leaves here does not come back
	g, err := gate.New(o)
	if err != nil {
		return at, nil, nil, err
	}
	v, err := gate.Serve(g, gate.Sockets{Strict: []netip.Prefix{netip.MustParsePrefix(rogueNetwork)},
		Listeners: []gate.Listener{{Scheme: gate.TCP, Address: anyPort}, {Scheme: gate.WS, Address: anyPort}}})
	if err != nil {
		return at, nil, nil, err
	}
	obey = func(order string) measure {
		m := measure{Connections: g.Counters.Connections.Load(), Sessions: g.Counters.Sessions.Load(),
			Players: r.Report().Actors[player], Accepted: g.Counters.Accepted.Load(),
			Shut: g.Counters.Shut.Load(), Bans: g.Counters.Bans.Load()}
		switch order {
		case "push":
			m.push(func() { r.Route(pushToAll(g)) })
		case "cpu":
			m.CPU = cpu()
		case "shares":
			m.look()
			m.Shares = shares()
		default:
			m.look()
		}
		return m
	}
	end = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), patient)
		defer cancel()
		return errors.Join(v.Stop(ctx), r.Stop(ctx))
	}
	return measure{TCP: v.Address(gate.TCP), WS: v.Address(gate.WS)}, obey, end, nil
}

// aHundred is a body of 100 bytes.
var aHundred = []byte(`{"text":"` + strings.Repeat("x", 89) + `"}`)

// pushToAll is one message to every session, as a group makes it.
func pushToAll(g *gate.Gate) *actors.Envelope {
	e := &actors.Envelope{Type: actors.Message, From: player.Ref("herald"), Number: 201, Codec: wire.JSON,
		Body: aHundred}
	for _, s := range g.Sessions(1 << 20) {
		e.Fan = append(e.Fan, s.Session)
	}
	return e
}

// push times one; the clients say when it was over.
func (m *measure) push(f func()) {
	runtime.GC()
	began := time.Now()
	f()
	m.Began, m.Took, m.CPU = began.UnixNano(), time.Since(began), cpu()
}

// bareKeep is what a push costs at least: sockets, and a loop of writes for each processor.
func bareKeep() (at string, obey func(string) measure, end func() error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, nil, err
	}
	var mu sync.Mutex
	var files []*os.File
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f, err := c.(*net.TCPConn).File()
			if err == nil {
				mu.Lock()
				files = append(files, f)
				mu.Unlock()
			}
			c.Close()
		}
	})
	frame := wire.AppendFrame(nil, 0, 201, 0, aHundred)
	write := func() {
		var half sync.WaitGroup
		for i := range 2 {
			half.Go(func() {
				for _, f := range files[i*len(files)/2 : (i+1)*len(files)/2] {
					_, _ = syscall.Write(int(f.Fd()), frame)
				}
			})
		}
		half.Wait()
	}
	obey = func(order string) measure {
		mu.Lock()
		defer mu.Unlock()
		m := measure{Connections: int64(len(files)), CPU: cpu()}
		if order == "push" {
			m.push(write)
		}
		return m
	}
	return l.Addr().String(), obey, func() error { err := l.Close(); accepting.Wait(); return err }, nil
}

// look measures what the process is now.
func (m *measure) look() {
	m.Untidy = resident()
	for range 2 { // what finalizers let go is free the second time
		runtime.GC()
	}
	debug.FreeOSMemory()
	var heap runtime.MemStats
	runtime.ReadMemStats(&heap)
	m.Heap, m.Goroutines, m.CPU = int(heap.HeapAlloc), runtime.NumGoroutine(), cpu()
	m.Resident, m.Files = resident(), openFiles()
}

// resident is how much memory this process occupies.
func resident() int {
	var size, pages int
	text, err := os.ReadFile("/proc/self/statm")
	if err == nil {
		_, err = fmt.Sscan(string(text), &size, &pages)
	}
	if err != nil {
		panic(err)
	}
	return pages * os.Getpagesize()
}

func openFiles() int {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	return len(all)
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// shares says whose code asked for what is in use.
func shares() map[string]int {
	records := make([]runtime.MemProfileRecord, 20_000)
	n, ok := runtime.MemProfile(records, false)
	if !ok {
		return nil
	}
	bytes := map[string]int{}
	for _, r := range records[:n] {
		bytes[owner(r.Stack())] += int(r.InUseBytes())
	}
	return bytes
}

// owner is the innermost of those who could have asked for it.
func owner(stack []uintptr) string {
	for frames := runtime.CallersFrames(stack); ; {
		f, more := frames.Next()
		for _, whose := range []string{"panjf2000/gnet", "firefly/gate.", "firefly/actors"} {
			if strings.Contains(f.Function, whose) {
				return whose
			}
		}
		if !more {
			return "others"
		}
	}
}

// isPush tells a pushed frame from an answer and from the runtime's own.
func isPush(h wire.Header) bool { return h.Number == 201 && h.Seq == 0 && h.Length == len(aHundred) }
