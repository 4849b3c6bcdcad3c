package persist_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
)

// An entity grows by one change after the other, none of which is larger than a message may be.
func TestAnEntityThatIsLargerThanAMessageIsLoaded(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		text := func(mark string, n int) string { return `"` + strings.Repeat(mark, n) + `"` }
		a, b, cells := text("a", 7<<20), text("b", 5<<20), `{"c":`+text("c", 7<<20)+`}`
		g.save("ann", 1, true, `{}`, "bag/a="+a)
		w.settle()
		g.save("ann", 2, true, `{}`, "bag/b="+b, "bag/c=1", "bag/d=2")
		w.settle()
		g.save("ann", 3, true, cells)
		w.settle()

		pages := 0
		var second *actors.Envelope
		w.hold = func(e *actors.Envelope) bool {
			if e.Number != persist.NumberLoad {
				return false
			}
			if e.Type == actors.Answered {
				if pages++; len(e.Body) > persist.MaxChange+1<<10 {
					t.Errorf("an answer of %d bytes", len(e.Body))
				}
			}
			if e.Type == actors.Message && pages == 1 && second == nil {
				second = e
				return true
			}
			return false
		}
		loaded := g.begin("ann")
		w.settle()
		is(t, loaded.answers, 0)
		g.save("ann", 4, true, cells, "bag/d=3") // it changes while it is loaded
		w.settle()
		w.sys.Deliver(second)
		w.advance(time.Second)
		is(t, loaded.text() == cells+"@4 bag/a="+a+" bag/b="+b+" bag/c=1 bag/d=3", true)
		is(t, pages, 5) // one of version 3, one that is of 4 already, and three from the beginning
	})
}
