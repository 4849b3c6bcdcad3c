package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster/node"
)

// blueprint is the meadow, put together once.
var blueprint = sync.OnceValue(func() *node.Blueprint {
	b, err := App.Build()
	if err != nil {
		panic(err)
	}
	return b
})

const (
	pilotPace   = 60 * time.Millisecond // between two acts
	goOnWithin  = 10 * time.Second      // players must go on after a death
	flushEvery  = time.Second           // as in the shipped file
	flushJitter = 2 * time.Second       // for a machine that does other things: changes are this much older at most
	lightPrice  = 3                     // sparks that each light costs the crew
)

// crewPrices sells nine lights for little, so that purchases do not end soon.
var crewPrices = func() string {
	lines := []string{"item,name,light,sparks"}
	for light := 1; light <= 9; light++ {
		lines = append(lines, fmt.Sprintf("light%d,Light %d,%d,%d", light, light, light, lightPrice))
	}
	return strings.Join(lines, "\n") + "\n"
}()

// A crew is a handful of pilots who play by themselves, until stop.
type crew struct {
	*realCluster
	pilots    []*pilot
	stop      func()
	mayBreak  atomic.Bool // connections break: the gate is being killed
	newcomers int
}

// fly lets a crew play, over both kinds of sockets and in several rooms.
func (c *realCluster) fly(size int) *crew {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &crew{realCluster: c}
	var flying sync.WaitGroup
	w.stop = func() { cancel(); flying.Wait() }
	for i := range size {
		p := c.join(fmt.Sprintf("pilot%d", i), []string{"1,1", "0,0", "2,1", "1,2", "0,2", "2,0"}[i%6], i%2 == 1)
		p.save = i%3 == 0
		w.pilots = append(w.pilots, p)
	}
	c.t.Cleanup(w.stop)
	for _, p := range w.pilots {
		flying.Add(1)
		go func() { // ends with stop
			defer flying.Done()
			w.live(ctx, p)
		}()
	}
	w.goesOnIn(patience, "at the beginning", time.Now())
	return w
}

// live is a pilot's life.
func (w *crew) live(ctx context.Context, p *pilot) {
	pace := time.NewTicker(pilotPace)
	defer pace.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
		if err := p.act(n); err != nil {
			if !w.mayBreak.Load() {
				p.mu.Lock()
				p.journal.fault("the connection broke: %v", err)
				p.mu.Unlock()
			}
			w.comeBack(ctx, p)
		}
	}
}

// comeBack connects and logs in again as soon as that is possible, as a client does.
func (w *crew) comeBack(ctx context.Context, p *pilot) {
	for ctx.Err() == nil {
		within, cancel := context.WithTimeout(ctx, answerWithin)
		_, err := p.login(within)
		cancel()
		if err == nil {
			w.settled(ctx, p)
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(pilotPace):
		}
	}
}

// settled waits until a room has shown itself to a pilot that has logged in: before that there is nowhere to fly.
func (w *crew) settled(ctx context.Context, p *pilot) {
	within, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	for {
		p.mu.Lock()
		c, room := p.client, p.room
		p.mu.Unlock()
		if room != "" {
			return
		}
		select {
		case <-c.Done(): // the next act finds out
			return
		case <-time.After(lookEach):
		case <-within.Done():
			p.mu.Lock()
			p.journal.fault("it logged in and was shown no room within %v", answerWithin)
			p.mu.Unlock()
			return
		}
	}
}

// goesOn waits until each pilot was answered in everything it does, by a request that was sent after since: by the
// room, by its own player, and by the leaderboard. A newcomer shows that the store takes commits.
func (w *crew) goesOn(what string, since time.Time) {
	w.t.Helper()
	w.goesOnIn(goOnWithin, what, since)
}

func (w *crew) goesOnIn(within time.Duration, what string, since time.Time) {
	w.t.Helper()
	for _, p := range w.pilots {
		await(w.t, within-time.Since(since), p.name+" to go on "+what, func() error {
			p.mu.Lock()
			defer p.mu.Unlock()
			for _, sort := range []string{"fly", "browse", "top"} {
				if !p.journal.done[sort].After(since) {
					return fmt.Errorf("%s has not been answered since; refused: %v", sort, p.journal.refused)
				}
			}
			return nil
		})
	}
	w.newcomers++
	p := w.newPilot(fmt.Sprintf("newcomer%d", w.newcomers), "1,1", false)
	defer p.leave()
	await(w.t, within-time.Since(since), "a newcomer to log in "+what, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
		defer cancel()
		_, err := p.login(ctx)
		return err
	})
	w.t.Logf("%s everybody went on after %v", what, time.Since(since).Round(10*time.Millisecond))
}

// bought waits until the crew has bought so many more lights, and returns at once when the last of them was answered
// with yes: what is killed then has had no time to write it later.
func (w *crew) bought(lights int) {
	w.t.Helper()
	sum := func() (n int) {
		for _, p := range w.pilots {
			p.mu.Lock()
			n += p.journal.light
			p.mu.Unlock()
		}
		return n
	}
	before := sum()
	awaitEach(w.t, time.Millisecond, patience, fmt.Sprintf("the crew to buy %d lights", lights), func() error {
		if now := sum(); now < before+lights {
			return fmt.Errorf("it has bought %d", now-before)
		}
		return nil
	})
}

// saved waits until somebody who buys nothing was told of sparks so long ago that they must be kept by now.
func (w *crew) saved(ago time.Duration) {
	w.t.Helper()
	await(w.t, patience, fmt.Sprintf("sparks that were gathered %v ago", ago), func() error {
		for _, p := range w.pilots {
			p.mu.Lock()
			old := slices.ContainsFunc(p.journal.tops, func(c count) bool {
				return c.sparks > 0 && time.Since(c.heard) > ago
			})
			p.mu.Unlock()
			if p.save && old {
				return nil
			}
		}
		return errors.New("nobody has any")
	})
}

// killed kills a node under the crew's traffic. Everybody goes on in time, the supervisor starts another process, and
// nothing is lost that must not be.
func (w *crew) killed(name string, mayLose time.Duration) {
	w.t.Helper()
	if mayLose > 0 {
		w.saved(mayLose)
	}
	at := time.Now()
	dead := w.Kill(name)
	w.goesOn("after the death of "+name, at)
	w.Restarted(dead)
	w.lost(name, at, mayLose)
	w.faultless("after the death of " + name)
}

// lost compares what the leaderboard said of each pilot, which never falls by itself, before and after a death: what
// was told longer ago than mayLose is kept.
func (w *crew) lost(name string, at time.Time, mayLose time.Duration) {
	w.t.Helper()
	for _, p := range w.pilots {
		p.mu.Lock()
		tops := slices.Clone(p.journal.tops)
		i := slices.IndexFunc(tops, func(c count) bool { return c.asked.After(at) })
		if i >= 0 {
			p.journal.tops = slices.Clone(tops[i:]) // the next death is compared with what was kept of this one
		}
		p.mu.Unlock()
		if i < 0 {
			w.t.Fatalf("%s has not been told of its sparks since the death of %s", p.name, name)
		}
		for _, before := range tops[:i] {
			if before.heard.Before(at.Add(-mayLose)) && before.sparks > tops[i].sparks {
				w.t.Errorf("%v before the death of %s, %s had gathered %d sparks, and %d afterwards",
					at.Sub(before.heard), name, p.name, before.sparks, tops[i].sparks)
			}
		}
	}
}

// faultless fails the test if something happened that must not, whatever dies.
func (w *crew) faultless(when string) {
	w.t.Helper()
	for _, p := range w.pilots {
		p.mu.Lock()
		for _, f := range p.journal.faults {
			w.t.Errorf("%s, %s: %s", when, p.name, f)
		}
		p.journal.faults = nil
		if c := p.client; c != nil {
			p.counts.Crossed += c.Counts().Crossed
		}
		if p.counts.Crossed > 0 {
			w.t.Errorf("%s, %s: %d crossed answers", when, p.name, p.counts.Crossed)
		}
		p.mu.Unlock()
	}
}

// accounts lets everybody log in anew, and compares what they have with what they were promised: no purchase that was
// answered with yes is lost, and none is half: what was gathered is in the purse or was paid for the light.
func (w *crew) accounts(t *testing.T) {
	t.Helper()
	bought, refused := 0, map[actors.Code]int{}
	for _, p := range w.pilots {
		for code, n := range p.journal.refused {
			refused[code] += n
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		in, err := p.login(ctx)
		cancel()
		if err != nil || in.New {
			t.Errorf("%s logs in: %+v, %v", p.name, in, err)
			continue
		}
		p.await("to see itself", func() bool { _, ok := p.seen[p.name]; return ok })
		if err := w.account(p); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		bought += p.journal.light
		p.leave()
	}
	if bought == 0 {
		t.Error(errors.New("nobody bought anything: nothing was tested"))
	}
	t.Logf("%d lights were bought; refused on the way: %v", bought, refused)
}

// account is what is wrong with what a pilot has.
func (w *crew) account(p *pilot) error {
	gathered := call[*Leaders](p, &Top{}).You.Sparks
	p.mu.Lock()
	defer p.mu.Unlock()
	light := p.seen[p.name].Light
	if light < p.journal.light || gathered != p.purse+int64(light*lightPrice) {
		return fmt.Errorf("its light is %d and was sold as %d; it has gathered %d and has %d left", light,
			p.journal.light, gathered, p.purse)
	}
	return nil
}

// isRefused lets somebody new come, which needs a commit: the answer is an error that says that the store is away.
func (w *crew) isRefused(what string) {
	w.t.Helper()
	p := w.newPilot("toosoon", "1,1", true)
	defer p.leave()
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	began := time.Now()
	_, err := p.login(ctx)
	refusal := (*actors.Refusal)(nil)
	if !errors.As(err, &refusal) || !slices.Contains(excusable, refusal.Code) {
		w.t.Errorf("%s a newcomer is answered: %v", what, err)
	}
	w.t.Logf("%s a newcomer is refused after %v: %v", what, time.Since(began).Round(lookEach), err)
}

// playsOn waits until everybody was answered by its room and its own player, by a request that was sent after since:
// what needs no store.
func (w *crew) playsOn(what string, since time.Time) {
	w.t.Helper()
	for _, p := range w.pilots {
		await(w.t, patience, p.name+" to play on "+what, func() error {
			p.mu.Lock()
			defer p.mu.Unlock()
			if !p.journal.done["fly"].After(since) {
				return fmt.Errorf("it does not fly; refused: %v", p.journal.refused)
			}
			return nil
		})
	}
}
