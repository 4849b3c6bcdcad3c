package persist_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
)

// saveBox begins to save an entity's flat cells, its box ("" is none) and when it is due.
func (g *game) saveBox(id string, version uint64, box string, due int64, commit bool) *result {
	r := new(result)
	c := actors.Change{Version: version, Fence: g.fence, DueAt: due, Commit: commit,
		Cells: fmt.Appendf(nil, `{"v":%d}`, version)}
	if box != "" {
		c.Box = []byte(box)
	}
	g.Save(hero.Ref(id), g.tenure, c, func(err error) { r.answers, r.err = r.answers+1, err })
	return r
}

// box loads an entity and tells its version and its box.
func (g *game) box(id string) string {
	g.w.Helper()
	r := g.begin(id)
	g.w.settle()
	r.is(g.w, "ok")
	return fmt.Sprintf("@%d %s", r.snapshot.Version, r.snapshot.Box)
}

func TestABoxIsReadAsPendingFromTheCacheAndFromTheStore(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		is(t, g.box("ann"), "@0 ")
		g.saveBox("ann", 1, `{"out":[1]}`, 5000, false)
		is(t, g.box("ann"), `@1 {"out":[1]}`) // pending
		is(t, w.stored("ann"), "")
		w.advance(time.Second)
		is(t, w.stored("ann"), `={"v":1}@1+{"out":[1]}!5000`)
		is(t, g.box("ann"), `@1 {"out":[1]}`) // from the cache, where there is one
		g.saveBox("ann", 2, `[2]`, 6000, false)
		g.saveBox("ann", 3, ``, 0, false)
		is(t, g.box("ann"), "@3 ")
		w.advance(time.Second)
		is(t, w.stored("ann"), `={"v":3}@3`) // the newest, whole
		is(t, g.box("ann"), "@3 ")
		late := g.saveBox("ann", 2, `[2]`, 6000, true) // a version that is over
		w.settle()
		late.is(t, "ok")
		is(t, w.stored("ann"), `={"v":3}@3`)
		is(t, w.archive.Report().Bytes, 0)
	})
}

func TestABoxCountsWhereBytesAreCounted(t *testing.T) {
	onBoth(t, persist.Limits{PendingBytes: 3000}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		text := func(n int) string { return `"` + strings.Repeat("x", n) + `"` }
		g.saveBox("ann", 1, text(persist.MaxChange), 0, true).is(t, "TOO_BIG")
		over := g.saveBox("ann", 2, text(3000), 0, true)
		w.settle()
		over.is(t, "STORE_BEHIND")
		g.saveBox("ann", 3, text(1000), 0, false)
		w.settle()
		if pending := w.archive.Report().Bytes; pending < 1000 {
			t.Errorf("%d bytes are pending", pending)
		}
	})
}
