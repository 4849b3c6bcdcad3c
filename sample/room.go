package main

import (
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/modules/chat"
	"github.com/fireflyrt/firefly/modules/scene"
)

const (
	tickEvery = 100 * time.Millisecond
	tellEvery = 10 // ticks, after which everything is told again
)

// A Room is one part of the meadow: it flies whoever is there, lets them see each other, and grows sparks.
type Room struct {
	audience *actors.Group
	scene    *scene.Room
	shown    *actors.Map[string, Body] // players as their neighbours see them
	wild     *scene.Strollers
	sparks   *actors.Map[uint32, Spark]
	ticks    *actors.Cell[int]
}

func newRoom(p *actors.Props) {
	r := &Room{
		audience: actors.Audience(p),
		shown:    actors.CarryRows[string, Body](p, "shown"),
		wild:     scene.MountStrollers(p, meadow, wild, faint),
		sparks:   actors.Rows[uint32, Spark](p, "spark"),
		ticks:    actors.Carry[int](p, "ticks"),
	}
	actors.On(p, r.bound)
	r.scene = scene.MountRoom(p, PlayerKind, meadow, pace)
	chat.MountHall(p)
	actors.On(p, r.went)
	actors.Answer(p, r.fly)
	actors.Handle(p, r.tick)
}

// bound shows the room to a client that came; the room lives while somebody looks.
func (r *Room) bound(ctx actors.Context, e *actors.Bound) error {
	m := &Snapshot{Room: ctx.Self().ID}
	for _, b := range r.shown.All() {
		m.Bodies = append(m.Bodies, b)
	}
	for who, w := range r.wild.All() {
		m.Bodies = append(m.Bodies, Body{who, w.Round(), w.Look})
	}
	for id, s := range r.sparks.All() {
		m.Sparks = append(m.Sparks, Sparked{id, s})
	}
	ctx.Send(e.Session, m)
	if r.audience.Len() == 1 {
		ctx.Every(tickEvery, &tick{})
	}
	return nil
}

func (r *Room) went(ctx actors.Context, e *scene.Went) error {
	r.shown.Delete(e.Who)
	r.audience.Send(ctx, &Left{e.Who})
	return nil
}

// fly moves a firefly towards where its client wants it, maybe into the next room.
func (r *Room) fly(ctx actors.Context, m *Fly) (*Flown, error) {
	at, err := r.scene.Move(ctx, m.Spot)
	if err != nil {
		return nil, err
	}
	return &Flown{ctx.Sender().ID, at}, nil
}

// tick lets a tenth of a second pass, and tells what has changed in it.
func (r *Room) tick(ctx actors.Context, _ *tick) error {
	if r.audience.Len() == 0 {
		ctx.Cancel(&tick{})
		return nil
	}
	*r.ticks.Edit()++
	tell := r.ticks.View()%tellEvery == 0
	m := &Moved{}
	for who, v := range r.scene.All() {
		b := Body{who, v.Spot, v.Look}
		if b != r.shown.At(who) {
			r.gather(ctx, b)
			r.shown.Set(who, b)
			m.Bodies = append(m.Bodies, b)
		} else if tell {
			m.Bodies = append(m.Bodies, b)
		}
	}
	r.wild.Stroll(ctx, stroll)
	for who, w := range r.wild.All() {
		m.Bodies = append(m.Bodies, Body{who, w.Round(), w.Look})
	}
	r.audience.Send(ctx, m)
	r.grow(ctx)
	if tell {
		r.scene.Tell(ctx)
	}
	return nil
}
