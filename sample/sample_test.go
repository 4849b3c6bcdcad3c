package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster/replay"
	"github.com/fireflyrt/firefly/modules/account"
	"github.com/fireflyrt/firefly/modules/chat"
	"github.com/fireflyrt/firefly/modules/scene"
	"github.com/fireflyrt/firefly/modules/wallet"
)

// A visitor is a client that is logged in and has seen where it is.
type visitor struct {
	*replay.Client
	name string
	room string
	at   Body
}

func secretOf(name string) string { return "the long secret of " + name }

// enter logs in and waits until the room shows us.
func enter(w *replay.World, name string) *visitor {
	v := &visitor{Client: w.Connect(), name: name}
	replay.Call[*account.LoggedIn](v.Client, &account.Login{Name: name, Secret: secretOf(name)})
	v.room = replay.Expect[*Snapshot](v.Client).Room
	v.at = v.sees(name)
	return v
}

// sees waits until the room shows somebody.
func (v *visitor) sees(who string) Body {
	for {
		for _, b := range replay.Expect[*Moved](v.Client).Bodies {
			if b.Who == who {
				return b
			}
		}
	}
}

// flyTo flies in steps of what the pace allows, and returns where it ended.
func (v *visitor) flyTo(w *replay.World, to scene.Spot) *Flown {
	for {
		at := replay.Call[*Flown](v.Client, &Fly{v.at.Towards(to, 45)})
		if at.Room != "" {
			v.at.Spot, v.room = at.Spot, at.Room
		}
		if v.at.Far(to) < 1 {
			return at
		}
		w.Advance(80 * time.Millisecond)
	}
}

func (v *visitor) earn(w *replay.World, sparks int64) {
	w.Tell(PlayerKind.Ref(v.name), &wallet.Earn{Currency: Sparks, Amount: sparks, Why: "gift"})
}

func TestFirefliesInARoomSeeEachOther(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, App)
	ann, bob := enter(w, "ann"), enter(w, "bob")
	if seen := ann.sees("bob"); seen != bob.at {
		t.Errorf("ann sees bob as %v, but he is %v", seen, bob.at)
	}
	bob.flyTo(w, bob.at.Towards(meadow.Within("1,1", 0.5, 0.5), 100))
	ann.Forget()
	if seen := ann.sees("bob"); seen.Spot != bob.at.Spot {
		t.Errorf("bob flew to %v, but ann sees him at %v", bob.at.Spot, seen.Spot)
	}
	bob.Leave()
	if left := replay.Expect[*Left](ann.Client); left.Who != "bob" {
		t.Errorf("bob left, but ann was told of %s", left.Who)
	}
}

func TestWildFirefliesKeepALoneVisitorCompany(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, App)
	ann := enter(w, "ann")
	before := ann.sees("Shy Clover")
	w.Advance(3 * time.Second)
	ann.Forget()
	after := ann.sees("Shy Clover")
	if before.Far(after.Spot) == 0 || meadow.Room(after.Spot) != "1,1" {
		t.Errorf("it strolled from %v to %v", before, after)
	}
}

func TestASparkGoesToWhoeverFliesBy(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, App)
	ann, bob := enter(w, "ann"), enter(w, "bob")
	spark := replay.Expect[*Sparked](ann.Client)
	ann.flyTo(w, spark.Spot)
	for {
		if c := replay.Expect[*Collected](bob.Client); c.ID == spark.ID {
			if c.Who != "ann" {
				t.Errorf("ann flew there, but %s collected it", c.Who)
			}
			break
		}
	}
	w.Advance(time.Second)
	gathered := replay.Peek[Glow](w, PlayerKind.Ref("ann"), "glow").Gathered
	if top := replay.Call[*Leaders](ann.Client, &Top{}); gathered < spark.Worth || top.You.Sparks != gathered ||
		len(top.Top) != 1 || top.Top[0] != (Standing{"ann", gathered}) {
		t.Errorf("ann has gathered %d, the leaderboard says %+v", gathered, top)
	}
}

func TestWhoeverFliesOverABorderIsInTheNextRoom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		w := replay.NewWorld(t, App, replay.Seed(seed))
		ann, bob := enter(w, "ann"), enter(w, "bob")
		for _, room := range []string{"2,1", "2,2", "1,2", "1,1"} {
			ann.Forget()
			ann.flyTo(w, meadow.Within(room, 0.5, 0.5))
			if s := replay.Expect[*Snapshot](ann.Client); s.Room != room {
				t.Fatalf("seed %d: ann flew to %s and was shown %s", seed, room, s.Room)
			}
			ann.Forget() // what the room before had shown
			if b := ann.sees("ann"); meadow.Room(b.Spot) != room {
				t.Fatalf("seed %d: ann flew to %s and sees herself at %v", seed, room, b)
			}
			if at := replay.Call[*Flown](ann.Client, &Fly{ann.at.Spot}); at.Room != room {
				t.Fatalf("seed %d: ann flew to %s, but is in %q", seed, room, at.Room)
			}
		}
		if left := replay.Expect[*Left](bob.Client); left.Who != "ann" {
			t.Fatalf("seed %d: ann left, but bob was told of %s", seed, left.Who)
		}
		bob.Forget()
		bob.sees("ann")
	}
}

func TestNobodyTeleports(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, App)
	ann := enter(w, "ann")
	w.Advance(20 * time.Second) // credit for more than a second is not given
	at := replay.Call[*Flown](ann.Client, &Fly{meadow.Within("0,0", 0.1, 0.1)})
	if far := at.Far(ann.at.Spot); far > pace.Speed+pace.Slack+1 {
		t.Errorf("ann flew %v units at once", far)
	}
	at2 := replay.Call[*Flown](ann.Client, &Fly{meadow.Within("0,0", 0.1, 0.1)})
	if far := at2.Far(at.Spot); far > pace.Slack+10 {
		t.Errorf("and %v units right after", far)
	}
}

func TestStrangeNumbersFromClientsAreRefused(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, App)
	ann := enter(w, "ann")
	for _, s := range []scene.Spot{{X: -1, Y: 5}, {X: 5, Y: -1}, {X: 4800, Y: 5}, {X: 5, Y: 3000}, {X: 1e300}} {
		ann.Refused(&Fly{s}, scene.OffTheMap)
	}
	ann.Refused(&wallet.Earn{Currency: Sparks, Amount: 1000}, actors.UnknownNumber)
	ann.Refused(&account.Prove{}, actors.UnknownNumber)
	ann.Refused(&Buy{Item: "moon"}, NotSold)
	if at := replay.Call[*Flown](ann.Client, &Fly{ann.at.Spot}); at.Spot != ann.at.Spot {
		t.Errorf("after all that ann is at %v, not at %v", at.Spot, ann.at.Spot)
	}
}

func TestTheShopTakesSparksForLightOrNothing(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, App)
	ann, bob := enter(w, "ann"), enter(w, "bob")
	wares := replay.Call[*Wares](ann.Client, &Browse{}).Wares
	dear, cheap := wares[len(wares)-1], wares[0]
	ann.earn(w, dear.Sparks-1)
	ann.Refused(&Buy{Item: dear.Item}, wallet.Poor)
	ann.earn(w, 1+cheap.Sparks)
	if b := replay.Call[*Bought](ann.Client, &Buy{Item: dear.Item}); *b != (Bought{dear.Item, dear.Light}) {
		t.Errorf("ann bought %+v", b)
	}
	ann.Refused(&Buy{Item: cheap.Item}, AlreadyLit)
	var last *wallet.Balance
	for range 3 { // two gifts and a purchase
		last = replay.Expect[*wallet.Balance](ann.Client)
	}
	if last.Amount != cheap.Sparks || last.Why != "shop" {
		t.Errorf("the last balance is %+v", last)
	}
	bob.Forget()
	if b := bob.sees("ann"); b.Light != dear.Light {
		t.Errorf("bob sees ann's light as %d", b.Light)
	}
}

func TestAPurchaseReadsAsItHappened(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, App, replay.Golden("testdata/purchase.golden", PlayerKind))
	ann := enter(w, "ann")
	ann.earn(w, 100)
	replay.Call[*Bought](ann.Client, &Buy{Item: "lantern"})
	ann.Refused(&Buy{Item: "ember"}, AlreadyLit)
	replay.Call[*Leaders](ann.Client, &Top{})
}

func TestAPurchaseOutlivesTheCrashOfEverything(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, App)
	ann := enter(w, "ann")
	ann.earn(w, 100)
	replay.Call[*Bought](ann.Client, &Buy{Item: "lantern"})
	for _, node := range []string{"game-1", "game-2", "persist-1", "gate-1"} { // at once: nothing may be flushed
		w.Crash(node)
	}
	again := enter(w, "ann")
	if again.at.Light != 3 {
		t.Errorf("the light was bought and is %d", again.at.Light)
	}
	if b := replay.Expect[*wallet.Balance](again.Client); b.Amount != 10 {
		t.Errorf("90 of 100 were spent, %d are left", b.Amount)
	}
}

func TestTheMeadowIsAsItWasAfterTheCrashOfEverything(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, App)
	ann := enter(w, "ann")
	replay.Call[struct{}](ann.Client, &chat.Say{Text: "remember me"})
	w.Advance(20 * time.Second)
	ann.flyTo(w, meadow.Within("1,1", 0.5, 0.1))
	ann.Leave()
	w.Advance(5 * time.Second)
	before := replay.Peek[map[uint32]Spark](w, RoomKind.Ref("1,1"), "spark")
	for _, node := range []string{"gate-1", "game-2", "game-1", "persist-1"} {
		w.Crash(node)
	}
	c := w.Connect()
	replay.Call[*account.LoggedIn](c, &account.Login{Name: "ann", Secret: secretOf("ann")})
	s := replay.Expect[*Snapshot](c)
	if s.Room != "1,1" || len(s.Sparks) != len(before) || len(before) == 0 {
		t.Fatalf("%d sparks in %s, there were %d", len(s.Sparks), s.Room, len(before))
	}
	for _, spark := range s.Sparks {
		if before[spark.ID] != spark.Spark {
			t.Errorf("spark %d is %v and was %v", spark.ID, spark.Spark, before[spark.ID])
		}
	}
	if h := replay.Expect[*chat.Heard](c); h.Text != "remember me" || !h.Old {
		t.Errorf("what was said is %+v", h)
	}
	v := &visitor{Client: c, name: "ann"}
	if b := v.sees("ann"); b.Spot != ann.at.Spot {
		t.Errorf("ann was at %v and comes back at %v", ann.at.Spot, b.Spot)
	}
}

func TestTheRoomGoesOnWhenItsNodeDies(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, App)
	ann := enter(w, "ann")
	ann.flyTo(w, meadow.Within("1,1", 0.5, 0.5))
	w.Advance(3 * time.Second)
	w.Crash("game-1")
	w.Crash("game-2")
	w.Advance(time.Second)
	ann.Forget()
	if b := ann.sees("ann"); b.Far(ann.at.Spot) > 1 {
		t.Errorf("ann was at %v and is at %v", ann.at.Spot, b.Spot)
	}
	if ann.Closed() != nil {
		t.Errorf("the session was closed: %+v", ann.Closed())
	}
}

func TestTheBoardShowsTheBestAndOutlivesEverything(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, App)
	for i := range 30 {
		for range 2 {
			gift := &wallet.Earn{Currency: Sparks, Amount: int64(1 + i), Why: "gift"}
			w.Tell(PlayerKind.Ref(fmt.Sprintf("p%03d", i)), gift)
		}
	}
	w.Advance(time.Second)
	for _, node := range []string{"game-1", "game-2", "persist-1", "gate-1"} {
		w.Crash(node)
	}
	top := replay.Call[*Leaders](enter(w, "ann").Client, &Top{})
	if len(top.Top) != boardShown || top.Top[0] != (Standing{"p029", 60}) || top.Top[9] != (Standing{"p020", 42}) ||
		top.You != (Standing{"ann", 0}) {
		t.Errorf("the leaderboard is %+v", top)
	}
}

func TestANewPriceHoldsFromTheNextPurchase(t *testing.T) {
	t.Parallel()
	app, dir := App, t.TempDir()
	app.TableDir = dir
	price := func(sparks string) {
		text := "item,name,light,sparks\nember,Ember,1," + sparks + "\n"
		if err := os.WriteFile(filepath.Join(dir, "prices.csv"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	price("10")
	w := replay.NewWorld(t, app)
	ann := enter(w, "ann")
	ann.earn(w, 9)
	ann.Refused(&Buy{Item: "ember"}, wallet.Poor)
	price("0")
	if err := w.Reload(); err == nil {
		t.Error("a light for nothing was taken for a price")
	}
	ann.Refused(&Buy{Item: "ember"}, wallet.Poor)
	price("9")
	if err := w.Reload(); err != nil {
		t.Fatal(err)
	}
	replay.Call[*Bought](ann.Client, &Buy{Item: "ember"})
}
