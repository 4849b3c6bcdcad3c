package persist_test

import (
	"fmt"
	"log"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	firefly "github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/cluster/replay"
	"github.com/fireflyrt/firefly/persist"
)

// A Record is a row of an SQL table that was there before the game:
//
//	CREATE TABLE record (
//		who     VARCHAR(100) NOT NULL PRIMARY KEY,
//		best    INT UNSIGNED NOT NULL,
//		comment TEXT NULL
//	) COLLATE utf8mb4_bin
type Record struct {
	Who     string  `db:"who,key"`
	Best    uint32  `db:"best"`
	Comment *string `db:"comment"`
}

var records = persist.NewTable[Record]("record")

type (
	finished struct{ Points uint32 }
	fastest  struct{}
)

const runnerKind actors.KindName = "runner"

var race = firefly.App{Name: "race", Game: firefly.Module{
	Name:      "race",
	Messages:  wire.Messages(wire.Internal[*finished](101), wire.Internal[*fastest](102)),
	SQLTables: []persist.Declared{records},
	Kinds:     []actors.Kind{{Name: runnerKind, New: newRunner}},
}}

// newRunner asks for rows in its handlers: look, ask, and go on in the answer.
func newRunner(p *actors.Props) {
	actors.Handle(p, func(ctx actors.Context, m *finished) error {
		mine := Record{Who: ctx.Self().ID, Best: m.Points}
		actors.Then(ctx, records.Put(mine), func(_ actors.Context, r Record, err error) error {
			if err == nil {
				fmt.Printf("%s has %d, durably\n", r.Who, r.Best)
			}
			return err
		})
		return nil
	})
	actors.Handle(p, func(ctx actors.Context, _ *fastest) error {
		best := persist.Query{Where: []persist.Term{persist.Above("best", 10)},
			Order: []persist.Order{persist.Falling("best"), persist.Rising("who")}, Limit: 2}
		actors.Then(ctx, records.Find(best), func(_ actors.Context, rows []Record, err error) error {
			for i, r := range rows {
				fmt.Printf("%d. %s\n", i+1, r.Who)
			}
			return err
		})
		return nil
	})
}

// A Table is declared once, listed in the App, and asked by behaviours. Here it is a World's, which has it in memory.
func ExampleTable() {
	w := replay.NewWorld(narrator{}, race)
	for i, name := range []string{"ann", "bob", "eve"} {
		w.Tell(runnerKind.Ref(name), &finished{uint32(10 * (i + 1))})
		w.Advance(time.Second)
	}
	w.Tell(runnerKind.Ref("ann"), &fastest{})
	w.Advance(time.Second)
	// Output:
	// ann has 10, durably
	// bob has 20, durably
	// eve has 30, durably
	// 1. eve
	// 2. bob
}

// A narrator stands in for the test that a World wants.
type narrator struct{}

func (narrator) Helper()                       {}
func (narrator) Logf(string, ...any)           {}
func (narrator) Cleanup(func())                {}
func (narrator) Failed() bool                  { return false }
func (narrator) Errorf(text string, of ...any) { log.Printf(text, of...) }
func (narrator) Fatalf(text string, of ...any) { log.Panicf(text, of...) }
