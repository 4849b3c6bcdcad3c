package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
)

// The inn is a game for one test: lodgers who leave as soon as nobody asks for them, and take their time over it, and
// porters who ask for them. Every lodger writes into the diary of its process when it comes, what it does and when it
// has left.

const (
	lodgerKind actors.KindName = "lodger"
	porterKind actors.KindName = "porter"

	farewell = 200 * time.Millisecond // how long a lodger takes to stop
	porters  = 8                      // of each node
)

const (
	asInn      = "FIREFLY_TEST_GAME=inn"
	diaryPath  = "FIREFLY_TEST_DIARY"
	idlePeriod = "FIREFLY_TEST_IDLE" // after which a lodger stops
)

var innMessages = wire.Messages(
	wire.In[*knock](101).Public().Within(answerWithin),
	wire.Out[*knocked](102),
	wire.Internal[*call](103),
	wire.Internal[*here](104),
)

type (
	// A knock has a porter ask for lodgers.
	knock struct{ First, After int }
	// knocked says how many of them were not to be had.
	knocked struct{ Refused int }
	call    struct{}
	here    struct{}
)

var inn = node.App{Name: "inn", Game: node.Module{Name: "inn", Messages: innMessages, Kinds: []actors.Kind{
	{Name: lodgerKind, New: newLodger, IdleAfter: patience()},
	{Name: porterKind, New: newPorter, Workers: porters},
}}}

// patience is what the test has told this process.
func patience() time.Duration {
	d, _ := time.ParseDuration(os.Getenv(idlePeriod)) // nothing, in the test itself
	return d
}

// A porter is a worker of the node that it was asked on, so who asks it asks by what that node knows.
func newPorter(p *actors.Props) {
	actors.Answer(p, func(ctx actors.Context, m *knock) (*knocked, error) {
		k := &knocked{}
		for i := m.First; i < m.After-1; i++ {
			actors.Then(ctx, actors.Ask[*here](lodger(i), &call{}), func(_ actors.Context, _ *here, err error) error {
				if err != nil {
					k.Refused++
				}
				return nil
			})
		}
		return actors.Reply(ctx, actors.Ask[*here](lodger(m.After-1), &call{}),
			func(_ actors.Context, _ *here, err error) (*knocked, error) { return k, err })
	})
}

func lodger(n int) actors.Ref { return lodgerKind.Ref(strconv.Itoa(n)) }

// instances counts lodgers of this process, each time that one is made.
var instances atomic.Int64

// A lodged is one instance of a lodger.
type lodged struct {
	self  int64
	stays *actors.Cell[int] // how often it has stopped
}

func newLodger(p *actors.Props) {
	l := &lodged{self: instances.Add(1), stays: actors.State[int](p, "stays")}
	actors.On(p, func(ctx actors.Context, _ *actors.Loaded) error { return l.note(ctx, came) })
	actors.On(p, func(ctx actors.Context, _ *actors.Started) error { return l.note(ctx, cold) })
	actors.Answer(p, func(ctx actors.Context, _ *call) (*here, error) { return &here{}, l.note(ctx, spoke) })
	actors.On(p, func(ctx actors.Context, _ *actors.Stopped) error {
		if err := l.note(ctx, stops); err != nil {
			return err
		}
		time.Sleep(farewell)
		*l.stays.Edit()++
		return l.note(ctx, left)
	})
}

// What stands in a diary.
const (
	came  = "came"  // an instance is there, by a move or not
	cold  = "cold"  // it came by no move
	spoke = "spoke" // it was asked for
	stops = "stops" // it begins to leave
	left  = "left"  // it has left, but for its last write
)

// note writes a line: when, who, which instance, what, and how often it has stopped.
func (l *lodged) note(ctx actors.Context, what string) error {
	file, err := diary()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "%d %s %d.%d %s %d\n", time.Now().UnixNano(), ctx.Self().ID, os.Getpid(), l.self, what,
		l.stays.View())
	return err
}

// diary is this process's.
var diary = sync.OnceValues(func() (*os.File, error) {
	return os.OpenFile(filepath.Join(os.Getenv(diaryPath), strconv.Itoa(os.Getpid())),
		os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
})
