package replay

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
)

// latest is when a statement that its sender gave up may still be written: it was on its way.
const latest = 20 * time.Second

// A Store is the World's database, and what can go wrong with it. What it holds outlives all nodes. World.Heal ends all
// that goes wrong.
type Store struct {
	rows        persist.Database
	w           *World
	refusals    int
	refusal     error
	losses      int
	least, most time.Duration
	downUntil   time.Time
}

// Refuse lets the next n statements be refused with an error, and nothing of them be written: persist.ErrDown,
// persist.ErrContended or persist.ErrRejected.
func (s *Store) Refuse(n int, err error) {
	s.w.fault("the store refuses %d statements: %v", n, err)
	s.refusals, s.refusal = n, err
}

// Lose lets the answers to the next n statements be lost. The seed decides what became of each: it is written, or it
// will be within twenty seconds, or never.
func (s *Store) Lose(n int) {
	s.w.fault("the store's answers to %d statements are lost", n)
	s.losses = n
}

// Slow lets every statement take between least and most; the seed decides how long, and where in between it is done.
func (s *Store) Slow(least, most time.Duration) {
	s.w.fault("the store takes %v to %v", least, most)
	s.least, s.most = least, most
}

// Down lets nothing be reached for so long. What was under way has no outcome.
func (s *Store) Down(d time.Duration) {
	s.w.fault("the store is down for %v", d)
	s.downUntil = s.w.Now().Add(d)
}

func (s *Store) heal() { s.refusals, s.losses, s.most, s.downUntil = 0, 0, 0, time.Time{} }

func (s *Store) isDown() bool { return s.w.Now().Before(s.downUntil) }

// travel lets half of a statement's time pass; false: whoever sent it will never know more.
func (s *Store) travel() bool {
	if s.most <= 0 {
		return true
	}
	d := s.least + time.Duration(s.w.luck.Int64N(int64(s.most-s.least)+1))
	return s.w.loop.Sleep(d/2) && !s.isDown()
}

// statement runs a statement that changes something, as far as the faults let it.
func (s *Store) statement(what string, run func() error) error {
	switch {
	case s.isDown():
		return fmt.Errorf("replay: %s: %w", what, persist.ErrDown)
	case s.refusals > 0:
		s.refusals--
		return fmt.Errorf("replay: %s refused on purpose: %w", what, s.refusal)
	case s.losses > 0:
		s.losses--
		s.lose(what, run)
		return fmt.Errorf("replay: %s: answer lost on purpose: %w", what, persist.ErrUnclear)
	}
	if !s.travel() {
		return fmt.Errorf("replay: %s: lost on its way: %w", what, persist.ErrUnclear)
	}
	if err := run(); err != nil {
		return err
	}
	if !s.travel() {
		return fmt.Errorf("replay: %s: answer lost: %w", what, persist.ErrUnclear)
	}
	return nil
}

// lose runs a statement whose sender will never know, now or later or not at all.
func (s *Store) lose(what string, run func() error) {
	late := func() {
		if err := run(); err != nil {
			s.w.observe("store %s late: %v", what, err)
		}
	}
	switch s.w.luck.IntN(3) {
	case 0:
		late()
	case 1:
		s.w.loop.AfterFunc(time.Duration(s.w.luck.Int64N(int64(latest))), late)
	}
}

// A statements is the store as one node reaches it.
type statements struct{ *Store }

// Migrate implements persist.Database: the World has done it.
func (s statements) Migrate(context.Context, persist.Schema) error { return nil }

// Raise implements persist.Database.
func (s statements) Raise(ctx context.Context, claims []persist.Claim) (numbers []uint64, err error) {
	var got []uint64
	err = s.statement("raise", func() (err error) {
		got, err = s.rows.Raise(ctx, claims)
		s.w.observe("store raise %v -> %v %v", claims, got, err)
		return err
	})
	if err != nil {
		return nil, err
	}
	return got, nil
}

// Write implements persist.Database.
func (s statements) Write(ctx context.Context, b persist.Batch) ([]persist.Outcome, error) {
	var got []persist.Outcome
	err := s.statement("write", func() (err error) {
		got, err = s.rows.Write(ctx, b)
		s.w.observe("store write%s -> %v %v", written(b), got, err)
		return err
	})
	if err != nil {
		return nil, err
	}
	return got, nil
}

// Load implements persist.Database.
func (s statements) Load(ctx context.Context, ref actors.Ref) ([]persist.Part, error) {
	if s.isDown() || !s.travel() {
		return nil, fmt.Errorf("replay: load %s: %w", ref, persist.ErrDown)
	}
	parts, err := s.rows.Load(ctx, ref)
	if !s.travel() {
		return nil, fmt.Errorf("replay: load %s: answer lost: %w", ref, persist.ErrDown)
	}
	return parts, err
}

// Due implements persist.Database.
func (s statements) Due(ctx context.Context, q persist.Search) ([]persist.Due, error) {
	if s.isDown() || !s.travel() {
		return nil, fmt.Errorf("replay: search %s: %w", q.Kind, persist.ErrDown)
	}
	return s.rows.Due(ctx, q)
}

// Purge implements persist.Database.
func (s statements) Purge(ctx context.Context, kind actors.KindName, tombs []persist.Tomb) (n int, err error) {
	err = s.statement("purge", func() (err error) {
		n, err = s.rows.Purge(ctx, kind, tombs)
		s.w.observe("store purge %s %d of %d %v", kind, n, len(tombs), err)
		return err
	})
	return n, err
}

// Rows implements persist.RowDatabase.
func (s statements) Rows(ctx context.Context, q persist.RowQuery) ([]persist.Values, error) {
	if s.isDown() || !s.travel() {
		return nil, fmt.Errorf("replay: read rows of %s: %w", q.Table.Name, persist.ErrDown)
	}
	found, err := s.rows.Rows(ctx, q)
	if !s.travel() {
		return nil, fmt.Errorf("replay: read rows of %s: answer lost: %w", q.Table.Name, persist.ErrDown)
	}
	return found, err
}

// WriteRows implements persist.RowDatabase.
func (s statements) WriteRows(ctx context.Context, b persist.RowBatch) ([]persist.RowOutcome, error) {
	var got []persist.RowOutcome
	err := s.statement("write rows", func() (err error) {
		got, err = s.rows.WriteRows(ctx, b)
		s.w.observe("store write rows%s -> %v", writtenRows(b), err)
		return err
	})
	if err != nil {
		return nil, err
	}
	return got, nil
}

// TakeIDs implements persist.RowDatabase.
func (s statements) TakeIDs(ctx context.Context, m *persist.Mapping, n uint64) (uint64, error) {
	var first uint64
	err := s.statement("take ids", func() (err error) {
		first, err = s.rows.TakeIDs(ctx, m, n)
		s.w.observe("store take ids of %s -> %d %v", m.Name, first, err)
		return err
	})
	if err != nil {
		return 0, err
	}
	return first, nil
}

// CheckTables implements persist.RowDatabase: the World has done it.
func (s statements) CheckTables(context.Context, []*persist.Mapping) error { return nil }

// Level implements persist.Database.
func (s statements) Level(ctx context.Context) (string, error) {
	if s.isDown() || !s.travel() {
		return "", fmt.Errorf("replay: level: %w", persist.ErrDown)
	}
	return s.rows.Level(ctx)
}

// Close implements persist.Database: the rows outlive the node.
func (s statements) Close() error { return nil }

// writtenRows tells what a batch of rows says.
func writtenRows(b persist.RowBatch) string {
	var s strings.Builder
	fmt.Fprintf(&s, " of %s (%d %v)", b.Table.Name, b.Verb, b.Names)
	for _, w := range b.Rows {
		fmt.Fprintf(&s, " by %v", w.Keeper)
		for _, text := range w.Values {
			if text == nil {
				s.WriteString(" NULL")
				continue
			}
			fmt.Fprintf(&s, " %q", *text)
		}
	}
	return s.String()
}
