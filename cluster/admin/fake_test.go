package admin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// operated is a Server under test, the console that it prints on, and a browser.
type operated struct {
	*Server
	t *testing.T

	mu      sync.Mutex
	printed []string // login addresses
	reloads int
	refuse  error // what Reload says
	asked   int   // how often nodes were asked for reports
	unready error
	reports []Report
}

// operate starts the server of an admin node. Change lets a test set options.
func operate(t *testing.T, change ...func(*Options)) *operated {
	t.Helper()
	s := &operated{t: t, reports: meadow(time.Now())}
	o := Options{
		Addr: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Report: func() Report { return s.all(context.Background())[0] },
		Ready:  s.ready,
		Console: &Console{
			Web: fstest.MapFS{
				"index.html":   {Data: []byte("<h1>Meadow</h1>")},
				"img/moth.svg": {Data: []byte("<svg/>")},
			},
			Play: func() Play {
				return Play{Name: "meadow", WS: "ws://127.0.0.1:9401", TCP: "127.0.0.1:9400"}
			},
			Reports: s.all, Reload: s.reload, Login: s.print,
		},
	}
	for _, c := range change {
		c(&o)
	}
	var err error
	if s.Server, err = Listen(o); err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *operated) all(context.Context) []Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.reports
}

// now changes what the nodes say.
func (s *operated) now(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *operated) ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unready
}

func (s *operated) reload(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reloads++
	return s.refuse
}

func (s *operated) print(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.printed = append(s.printed, url)
}

// token is what the console shows last.
func (s *operated) token() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, token, _ := strings.Cut(s.printed[len(s.printed)-1], "#token=")
	return token
}

// ask sends one request; change lets a test set headers.
func (s *operated) ask(
	method, path, body string, change ...func(*http.Request),
) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequest(method, "http://"+s.Addr()+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range change {
		c(r)
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	direct := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: stay,
		Timeout:       10 * time.Second,
	}
	answer, err := direct.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer, string(text)
}

// expect sends a request and wants a status, and some text in the answer.
func (s *operated) expect(
	status int, in, method, path, body string, change ...func(*http.Request),
) *http.Response {
	s.t.Helper()
	answer, text := s.ask(method, path, body, change...)
	if answer.StatusCode != status || !strings.Contains(text, in) {
		s.t.Errorf("%s %s: %d, want %d with %q in\n%s", method, path, answer.StatusCode,
			status, in, text)
	}
	return answer
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func host(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }

// meadow is a cluster as it may be at three in the morning: mostly well.
func meadow(now time.Time) []Report {
	at := func(node string, roles ...string) Report {
		return Report{Node: node, Incarnation: "9f3c", Roles: roles, PID: 4000 + len(node), At: now,
			State: StateReady, Started: now.Add(-3*time.Hour - 12*time.Minute),
			Tables:  Tables{Version: "5be1c0a9d2f4"},
			Process: Process{Goroutines: 61, RSS: 48 << 20, CPU: 90}}
	}
	gate, game, store := at("gate-1", "gate"), at("game-1", "game"), at("persist-1", "persist")
	gate.Sessions, gate.Messages = 212, 1_904_113
	gate.Gate = map[string]int64{"frames_in_total": 1_904_113, "frames_out_total": 9_120_002,
		"connections": 213}
	gate.Answers = map[string]uint64{"RATE_LIMITED": 31, "UNKNOWN_NUMBER": 2}
	gate.Closes = map[string]uint64{"DISCONNECTED": 1902, "SLOW_CLIENT": 4}
	gate.Refused, gate.Until = map[string]uint64{"its certificate is of another CA": 7}, now.Add(90*time.Minute)
	game.Actors = 319
	game.Kinds = map[string]int{"player": 212, "room": 104, "board": 1, "login": 2}
	game.Messages, game.Deepest, game.Whose = 1_733_002, 3, "room/3.4"
	game.Record = map[string]int64{"steps_total": 77, "streams": 5}
	game.Mishaps = map[string]uint64{"late_total": 12, "expired_total": 1}
	const us = time.Microsecond
	game.Numbers = []Number{
		{101, "Login", "login", 2114, 0, 410 * us, 2000 * us, 9000 * us},
		{201, "Move", "room", 1_501_220, 0, 11 * us, 61 * us, 4000 * us},
		{202, "Collect", "room", 88_120, 0, 14 * us, 90 * us, 5000 * us},
		{301, "Buy", "player", 940, 3, 2000 * us, 14_000 * us, 81_000 * us},
		{401, "Say", "player", 5120, 0, 20 * us, 130 * us, 1000 * us},
	}
	store.Store = &Store{Level: "degraded: mysql 10: sync_binlog=0", Dirty: 41, Pending: 12, Oldest: 640_000 * us,
		Hits: 20113, Misses: 1801,
		Counters: map[string]int64{"writes_total": 120_334, "batches_total": 4011}}
	return []Report{gate, game, store, at("admin-1", "admin")}
}

var errNotYet = errors.New("waiting for the gate")

// browser is the headless one of this machine.
func browser(t *testing.T, find func(string) (string, error)) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := find(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("no Chromium, and CI must have one")
	}
	t.Skip("no Chromium on this machine: the page is not looked at")
	return ""
}
