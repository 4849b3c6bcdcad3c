package record_test

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/record"
)

// guest leaves at a word.
func guest(p *actors.Props) {
	purse := actors.State[account](p, "purse")
	actors.Answer(p, func(_ actors.Context, m *earn) (*lent, error) {
		purse.Edit().Gold += m.Gold
		return &lent{purse.View().Gold}, nil
	})
	actors.Handle(p, func(ctx actors.Context, _ *trip) error {
		purse.Edit().Gold++
		ctx.Stop()
		return nil
	})
}

func TestAnActorHasAHashAtItsEndHoweverItEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*town){
		"by itself": func(n *town) { n.send(&trip{}) },
		"idle":      func(*town) {},
	} {
		n := townOf(t, guest, limits(), slog.New(slog.DiscardHandler))
		n.Follow(everybody)
		n.send(&earn{5})
		n.Advance(time.Second)
		end(n)
		n.Advance(time.Hour)
		if err := n.Stop(); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(n.dir, "live.*"))
		if err != nil || len(files) != 1 {
			t.Fatal(name, files, err)
		}
		r, err := record.Read(files[0])
		if err != nil {
			t.Fatal(name, err)
		}
		s := r.Actor(carl).Segments[0]
		if !s.Closed || len(s.Checks) != 1 || s.Checks[0].After != uint64(len(s.Steps)) {
			t.Fatalf("%s: closed %t, %d steps, hashes %+v", name, s.Closed, len(s.Steps), s.Checks)
		}
		again(t, s, guest)
	}
}

func TestAnActorThatAPanicEndsHasNoHashAtItsEnd(t *testing.T) {
	t.Parallel()
	d := newDesk(t, limits())
	d.Follow(everybody)
	p := d.player("ann")
	p.earn()
	p.step(true, actors.Broken)
	p.trace.Closed()
	if s := d.merged().Actor(p.ref).Segments[0]; !s.Closed || len(s.Checks) != 0 {
		t.Errorf("closed %t, hashes %+v", s.Closed, s.Checks)
	}
}
