// Bank is the smallest game in which nothing may be lost: accounts that pay each other, and ledgers that people write
// into. Read account.go for how money goes from one entity to another, and ledger.go for what a commit is for.
//
// It promises: an answer to Open, Write, File, Shred and a Transfer that is Sure stands for ever; no money appears or
// vanishes, whatever dies; what a line of a ledger says is there once or not at all; no two deeds have a number in
// common. The tests beside it kill every process of a cluster, and its database, to see whether that is true.
package main

import (
	"context"
	"embed"
	"io/fs"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/persist"
)

// The kinds of the bank.
const (
	AccountKind actors.KindName = "account"
	LedgerKind  actors.KindName = "ledger"
)

// NoTicket refuses who does not say whom they want to act as.
const NoTicket actors.Code = "BANK_NO_TICKET"

var messages = wire.Messages(
	wire.In[*Open](101),
	wire.In[*Transfer](102).Retry(),
	wire.In[*Look](103),
	wire.Out[*Book](104),
	wire.Internal[*Credit](105).Durable(),

	wire.In[*Write](201),
	wire.In[*Jot](202),
	wire.In[*Read](203),
	wire.Out[*Page](204),
	wire.In[*File](205),
	wire.In[*Shred](206),
	wire.Out[*Filed](207),
)

//go:embed migration
var files embed.FS

// App is the whole game.
var App = node.App{
	Name: "bank",
	Game: node.Module{Name: "bank", Messages: messages,
		SQLTables: []persist.Declared{deeds}, Migrations: folder("migration"), Kinds: []actors.Kind{
			{Name: AccountKind, New: newAccount},
			{Name: LedgerKind, New: newLedger},
		}},
	Authenticate: enter,
}

func folder(name string) fs.FS {
	sub, err := fs.Sub(files, name)
	if err != nil {
		panic(err) // only for a name that is no path
	}
	return sub
}

// enter lets everybody be whom they say they are, which a real bank would not: a ticket is an entity's name,
// account/17.
func enter(_ context.Context, ticket string) (actors.Ref, error) {
	who, err := actors.ParseRef(ticket)
	if err != nil || who.Kind != AccountKind && who.Kind != LedgerKind {
		return actors.Ref{}, NoTicket.Refuse("a ticket is account/NAME or ledger/NAME")
	}
	return who, nil
}
