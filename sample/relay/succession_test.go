package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster"
	"github.com/fireflyrt/firefly/cluster/clustertest"
	"github.com/fireflyrt/firefly/cluster/etcdtest"
)

// warden is a node that owns nothing and has no players, so that its death costs nobody anything but what it did for
// all: it coordinates.
const warden = "admin-1"

// An attended relay is one with a warden and an etcd of three.
type attended struct {
	*clustertest.Up
	t     *testing.T
	etcd  *etcdtest.Cluster
	field *field

	deaths, early int // early ones left something to be moved
}

// TestCoordinatorAndEtcdsLeaderDieInTheMiddleOfMovesAndNobodyNotices kills whoever coordinates, and whoever leads etcd,
// while nodes join and leave under load, FIREFLY_ROUNDS times. Nothing is lost, doubled, out of order, or disconnected,
// and another coordinator brings to its end what was begun.
func TestCoordinatorAndEtcdsLeaderDieInTheMiddleOfMovesAndNobodyNotices(t *testing.T) {
	etcd := etcdtest.Start(t)
	endpoints := "shards = 64\netcd = [\"" + strings.Join(etcd.Endpoints(), "\", \"") + "\"]"
	c := start(t, strings.Replace(relayConfig, "etcd_port = 9470", endpoints, 1)+
		"[node.admin-1]\nroles = [\"admin\"]\nlisten = \"127.0.0.1:9440\"\nhttp = \"127.0.0.1:9441\"\n")
	a := &attended{Up: c, t: t, etcd: etcd, field: compete(t, c, number(t, "FIREFLY_RACERS", racersInCI/2))}
	a.field.during("half a second", func() { time.Sleep(time.Second / 2) })
	for n := range number(t, "FIREFLY_ROUNDS", 1) {
		if n%2 == 0 {
			a.amid("the coordinator's death", a.coordinatorDies, "scale", "game=4")
			a.amid("the death of etcd's leader", a.leaderDies, "scale", "game=2")
			continue
		}
		a.amid("the death of etcd's leader", a.leaderDies, "scale", "game=4")
		a.amid("the coordinator's death", a.coordinatorDies, "drain", "game-4")
		a.amid("the coordinator's death", a.coordinatorDies, "scale", "game=2")
	}
	a.field.finish(300)
	c.Stop()
	if 2*a.early < a.deaths { // moves do not wait for a death to be carried out
		t.Errorf("at %d of %d deaths all had been moved: nothing was tested", a.deaths-a.early, a.deaths)
	}
}

// missedAfter is when moves that nobody has seen on their way count as over: the registry is looked at
// now and then, and a short drain can be over between two looks.
const missedAfter = 10 * time.Second

// amid runs a verb that moves shards, lets somebody die in the middle of it, and waits until every shard is where it is
// to be.
func (a *attended) amid(what string, die func() (after func()), verb ...string) {
	a.t.Helper()
	a.Appoint(warden)
	left := 0
	a.field.during(fmt.Sprintf("%s amid %v", what, verb), func() {
		var said bytes.Buffer
		p := a.Cluster.Command(verb...)
		p.Stdout, p.Stderr = &said, &said
		if err := p.Start(); err != nil {
			a.t.Fatal(err)
		}
		begun := time.Now()
		a.await("shards to be on their way", func(d *division) error {
			if len(d.Intents) == 0 && time.Since(begun) < missedAfter {
				return errors.New("none is")
			}
			return nil
		})
		after := die()
		a.await("what is left to do", func(d *division) error { left = d.left(); return nil })
		after()
		if err := p.Wait(); err != nil {
			a.t.Errorf("%v: %v\n%s", verb, err, said.String())
		}
		a.await("every shard to be where it is to be", func(d *division) error {
			if n := d.left(); n > 0 {
				return fmt.Errorf("%d are not", n)
			}
			return nil
		})
	})
	a.t.Logf("%d shards were still to be moved", left)
	if a.deaths++; left > 0 {
		a.early++
	}
}

// coordinatorDies kills the warden, who coordinates.
func (a *attended) coordinatorDies() (after func()) {
	a.t.Helper()
	if who, err := a.Coordinator(); who != warden || err != nil {
		a.t.Fatalf("%q coordinates, and %s is to die: %v", who, warden, err)
	}
	dead := a.Kill(warden)
	return func() { a.Restarted(dead) }
}

// leaderDies kills the leader of etcd.
func (a *attended) leaderDies() (after func()) {
	a.t.Helper()
	a.etcd.Kill(a.etcd.Leader())
	return a.etcd.StartAll
}

// A division is who owns the shards of the runners, and among whom they are divided.
type division struct {
	*cluster.Assignment
	among []uint64
}

// division reads it from the registry.
func (a *attended) division() (*division, error) {
	owners, err := a.Registered("owners/game")
	if err != nil {
		return nil, err
	}
	members, err := a.Registered("members/")
	if err != nil {
		return nil, err
	}
	d := &division{Assignment: &cluster.Assignment{}}
	for _, text := range members {
		var m cluster.Member
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			return nil, err
		}
		if m.HasRole("game") && !m.Draining {
			d.among = append(d.among, m.Incarnation)
		}
	}
	return d, json.Unmarshal([]byte(owners[""]), d.Assignment)
}

// left is how many shards are not where they are to be.
func (d *division) left() (n int) {
	loads := map[uint64]int{}
	for _, o := range d.Owners {
		loads[o.Incarnation]++
	}
	for who, load := range loads {
		fair := (len(d.Owners) + len(d.among) - 1) / max(len(d.among), 1)
		if !slices.Contains(d.among, who) {
			fair = 0
		}
		n += max(load-fair, 0)
	}
	return n
}

// await waits until the shards are as they should be.
func (a *attended) await(what string, so func(*division) error) {
	a.t.Helper()
	clustertest.Await(a.t, 2*clustertest.Patience, what, func() error {
		d, err := a.division()
		if err == nil {
			err = so(d)
		}
		return err
	})
}
