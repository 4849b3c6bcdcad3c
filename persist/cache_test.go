package persist_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/persist"
)

func TestARowIsReadOnceForAllWhoWaitAndAgainIfItWasWrittenMeanwhile(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("other")
		reads := w.archive.Report().Loads
		var waiting []*result
		for range 10 {
			waiting = append(waiting, g.begin("ann"))
		}
		w.moods.afterLoad = func() { // the read has its answer; before it arrives, ann is written
			w.moods.afterLoad = nil
			saved := g.save("ann", 1, true, `{"v":1}`)
			w.settle()
			saved.is(t, "ok")
		}
		w.settle()
		for _, r := range waiting {
			r.is(t, "ok")
			is(t, r.text(), `{"v":1}@1`)
		}
		is(t, w.archive.Report().Loads, reads+2)
	})
}

func TestWithRoomForASingleEntryTheCacheStillTellsTheTruth(t *testing.T) {
	for _, room := range []int64{200, 2000, 1 << 20} {
		w := newWorld(t, persist.NewMemory(), persist.Limits{CacheBytes: room})
		g, luck := w.game(gameA, 1), rand.New(rand.NewPCG(1, uint64(room)))
		model := make(map[string]map[string]string)
		versions := make(map[string]uint64)
		for step := range 1000 {
			id := fmt.Sprintf("h%d", luck.IntN(12))
			if luck.IntN(2) == 0 {
				if got, want := g.load(id), modelText(model[id], versions[id]); got != want {
					t.Fatalf("room %d, step %d: %s is %s, want %s", room, step, id, got, want)
				}
				continue
			}
			if model[id] == nil {
				model[id] = make(map[string]string)
				g.load(id)
			}
			versions[id]++
			model[id][""] = fmt.Sprintf(`{"s":%d}`, step)
			part, text := fmt.Sprintf("bag/%d", luck.IntN(3)), ""
			delete(model[id], part)
			if luck.IntN(3) > 0 {
				text = fmt.Sprint(step)
				model[id][part] = text
			}
			r := g.save(id, versions[id], luck.IntN(2) == 0, model[id][""], part+"="+text)
			w.advance(time.Duration(luck.IntN(60)) * time.Millisecond)
			is(t, r.answers < 2 && r.err == nil, true)
		}
		w.advance(time.Second)
		r := w.archive.Report()
		if r.Hits+r.Misses == 0 || room == 1<<20 && r.Hits < 5*r.Misses {
			t.Errorf("room %d: %d hits, %d misses", room, r.Hits, r.Misses)
		}
		if room == 200 && r.Evicted+r.Rejected+r.Dropped == 0 {
			t.Errorf("room %d: nothing was evicted, rejected or dropped: %+v", room, r)
		}
	}
}

func modelText(parts map[string]string, version uint64) string {
	text := fmt.Sprintf("%s@%d", parts[""], version)
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if name != "" {
			text += " " + name + "=" + parts[name]
		}
	}
	return text
}

// A load and a save right behind each other: the image is given to the cache, and a moment later,
// when ristretto may not have come to it yet, it is out of date.
func TestAnImageThatIsNotAdmittedYetIsKeptUpToDate(t *testing.T) {
	w := newWorld(t, persist.NewMemory(), persist.Limits{})
	g := w.game(gameA, 1)
	g.load("first")
	for i := range 2000 {
		id := fmt.Sprint(i)
		load, save := g.begin(id), g.save(id, 1, true, `{"v":1}`)
		w.settle()
		load.is(t, "ok")
		save.is(t, "ok")
		is(t, g.load(id), `{"v":1}@1`)
	}
	w.settle()
	for i := range 2000 {
		is(t, g.load(fmt.Sprint(i)), `{"v":1}@1`)
	}
}
