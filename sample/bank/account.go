package main

import "github.com/fireflyrt/firefly/actors"

// What an account refuses.
const (
	NotOpen   actors.Code = "ACCOUNT_NOT_OPEN"
	OpenTwice actors.Code = "ACCOUNT_OPEN_TWICE"
	BadAmount actors.Code = "ACCOUNT_BAD_AMOUNT"
	Poor      actors.Code = "ACCOUNT_POOR"
)

// MostCoins bounds what is paid at once.
const MostCoins = 1_000_000

// What clients send to their account, and what it answers.
type (
	Open struct {
		Coins int64 `json:"coins"`
	}
	Transfer struct {
		To    string `json:"to"` // the other account's name
		Coins int64  `json:"coins"`
		Sure  bool   `json:"sure"` // the answer waits until the store has it
	}
	Look struct{}
	Book struct {
		Open     bool  `json:"open"`
		Coins    int64 `json:"coins"`
		Paid     int64 `json:"paid"`     // how often, what came back included
		Got      int64 `json:"got"`      // how often
		Returned int64 `json:"returned"` // how often a payment came back
	}
)

// Credit is one account paying another. It is Durable: stored with the debit, sent until it is taken, taken once.
type Credit struct {
	Coins int64 `json:"coins"`
}

// An Account has money.
type Account struct {
	book *actors.Cell[Book] // all that is stored of it
}

func newAccount(p *actors.Props) {
	a := &Account{book: actors.State[Book](p, "book")}
	actors.Answer(p, a.open)
	actors.Answer(p, a.transfer)
	actors.Answer(p, a.look)
	actors.Handle(p, a.credit)
	actors.On(p, a.undelivered)
}

// open gives the account its first coins, once. When the answer leaves, they are kept.
func (a *Account) open(ctx actors.Context, m *Open) (*Book, error) {
	if a.book.View().Open {
		return nil, OpenTwice.Refuse("%s is open", ctx.Self())
	}
	if m.Coins < 0 || m.Coins > MostCoins {
		return nil, BadAmount.Refuse("begin with 0 to %d coins", MostCoins)
	}
	b := a.book.Edit()
	b.Open, b.Coins = true, m.Coins
	ctx.Commit()
	return a.show()
}

// transfer takes the coins out of the balance and puts them into a message, in one turn, so that one statement stores
// both: whatever crashes, the money is here, or on its way, or there. A transfer that is not Sure is answered before
// that statement; a crash may undo it then, but never half of it.
func (a *Account) transfer(ctx actors.Context, m *Transfer) (*Book, error) {
	to := AccountKind.Ref(m.To)
	switch have := a.book.View(); {
	case to.Check() != nil:
		return nil, NotOpen.Refuse("%.32q is no account's name", m.To)
	case m.Coins < 1 || m.Coins > MostCoins:
		return nil, BadAmount.Refuse("pay 1 to %d coins", MostCoins)
	case have.Coins < m.Coins:
		return nil, Poor.Refuse("%s has %d coins", ctx.Self(), have.Coins)
	}
	b := a.book.Edit()
	b.Coins -= m.Coins
	b.Paid++
	ctx.Send(to, &Credit{m.Coins})
	if m.Sure {
		ctx.Commit()
	}
	return a.show()
}

// credit takes what another account has paid. A refusal is final, and goes back to whoever paid.
func (a *Account) credit(ctx actors.Context, m *Credit) error {
	if !a.book.View().Open {
		return NotOpen.Refuse("%s is not open", ctx.Self())
	}
	b := a.book.Edit()
	b.Coins += m.Coins
	b.Got++
	return nil
}

// undelivered puts back what the other account did not take.
func (a *Account) undelivered(_ actors.Context, e *actors.Undelivered) error {
	if m, ok := e.Msg.(*Credit); ok {
		b := a.book.Edit()
		b.Coins += m.Coins
		b.Returned++
	}
	return nil
}

func (a *Account) look(actors.Context, *Look) (*Book, error) { return a.show() }

func (a *Account) show() (*Book, error) {
	b := a.book.View()
	return &b, nil
}
