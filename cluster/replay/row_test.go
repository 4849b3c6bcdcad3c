package replay_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/cluster/replay"
	"github.com/fireflyrt/firefly/persist"
	"github.com/fireflyrt/firefly/record"
)

// A bazaar keeps its lots in a table of SQL. Sellers write prices, each its own column of a lot.
type lot struct {
	ID     int64  `db:"id,key" json:"id"`
	Town   string `db:"town,shard" json:"town"`
	Low    int64  `db:"low" json:"low"`
	High   int64  `db:"high" json:"high"`
	Seller string `db:"seller" json:"-" firefly:"sensitive"`
}

var lots = persist.NewTable[lot]("lot")

type (
	hail  struct{ Name string }
	offer struct{ Town string }
	price struct {
		ID        int64
		Town      string
		Low, High int64
	}
	listing struct{ Town string }
	lotted  struct{ Lots []lot }
)

var bazaar = node.App{Name: "bazaar", Game: node.Module{
	Name: "bazaar",
	Messages: wire.Messages(wire.In[*hail](301).Public(), wire.In[*offer](302), wire.In[*price](303),
		wire.In[*listing](304), wire.Out[*lotted](305)),
	SQLTables: []persist.Declared{lots},
	Kinds: []actors.Kind{{Name: "gatehouse", Workers: 2, New: func(p *actors.Props) {
		actors.Handle(p, func(ctx actors.Context, m *hail) error {
			ctx.Login(sellerKind.Ref(m.Name))
			return nil
		})
	}}, {Name: sellerKind, New: newSeller}},
}}

const sellerKind actors.KindName = "seller"

func newSeller(p *actors.Props) {
	written := actors.State[counts](p, "written")
	one := func(_ actors.Context, row lot, err error) (*lotted, error) {
		if err != nil {
			return nil, err
		}
		return &lotted{[]lot{row}}, nil
	}
	actors.Answer(p, func(ctx actors.Context, m *offer) (*lotted, error) {
		return actors.Reply(ctx, lots.Insert(lot{Town: m.Town, Seller: "secret " + ctx.Self().ID}), one)
	})
	actors.Answer(p, func(ctx actors.Context, m *price) (*lotted, error) {
		row, column := lot{ID: m.ID, Town: m.Town, Low: m.Low, High: m.High}, "low"
		if m.High != 0 {
			column = "high"
		}
		actors.Then(ctx, lots.Get(row), func(_ actors.Context, _ lot, err error) error {
			if err == nil {
				written.Edit().Saved++
			}
			return nil
		})
		return actors.Reply(ctx, lots.Update(row, column), one)
	})
	actors.Answer(p, func(ctx actors.Context, m *listing) (*lotted, error) {
		return actors.Reply(ctx, lots.Group(lot{Town: m.Town}),
			func(_ actors.Context, rows []lot, err error) (*lotted, error) {
				return &lotted{rows}, err
			})
	})
}

func enterBazaar(w *replay.World, name string) *replay.Client {
	c := w.Connect()
	replay.Call[struct{}](c, &hail{name})
	return c
}

func TestRowsOfATableAreRecordedToldMaskedAndReplayed(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, bazaar)
	ann := enterBazaar(w, "ann")
	first := replay.Call[*lotted](ann, &offer{"rome"}).Lots[0]
	second := replay.Call[*lotted](ann, &offer{"rome"}).Lots[0]
	if first.ID == 0 || first.ID == second.ID || first.Seller != "" {
		t.Errorf("the lots are %+v and %+v", first, second)
	}
	ann.Refused(&price{ID: first.ID, Town: "oslo", Low: 1}, persist.NoRow)
	w.Store().Refuse(1, persist.ErrRejected)
	ann.Refused(&price{ID: first.ID, Town: "rome", Low: 1}, actors.StoreRefused)
	replay.Call[*lotted](ann, &price{ID: first.ID, Town: "rome", High: 9})
	for _, name := range []string{"game-1", "game-2", "persist-1", "gate-1"} {
		w.Crash(name)
	}
	bob := enterBazaar(w, "bob")
	all := replay.Call[*lotted](bob, &listing{"rome"}).Lots
	if len(all) != 2 || all[0].High != 9 || all[0].Low != 0 {
		t.Errorf("after the crash of everything there are %+v", all)
	}
	story := w.Transcript()
	if strings.Contains(story, "secret ann") || !strings.Contains(story, "RowAsk") ||
		!strings.Contains(story, "RowAnswer") {
		t.Errorf("the transcript tells a seller's name, or nothing of rows:\n%s", story)
	}
	path := filepath.Join(t.TempDir(), "bazaar.rec")
	if err := w.Recording().Write(path); err != nil {
		t.Fatal(err)
	}
	replay.File(t, bazaar, path)
	r, err := record.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := replay.Verify(bazaar, r); err != nil || v.Steps != r.Steps() {
		t.Errorf("verified %+v, %v", v, err)
	}
}

func TestNumbersOfRowsAreNoClientsToSend(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, bazaar)
	ann := enterBazaar(w, "ann")
	there := replay.Call[*lotted](ann, &offer{"rome"}).Lots[0]
	id, town := fmt.Sprint(there.ID), there.Town
	for _, m := range []any{&persist.RowsFind{Table: "lot"}, &persist.RowAnswer{}, &persist.RowAsk{Table: "lot",
		Do: persist.DoDelete, Row: persist.Row{Columns: map[string]*string{"id": &id, "town": &town}}}} {
		ann.Send(m)
	}
	w.Advance(time.Second)
	if left := replay.Call[*lotted](ann, &listing{"rome"}).Lots; len(left) != 1 {
		t.Errorf("a client has deleted a row: %v", left)
	}
}

// A stocktaker knows what was answered of one column of one lot.
type stocktaker struct {
	sent, confirmed int64
	asked           *replay.Request
}

func TestWhateverHappensNoRowIsLost(t *testing.T) {
	t.Parallel()
	each(t, 8, func(t *testing.T, seed uint64) {
		w := replay.NewWorld(t, bazaar, replay.Seed(seed))
		luck := rand.New(rand.NewPCG(seed, 7))
		towns := []string{"rome", "oslo"}
		clients := []*replay.Client{enterBazaar(w, "ann"), enterBazaar(w, "bob")}
		var all []lot
		for i := range 6 {
			all = append(all, replay.Call[*lotted](clients[0], &offer{towns[i%2]}).Lots[0])
		}
		columns := make([]stocktaker, 2*len(all))
		offers := make([]*replay.Request, 0)
		faults := []func(){
			func() { w.Crash("persist-1") },
			func() { w.Store().Lose(1 + luck.IntN(3)) },
			func() { w.Store().Refuse(1+luck.IntN(3), persist.ErrContended) },
			func() { w.Store().Refuse(1, persist.ErrDown) },
			func() { w.Store().Down(time.Duration(luck.IntN(3000)) * time.Millisecond) },
			func() { w.Store().Slow(0, time.Duration(1+luck.IntN(200))*time.Millisecond) },
			w.Heal,
		}
		for range 200 {
			i := luck.IntN(len(columns))
			s, l := &columns[i], all[i/2]
			if s.asked == nil {
				s.sent++
				m := &price{ID: l.ID, Town: l.Town, Low: s.sent}
				if i%2 == 1 {
					m.Low, m.High = 0, s.sent
				}
				s.asked = clients[luck.IntN(2)].Begin(m)
			}
			if luck.IntN(10) == 0 {
				offers = append(offers, clients[luck.IntN(2)].Begin(&offer{towns[luck.IntN(2)]}))
			}
			if luck.IntN(8) == 0 {
				faults[luck.IntN(len(faults))]()
			}
			w.Advance(time.Duration(luck.IntN(100)) * time.Millisecond)
			settleAccounts(t, columns)
		}
		w.Heal()
		w.Advance(30 * time.Second)
		settleAccounts(t, columns)
		takeStock(t, seed, w, towns, all, columns, offers)
	})
}

// settleAccounts notes what was answered.
func settleAccounts(t *testing.T, columns []stocktaker) {
	t.Helper()
	for i := range columns {
		s := &columns[i]
		if s.asked == nil || !s.asked.Answered() {
			continue
		}
		_, err := s.asked.Answer()
		s.asked = nil
		switch {
		case err == nil:
			s.confirmed = s.sent
		case errors.Is(err, persist.NoRow) || errors.Is(err, persist.RowTaken) || errors.Is(err, actors.Internal):
			t.Fatalf("an update was refused: %v", err)
		}
	}
}

// takeStock compares the table with what was answered.
func takeStock(t *testing.T, seed uint64, w *replay.World, towns []string, all []lot, columns []stocktaker,
	offers []*replay.Request) {
	t.Helper()
	there := make(map[int64]lot)
	c := enterBazaar(w, "zoe")
	for _, town := range towns {
		for _, l := range replay.Call[*lotted](c, &listing{town}).Lots {
			there[l.ID] = l
		}
	}
	confirmed, open := len(all), 0
	for _, r := range offers {
		m, err := r.Answer()
		if err != nil {
			open++
			continue
		}
		confirmed++
		if id := m.(*lotted).Lots[0].ID; there[id].ID != id {
			t.Errorf("seed %d: lot %d was answered, and is not there", seed, id)
		}
	}
	if len(there) < confirmed || len(there) > confirmed+open {
		t.Errorf("seed %d: %d lots; %d were answered, of %d nobody knows", seed, len(there), confirmed, open)
	}
	for i, s := range columns {
		now := []int64{there[all[i/2].ID].Low, there[all[i/2].ID].High}[i%2]
		if now < s.confirmed || now > s.sent {
			t.Errorf("seed %d: column %d is %d, answered was %d, sent %d", seed, i, now, s.confirmed, s.sent)
		}
	}
	ids := make([]string, 0)
	for id := range there {
		ids = append(ids, fmt.Sprint(id))
	}
	if slices.Sort(ids); len(slices.Compact(ids)) != len(there) {
		t.Errorf("seed %d: ids twice: %v", seed, ids)
	}
}
