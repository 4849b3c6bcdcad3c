package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/fireflyrt/firefly/modules/chat"
)

// A line is what the page's client says of itself: window.meadow.state.line.
type line struct {
	Name, Session string
	Resumed       bool
	Wait          float64 // ms until the next try
}

func (p *tab) line() (l line) {
	p.t.Helper()
	p.do(chromedp.Evaluate(`window.meadow.state.line`, &l))
	return l
}

// holds waits until the page's client says something of itself.
func (p *tab) holds(what string, so func(l line) bool) (l line) {
	p.t.Helper()
	awaitEach(p.t, pilotPace, patience, what, func() error {
		if l = p.line(); so(l) {
			return nil
		}
		return fmt.Errorf("the client is %+v", l)
	})
	return l
}

// cable pulls the page's network cable, or puts it back. Chromium lets open sockets stand then: nothing comes and
// nothing leaves, and nobody is told, but for an event of the page.
func (p *tab) cable(pulled bool) {
	p.t.Helper()
	p.do(network.EmulateNetworkConditions(pulled, 0, -1, -1))
}

// near is as near as a firefly comes to rest where it was told to fly: it glides.
const near = 60

// TestAPulledCableIsNoticedByNobody is the whole way of a resumed session: a player in a browser, whose network is gone
// for longer than its client believes in it, and somebody who looks on.
func TestAPulledCableIsNoticedByNobody(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	c := newRealCluster(t, realGame{config: shippedConfig(t)})
	up := c.Up()
	ada, bob := b.open(), c.join("bob", "1,1", true)
	ada.do(network.Enable())
	ada.enter("http://"+c.Config.With("admin")[0].HTTP+"/#1,1", "ada")
	west, east := meadow.Within("1,1", 0.3, 0.5), meadow.Within("1,1", 0.7, 0.5)
	ada.fly(west)
	bob.await("to see ada in the west", func() bool { return bob.seen["ada"].Far(west) < near })
	before := ada.holds("ada to be online", func(l line) bool { return l.Name == "online" })
	ada.do(chromedp.Evaluate(`window.noticed = false;
		new MutationObserver(() => {
			const seen = (id) => document.getElementById(id);
			window.noticed ||= !seen("veil").hidden || !seen("gate").classList.contains("gone");
		}).observe(document.body, { subtree: true, attributes: true })`, nil))

	ada.cable(true)
	ada.fly(east)
	say(t, bob, "is it dark where you are?")
	ada.sees("ada to fly on by herself", func(s sight) bool { return s.Far(west) > 100 })
	ada.holds("her client to find out that it is alone", func(l line) bool { return l.Name == "away" })
	say(t, bob, "look, the moon")
	ada.do(chromedp.Evaluate(`void meadow.say("what a night")`, nil))
	ada.holds("her client to have tried a few times", func(l line) bool { return l.Wait >= 1000 })
	if text := ada.text("#log"); strings.Contains(text, "moon") {
		t.Errorf("the cable was not pulled: ada has heard %q", text)
	}
	at := ada.look()
	ada.cable(false)

	after := ada.holds("ada to be online again", func(l line) bool { return l.Name == "online" })
	if after.Session != before.Session || !after.Resumed {
		t.Errorf("the session was %+v and is %+v", before, after)
	}
	ada.reads("#log", "look, the moon")
	bob.await("to hear ada", func() bool { return slices.Contains(bob.heard, "ada: what a night") })
	bob.await("to see ada in the east", func() bool { return bob.seen["ada"].Far(east) < near })
	back := ada.sees("ada in the east", func(s sight) bool { return s.Connected && s.Far(east) < near })
	if back.Room != at.Room || at.X < west.X {
		t.Errorf("ada was at %v and is at %v", at, back)
	}
	for _, words := range []string{"is it dark where you are?", "look, the moon", "what a night"} {
		if n := strings.Count(ada.text("#log"), words); n != 1 {
			t.Errorf("ada has read %q %d times", words, n)
		}
	}
	var noticed bool
	if ada.do(chromedp.Evaluate(`window.noticed`, &noticed)); noticed {
		t.Error("the player was shown a veil or a door")
	}
	bob.mu.Lock()
	if slices.Contains(bob.left, "ada") || countOf(bob.heard, "ada: what a night") != 1 {
		t.Errorf("bob saw %v leave and heard %q", bob.left, bob.heard)
	}
	bob.mu.Unlock()
	b.complaints()
	up.Stop()
}

// say lets somebody talk to the room.
func say(t *testing.T, p *pilot, words string) {
	t.Helper()
	if _, err := p.connection().Call(t.Context(), &chat.Say{Text: words}); err != nil {
		t.Error(err)
	}
}

func countOf(all []string, one string) (n int) {
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}
