// Package wallet is a gameplay module: what an entity owns, in any number of currencies.
//
// It promises that a balance is never negative, that every change has a reason, and that the client of the entity
// knows each balance: it is pushed at login and after every change. It does not promise anything about transfers
// between two entities; that is a debit here and a message that earns there.
package wallet

import (
	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// Most bounds a balance: every integer up to it is exact in a browser, too.
const Most = 1 << 53

// What a change can be refused with.
const (
	Poor      actors.Code = "WALLET_POOR"       // there is less than that
	Full      actors.Code = "WALLET_FULL"       // there would be more than Most
	BadAmount actors.Code = "WALLET_BAD_AMOUNT" // zero, negative, or beyond Most
)

// Messages has the numbers 300 to 399.
var Messages = wire.Messages(
	wire.Out[*Balance](301).Latest(func(m *Balance) string { return m.Currency }),
	wire.Internal[*Earn](302),
)

// Balance tells the client what there is now of one currency.
type Balance struct {
	Currency string `json:"currency"`
	Amount   int64  `json:"amount"`
	Why      string `json:"why,omitempty"` // empty at login
}

// Earn is how other actors give: the wallet's entity earns the amount.
type Earn struct {
	Currency string `json:"currency"`
	Amount   int64  `json:"amount"`
	Why      string `json:"why"`
}

// Changed is emitted in the entity after every change, for other modules to listen to.
type Changed struct {
	Currency string
	Delta    int64 // positive when earned
	Amount   int64 // what there is now
	Why      string
}

// A Wallet is the module in one entity.
type Wallet struct {
	purse *actors.Map[string, int64] // by currency
}

// Mount gives an entity a wallet, whose cell is "wallet".
func Mount(p *actors.Props) *Wallet {
	w := &Wallet{purse: actors.Rows[string, int64](p, "wallet")}
	actors.On(p, w.bound)
	actors.Handle(p, w.earned)
	return w
}

// Balance is what there is of a currency.
func (w *Wallet) Balance(currency string) int64 { return w.purse.At(currency) }

// Earn adds an amount.
func (w *Wallet) Earn(ctx actors.Context, currency string, amount int64, why string) error {
	if err := check(amount); err != nil {
		return err
	}
	if w.Balance(currency) > Most-amount {
		return Full.Refuse("%d more %s would be too many", amount, currency)
	}
	w.change(ctx, currency, amount, why)
	return nil
}

// Take takes an amount away, or refuses with Poor when there is less.
func (w *Wallet) Take(ctx actors.Context, currency string, amount int64, why string) error {
	if err := check(amount); err != nil {
		return err
	}
	if there := w.Balance(currency); there < amount {
		return Poor.Refuse("%d %s wanted, %d there", amount, currency, there)
	}
	w.change(ctx, currency, -amount, why)
	return nil
}

// check is the one place where a strange amount ends, wherever it came from.
func check(amount int64) error {
	if amount <= 0 || amount > Most {
		return BadAmount.Refuse("%d is no amount", amount)
	}
	return nil
}

func (w *Wallet) change(ctx actors.Context, currency string, delta int64, why string) {
	now := w.Balance(currency) + delta
	w.purse.Set(currency, now)
	ctx.Push(&Balance{Currency: currency, Amount: now, Why: why})
	ctx.Emit(&Changed{Currency: currency, Delta: delta, Amount: now, Why: why})
}

func (w *Wallet) bound(ctx actors.Context, _ *actors.Bound) error {
	for currency, amount := range w.purse.All() {
		ctx.Push(&Balance{Currency: currency, Amount: amount})
	}
	return nil
}

func (w *Wallet) earned(ctx actors.Context, m *Earn) error {
	return w.Earn(ctx, m.Currency, m.Amount, m.Why)
}
