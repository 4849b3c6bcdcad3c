package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"github.com/fireflyrt/firefly/actors"
)

const (
	accounts  = 1000
	coinsEach = 100
	transfers = 8  // that a payer makes from one account before it goes to another
	openers   = 4  // that open a payer's accounts: commits of many at once take no longer than one
	strangers = 20 // one transfer in so many goes to an account that is not open, and comes back
)

// A payer pays at random from the accounts that are its own to all accounts, and counts what came of it.
type payer struct {
	*customer
	own  []int
	rand *rand.Rand
	kept map[int]*paid // by account
}

// paid is what a payer knows of the transfers of one account: how many are there for certain, and how many may be.
type paid struct{ sure, tried int64 }

// A bureau is all payers of a crowd.
type bureau []*payer

// payers adds payers to the crowd, once every account is open.
func (w *crowd) payers(n int) bureau {
	w.t.Helper()
	var all bureau
	for i := range n {
		p := &payer{customer: w.customer(fmt.Sprintf("payer%d", i)), rand: rand.New(rand.NewPCG(1, uint64(i))),
			kept: map[int]*paid{}}
		for a := i; a < accounts; a += n {
			p.own = append(p.own, a)
			p.kept[a] = &paid{}
		}
		all = append(all, p)
	}
	ctx, cancel := context.WithTimeout(w.ctx, enoughWithin)
	defer cancel()
	var opening sync.WaitGroup
	for _, p := range all {
		for i := range openers {
			opening.Go(func() { w.customer(fmt.Sprintf("%s.%d", p.name, i)).open(ctx, p.own, i, p.fault) })
		}
	}
	opening.Wait()
	for _, p := range all {
		w.add(p.customer, p.live)
		w.paying = append(w.paying, p.customer)
	}
	return all
}

// open opens every openers-th of a payer's accounts. Nothing is killed yet, but on a busy machine a node may miss its
// lease: whoever is not told what became of an opening asks again, and may hear then that the account is open.
func (c *customer) open(ctx context.Context, own []int, first int, fault func(string, ...any)) {
	defer c.leave()
	for i := first; i < len(own); i += openers {
		c.be(accountRef(own[i]))
		_, err := request[*Book](ctx, c, &Open{Coins: coinsEach})
		for err != nil && !isOurs(err) && c.wait(ctx, 20*pace) {
			if _, err = request[*Book](ctx, c, &Open{Coins: coinsEach}); errors.Is(err, OpenTwice) {
				err = nil
			}
		}
		if err != nil {
			fault("opening account %d: %v", own[i], err)
			return
		}
	}
}

func accountRef(n int) actors.Ref { return AccountKind.Ref(strconv.Itoa(n)) }

func (p *payer) live(ctx context.Context) {
	for {
		a := p.own[p.rand.IntN(len(p.own))]
		p.be(accountRef(a))
		for range transfers {
			if !p.pay(ctx, p.kept[a]) {
				return
			}
		}
	}
}

// pay pays once, Sure or not, and reports whether to go on.
func (p *payer) pay(ctx context.Context, kept *paid) bool {
	m := &Transfer{To: strconv.Itoa(p.rand.IntN(accounts)), Coins: 1 + p.rand.Int64N(coinsEach/4),
		Sure: p.rand.IntN(2) == 0}
	abroad := 0
	if p.rand.IntN(strangers) == 0 {
		m.To, abroad = "nobody"+m.To, 1
	}
	book, err := request[*Book](ctx, p.customer, m)
	switch {
	case errors.Is(err, errStopped):
		return false
	case isOurs(err):
		return p.wait(ctx, pace)
	case err != nil:
		kept.tried++
		return p.wait(ctx, 20*pace)
	}
	kept.tried++
	if m.Sure {
		p.certain(int(book.Paid-kept.sure), abroad)
		kept.sure = book.Paid // whatever was not Sure before has become so: an entity is written as a whole
	}
	if book.Paid < kept.sure || book.Paid > kept.tried {
		p.fault("%s has paid %d times and was told so %d times, and says %d", p.as, kept.tried, kept.sure, book.Paid)
	}
	return p.wait(ctx, 3*pace) // each is stored four times: sent, taken, dropped, forgotten
}

// A box is what the tests know of an entity's box: durable messages out, and how far others' were taken in.
type box struct {
	Out []struct {
		Seq  uint64     `json:"seq"`
		To   actors.Ref `json:"to"`
		Body string     `json:"body"`
	} `json:"out"`
	In map[actors.Ref]struct {
		Seq     uint64                 `json:"seq"`
		Refused map[uint64]actors.Code `json:"refused"`
	} `json:"in"`
}

// A balance sheet is all money of the bank, as one statement has read it from the store.
type sheet struct {
	books map[string]Book
	boxes map[actors.Ref]box
	coins int64 // in accounts
	sent  int64 // in boxes of senders, not yet taken by their receivers
	open  int   // boxes that are not empty

	underway int // payments in boxes of senders
}

var errNoBalance = errors.New("the sum has changed")

// sheet reads the books. What a receiver has taken counts there and not in its sender's box.
func (v *vault) sheet() (*sheet, error) {
	all, err := v.rows(string(AccountKind))
	if err != nil {
		return nil, err
	}
	s := &sheet{books: map[string]Book{}, boxes: map[actors.Ref]box{}}
	for _, r := range all {
		var b Book
		cell(v.t, r, "book", &b)
		s.books[r.id], s.coins = b, s.coins+b.Coins
		if r.box == "" {
			continue
		}
		var x box
		if err := json.Unmarshal([]byte(r.box), &x); err != nil {
			v.t.Fatalf("the box of %s holds %s: %v", r.id, r.box, err)
		}
		if s.boxes[AccountKind.Ref(r.id)] = x; len(x.Out)+len(x.In) > 0 {
			s.open++
		}
	}
	for from, x := range s.boxes {
		s.underway += len(x.Out)
		for _, m := range x.Out {
			var c Credit
			if err := json.Unmarshal([]byte(m.Body), &c); err != nil {
				v.t.Fatalf("the box of %s holds %s: %v", from, m.Body, err)
			}
			taken := s.boxes[m.To].In[from]
			if _, refused := taken.Refused[m.Seq]; taken.Seq < m.Seq || refused {
				s.sent += c.Coins
			}
		}
	}
	return s, nil
}

// balanced reads the books at any moment: balances and boxes have the sum that they always had.
func (v *vault) balanced() (*sheet, error) {
	s, err := v.sheet()
	if err == nil && (s.coins+s.sent != accounts*coinsEach || s.coins < 0) {
		err = fmt.Errorf("%w: %d coins in accounts and %d in boxes are not %d", errNoBalance, s.coins, s.sent,
			accounts*coinsEach)
	}
	return s, err
}

// audit compares the books with what the payers were told, when nobody pays any more and the boxes are empty.
func (b bureau) audit(t *testing.T, s *sheet, least int64) {
	t.Helper()
	var all Book
	tried, sure := int64(0), int64(0)
	for _, p := range b {
		for a, kept := range p.kept {
			has := s.books[strconv.Itoa(a)]
			if !has.Open || has.Coins < 0 || has.Paid < kept.sure || has.Paid > kept.tried {
				t.Errorf("account %d has paid %d times and was told so for certain %d times; the store has %+v", a,
					kept.tried, kept.sure, has)
			}
			all.Paid, all.Got, all.Returned = all.Paid+has.Paid, all.Got+has.Got, all.Returned+has.Returned
			tried, sure = tried+kept.tried, sure+kept.sure
		}
	}
	if all.Paid != all.Got+all.Returned {
		t.Errorf("accounts have paid %d times, got %d payments and had %d returned", all.Paid, all.Got, all.Returned)
	}
	t.Logf("%d transfers, of which %d were tried and not answered or undone and %d answered for certain; %d came back",
		all.Paid, tried-all.Paid, sure, all.Returned)
	if all.Paid < least || all.Returned == 0 {
		t.Errorf("%d transfers, less than %d, or none came back: too little was tested", all.Paid, least)
	}
}
