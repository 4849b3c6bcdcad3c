package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/admin"
	"github.com/fireflyrt/firefly/cluster/clustertest"
)

func TestOnARunningMeadow(t *testing.T) {
	t.Parallel()
	c := newRealCluster(t, realGame{config: withElders(t, shippedConfig(t)), prices: pricesWithEmberAt(10)})
	up := c.Up()
	w := c.fly(4)
	answersOfTheMeadow(t, c)
	eldersMeetTheYoung(t, c)
	newPrices(t, w)
	seenFromOutside(t, w)
	w.stop()
	w.faultless("on a running meadow")
	aClientFromThePagePlays(t, c)
	botsPlay(t, c)
	botsComplain(t, c)
	up.Stop()
}

func pricesWithEmberAt(sparks int) string {
	return fmt.Sprintf("item,name,light,sparks\nember,Ember,1,%d\nstar,Fallen Star,5,500\n", sparks)
}

// newPrices saves the shop's prices while people play: a good file holds soon everywhere, a broken one changes nothing.
func newPrices(t *testing.T, w *crew) {
	const file = "sample/tables/prices.csv"
	w.onBothGames(t)
	w.sell(t, 10)
	saved := time.Now()
	w.Write(file, pricesWithEmberAt(7))
	w.sell(t, 7)
	t.Logf("a new price held everywhere after %v", time.Since(saved).Round(time.Millisecond))

	w.Write(file, "item,name,light,sparks\nember,Ember,1,8\nstar,Fallen Star,50,500\n")
	fault := regexp.MustCompile(`level=(WARN|ERROR) .*prices\.csv:3:\d+`)
	for _, name := range []string{"game-1", "game-2"} {
		await(t, patience, name+" to log where the table is wrong", func() error {
			if !fault.MatchString(w.Log(name)) {
				return errors.New(clustertest.LastLines(w.Log(name), 3))
			}
			return nil
		})
	}
	w.sell(t, 7)
	w.Write(file, pricesWithEmberAt(9))
	w.sell(t, 9)
}

// onBothGames sees to it that players live on each of the game nodes.
func (w *crew) onBothGames(t *testing.T) {
	t.Helper()
	await(t, patience, "players on both game nodes", func() error {
		for _, name := range []string{"game-1", "game-2"} {
			r := admin.Report{}
			if err := w.Node(name).Report(t.Context(), &r); err != nil {
				return err
			}
			if r.Kinds["player"] == 0 {
				p := w.join(fmt.Sprintf("onlooker%d", len(w.pilots)), "1,1", false)
				w.pilots = append(w.pilots, p)
				return fmt.Errorf("%s has %v", name, r.Kinds)
			}
		}
		return nil
	})
}

// sell waits until every player of the crew, wherever it lives, is shown a price of an ember.
func (w *crew) sell(t *testing.T, sparks int64) {
	t.Helper()
	for _, p := range w.pilots {
		wanted := fmt.Sprintf("%s to be sold an ember for %d", p.name, sparks)
		awaitEach(t, pilotPace, patience, wanted, func() error {
			ember := call[*Wares](p, &Browse{}).Wares[0]
			if ember.Sparks != sparks {
				return fmt.Errorf("it is %+v", ember)
			}
			return nil
		})
	}
}

// page gets a page.
func page(t *testing.T, url string) (status int, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), answerWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func seenFromOutside(t *testing.T, w *crew) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	for _, n := range w.Config.Nodes {
		if n.HTTP == "" {
			continue
		}
		for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/metrics": "\nfirefly_"} {
			status, text := page(t, "http://"+n.HTTP+path)
			if status != http.StatusOK || !strings.Contains(text, want) {
				t.Errorf("%s of %s: %d %.200s", path, n.Name, status, text)
			}
		}
	}
	at := "http://" + w.Config.With("admin")[0].HTTP
	for path, want := range map[string]string{"/": "Meadow", "/admin/": "<html",
		"/play.json": "ws://" + w.Config.With("gate")[0].WS} {
		if status, text := page(t, at+path); status != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%s: %d %.200s", path, status, text)
		}
	}
	await(t, patience, "a report of everything", func() error {
		_, text := page(t, at+"/admin/report.json")
		return w.reported(text)
	})
	response, err := http.Post(at+"/admin/reload", "text/plain", strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close() //nolint:errcheck // it was not read
	if response.StatusCode != http.StatusUnauthorized && response.StatusCode != http.StatusForbidden {
		t.Errorf("a stranger may reload tables: %s", response.Status)
	}
}

// reported says what a report of the whole cluster lacks.
func (w *crew) reported(text string) error {
	var all struct {
		Nodes []admin.Report `json:"nodes"`
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return err
	}
	var names []string
	sessions, flown := 0, uint64(0)
	for _, n := range all.Nodes {
		if n.State != admin.StateReady {
			return fmt.Errorf("%s is %s: %s", n.Node, n.State, n.Reason)
		}
		names = append(names, n.Node)
		sessions += n.Sessions
		for _, number := range n.Numbers {
			if number.Name == "Fly" && number.P99 > 0 && number.Max >= number.P50 {
				flown += number.Count
			}
		}
	}
	slices.Sort(names)
	if want := "admin-1 game-1 game-2 gate-1 persist-1 registry-1"; strings.Join(names, " ") != want {
		return fmt.Errorf("it tells of %v", names)
	}
	if sessions != len(w.pilots) || flown == 0 {
		return fmt.Errorf("%d sessions, %d flights", sessions, flown)
	}
	return nil
}

// A botReport is what `bots --json` prints last.
type botReport struct {
	Bots, Requests, Answers, Pushes, Errors, Unanswered, Crossed int
	First                                                        []string `json:"first_errors"`
}

func botsPlay(t *testing.T, c *realCluster) {
	text, code := c.Run("bots", "-n", "30", "-for", "2s", "--json")
	var r botReport
	if err := json.Unmarshal([]byte(text), &r); err != nil || code != 0 {
		t.Fatalf("exit code %d, %v\n%s", code, err, text)
	}
	if r.Bots != 30 || r.Requests < r.Bots || r.Answers != r.Requests || r.Pushes == 0 ||
		r.Errors+r.Unanswered+r.Crossed != 0 {
		t.Errorf("%+v", r)
	}
	if text, code := c.Run("bots", "-n", "5", "-for", "300ms"); code != 0 || !strings.Contains(text, "messages/s") ||
		!strings.Contains(text, "p99") || !strings.Contains(text, "errors 0, unanswered 0, crossed 0") {
		t.Errorf("exit code %d\n%s", code, text)
	}
}

// botsComplain kills the gate that the bots play through.
func botsComplain(t *testing.T, c *realCluster) {
	gate := c.Node("gate-1")
	before := 0
	await(t, patience, "the gate to have noticed that the bots before have gone", func() error {
		r := admin.Report{}
		err := gate.Report(t.Context(), &r)
		if before = r.Sessions; err == nil && before >= 10 {
			err = fmt.Errorf("there are %d sessions", before)
		}
		return err
	})
	bots := c.Command("bots", "-n", "10", "-for", "20s", "--json")
	var out strings.Builder
	bots.Stdout = &out
	if err := bots.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, patience, "the bots to connect", func() error {
		r := admin.Report{}
		if err := gate.Report(t.Context(), &r); err != nil {
			return err
		}
		if r.Sessions < before+10 {
			return fmt.Errorf("there are %d sessions, %d of others", r.Sessions, before)
		}
		return nil
	})
	c.Kill("gate-1")
	_ = bots.Wait() // its exit code is looked at
	var r botReport
	if err := json.Unmarshal([]byte(out.String()), &r); err != nil || bots.ProcessState.ExitCode() != 1 ||
		r.Errors == 0 || len(r.First) == 0 {
		t.Errorf("exit code %d, %v, %s", bots.ProcessState.ExitCode(), err, out.String())
	}
	c.Restarted(gate)
}
