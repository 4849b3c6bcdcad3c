package main

import "github.com/fireflyrt/firefly/actors"

// A Baton tells a judge of a runner's step, and a Verdict tells the runner that it was counted.
type (
	Baton struct {
		N uint64 `json:"n"`
	}
	Verdict struct {
		N     uint64 `json:"n"`
		Fault string `json:"fault,omitempty"`
	}
)

// A Judge counts the steps of many runners.
type Judge struct {
	steps *actors.Map[string, uint64] // by runner
}

func newJudge(p *actors.Props) {
	j := &Judge{steps: actors.CarryRows[string, uint64](p, "steps")}
	actors.Handle(p, j.baton)
}

func (j *Judge) baton(ctx actors.Context, m *Baton) error {
	runner, v := ctx.Sender(), &Verdict{N: m.N}
	if at := j.steps.At(runner.ID); m.N != at+1 {
		v.Fault = Disorder.Refuse("%s: baton %d came after %d", ctx.Self(), m.N, at).Error()
	}
	j.steps.Set(runner.ID, m.N)
	ctx.Send(runner, v)
	return nil
}
