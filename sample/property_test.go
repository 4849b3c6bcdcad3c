package main

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fireflyrt/firefly/cluster/replay"
)

// An accountant is a visitor, and what it must have by all that it was told.
type accountant struct {
	*visitor
	worth  map[uint32]int64 // of the sparks in its room
	earned int64            // as gifts and by flying
	spent  int64
	light  int
}

// hears takes note of what the room has told since.
func (a *accountant) hears() {
	for _, s := range replay.All[*Snapshot](a.Client) {
		for _, spark := range s.Sparks {
			a.worth[spark.ID] = spark.Worth
		}
	}
	for _, s := range replay.All[*Sparked](a.Client) {
		a.worth[s.ID] = s.Worth
	}
	for _, c := range replay.All[*Collected](a.Client) {
		if c.Who == a.name {
			a.earned += a.worth[c.ID]
		}
	}
}

// Whatever visitors do, in whatever order: no spark comes from nowhere or gets lost, nobody owes any, and a light burns
// for whoever paid for it. That each request gets one answer, every World sees to.
func TestSparksAreNeitherMadeNorLost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := replay.NewWorld(t, App, replay.Seed(rapid.Uint64Range(0, 99).Draw(t, "seed")))
		names, all := []string{"ann", "bob"}, map[string]*accountant{}
		for _, name := range names {
			v := enter(w, name)
			all[name] = &accountant{visitor: v, worth: map[uint32]int64{}}
			for id, spark := range replay.Peek[map[uint32]Spark](w, RoomKind.Ref(v.room), "spark") {
				all[name].worth[id] = spark.Worth
			}
		}
		who := func() *accountant { return all[rapid.SampledFrom(names).Draw(t, "who")] }
		t.Repeat(map[string]func(*rapid.T){
			"gift": func(t *rapid.T) {
				a, amount := who(), rapid.Int64Range(1, 100).Draw(t, "amount")
				a.earn(w, amount)
				a.earned += amount
			},
			"buy": func(t *rapid.T) {
				a, item := who(), rapid.SampledFrom([]string{"ember", "candle", "lantern", "moon"}).Draw(t, "item")
				if answer, err := a.Ask(&Buy{Item: item}); err == nil {
					a.light = answer.(*Bought).Light
					a.spent += map[string]int64{"ember": 10, "candle": 35, "lantern": 90}[item]
				}
			},
			"fly": func(t *rapid.T) {
				a := who()
				a.flyTo(w, a.at.Towards(meadow.Within("1,1", rapid.Float64Range(0, 1).Draw(t, "x"), 0.5), 150))
			},
			"wait": func(*rapid.T) { w.Advance(time.Second) },
			"": func(t *rapid.T) {
				w.Advance(100 * time.Millisecond) // so that what was sent has arrived
				for _, name := range names {
					a := all[name]
					a.hears()
					ref := PlayerKind.Ref(a.name)
					sparks := replay.Peek[map[string]int64](w, ref, "wallet")[Sparks]
					glow := replay.Peek[Glow](w, ref, "glow")
					if sparks < 0 || sparks != a.earned-a.spent || glow != (Glow{a.light, a.earned}) {
						t.Fatalf("%s earned %d, spent %d and lit %d, and has %d sparks and %+v",
							a.name, a.earned, a.spent, a.light, sparks, glow)
					}
				}
			},
		})
	})
}
