package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/fireflyrt/firefly/modules/scene"
)

// A browser is a headless Chromium, and what its pages complained of.
type browser struct {
	t     *testing.T
	first context.Context
	mu    sync.Mutex
	wrong []string
}

// newBrowser starts one; the test's end stops it. Without Chromium the test is skipped, but not in CI.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	exe, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%v; CI must have it: apt-get install chromium", err)
		}
		t.Skipf("needs a browser: %v (apt-get install chromium)", err)
	}
	dir, err := os.MkdirTemp("", "ffc")
	if err != nil {
		t.Fatal(err)
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(exe),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(dir), chromedp.WindowSize(700, 500),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.WSURLReadTimeout(2*patience))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	first, cancelFirst := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		cancelFirst()
		cancel()
		if c := chromedp.FromContext(first); c != nil && c.Allocator != nil {
			c.Allocator.Wait()
		}
		await(t, patience, "the browser's files to be gone", func() error { return os.RemoveAll(dir) })
	})
	b := &browser{t: t, first: first}
	if err := chromedp.Run(first); err != nil {
		t.Fatalf("starting %s: %v", exe, err)
	}
	return b
}

// A tab is the page of somebody with a window and storage of their own.
type tab struct {
	*browser
	ctx context.Context
}

func (b *browser) open() *tab {
	b.t.Helper()
	whole := cdp.WithExecutor(b.first, chromedp.FromContext(b.first).Browser)
	storage, err := target.CreateBrowserContext().Do(whole)
	if err != nil {
		b.t.Fatal(err)
	}
	// a window of its own: what a tab hides is not drawn, and the meadow moves when it is drawn
	window, err := target.CreateTarget("about:blank").WithBrowserContextID(storage).WithNewWindow(true).Do(whole)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(b.first, chromedp.WithTargetID(window))
	b.t.Cleanup(cancel)
	chromedp.ListenTarget(ctx, func(event any) {
		if e, ok := event.(*runtime.EventExceptionThrown); ok {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.wrong = append(b.wrong, e.ExceptionDetails.Error())
		}
	})
	if err := chromedp.Run(ctx, runtime.Enable()); err != nil { // with ctx itself: the first run's context is the tab's
		b.t.Fatal(err)
	}
	return &tab{b, ctx}
}

// complaints fails the test with what went wrong in a page's scripts.
func (b *browser) complaints() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.wrong {
		b.t.Errorf("a script failed: %s", w)
	}
}

func (p *tab) do(actions ...chromedp.Action) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 2*patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		p.t.Fatal(err)
	}
}

// A sight is what the page knows: window.meadow.state.
type sight struct {
	Name, Room string
	Sparks     int64
	scene.Spot
	Light, Others int
	Connected     bool
	Visible       []Sparked
}

func (p *tab) look() (s sight) {
	p.t.Helper()
	p.do(chromedp.Evaluate(`window.meadow.state`, &s))
	return s
}

// sees waits until what the page knows is so.
func (p *tab) sees(what string, so func(s sight) bool) (s sight) {
	p.t.Helper()
	awaitEach(p.t, pilotPace, patience, what, func() error {
		if s = p.look(); so(s) {
			return nil
		}
		s.Visible = nil
		return fmt.Errorf("the page shows %+v", s)
	})
	return s
}

// enter opens the page, writes a name into its door unless the browser knows one already, and flies in.
func (p *tab) enter(url, name string) sight {
	p.t.Helper()
	p.do(chromedp.Navigate("about:blank")) // where the page is open already, it would only follow the #
	p.do(chromedp.Navigate(url), chromedp.WaitEnabled("#start", chromedp.ByQuery))
	var known string
	p.do(chromedp.Value("#who", &known, chromedp.ByQuery))
	if known == "" {
		p.do(chromedp.SendKeys("#who", name, chromedp.ByQuery))
	} else if known != name {
		p.t.Errorf("the browser remembers %s, not %s", known, name)
	}
	p.do(chromedp.Click("#start", chromedp.ByQuery))
	return p.sees(name+" in the meadow", func(s sight) bool { return s.Connected && s.Name == name && s.Room != "" })
}

// collect flies after sparks until it has one more.
func (p *tab) collect() sight {
	p.t.Helper()
	had := p.look().Sparks
	return p.sees("a spark to be collected", func(s sight) bool {
		if s.Sparks > had {
			return true
		}
		if len(s.Visible) > 0 {
			near := slices.MinFunc(s.Visible, func(a, b Sparked) int { return int(s.Far(a.Spot) - s.Far(b.Spot)) })
			p.fly(near.Spot)
		}
		return false
	})
}

func (p *tab) fly(to scene.Spot) {
	p.t.Helper()
	p.do(chromedp.Evaluate(fmt.Sprintf(`void meadow.flyTo(%g, %g)`, to.X, to.Y), nil))
}

func TestTheMeadowIsPlayedInBrowsers(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	c := newRealCluster(t, realGame{config: shippedConfig(t)})
	up := c.Up()
	url := "http://" + c.Config.With("admin")[0].HTTP + "/#1,1"

	ada, bob := b.open(), b.open()
	ada.enter(url, "ada")
	middle := meadow.Within("1,1", 0.5, 0.5)
	ada.fly(middle)
	first := ada.sees("ada in the middle", func(s sight) bool { return s.Far(middle) < 20 })
	ada.do(chromedp.MouseClickXY(500, 250)) // the picture: fly to the right
	ada.sees("ada to fly where she was told to", func(s sight) bool { return s.X > first.X+50 })
	alone := ada.sees("the wild ones", func(s sight) bool { return s.Others == 3 && s.Room == "1,1" })

	bob.enter(url, "bob")
	bob.sees("ada and the wild ones", func(s sight) bool { return s.Others == alone.Others+1 })
	ada.sees("bob and the wild ones", func(s sight) bool { return s.Others == alone.Others+1 })
	bob.do(chromedp.Evaluate(`void meadow.say("a fine night")`, nil))
	ada.reads("#log", "boba fine night")

	has := ada.collect()
	ada.sees("what she has in figures", func(s sight) bool { return ada.text("#gold") == fmt.Sprint(s.Sparks) })
	ada.fly(has.Spot) // and stay there
	has = ada.rests()
	ada.do(chromedp.Navigate("about:blank"))
	bob.sees("ada leave", func(s sight) bool { return s.Others == alone.Others })
	back := ada.enter(url, "ada")
	ada.sees("ada to have what she had", func(s sight) bool { return s.Sparks == has.Sparks })
	if d := back.Far(has.Spot); d > 30 {
		t.Errorf("ada was at %v and came back %v away", has.Spot, math.Round(d))
	}
	has = ada.rests()

	up.Stop()
	bob.sees("the meadow to be gone", func(s sight) bool { return !s.Connected })
	up = c.Up()
	bob.sees("bob to be back by himself", func(s sight) bool { return s.Connected })
	ada.enter(url, "ada")
	had := fmt.Sprintf("ada to have what she had before the restart, %d sparks at %v", has.Sparks, has.Spot)
	ada.sees(had, func(s sight) bool {
		return s.Sparks == has.Sparks && s.Far(has.Spot) < 30
	})
	b.complaints()
	up.Stop()
}

// reads waits until an element of the page holds a text.
func (p *tab) reads(selector, text string) {
	p.t.Helper()
	awaitEach(p.t, pilotPace, patience, selector+" to say "+text, func() error {
		if held := p.text(selector); !strings.Contains(held, text) {
			return errors.New("it says " + held)
		}
		return nil
	})
}

// text is what an element of the page holds.
func (p *tab) text(selector string) (held string) {
	p.t.Helper()
	p.do(chromedp.TextContent(selector, &held, chromedp.ByQuery))
	return held
}

// rests waits until the page stands still for a second, which is longer than its position takes to be kept.
func (p *tab) rests() (s sight) {
	p.t.Helper()
	since := time.Now()
	return p.sees("to rest", func(now sight) bool {
		if now.Far(s.Spot) > 1 || now.Sparks != s.Sparks {
			s, since = now, time.Now()
		}
		return time.Since(since) > time.Second
	})
}
