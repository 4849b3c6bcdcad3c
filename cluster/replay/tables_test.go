package replay_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/cluster/replay"
	"github.com/fireflyrt/firefly/hotreload"
)

// A ware is a row of the tables of a stall.
type ware struct {
	Item  string `csv:"item"`
	Price int    `csv:"price"`
}

var (
	wares = hotreload.CSV("wares.csv", func(w ware) string { return w.Item })
	drops = hotreload.CSV("drops.csv", func(w ware) string { return w.Item })

	stallRef = actors.KindName("stall").Ref("a")
)

// stall sells at the price that it has read when it was set up, and prices anew when it falls; one that looks does so
// at every sale.
func stall(dir string, looks bool, tables ...hotreload.Declared) node.App {
	return node.App{Name: "market", TableDir: dir, Game: node.Module{Name: "market", Tables: tables,
		Messages: wire.Messages(wire.Internal[*add](103), wire.Internal[*fall](107)),
		Kinds: []actors.Kind{{Name: "stall", New: func(p *actors.Props) {
			own := actors.State[counts](p, "own")
			price := 0
			actors.On(p, func(ctx actors.Context, _ *actors.Loaded) error {
				w, _ := wares.Get(ctx, "lamp")
				price = w.Price
				return nil
			})
			actors.Handle(p, func(ctx actors.Context, _ *add) error {
				own.Edit().Saved += price
				if looks {
					w, _ := wares.Get(ctx, "lamp")
					own.Edit().Loose = w.Price
				}
				return nil
			})
			actors.Handle(p, func(ctx actors.Context, _ *fall) error {
				w, _ := wares.Get(ctx, "lamp")
				own.Edit().Loose = w.Price
				return nil
			})
		}}}}}
}

// priced is a folder with tables in which a lamp costs so much.
func priced(t *testing.T, dir, file, price string) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, file), []byte("item,price\nlamp,"+price+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// sale is a World in which lamps were sold, before and after their price has changed.
func sale(t *testing.T, dir string) *replay.World {
	t.Helper()
	w := replay.NewWorld(t, stall(priced(t, dir, "wares.csv", "5"), false, wares))
	for range 3 {
		w.Tell(stallRef, &add{})
		w.Advance(time.Second)
	}
	priced(t, dir, "wares.csv", "9")
	if err := w.Reload(); err != nil {
		t.Fatal(err)
	}
	w.Tell(stallRef, &fall{})
	w.Tell(stallRef, &add{})
	w.Advance(time.Second)
	return w
}

func TestALifeIsTakenUpInItsMiddleWithTheTablesThatItRestsOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := sale(t, dir).Recording()
	b, err := stall(dir, false, wares).Build()
	if err != nil {
		t.Fatal(err)
	}
	p, s := replay.NewPlayback(b, r), r.Actor(stallRef).Segments[0]
	for from := 1; from < len(s.Steps); from++ {
		if err := p.Begin(s); err != nil {
			t.Fatal(err)
		}
		for p.Next() < from {
			p.Step()
		}
		late := *s
		if late.Image, err = p.State(); err != nil {
			t.Fatal(err)
		}
		late.Steps, late.First = s.Steps[from:], uint64(from)
		if err := p.Begin(&late); err != nil {
			t.Fatal(err)
		}
		for !p.Done() {
			if _, d := p.Step(); d != nil {
				t.Fatalf("from step %d: %s", from, d)
			}
		}
	}
}

func TestAGameWithOneTableMorePlaysItsOldRecordings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := sale(t, dir)
	priced(t, dir, "drops.csv", "1")
	if _, err := replay.Verify(stall(dir, false, wares, drops), w.Recording()); err != nil {
		t.Error(err)
	}
}

func TestARenewedRecordingHoldsTheTablesThatAreReadToday(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(t.TempDir(), "x.rec")
	if err := sale(t, dir).Recording().Write(path); err != nil {
		t.Fatal(err)
	}
	looks := stall(dir, true, wares)
	update := func(on string) {
		if err := flag.Set("update", on); err != nil {
			t.Fatal(err)
		}
	}
	update("true")
	defer update("false")
	replay.File(t, looks, path)
	update("false")
	priced(t, dir, "wares.csv", "11")
	replay.File(t, looks, path)
}
