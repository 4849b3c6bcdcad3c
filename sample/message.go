package main

import (
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/modules/scene"
)

// What Meadow refuses; the modules have codes of their own.
const (
	NotSold    actors.Code = "SHOP_NOT_SOLD"
	AlreadyLit actors.Code = "SHOP_ALREADY_LIT"
)

var messages = wire.Messages(
	wire.In[*Fly](5001).Rate(40, time.Second),
	wire.Out[*Flown](5002),
	wire.Out[*Snapshot](5003),
	wire.Out[*Moved](5004).Lossy(), // everything is told again within a second
	wire.Out[*Left](5005),
	wire.Out[*Sparked](5006),
	wire.Out[*Collected](5007),
	wire.In[*Browse](5101),
	wire.Out[*Wares](5102),
	wire.In[*Buy](5103).Retry(),
	wire.Out[*Bought](5104),
	wire.In[*Top](5201).Rate(5, time.Second),
	wire.Out[*Leaders](5202),

	wire.Internal[*scored](5901),
	wire.Internal[*tick](5903),
)

// What clients send and receive.
type (
	Fly   struct{ scene.Spot }
	Flown struct {
		Who string `json:"who"`
		scene.Place
	}
	Snapshot struct {
		Room   string    `json:"room"`
		Bodies []Body    `json:"bodies"`
		Sparks []Sparked `json:"sparks"`
	}
	Moved struct {
		Bodies []Body `json:"bodies"`
	}
	Left struct {
		Who string `json:"who"`
	}
	Sparked struct {
		ID uint32 `json:"id"`
		Spark
	}
	Collected struct {
		ID  uint32 `json:"id"`
		Who string `json:"who"`
	}
	Browse struct{}
	Wares  struct {
		Wares []Price `json:"wares"`
	}
	Buy struct {
		Item string `json:"item"`
	}
	Bought struct {
		Item  string `json:"item"`
		Light int    `json:"light"`
	}
	Top     struct{}
	Leaders struct {
		Top []Standing `json:"top"`
		You Standing   `json:"you"`
	}
)

// What actors say to themselves.
type (
	scored struct{} // there is something to write on the leaderboard
	tick   struct{}
)
