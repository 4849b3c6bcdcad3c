package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/fireflyrt/firefly/gate/client"
	"github.com/fireflyrt/firefly/modules/account"
	"github.com/fireflyrt/firefly/modules/chat"
	"github.com/fireflyrt/firefly/modules/scene"
	"github.com/fireflyrt/firefly/modules/wallet"
)

const (
	botPace = 80 * time.Millisecond // between two acts
	botStep = 35.0                  // units that it flies in an act
)

// A robot is a client without a person: what `bots` fills the meadow with.
type robot struct {
	*client.Bot
	name     string
	at, goal scene.Spot
	sparks   int64 // what it owns, as it was told
	light    int
	shown    bool // a room has shown itself: before that there is nobody to fly for
}

// bot is one robot's life. The seed of the run decides its name, so it may come back to what it had. It ends with an
// error when something was refused that should not be, or when an answer belongs to somebody else's question.
func bot(b *client.Bot) error {
	r := &robot{Bot: b, name: fmt.Sprintf("bot%d_%06x", b.Number, b.Rand.Uint32N(1<<24))}
	room := fmt.Sprintf("%d,%d", b.Number%meadow.Columns, b.Number/meadow.Columns%meadow.Rows)
	r.at = meadow.Within(room, 0.5, 0.5)
	r.goal = r.at
	err := r.login(room)
	for waits := 0; err == nil && !r.shown && r.Pause(botPace); waits++ {
		if r.hear(); waits > 100 {
			err = errors.New("meadow: no room has shown itself to " + r.name)
		}
	}
	for act := 0; err == nil && r.Pause(botPace); act++ {
		err = r.act(act)
	}
	if b.Until.Err() != nil {
		return nil // the run is over; what was under way does not count
	}
	return errors.Join(err, b.Err())
}

func (r *robot) login(room string) error {
	m := &account.Login{Name: r.name, Secret: "nobody would guess " + r.name, Wish: room}
	in, err := client.Call[*account.LoggedIn](r.Until, r.Client, m)
	if err != nil {
		return err
	}
	return r.mine("login", in.Name)
}

// act flies a little, and now and then does what people do.
func (r *robot) act(n int) error {
	switch n % 64 {
	case 20:
		_, err := r.Call(r.Until, &chat.Say{Text: "the night is warm, says " + r.name})
		return err
	case 40:
		return r.look()
	case 60:
		return r.shop()
	}
	return r.fly()
}

func (r *robot) fly() error {
	r.hear()
	if r.at.Far(r.goal) < 1 {
		r.goal = meadow.Within(meadow.Room(r.at), 0.05+0.9*r.Rand.Float64(), 0.05+0.9*r.Rand.Float64())
	}
	r.at = r.at.Towards(r.goal, botStep)
	at, err := client.Call[*Flown](r.Until, r.Client, &Fly{r.at})
	if err != nil {
		return err
	}
	if at.Room != "" {
		r.at = at.Spot
	}
	return r.mine("fly", at.Who)
}

// hear takes in what was pushed: the newest spark is the next goal.
func (r *robot) hear() {
	for range len(r.Pushes()) {
		switch m := (<-r.Pushes()).(type) {
		case *Snapshot:
			r.shown = true
		case *Sparked:
			r.goal = m.Spot
		case *wallet.Balance:
			r.sparks = m.Amount
		case *Moved:
			for _, b := range m.Bodies {
				if b.Who == r.name {
					r.light = b.Light
				}
			}
		}
	}
}

func (r *robot) look() error {
	l, err := client.Call[*Leaders](r.Until, r.Client, &Top{})
	if err != nil {
		return err
	}
	return r.mine("top", l.You.Who)
}

// shop buys the first light that is brighter than its own and not too dear.
func (r *robot) shop() error {
	w, err := client.Call[*Wares](r.Until, r.Client, &Browse{})
	if err != nil {
		return err
	}
	for _, ware := range w.Wares {
		if ware.Light <= r.light || ware.Sparks > r.sparks {
			continue
		}
		b, err := client.Call[*Bought](r.Until, r.Client, &Buy{ware.Item})
		if err != nil {
			return err
		}
		r.light = b.Light
		if b.Item != ware.Item {
			return fmt.Errorf("meadow: %s bought %s and got %s", r.name, ware.Item, b.Item)
		}
		break
	}
	return nil
}

// mine checks that an answer was meant for this robot.
func (r *robot) mine(what, who string) error {
	if who != r.name {
		return fmt.Errorf("meadow: %s asked for %s and was answered as %q", r.name, what, who)
	}
	return nil
}
