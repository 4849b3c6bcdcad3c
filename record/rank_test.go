package record_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/record"
)

// A rank is written by its name; writing one that there is not panics.
type rank int

func (r rank) MarshalJSON() ([]byte, error) {
	return []byte([]string{`""`, `"squire"`, `"knight"`}[r]), nil
}
func (r *rank) UnmarshalJSON([]byte) error { return nil }

// ranked holds a state that can be written at some times only.
func ranked(p *actors.Props) {
	c := actors.Carry[rank](p, "rank")
	actors.Answer(p, func(_ actors.Context, m *earn) (*lent, error) {
		*c.Edit() = rank(m.Gold)
		return &lent{1}, nil
	})
	actors.Handle(p, func(actors.Context, *trip) error { panic("tripped") })
}

func TestAStateThatPanicsWhenItIsWrittenCostsTheRecordingAndNotTheActor(t *testing.T) {
	t.Parallel()
	log := new(strings.Builder)
	n := townOf(t, ranked, limits(), slog.New(slog.NewTextHandler(log, nil)))
	n.Follow(everybody)
	for _, gold := range []int{1, 7, 8, 2, 1} {
		n.send(&earn{gold})
		n.Advance(time.Minute)
	}
	if text := log.String(); strings.Contains(text, "ended by a panic") || strings.Count(text, "be recorded") != 1 ||
		!strings.Contains(text, "index out of range") {
		t.Errorf("log:\n%s", text)
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(n.dir, "live.*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	r, err := record.Read(files[0])
	if err != nil {
		t.Fatal(err)
	}
	s := r.Actor(carl).Segments
	if len(s) != 2 || s[0].Gap == nil || s[0].Gap.Why != "the state could not be written" {
		t.Errorf("segments: %+v", s)
	}
}

func TestAPanicWhileAPanicIsWrittenIsAnError(t *testing.T) {
	t.Parallel()
	l := limits()
	l.Flight = 100
	log := new(strings.Builder)
	n := townOf(t, ranked, l, slog.New(slog.NewTextHandler(log, nil)))
	for _, gold := range []int{7, 1} {
		n.send(&earn{gold})
	}
	n.send(&trip{})
	n.Settle() // on a pool, where nobody recovers
	said := ""
	if !n.sys.Listen(carl, func(of actors.Trace) {
		n.Take(of, func(path string, err error) { said = fmt.Sprint(path, err) })
	}) {
		t.Fatal("the actor has ended")
	}
	n.Settle()
	if !strings.Contains(said, "index out of range") || n.Report()["errors_total"] != 1 ||
		!strings.Contains(log.String(), "panic cannot be recorded") {
		t.Errorf("taken: %s; %v; log:\n%s", said, n.Report(), log)
	}
}
