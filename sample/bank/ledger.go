package main

import "github.com/fireflyrt/firefly/actors"

// Full is what a ledger refuses that has MostRows lines.
const Full actors.Code = "LEDGER_FULL"

// MostRows is how many lines a ledger has room for.
const MostRows = 1000

// What clients send to their ledger, and what it answers.
type (
	Write struct {
		Line uint64 `json:"line"`
	}
	Jot struct {
		Line uint64 `json:"line"`
	}
	Read struct{}
	Page struct {
		Ink    Tally `json:"ink"`
		Pencil Tally `json:"pencil"`
	}
)

// A Tally sums up lines.
type Tally struct {
	Count int64  `json:"count"`
	Sum   uint64 `json:"sum"`
	Last  uint64 `json:"last"`
}

func (t *Tally) add(line uint64) {
	t.Count++
	t.Sum += line
	t.Last = line
}

// A Ledger holds lines: in ink what must stay, in pencil what may be lost, if only a moment's worth. It says everything
// twice, in its tallies and in its rows, so that half of a turn would show.
type Ledger struct {
	page  *actors.Cell[Page]
	lines *actors.Map[uint64, int] // how often each line was written in ink: once, or somebody did it twice
	jots  *actors.Map[string, Tally]
}

func newLedger(p *actors.Props) {
	l := &Ledger{
		page:  actors.State[Page](p, "page"),
		lines: actors.Rows[uint64, int](p, "lines"),
		jots:  actors.Rows[string, Tally](p, "jots"),
	}
	actors.Answer(p, l.write)
	actors.Answer(p, l.jot)
	actors.Answer(p, l.read)
	actors.Answer(p, l.file)
	actors.Answer(p, l.shred)
}

// write is in ink: Commit holds the answer until the store has the line.
func (l *Ledger) write(ctx actors.Context, m *Write) (*Page, error) {
	if l.lines.Len() >= MostRows {
		return nil, Full.Refuse("%s has %d lines", ctx.Self(), MostRows)
	}
	l.page.Edit().Ink.add(m.Line)
	l.lines.Set(m.Line, l.lines.At(m.Line)+1)
	ctx.Commit()
	return l.read(ctx, nil)
}

// jot is in pencil: the answer leaves at once, and the store has the line within flush_every.
func (l *Ledger) jot(ctx actors.Context, m *Jot) (*Page, error) {
	l.page.Edit().Pencil.add(m.Line)
	l.jots.Set("copy", l.page.View().Pencil)
	return l.read(ctx, nil)
}

func (l *Ledger) read(actors.Context, *Read) (*Page, error) {
	page := l.page.View()
	return &page, nil
}
