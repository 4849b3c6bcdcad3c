package persist_test

import (
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
)

// TestAKeeperThatWasFrozenStopsWithinASecondOfNoticing: with changes in its queue, another keeper in its place, and
// however it learns that. Virtual time makes the second exact.
func TestAKeeperThatWasFrozenStopsWithinASecondOfNoticing(t *testing.T) {
	const stopsWithin = time.Second
	for how, notices := range map[string]func(*world){
		"from the registry": func(w *world) {
			w.node.hold = actors.Lost
			w.sys.Release(persist.KeeperRole, []int{1})
		},
		"by its next message": func(w *world) {
			w.node.hold = actors.Lost
			w.sys.Deliver(&actors.Envelope{Type: actors.Message, To: persist.KeeperKind.Ref("1"),
				Number: persist.NumberSave, Body: []byte("{}")})
		},
	} {
		t.Run(how, func(t *testing.T) {
			onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
				g := w.game(gameA, 1)
				next := w.second(g)
				g.load("ann")
				g.load("bob")
				w.moods.write = func(_ persist.Batch, write func() ([]persist.Outcome, error)) (
					[]persist.Outcome, error) { // frozen here
					w.moods.write = nil
					g.save("bob", 1, false, `{"b":1}`)
					w.settle()
					next.begins()
					next.saves("ann", 2, `{"a":2}`)
					next.saves("bob", 2, `{"b":2}`)
					w.hold = func(e *actors.Envelope) bool { return e.To.Kind == persist.KeeperKind } // it is elsewhere
					notices(w)                                                                        // and resumed
					return write()
				}
				g.save("ann", 1, true, `{"a":1}`)
				w.settle()
				statements := w.moods.statements
				w.advance(stopsWithin)
				is(t, w.sys.Report().Actors[persist.KeeperKind], 0)
				is(t, w.archive.Report().Rows, 0)
				w.advance(time.Minute)
				is(t, w.moods.statements, statements) // the one that was under way
				is(t, w.stored("ann"), `={"a":2}@2`)
				is(t, w.stored("bob"), `={"b":2}@2`)
			})
		})
	}
}
