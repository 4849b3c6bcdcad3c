package actors

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// Accounts of a bank, between which money goes by durable messages.

type (
	transfer struct {
		To     Ref
		Amount int
		Commit bool
		Keep   bool // the receiver keeps a refused credit's trace
	}
	credit struct {
		Amount int
		Serial int // rises per sender and receiver
		How    string
	}
	bell struct{ Text string }
	set  struct {
		Text string
		In   time.Duration
		Off  bool
	}
)

var bankMessages = wire.Messages(
	wire.In[*transfer](200), wire.Internal[*credit](201).Durable(), wire.In[*look](203), wire.Out[*bought](204),
	wire.Internal[*bell](205), wire.In[*set](206), wire.In[*relay](207))

const (
	accountKind KindName = "account"
	closed      Code     = "CLOSED"
)

// vault is what an account keeps.
type vault struct {
	Gold, Rings int
	Back        int // credits that came back
	Kept        int
}

type accountant struct {
	vault   *Cell[vault]
	serials *Map[string, int] // newest by "to" or "from"
	w       *world
}

func (w *world) newAccount(p *Props) {
	a := &accountant{vault: State[vault](p, "vault"), serials: Rows[string, int](p, "serial"), w: w}
	Handle(p, a.transfer)
	Handle(p, a.credit)
	Handle(p, func(ctx Context, m *set) error {
		if m.Off {
			ctx.Cancel(&bell{m.Text})
			return nil
		}
		ctx.Remind(ctx.Now().Add(m.In), &bell{m.Text})
		return nil
	})
	Handle(p, func(ctx Context, m *bell) error {
		a.vault.Edit().Rings++
		switch m.Text {
		case "refuse":
			return closed
		case "commit":
			ctx.Commit()
		case "ask":
			Then(ctx, Ask[*bought](ctx.Self(), &look{}), func(Context, *bought, error) error { return nil })
		case "break":
			if ctx.Rand().IntN(2) > 0 {
				panic("broken")
			}
		}
		return nil
	})
	On(p, func(ctx Context, u *Undelivered) error {
		c := u.Msg.(*credit)
		a.vault.Edit().Gold += c.Amount
		a.vault.Edit().Back++
		return nil
	})
	Answer(p, func(Context, *look) (*bought, error) { return &bought{a.vault.View().Gold}, nil })
}

func (a *accountant) transfer(ctx Context, m *transfer) error {
	a.vault.Edit().Gold -= m.Amount
	serial := a.serials.At("to " + m.To.ID)
	a.serials.Set("to "+m.To.ID, serial+1)
	how := ""
	if m.Keep {
		how = "keep"
	}
	ctx.Send(m.To, &credit{m.Amount, serial + 1, how})
	if m.Commit {
		ctx.Commit()
	}
	return nil
}

func (a *accountant) credit(ctx Context, m *credit) error {
	from := "from " + ctx.Sender().ID
	if had := a.serials.At(from); m.Serial != had+1 && ctx.Self().ID != "closed" { // what is refused leaves no trace
		a.w.t.Errorf("%s got %d after %d from %s", ctx.Self(), m.Serial, had, ctx.Sender())
	}
	switch {
	case m.How == "keep":
		a.serials.Set(from, m.Serial)
		a.vault.Edit().Kept++
		return Keep(closed)
	case ctx.Self().ID == "closed":
		return closed.Refuse("no")
	case m.Amount%5 == 0 && ctx.Rand().IntN(2) > 0:
		return errors.New("it breaks")
	}
	a.serials.Set(from, m.Serial)
	a.vault.Edit().Gold += m.Amount
	if m.Amount%2 == 0 {
		ctx.Commit()
	}
	return nil
}

func bank(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, bankMessages)
	w.limits.Box = 20
	w.boot(bankMessages, Kind{Name: accountKind, New: w.newAccount})
	return w
}

// vaultOf is what the store has of an account.
func (w *world) vaultOf(id string) (v vault) {
	w.t.Helper()
	var cells map[string]struct{ D vault }
	if raw := w.store.entities[accountKind.Ref(id)].Cells; raw != nil {
		if err := json.Unmarshal(raw, &cells); err != nil {
			w.t.Fatal(err)
		}
	}
	return cells["vault"].D
}

func (w *world) boxOf(id string) *Contents {
	w.t.Helper()
	c := new(Contents)
	if raw := w.store.entities[accountKind.Ref(id)].Box; raw != nil {
		if err := json.Unmarshal(raw, c); err != nil {
			w.t.Fatal(err)
		}
	}
	return c
}

// crash is the death of the process: a new one comes up over what the store has.
func (w *world) crash() {
	w.t.Helper()
	for _, p := range w.sys.all() {
		p.ended = true
	}
	w.sys.Abandon()
	w.store.waiting = nil
	w.epoch++
	w.boot(bankMessages, Kind{Name: accountKind, New: w.newAccount})
}

// wakeDue does what persist nodes do for those that are not there.
func (w *world) wakeDue() {
	for ref := range sortedSetOf(w.store.due) {
		if at := w.store.due[ref]; at != 0 && at <= w.Now().UnixMilli() {
			w.sys.Deliver(RuntimeMessage(Ref{}, ref, &Wake{}))
		}
	}
}

func (w *world) pass(d time.Duration) {
	step := max(time.Second, d/200)
	for range int(d / step) {
		w.advance(step)
		w.wakeDue()
	}
	w.settle()
}

func TestADurableMessageIsStoredWithItsSenderAndForgottenByBoth(t *testing.T) {
	w := bank(t)
	ann, bob := accountKind.Ref("ann"), accountKind.Ref("bob")
	w.store.silent = true
	w.call(ann, &transfer{To: bob, Amount: 7})
	if w.sys.Report().Actors[accountKind] != 1 || len(w.store.waiting) != 1 {
		t.Fatalf("it left before it was durable: %v, %d saves", w.sys.Report().Actors, len(w.store.waiting))
	}
	w.store.silent = false
	w.store.waiting[0]()
	if out := w.boxOf("ann").Out; len(out) != 1 || out[0].To != bob || w.store.due[ann] == 0 {
		t.Fatalf("stored %s, due at %d", w.store.entities[ann].Box, w.store.due[ann])
	}
	w.advance(3 * time.Second)
	if a, b := w.vaultOf("ann"), w.vaultOf("bob"); a.Gold != -7 || b.Gold != 7 {
		t.Errorf("ann has %+v, bob %+v", a, b)
	}
	for _, id := range []string{"ann", "bob"} {
		if c := w.boxOf(id); len(c.Out)+len(c.In)+len(c.Twice) != 0 || w.store.due[accountKind.Ref(id)] != 0 {
			t.Errorf("box of %s: %s", id, w.store.entities[accountKind.Ref(id)].Box)
		}
	}
	if r := w.sys.Report(); r.Delivered != 1 || r.Resent+r.Repeated+r.Gaps != 0 {
		t.Errorf("%+v", r)
	}
}

func TestARefusedTurnSendsNothingDurable(t *testing.T) {
	w := bank(t)
	ann := accountKind.Ref("ann")
	w.call(ann, &transfer{To: SessionKind.Ref("x"), Amount: 7})
	w.call(ann, &transfer{To: KindName("nobody").Ref("x"), Amount: 7})
	w.store.fail = StoreUnavailable.Refuse("away")
	_, err := w.call(ann, &transfer{To: accountKind.Ref("bob"), Amount: 7, Commit: true})
	if !errors.Is(err, StoreUnavailable) {
		t.Error(err)
	}
	w.store.fail = nil
	w.advance(5 * time.Second)
	if g := w.gold(ann); g != 0 || len(w.boxOf("ann").Out) != 0 {
		t.Errorf("ann has %d, %s", g, w.store.entities[ann].Box)
	}
}

func TestARefusalIsFinalAndComesBackToTheSender(t *testing.T) {
	w := bank(t)
	ann := accountKind.Ref("ann")
	w.call(ann, &transfer{To: accountKind.Ref("closed"), Amount: 7})
	w.call(ann, &transfer{To: accountKind.Ref("bob"), Amount: 3, Keep: true})
	w.advance(3 * time.Second)
	if v := w.vaultOf("ann"); v.Gold != 0 || v.Back != 2 {
		t.Errorf("ann has %+v", v)
	}
	if v := w.vaultOf("bob"); v.Kept != 1 || v.Gold != 0 {
		t.Errorf("bob has %+v", v)
	}
	if len(w.boxOf("ann").Out)+len(w.boxOf("closed").In)+len(w.boxOf("bob").In) != 0 {
		t.Errorf("%s %s", w.store.entities[ann].Box, w.store.entities[accountKind.Ref("closed")].Box)
	}
}

func TestAnOperatorSeesWhatIsStuckAndGivesItUp(t *testing.T) {
	w := bank(t)
	ann := accountKind.Ref("ann")
	w.routed = func(e *Envelope) bool { return e.To == accountKind.Ref("closed") }
	w.call(ann, &transfer{To: accountKind.Ref("closed"), Amount: 3})
	w.call(ann, &transfer{To: accountKind.Ref("closed"), Amount: 4})
	w.pass(2 * time.Minute)
	if r := w.sys.Report(); r.Stuck != 1 {
		t.Errorf("%d are stuck", r.Stuck)
	}
	inspect := func(drop uint64) (c Contents, err error) {
		e := RuntimeMessage(Ref{}, ann, &Inspect{Drop: drop})
		w.sys.Request(e, time.Second, func(answer *Envelope) {
			if err = json.Unmarshal(answer.Body, &c); answer.Type == Refused {
				err = answer.Refusal()
			}
		})
		w.settle()
		return c, err
	}
	if c, err := inspect(0); err != nil || len(c.Out) != 2 || c.Out[0].Tries < 5 {
		t.Fatalf("%+v %v", c, err)
	}
	if _, err := inspect(9); !errors.Is(err, BadBody) {
		t.Error(err)
	}
	if c, err := inspect(1); err != nil || len(c.Out) != 1 || w.gold(ann) != -4 {
		t.Fatalf("%+v %v", c, err)
	}
	w.routed = nil
	w.pass(2 * time.Minute)
	if c, err := inspect(0); err != nil || len(c.Out) != 0 || w.sys.Report().Stuck != 0 || w.gold(ann) != 0 {
		t.Errorf("%+v %v", c, err) // the second was taken, and refused
	}
}

func TestAFailureOfTheReceiverIsTriedAgainInOrder(t *testing.T) {
	w := bank(t)
	ann := accountKind.Ref("ann")
	for i := range 4 {
		w.call(ann, &transfer{To: accountKind.Ref("bob"), Amount: 5 * (i + 1)})
	}
	w.pass(10 * time.Minute)
	if v := w.vaultOf("bob"); v.Gold != 50 || w.sys.Report().Resent == 0 {
		t.Errorf("bob has %+v", v)
	}
	w.pass(3 * time.Minute) // copies were sent: the boxes are empty when none can be under way
	if a, b := w.boxOf("ann"), w.boxOf("bob"); len(a.Out)+len(a.Twice)+len(b.In) != 0 {
		t.Errorf("%s %s", w.store.entities[ann].Box, w.store.entities[accountKind.Ref("bob")].Box)
	}
}

func TestACopyThatIsLateIsNotTakenForANewMessage(t *testing.T) {
	t.Run("of one life", func(t *testing.T) { lateCopy(t, false) })
	t.Run("of an earlier life of the sender", func(t *testing.T) { lateCopy(t, true) })
}

func lateCopy(t *testing.T, crash bool) {
	w := bank(t)
	ann, bob := accountKind.Ref("ann"), accountKind.Ref("bob")
	var copies, receipts []*Envelope
	w.routed = func(e *Envelope) bool {
		if e.To == bob && e.Number == 201 {
			copies = append(copies, e)
			return true
		}
		if e.Number == NumberDelivered {
			receipts = append(receipts, e)
		}
		return false
	}
	w.call(ann, &transfer{To: bob, Amount: 3})
	w.store.silent = crash // that a second copy was sent is not durable
	w.advance(2 * time.Second)
	if len(copies) != 2 {
		t.Fatalf("%d copies were sent", len(copies))
	}
	if crash {
		w.crash()
		w.store.silent = false
		w.gold(ann)
	}
	w.sys.Deliver(copies[0])
	w.advance(time.Second) // taken, confirmed and dropped
	w.sys.Deliver(receipts[0])
	w.advance(time.Second) // it is asked what may be forgotten
	w.sys.Deliver(copies[1])
	w.advance(time.Second)
	if v := w.vaultOf("bob"); v.Gold != 3 {
		t.Errorf("bob has %+v", v)
	}
	w.pass(2 * time.Minute)
	if a, b := w.boxOf("ann"), w.boxOf("bob"); len(a.Out)+len(a.Twice)+len(b.In) != 0 {
		t.Errorf("%s %s", w.store.entities[ann].Box, w.store.entities[bob].Box)
	}
}

func TestTheBoxIsBounded(t *testing.T) {
	w := bank(t)    // with a bound of 20
	w.impure = true // a Rerun has the default's
	ann := accountKind.Ref("ann")
	w.routed = func(e *Envelope) bool { return e.To.Kind == accountKind && e.From == ann }
	refused := 0
	for range 30 {
		if _, err := w.call(ann, &transfer{To: accountKind.Ref("bob"), Amount: 1}); errors.Is(err, Overloaded) {
			refused++
		}
	}
	if g := w.gold(ann); g != -20 || refused != 10 {
		t.Errorf("%d sent, %d refused", -g, refused)
	}
	for range 30 {
		if _, err := w.call(ann, &set{Text: fmt.Sprint(w.seq), In: time.Hour}); errors.Is(err, Overloaded) {
			refused++
		}
	}
	if refused != 20 {
		t.Errorf("%d refused", refused)
	}
	w.routed = nil
	w.advance(time.Minute)
	if v := w.vaultOf("bob"); v.Gold != 20 {
		t.Errorf("bob has %+v", v)
	}
}

func TestAReminderFiresOnceWhateverHappens(t *testing.T) {
	t.Parallel()
	w := bank(t)
	ann := accountKind.Ref("ann")
	for text, in := range map[string]time.Duration{"": time.Hour, "refuse": time.Hour, "commit": time.Hour,
		"break": 2 * time.Hour, "off": time.Hour, "late": 10 * time.Hour} {
		w.call(ann, &set{Text: text, In: in / 2})
		w.call(ann, &set{Text: text, In: in}) // replaces the first
	}
	w.call(ann, &set{Text: "off", Off: true})
	w.advance(50 * time.Minute) // long passivated
	if w.sys.Report().Actors[accountKind] != 0 || w.vaultOf("ann").Rings != 0 {
		t.Fatalf("%v, %+v", w.sys.Report().Actors, w.vaultOf("ann"))
	}
	w.pass(3 * time.Hour)
	if v := w.vaultOf("ann"); v.Rings != 3 || len(w.boxOf("ann").Due) != 1 {
		t.Errorf("ann has %+v and %s", v, w.store.entities[ann].Box)
	}
	w.crash()
	w.pass(8 * time.Hour)
	if v := w.vaultOf("ann"); v.Rings != 4 || len(w.boxOf("ann").Due) != 0 || w.store.due[ann] != 0 {
		t.Errorf("ann has %+v and %s", v, w.store.entities[ann].Box)
	}
}

func TestACommittingReminderWaitsForAStoreThatIsAway(t *testing.T) {
	w := bank(t)
	ann := accountKind.Ref("ann")
	w.call(ann, &set{Text: "commit", In: time.Second})
	w.call(ann, &set{Text: "ask", In: time.Hour})
	w.advance(900 * time.Millisecond)
	w.store.fail = StoreUnavailable.Refuse("away")
	before := w.store.saves
	w.advance(30 * time.Second)
	if saves := w.store.saves - before; saves > 60 {
		t.Errorf("%d saves in 30 s without a store", saves)
	}
	w.store.fail = nil
	w.advance(time.Minute)
	if v := w.vaultOf("ann"); v.Rings != 1 {
		t.Errorf("ann has %+v", v)
	}
	w.pass(2 * time.Hour)
	if c := w.boxOf("ann"); len(c.Due) != 1 || c.Due[0].Tries == 0 || !strings.Contains(string(c.Due[0].Body), "ask") {
		t.Errorf("a reminder that asks fails and comes again: %s", w.store.entities[ann].Box)
	}
}

// disaster loses, doubles and delays what goes between accounts, kills the process, and lets the store fail.
type disaster struct {
	w    *world
	luck *rand.Rand
	late []*Envelope
}

func (d *disaster) route(e *Envelope) (taken bool) {
	if e.To.Kind != accountKind || e.From.Kind != accountKind {
		return false
	}
	switch d.luck.IntN(12) {
	case 0:
		return true
	case 1:
		d.late = append(d.late, e)
		return true
	case 2: // a link doubles nothing, but what is told may be told again
		if again := *e; e.Number < 100 {
			d.late = append(d.late, &again)
		}
	}
	return false
}

func (d *disaster) arrive() {
	late := d.late
	d.late = nil
	d.luck.Shuffle(len(late), func(i, j int) { late[i], late[j] = late[j], late[i] })
	for _, e := range late {
		if d.luck.IntN(3) == 0 {
			d.late = append(d.late, e)
			continue
		}
		d.w.sys.Deliver(e)
	}
}

func TestMoneyIsNeitherLostNorMadeWhateverHappens(t *testing.T) {
	t.Parallel()
	for seed := range seeds(4) {
		w := bank(t)
		w.impure = seed > 0 // one is run again: it takes long
		d := &disaster{w: w, luck: rand.New(rand.NewPCG(seed, 1))}
		w.routed = d.route
		const accounts = 6
		id := func() string { return string(rune('a' + d.luck.IntN(accounts))) }
		for range 150 {
			switch d.luck.IntN(20) {
			case 0:
				w.crash()
			case 1:
				w.store.fail = [...]error{nil, StoreUnavailable.Refuse("x"), ErrUnknown.Refuse("x")}[d.luck.IntN(3)]
			case 2:
				w.pass(time.Duration(d.luck.IntN(90)) * time.Second)
			case 4:
				w.call(accountKind.Ref(id()), &transfer{To: accountKind.Ref("closed"), Amount: 1, Commit: true})
			default:
				w.send(accountKind.Ref(id()), &transfer{To: accountKind.Ref(id()), Amount: 1 + d.luck.IntN(9),
					Commit: d.luck.IntN(2) == 0}, true)
				w.advance(time.Duration(d.luck.IntN(300)) * time.Millisecond)
			}
			d.arrive()
			w.wakeDue()
		}
		w.store.fail, w.routed = nil, nil
		d.arrive()
		w.pass(90 * time.Minute)
		sum, left := 0, ""
		for _, a := range []string{"a", "b", "c", "d", "e", "f", "closed"} {
			sum += w.vaultOf(a).Gold
			if c := w.boxOf(a); len(c.Out)+len(c.In)+len(c.Twice) > 0 {
				left += fmt.Sprintf("\n%s: %s", a, w.store.entities[accountKind.Ref(a)].Box)
			}
		}
		if sum != 0 || left != "" || t.Failed() {
			t.Fatalf("seed %d: the sum is %d, left is%s", seed, sum, left)
		}
	}
}
