package main

import (
	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
)

// What clients send about the deeds of their ledger, and what it answers when the store has done it.
type (
	File struct {
		Line uint64 `json:"line"`
	}
	Shred struct {
		ID uint64 `json:"id"`
	}
	Filed struct {
		ID uint64 `json:"id"`
	}
)

// A Deed is a row of an SQL table, with a number that no other deed ever has, nor had.
type Deed struct {
	ID     uint64 `db:"id,key"`
	Holder string `db:"holder"`
	Line   uint64 `db:"line"`
}

var deeds = persist.NewTable[Deed]("deed")

func (l *Ledger) file(ctx actors.Context, m *File) (*Filed, error) {
	return actors.Reply(ctx, deeds.Insert(Deed{Holder: ctx.Self().ID, Line: m.Line}), filed)
}

func (l *Ledger) shred(ctx actors.Context, m *Shred) (*Filed, error) {
	return actors.Reply(ctx, deeds.Delete(Deed{ID: m.ID}), filed)
}

func filed(_ actors.Context, d Deed, err error) (*Filed, error) {
	if err != nil {
		return nil, err
	}
	return &Filed{d.ID}, nil
}
