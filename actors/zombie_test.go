package actors

import (
	"testing"
	"time"
)

// TestAnOwnerThatWasFrozenStopsWithinASecondOfNoticing: whatever its entities were doing when it was frozen, and
// however it learns that others own them now. What it learns from is the begin of that second; virtual time makes it
// exact.
func TestAnOwnerThatWasFrozenStopsWithinASecondOfNoticing(t *testing.T) {
	const stopsWithin = time.Second
	entities := []string{"idle", "dirty", "committing", "timed", "loading", "queued"}
	all := make([]int, 16)
	for i := range all {
		all[i] = i
	}
	for how, notices := range map[string]func(*world){
		"from the registry": func(w *world) {
			w.epoch, w.holding = 2, Lost
			w.sys.Release("game", all)
		},
		"by its next message, or what the store answers": func(w *world) {
			w.epoch, w.holding, w.store.fail = 2, Lost, ErrFenced
			for _, answer := range w.store.waiting {
				answer()
			}
			w.store.waiting = nil
			for _, id := range entities {
				w.send(shopperKind.Ref(id), &look{}, false)
			}
		},
	} {
		t.Run(how, func(t *testing.T) {
			w := shop(t)
			for _, id := range entities[:4] {
				w.gold(w.rich(id, 10))
			}
			w.store.silent = true // frozen: what is under way has no answer any more
			w.send(shopperKind.Ref("dirty"), &boom{How: "keep"}, true)
			w.send(shopperKind.Ref("committing"), &buy{Price: 1}, true)
			w.send(shopperKind.Ref("timed"), &nap{}, false)
			w.settle()
			w.holding = Paused
			w.send(shopperKind.Ref("loading"), &look{}, false)
			for range 5 {
				w.send(shopperKind.Ref("queued"), &boom{How: "keep"}, false)
			}
			w.advance(time.Minute)
			saves, out := w.store.saves, 0
			w.routed = func(e *Envelope) bool {
				if e.From.Kind == shopperKind && e.Type == Message {
					out++
				}
				return e.To.Kind == shopperKind // which is elsewhere now
			}
			notices(w)
			w.advance(stopsWithin)
			was := w.sys.Report()
			for _, answer := range w.store.waiting {
				answer() // too late
			}
			w.advance(time.Minute)
			now := w.sys.Report()
			if was.Actors[shopperKind] != 0 {
				t.Errorf("after %v it still runs %d entities", stopsWithin, was.Actors[shopperKind])
			}
			if was.Fenced < 4 || now.Fenced != was.Fenced {
				t.Errorf("%d entities ended within %v, %d later", was.Fenced, stopsWithin, now.Fenced-was.Fenced)
			}
			if w.store.saves != saves || out != 0 {
				t.Errorf("%d changes and %d messages left it", w.store.saves-saves, out)
			}
		})
	}
}
