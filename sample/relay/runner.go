package main

import (
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// Disorder refuses a step that does not follow the one before it.
const Disorder actors.Code = "RELAY_DISORDER"

// What clients send to their runner, and what they hear.
type (
	Step struct {
		N     uint64 `json:"n"`     // from 1, each one more than the one before
		Judge string `json:"judge"` // whom the runner tells
	}
	Stepped struct {
		N uint64 `json:"n"`
	}
	Counted struct {
		N     uint64 `json:"n"`
		Fault string `json:"fault,omitempty"` // what judge or runner heard out of order
	}
	Look struct{}
	Race struct {
		Steps   uint64 `json:"steps"`
		Counted uint64 `json:"counted"`
		Beats   uint64 `json:"beats"`  // of a timer
		Starts  int    `json:"starts"` // how often it came up without a past
	}
)

// beat is a runner's timer.
type beat struct{}

const beatEach = 200 * time.Millisecond

// A Runner takes steps and tells them to a judge. All that it knows travels with it, and is stored nowhere.
type Runner struct {
	race *actors.Cell[Race]
}

func newRunner(p *actors.Props) {
	r := &Runner{race: actors.Carry[Race](p, "race")}
	actors.Answer(p, r.step)
	actors.Answer(p, r.look)
	actors.Handle(p, r.counted)
	actors.Handle(p, r.beat)
	actors.On(p, r.started)
}

func (r *Runner) started(ctx actors.Context, _ *actors.Started) error {
	r.race.Edit().Starts++
	ctx.Every(beatEach, &beat{})
	return nil
}

func (r *Runner) step(ctx actors.Context, m *Step) (*Stepped, error) {
	if at := r.race.View().Steps; m.N != at+1 {
		return nil, Disorder.Refuse("step %d came after %d", m.N, at)
	}
	r.race.Edit().Steps = m.N
	ctx.Send(JudgeKind.Ref(m.Judge), &Baton{N: m.N})
	return &Stepped{N: m.N}, nil
}

// counted hears from the judge, and tells the client.
func (r *Runner) counted(ctx actors.Context, m *Verdict) error {
	fault := m.Fault
	if at := r.race.View().Counted; m.N != at+1 && fault == "" {
		fault = Disorder.Refuse("verdict %d came after %d", m.N, at).Error()
	}
	r.race.Edit().Counted = m.N
	ctx.Push(&Counted{N: m.N, Fault: fault})
	return nil
}

func (r *Runner) beat(actors.Context, *beat) error {
	r.race.Edit().Beats++
	return nil
}

func (r *Runner) look(actors.Context, *Look) (*Race, error) {
	race := r.race.View()
	return &race, nil
}
