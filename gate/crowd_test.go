package gate_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/gate"
)

// rogueNetwork is where a crowd comes from; the gate treats it as it treats strangers.
const rogueNetwork = "127.0.7.0/24"

// crowdSize is from how many addresses a crowd comes.
const crowdSize = 8

// crowdKeep is all rogues at once, each over and over, from addresses that begin behind skip others. Its processor time
// is nobody's who matters: it takes what others leave.
func crowdKeep(tcp, ws, skip string) (obey func(string) measure, end func() error) {
	if err := stepBack(); err != nil {
		panic(err)
	}
	first, err := strconv.Atoi(skip)
	if err != nil {
		panic(err)
	}
	var running sync.WaitGroup
	var tried atomic.Uint64
	stop := make(chan struct{})
	for i, r := range rogues() {
		at, there := map[gate.Scheme]string{gate.TCP: tcp, gate.WS: ws}[r.over]
		if !there {
			continue
		}
		running.Go(func() {
			for n := i; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
				}
				c, err := dialFrom(fmt.Sprintf("127.0.7.%d", 1+first+n%crowdSize), at)
				if err != nil {
					continue
				}
				tried.Add(1)
				attack(c, r, stop)
			}
		})
	}
	obey = func(string) measure { return measure{Accepted: tried.Load()} }
	return obey, func() error { close(stop); running.Wait(); return nil }
}

// stepBack gives all threads of this process, and those that they will start, the lowest priority.
func stepBack() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("crowd: threads: %w", err)
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err == nil {
			err = syscall.Setpriority(syscall.PRIO_PROCESS, id, 19)
		}
		if err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("crowd: priority of a thread: %w", err)
		}
	}
	return nil
}

// attack lets a rogue do what it does, and waits until the gate has had enough.
func attack(c net.Conn, r rogue, stop chan struct{}) {
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-stop:
		case <-done:
		}
		c.Close()
	})
	r.does(c)
	_, _ = io.Copy(io.Discard, c)
	close(done)
	watching.Wait()
}

// A control group of ordinary clients notices nothing of a crowd of all kinds of rogues: nobody is closed, all are
// answered. How much slower is printed: the time before each crowd is the ceiling, and its p99 should move by at most
// 20 %, which only a machine that has nothing else to do can show.
func TestAControlGroupNoticesNothingOfACrowd(t *testing.T) {
	seconds, isLong := sized(t, "FIREFLY_CROWD", 1)
	rounds := 5
	if !isLong { // and no figure counts
		t.Parallel()
		rounds = 1
	}
	k := startKeep(t, "gate")
	g := newThrong(t, k)
	const members = 20
	g.lets(members)
	calm := func() time.Duration { return g.served(time.Duration(seconds) * time.Second) }
	calm() // what comes up once
	var moved []float64
	for round := range rounds {
		before, cpu := calm(), k.ask("cpu")
		crowd := startKeep(t, "crowd", k.tcp, k.ws, strconv.Itoa(round*crowdSize))
		until(t, "the crowd to come", func() bool { return k.ask("cpu").Accepted > cpu.Accepted })
		during := calm()
		until(t, "each kind of rogue to have come", func() bool {
			return int(k.ask("cpu").Accepted-cpu.Accepted) >= len(rogues()) // without those in TLS more than once
		})
		met := k.ask("cpu")
		t.Logf("the crowd came %d times: %d were let in, %d shut out, %d bans; CPU of the gate %v",
			crowd.ask("cpu").Accepted, met.Accepted-cpu.Accepted, met.Shut-cpu.Shut, met.Bans-cpu.Bans, met.CPU-cpu.CPU)
		crowd.end()
		until(t, "the crowd to be gone", func() bool { return k.ask("cpu").Connections == members })
		moved = append(moved, float64(during)/float64(before))
		t.Logf("p99 of the control group: %v before, %v with the crowd: %.2f times", before, during, moved[round])
	}
	slices.Sort(moved)
	t.Logf("at the median of %d crowds the p99 was %.2f times what it was; at most 1.2 is wanted", rounds,
		moved[rounds/2])
}

// served has every client ask something twenty times a second, and returns the p99 of its answers.
func (g *throng) served(long time.Duration) time.Duration {
	g.t.Helper()
	took := g.asks(g.order, int(long.Seconds()*20)*len(g.order), long)
	return took[len(took)*99/100]
}
