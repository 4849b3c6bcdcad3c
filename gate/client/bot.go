package client

import (
	"context"
	"math/rand/v2"
	"time"
)

// A Bot is a scripted player: a session, a number, luck of its own, and the time it is given. A
// game's App says what one bot's life is.
type Bot struct {
	*Client
	Number int             // among the bots of this run, from 0
	Rand   *rand.Rand      // seeded by the run's seed and Number
	Until  context.Context // ends when the run does: a bot returns nil then
}

// Pause waits, and returns false if the run ended or the connection broke meanwhile.
func (b *Bot) Pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-b.Until.Done():
	case <-b.Done():
	}
	return false
}
