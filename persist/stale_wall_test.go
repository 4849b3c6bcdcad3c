package persist_test

import (
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
)

// A change that comes late, from an activation that has ended with nobody knowing what became of it: the next one of
// the same owner has written since, and no row of it may come into being beside what is newer.
func TestAChangeThatComesLateWritesNoPartOfAnEntity(t *testing.T) {
	onBoth(t, persist.Limits{CacheBytes: -1}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		g.save("ann", 1, true, `{"lines":1}`, `line/1="a"`)
		w.settle()
		for _, pending := range []bool{false, true} { // what is newer is durable, or is not yet
			if pending {
				w.moods.write = func(_ persist.Batch, write func() ([]persist.Outcome, error)) (
					[]persist.Outcome, error) {
					w.Sleep(100 * time.Millisecond)
					return write()
				}
			}
			g.save("ann", 9, false, `{"lines":2}`, `line/2="b"`)
			if !pending {
				w.advance(time.Second)
			}
			late := g.save("ann", 3, true, `{"lines":3}`, `line/3="c"`)
			w.advance(time.Second)
			late.is(t, "ok") // whoever waited for it has ended
			is(t, w.stored("ann"), `={"lines":2}@9 line/1="a"@1 line/2="b"@9`)
		}
	})
}

// A new keeper knows no owners yet. A change of one that is long gone reaches it before the claim of the next one,
// whose number must not be put on that change.
func TestANewKeeperPutsNoNewNumberOnAStaleChange(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		zombie, owner := w.game(gameA, 1), w.game(gameB, 2)
		zombie.load("ann")
		zombie.save("ann", 1, true, `{"from":"zombie"}`)
		w.settle()
		owner.load("ann")
		durable := owner.save("ann", 2, true, `{"from":"owner"}`)
		w.settle()
		durable.is(t, "ok")

		archive, router := w.boot(unclosed{w.moods}, keepB, persist.Limits{CacheBytes: -1})
		defer func() { _ = archive.Close() }()
		zombie.Start(router.sys)
		next := w.gameAt(router.sys, gameB+1, 3)
		w.moods.write = func(_ persist.Batch, write func() ([]persist.Outcome, error)) ([]persist.Outcome, error) {
			w.Sleep(10 * time.Millisecond) // longer than it takes to raise the owner's number
			return write()
		}
		stale := zombie.save("ann", 3, true, `{"from":"zombie","again":true}`)
		loaded := next.begin("ann")
		w.advance(time.Second)
		is(t, loaded.text(), `{"from":"owner"}@2`)
		is(t, w.stored("ann"), `={"from":"owner"}@2`)
		stale.is(t, "FENCED")
	})
}

// An activation whose commit has no outcome ends. The next one rests on what it loads, so that commit is not taken any
// more, however late it comes, to whichever keeper. What others have sent before that load is sent again.
func TestAChangeOfUnknownOutcomeIsNotTakenAfterTheNextLoad(t *testing.T) {
	onBoth(t, persist.Limits{CacheBytes: -1}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		g.load("bob")
		g.save("ann", 1, true, `{"lines":1}`)
		w.settle()
		held := make(map[string]*actors.Envelope)
		holding := ""
		w.hold = func(e *actors.Envelope) bool {
			if e.Number == persist.NumberSave && holding != "" {
				held[holding] = e
				return true
			}
			return false
		}
		holding = "ann"
		lost := g.save("ann", 2, true, `{"lines":2}`, `line/2="b"`)
		w.advance(time.Second)
		lost.is(t, "STORE_UNKNOWN")
		holding = "bob"
		other := g.save("bob", 1, false, `{"lines":1}`)
		holding = ""
		is(t, g.load("ann"), `{"lines":1}@2`) // and the version is not used again

		w.sys.Deliver(held["ann"])
		w.sys.Deliver(held["bob"])
		durable := g.save("ann", 3, false, `{"lines":3}`)
		w.advance(time.Second)
		durable.is(t, "ok")
		is(t, w.stored("ann"), `={"lines":3}@3`)
		other.is(t, "ok")
		is(t, w.stored("bob"), `={"lines":1}@1`)
		is(t, w.archive.Report().Late, 2)

		archive, router := w.boot(unclosed{w.moods}, keepB, persist.Limits{CacheBytes: -1})
		defer func() { _ = archive.Close() }()
		g.Start(router.sys)
		is(t, g.load("ann"), `{"lines":3}@3`)
		router.sys.Deliver(held["ann"])
		w.advance(time.Second)
		is(t, w.stored("ann"), `={"lines":3}@3`)
		is(t, archive.Report().Late, 1)
		durable = g.save("ann", 4, false, `{"lines":4}`)
		w.advance(time.Second)
		durable.is(t, "ok")
		is(t, w.stored("ann"), `={"lines":4}@4`)
	})
}
