package cli

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fireflyrt/firefly/cluster/freeport"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/gate/client"
)

// Bounds of a run of bots.
const (
	maxBots       = 5000             // sockets of one process
	dialWithin    = 20 * time.Second // for all of them to connect
	dialers       = 32               // that connect at once
	settleWithin  = 6 * time.Second  // for the last answers: a request's deadline and a little
	spread        = time.Second      // over which bots begin
	clusterWithin = 30 * time.Second
)

// errBots means that something went wrong among the bots; the report above it says what.
var errBots = errors.New("cli: the bots met errors")

// bots plays the cluster that is up, or one that it brings up for itself, with n bots.
func (t *tool) bots(config string, n int, length time.Duration, seed uint64, json bool) error {
	switch {
	case t.bot == nil:
		return misuse{errors.New("this game has no bots: App.Bot is not set")}
	case n < 1 || n > maxBots:
		return misuse{fmt.Errorf("there can be 1 to %d bots", maxBots)}
	case length <= 0:
		return misuse{errors.New("the bots need some time: -for 10s")}
	}
	c, err := t.load(config)
	if err != nil {
		return err
	}
	ctx, rush, end := interrupts()
	defer end()
	p := &party{tool: t, n: n, length: length, seed: seed}
	nodes, err := playable(ctx, c)
	if err != nil {
		return err
	}
	if len(nodes) > 0 {
		err = p.play(ctx, c, nodes)
	} else {
		err = t.withCluster(ctx, rush, c, p.play)
	}
	if p.report.Bots == 0 {
		return err // they did not come to play
	}
	if json {
		writeJSON(t.out, p.report)
	} else {
		p.report.print(t.out)
	}
	if p.report.bad() {
		return errors.Join(errBots, err)
	}
	return err
}

// playable finds the nodes of a cluster that is up, once all of them are ready; none: it is down.
func playable(ctx context.Context, c *node.Config) ([]node.Running, error) {
	ctx, cancel := context.WithTimeout(ctx, clusterWithin)
	defer cancel()
	for {
		found, err := node.ReadRunning(c.RunDir())
		if err != nil {
			return nil, err
		}
		found = slices.DeleteFunc(found, func(r node.Running) bool { return !r.Alive() })
		if _, watched := holder(c.Cluster.Data); len(found) == 0 && !watched {
			return nil, nil
		}
		host, err := here(c, "")
		if err != nil {
			return nil, err
		}
		var waiting error
		if all := len(local(c, host)); len(found) < all {
			waiting = fmt.Errorf("%d of %d nodes run", len(found), all)
		}
		for _, r := range found {
			if _, err := ask(ctx, r); err != nil {
				waiting = err
			}
		}
		if waiting == nil {
			return found, nil
		}
		if sleep(ctx, tickEvery) != nil {
			return nil, fmt.Errorf("cli: the cluster is up, but not ready: %w", waiting)
		}
	}
}

// withCluster brings a cluster up beside whatever else runs, with files and ports of its own, lets
// f play it, and stops it.
func (t *tool) withCluster(ctx, rush context.Context, c *node.Config,
	f func(context.Context, *node.Config, []node.Running) error) (err error) {
	dir, err := os.MkdirTemp("", "firefly-bots-")
	if err != nil {
		return fmt.Errorf("cli: making a place for a cluster: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ports, err := freeport.Take(c.Ports())
	if err != nil {
		return err
	}
	defer ports.Release()
	own, err := moved(c, dir, ports.First)
	if err != nil {
		return err
	}
	fmt.Fprintln(t.err, "no cluster is up: starting one for these bots")
	life, stop := context.WithCancel(ctx)
	defer stop()
	supervised := make(chan error, 1)
	go func() { // ends with stop, waited for below
		supervised <- t.supervise(life, rush, own, "", 0, lines{w: t.err})
	}()
	nodes, err := awaitPlay(life, own, supervised)
	if err == nil {
		err = f(life, own, nodes)
	}
	stop()
	return errors.Join(err, <-supervised)
}

// awaitPlay waits until a cluster that is being started is playable.
func awaitPlay(ctx context.Context, c *node.Config, supervised chan error) ([]node.Running, error) {
	for {
		nodes, err := playable(ctx, c)
		if err != nil || len(nodes) > 0 {
			return nodes, err
		}
		select {
		case err := <-supervised: // it is over before it began
			supervised <- nil
			return nil, errors.Join(errors.New("cli: no cluster to play"), err)
		case <-time.After(tickEvery):
		}
	}
}

// moved writes a configuration like c for another place.
func moved(c *node.Config, dir string, port int) (*node.Config, error) {
	own := c.Moved(filepath.Join(dir, ".firefly"), port)
	own.Path = filepath.Join(dir, "runtime.toml")
	f, err := os.OpenFile(own.Path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cli: writing a configuration: %w", err)
	}
	return own, errors.Join(own.Write(f), f.Close())
}

// A party is a run of bots.
type party struct {
	*tool
	n      int
	length time.Duration
	seed   uint64
	timing histogram
	report botReport
}

// play connects the bots, lets them live, and adds up.
func (p *party) play(ctx context.Context, c *node.Config, nodes []node.Running) error {
	gates := slices.DeleteFunc(slices.Clone(nodes), func(r node.Running) bool {
		return len(r.Doors()) == 0
	})
	if len(gates) == 0 {
		return errors.New("cli: no gate runs here")
	}
	clients, err := p.connect(ctx, c, doors(gates))
	defer func() {
		for _, c := range clients {
			c.Close() //nolint:errcheck // the run is over
		}
	}()
	if err != nil {
		return err
	}
	before := ticksOf(nodes)
	began := time.Now()
	errs := p.live(ctx, clients)
	took := time.Since(began)
	p.settle(ctx, clients)
	p.report = p.sum(clients, errs, took)
	p.report.count(nodes, before, ticksOf(nodes))
	return nil
}

// connect opens all connections, a few at a time.
func (p *party) connect(ctx context.Context, c *node.Config, doors []string) ([]*client.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	clients, errs := make([]*client.Client, p.n), make([]error, p.n)
	next := make(chan int)
	var dialing sync.WaitGroup
	for range min(dialers, p.n) {
		dialing.Add(1)
		go func() { // ends with next
			defer dialing.Done()
			for i := range next {
				clients[i], errs[i] = p.dial(ctx, c, doors[i%len(doors)], p.timing.add)
			}
		}()
	}
	for i := range p.n {
		next <- i
	}
	close(next)
	dialing.Wait()
	open := slices.DeleteFunc(clients, func(c *client.Client) bool { return c == nil })
	if len(open) < p.n {
		return open, fmt.Errorf("cli: %d of %d bots could not connect: %w", p.n-len(open), p.n,
			errors.Join(firstFew(errs)...))
	}
	return open, nil
}

// dial connects a bot; answered hears of each answer.
func (t *tool) dial(ctx context.Context, c *node.Config, door string,
	answered func(took time.Duration)) (*client.Client, error) {
	return client.Dial(ctx, door, client.Options{Catalogue: t.catalogue, Name: "bots/1", Policy: client.Resume,
		Way:      way(c, door),
		Answered: func(_ uint32, took time.Duration) { answered(took) }})
}

// live runs every bot until its time is over, and returns how each ended.
func (p *party) live(ctx context.Context, clients []*client.Client) []error {
	until, cancel := context.WithTimeout(ctx, p.length)
	defer cancel()
	errs := make([]error, len(clients))
	var living sync.WaitGroup
	for i, c := range clients {
		living.Add(1)
		go func() { // ends with until
			defer living.Done()
			turn := min(spread, p.length/2) * time.Duration(i) / time.Duration(len(clients))
			if sleep(until, turn) != nil {
				return
			}
			b := &client.Bot{Client: c, Number: i, Until: until,
				Rand: rand.New(rand.NewPCG(p.seed, uint64(i)))}
			if err := p.bot(b); err != nil {
				errs[i] = fmt.Errorf("bot %d: %w", i, err)
			}
		}()
	}
	living.Wait()
	return errs
}

// settle gives the last answers time to come.
func (p *party) settle(ctx context.Context, clients []*client.Client) {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	for open(clients) > 0 && sleep(ctx, tickEvery) == nil {
	}
}

func open(clients []*client.Client) int {
	sum := 0
	for _, c := range clients {
		sum += c.Open()
	}
	return sum
}
