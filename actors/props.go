package actors

import (
	"reflect"

	"github.com/fireflyrt/firefly/actors/wire"
)

// Props collects what a constructor declares: handlers, cells, groups. It is of use only while New runs, which happens
// before state is loaded; the same declarations must come in the same order for every instance of a kind.
//
// An entity may move to another node between any two of its messages, and be made anew there: New, its cells and groups
// as they were, Loaded, then Bound for each session. Started and Stopped are not told. So what a behaviour keeps
// outside of its cells, and does not rebuild in Loaded, is lost by a move. Worlds with replay.Churn find it.
type Props struct {
	kind     *kind
	table    *table // set while probing
	probing  bool
	entity   *entity // nil while probing
	handlers []handler
	cells    []slot
	groups   []*Group
	audience *Group
	box      *box // nil: the kind stores nothing
	kept     *box // what is known of requests with Retry numbers: box, or one that is not stored; nil: there are none
}

// A handler is any handler with its types erased.
type handler func(ctx Context, msg any) (result any, err error)

// Answer declares the one handler of M, whose result is the reply. A nil result is answered NO_REPLY; a refusal undoes
// the turn and is answered with its code; another error undoes it, is answered INTERNAL and rebuilds the instance.
func Answer[M, R any](p *Props, fn func(Context, M) (R, error)) {
	p.declare(reflect.TypeFor[M](), reflect.TypeFor[R](), false, func(ctx Context, msg any) (any, error) {
		r, err := fn(ctx, msg.(M))
		var none R
		if any(r) == any(none) {
			return nil, err
		}
		return r, err
	})
}

// Handle declares the one handler of M; a request is answered with an empty body under the request's number.
func Handle[M any](p *Props, fn func(Context, M) error) {
	p.declare(reflect.TypeFor[M](), nil, false, func(ctx Context, msg any) (any, error) {
		return done, fn(ctx, msg.(M))
	})
}

// On declares a listener of E, which is an event emitted in this entity, a message, or one of the runtime's events.
// There may be any number of them; they are called in order of mounting, and the error of one fails the turn.
func On[E any](p *Props, fn func(Context, E) error) {
	p.declare(reflect.TypeFor[E](), nil, true, func(ctx Context, event any) (any, error) {
		return done, fn(ctx, event.(E))
	})
}

// done is the result of a handler that has none to give.
var done = struct{}{}

func (p *Props) declare(m, r reflect.Type, listens bool, h handler) {
	if p.probing {
		p.table.declare(m, r, listens)
	}
	p.handlers = append(p.handlers, h)
}

func (p *Props) addCell(s slot, stored bool) {
	if p.probing {
		p.table.cell(s.cellName(), stored)
	}
	p.cells = append(p.cells, s)
}

// redactor knows what is sensitive in a cell's type: it is looked for once, when the kind is probed.
func (p *Props) redactor(cell string, t reflect.Type) *wire.Redactor {
	if p.probing {
		p.table.redactors[cell] = wire.RedactorOf(t)
	}
	return p.kind.table.redactors[cell]
}

// scale knows how long a stored cell's contents may be: it is made once, when the kind is probed.
func (p *Props) scale(cell string, stored bool, t reflect.Type) scale {
	if p.probing && stored && sharing(t) == "" {
		p.table.scales[cell] = scaleOf(t)
	}
	return p.kind.table.scales[cell]
}

// turn is the turn under way; a cell that is touched outside of one is a programmer's error.
func (p *Props) turn(cell string) *turn {
	if p.entity == nil || p.entity.turn == nil {
		panic("actors: cell " + cell + " of kind " + string(p.kind.Name) +
			" is used outside of a turn: a constructor only declares; rebuild derived state on Loaded")
	}
	return p.entity.turn
}
