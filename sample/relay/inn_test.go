package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/clustertest"
	"github.com/fireflyrt/firefly/gate/client"
)

const innConfig = `[cluster]
name = "inn"
drain_timeout = "2m"
etcd_port = 9470
shards = 64
[node.inn]
roles = ["gate", "game"]
count = 1
listen = "127.0.0.1:9410+"
tcp = "127.0.0.1:9400+"
[node.persist-1]
roles = ["persist"]
listen = "127.0.0.1:9430"
[gate]
rate = 100000
burst = 100000
[actors]
slow = "1m"
`

const (
	lodgersInCI = 400
	knocksAt    = 20                     // lodgers that are asked for at once
	roundTakes  = 3 * time.Second        // at least, to ask for all
	perLodger   = 250 * time.Microsecond // times all of them, or for longer, nobody asks for one until it stops
)

// TestNobodyIsInTwoPlacesThoughAllAreAskedForWhileANodeJoins has FIREFLY_LODGERS entities that take 200 ms to stop, and
// has all of them asked for while a node joins: by a node that was there before, and by the one that joins, as soon as
// it knows anything. Whenever an instance comes up, the one before has stopped, with all that it wrote, or has moved.
func TestNobodyIsInTwoPlacesThoughAllAreAskedForWhileANodeJoins(t *testing.T) {
	lodgers, diaries := number(t, "FIREFLY_LODGERS", lodgersInCI), t.TempDir()
	program, env := clustertest.Itself(t, asInn)
	idle := max(time.Duration(lodgers)*perLodger, roundTakes/6)
	c := clustertest.New(t, clustertest.Game{Program: program, Config: innConfig,
		Env: append(env, diaryPath+"="+diaries, idlePeriod+"="+idle.String())}).Up()
	h := &house{Up: c, t: t, lodgers: lodgers, takes: max(roundTakes, 2*idle)}
	if refused := h.round(t.Context(), h.door("inn-1"), 0, 0); refused > 0 {
		t.Fatalf("%d lodgers did not come", refused)
	}
	ctx, stop := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	defer func() { stop(); asking.Wait() }()
	asking.Go(func() { h.ask(ctx, "inn-1", h.lodgers/2, &h.rounds[0]) })
	asking.Go(func() { h.ask(ctx, "inn-2", 0, &h.rounds[1]) })
	clustertest.AwaitEach(t, idle/4, endWithin, "lodgers to come and go", func() error {
		text, err := os.ReadFile(filepath.Join(diaries, strconv.Itoa(c.Node("inn-1").PID)))
		if gone := strings.Count(string(text), " "+left+" "); gone < h.lodgers/10 {
			return errors.Join(err, fmt.Errorf("%d have gone", gone))
		}
		return nil
	})
	began := time.Now()
	p := c.Cluster.Command("scale", "inn=2")
	var said bytes.Buffer
	p.Stdout, p.Stderr = &said, &said
	if err := p.Run(); err != nil {
		t.Fatalf("scale inn=2: %v\n%s", err, said.String())
	}
	a := &attended{Up: c, t: t}
	a.await("both to have their half", func(d *division) error {
		if n := d.left(); n > 0 || len(d.among) != 2 {
			return fmt.Errorf("%d shards are to be moved, among %d", n, len(d.among))
		}
		return nil
	})
	over := time.Now()
	clustertest.Await(t, endWithin, "both to have asked for all", func() error {
		if a, b := h.rounds[0].Load(), h.rounds[1].Load(); min(a, b) == 0 {
			return fmt.Errorf("they have %d and %d times", a, b)
		}
		return nil
	})
	stop()
	asking.Wait()
	c.Stop()
	r := register{from: began.UnixNano(), to: over.UnixNano()}
	r.judge(t, diaries)
	t.Logf("%d lodgers: the join took %v; all were asked for %d and %d times, %d were refused; "+
		"%d came up cold and %d by moves, %d stopped, %d of them during the join", h.lodgers,
		over.Sub(began).Round(time.Millisecond), h.rounds[0].Load(), h.rounds[1].Load(), h.refused.Load(), r.cold,
		r.moved, r.left, r.during)
	if r.moved == 0 || r.left < h.lodgers || r.during == 0 || r.cold != r.left {
		t.Error("nobody has moved, too few have stopped, or somebody is still there: nothing was tested")
	}
}

// A house is who asks for lodgers.
type house struct {
	*clustertest.Up
	t       *testing.T
	lodgers int
	takes   time.Duration   // a round, at least: lodgers are left alone for long enough to stop
	rounds  [2]atomic.Int64 // by node, complete ones
	refused atomic.Int64
}

// door is a client of a node's gate; nil: it has none yet.
func (h *house) door(name string) *client.Client {
	r, err := h.Running(name)
	if err != nil || r.TCP == "" {
		return nil
	}
	within, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := client.Dial(within, "tcp://"+r.TCP, client.Options{Catalogue: innMessages})
	if err != nil {
		return nil
	}
	return conn
}

// ask asks a node for all lodgers, as soon as it lets anybody in, again and again.
func (h *house) ask(ctx context.Context, name string, first int, rounds *atomic.Int64) {
	for ctx.Err() == nil {
		conn := h.door(name)
		if conn == nil {
			time.Sleep(clustertest.LookEach)
			continue
		}
		for ctx.Err() == nil && conn.Err() == nil {
			h.refused.Add(int64(h.round(ctx, conn, first, h.takes)))
			if ctx.Err() == nil {
				rounds.Add(1)
			}
		}
		conn.Close() //nolint:errcheck // nothing is open
	}
}

// round asks for each lodger once, from the first on, and returns how many were not to be had. It takes its time.
func (h *house) round(ctx context.Context, conn *client.Client, first int, takes time.Duration) int {
	var refused atomic.Int64
	var over sync.WaitGroup
	next := make(chan int)
	for range porters {
		over.Go(func() {
			for at := range next {
				at = (first + at) % h.lodgers
				k, err := client.Call[*knocked](ctx, conn, &knock{First: at, After: min(at+knocksAt, h.lodgers)})
				if err != nil && ctx.Err() == nil {
					refused.Add(1)
				} else if err == nil {
					refused.Add(int64(k.Refused))
				}
			}
		})
	}
	began := time.Now()
	for at := 0; at < h.lodgers; at += knocksAt {
		due := began.Add(takes * time.Duration(at) / time.Duration(h.lodgers))
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
		}
		next <- at
	}
	close(next)
	over.Wait()
	return int(refused.Load())
}

// A line is one of a diary.
type line struct {
	at       int64
	id       string
	instance string
	what     string
	stays    int
}

// A register is what all diaries together say.
type register struct {
	from, to                  int64 // of the join
	cold, moved, left, during int
}

// judge reads all diaries, and looks whether anybody was in two places.
func (r *register) judge(t *testing.T, dir string) {
	t.Helper()
	byID, isCold := map[string][]line{}, map[string]bool{}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		for _, l := range readDiary(t, name) {
			byID[l.id] = append(byID[l.id], l)
			isCold[l.instance] = isCold[l.instance] || l.what == cold
		}
	}
	for _, all := range byID {
		slices.SortStableFunc(all, func(a, b line) int { return cmp.Compare(a.at, b.at) })
		if err := r.life(all, isCold); err != nil && !t.Failed() {
			t.Errorf("%v:\n%s", err, told(all))
		}
	}
}

// life looks at what one lodger has noted, in order.
func (r *register) life(all []line, isCold map[string]bool) error {
	here, gone, stopped := "", true, 0
	for _, l := range all {
		switch {
		case l.what == came && isCold[l.instance]:
			if r.cold++; !gone {
				return fmt.Errorf("lodger %s came twice: %s while %s was there", l.id, l.instance, here)
			}
			if l.stays != stopped {
				return fmt.Errorf("lodger %s has stopped %d times, and comes up with %d", l.id, stopped, l.stays)
			}
			here, gone = l.instance, false
		case l.what == came:
			if r.moved++; gone {
				return fmt.Errorf("lodger %s has moved after it had left", l.id)
			}
			here = l.instance
		case l.instance != here || gone:
			return fmt.Errorf("lodger %s: %s notes that it %s, and %s is there", l.id, l.instance, l.what, here)
		case l.what == left:
			r.left, gone, stopped = r.left+1, true, stopped+1
			if r.from < l.at && l.at < r.to {
				r.during++
			}
		}
	}
	return nil
}

func told(all []line) string {
	var s strings.Builder
	for _, l := range all {
		fmt.Fprintf(&s, "%d %s %s %d\n", l.at, l.instance, l.what, l.stays)
	}
	return clustertest.LastLines(s.String(), 30)
}

func readDiary(t *testing.T, name string) (all []line) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s := bufio.NewScanner(file)
	for s.Scan() {
		var l line
		if _, err := fmt.Sscan(s.Text(), &l.at, &l.id, &l.instance, &l.what, &l.stays); err != nil {
			t.Fatal(errors.Join(err, fmt.Errorf("%s holds %q", name, s.Text())))
		}
		all = append(all, l)
	}
	return all
}
