package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestHealthAndReadinessAreTwoThings(t *testing.T) {
	t.Parallel()
	s := operate(t)
	s.expect(200, "ok", "GET", "/healthz", "")
	s.expect(200, "ready", "GET", "/readyz", "")
	s.now(func() { s.unready = errNotYet })
	s.expect(503, "waiting for the gate", "GET", "/readyz", "")
	s.expect(200, "ok", "GET", "/healthz", "")
}

func TestMetricsAreTheNodesReport(t *testing.T) {
	t.Parallel()
	s := operate(t)
	for i, lines := range [][]string{
		{`firefly_up{build="",node="gate-1",roles="gate"} 1`, "firefly_ready 1",
			"firefly_sessions 212", "firefly_gate_frames_in_total 1.904113e+06",
			"# TYPE firefly_gate_frames_in_total counter", "# TYPE firefly_gate_connections gauge",
			`firefly_gate_answers_total{code="RATE_LIMITED"} 31`,
			`firefly_gate_closes_total{code="SLOW_CLIENT"} 4`, "go_goroutines",
			`firefly_peers_refused_total{reason="its certificate is of another CA"} 7`,
			"firefly_certificate_seconds 5400", "process_resident_memory_bytes"},
		{`firefly_actors{kind="player"} 212`, "firefly_mailbox_deepest 3",
			`firefly_messages_total{kind="player",name="Buy",number="301"} 940`,
			`firefly_message_errors_total{kind="player",name="Buy",number="301"} 3`,
			`firefly_message_seconds{kind="player",name="Buy",number="301",quantile="0.99"} 0.014`,
			`firefly_mishaps_total{how="late_total"} 12`, "firefly_tables_broken 0",
			"firefly_record_steps_total 77", "# TYPE firefly_record_streams gauge"},
		{"firefly_persist_oldest_seconds 0.64", "firefly_persist_dirty 41",
			"firefly_persist_pending 12",
			"firefly_persist_cache_hits_total 20113", "firefly_persist_writes_total 120334"},
	} {
		s.now(func() { s.reports = meadow(time.Now())[i:] })
		_, text := s.ask("GET", "/metrics", "")
		for _, line := range lines {
			if !strings.Contains(text, "\n"+line) {
				t.Errorf("the metrics of %s lack %s\n%s", s.reports[0].Node, line, text)
			}
		}
	}
}

func TestThePageOfTheGameMayReachItsGateAndNothingElse(t *testing.T) {
	t.Parallel()
	s := operate(t)
	s.expect(200, `{"name":"meadow","ws":"ws://127.0.0.1:9401","tcp":"127.0.0.1:9400"}`,
		"GET", "/play.json", "")
	page := s.expect(200, "<h1>Meadow</h1>", "GET", "/", "")
	policy := page.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'self'; connect-src 'self' ws://127.0.0.1:9401;") {
		t.Errorf("policy %q", policy)
	}
	s.expect(200, "<svg/>", "GET", "/img/moth.svg", "")
	s.expect(404, "", "GET", "/img/", "")
	s.expect(404, "", "GET", "/%2e%2e/%2e%2e/etc/passwd", "")
}

func TestAStrangeGateAddressCannotWidenThePolicy(t *testing.T) {
	t.Parallel()
	for _, ws := range []string{"", "http://evil.example", "ws://a;script-src *", "ws://a b",
		"::"} {
		if got := socketOrigin(ws); got != "" {
			t.Errorf("%q became %q", ws, got)
		}
	}
	if got := socketOrigin("wss://play.example:443/x?y"); got != "wss://play.example:443" {
		t.Errorf("got %q", got)
	}
}

func TestWithoutAGamePageTheRootLeadsToTheAdminPage(t *testing.T) {
	t.Parallel()
	s := operate(t, func(o *Options) { o.Console.Web = nil })
	if got := s.expect(302, "", "GET", "/", "").Header.Get("Location"); got != "/admin/" {
		t.Errorf("leads to %q", got)
	}
}

func TestANodeWithoutTheAdminRoleShowsNoPages(t *testing.T) {
	t.Parallel()
	s := operate(t, func(o *Options) { o.Console = nil })
	s.expect(200, "ok", "GET", "/healthz", "")
	s.expect(200, "firefly_sessions", "GET", "/metrics", "")
	for _, path := range []string{"/", "/admin/", "/admin/report.json", "/play.json"} {
		s.expect(404, "", "GET", path, "")
	}
	s.expect(404, "", "POST", "/admin/reload", "")
}

func TestTheReportHoldsEveryNodeAlsoTheMissing(t *testing.T) {
	t.Parallel()
	s := operate(t)
	s.now(func() {
		s.reports = append(s.reports, Missing("game-2", []string{"game"}, "no answer for 2 s"))
	})
	for _, text := range []string{`"node":"gate-1"`, `"sessions":212`, `"kinds":{"board":1,`,
		`"p99_ns":14000000`, `"node":"game-2","roles":["game"],"state":"missing"`} {
		s.expect(200, text, "GET", "/admin/report.json", "")
	}
	if s.asked > 2 {
		t.Errorf("five quick looks asked the nodes %d times", s.asked)
	}
}

func TestTheAdminPageLoadsNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	s := operate(t)
	page := s.expect(200, "<title>Firefly</title>", "GET", "/admin/", "")
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff",
		"X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin"} {
		if got := page.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if p := page.Header.Get("Content-Security-Policy"); strings.Contains(p, "unsafe") ||
		!strings.HasPrefix(p, "default-src 'none'; script-src 'self'; style-src 'self';") {
		t.Errorf("policy %q", p)
	}
	for _, file := range []string{"style.css", "main.js", "view.js", "rate.js", "verdict.js",
		"table.js", "figure.js", "icon.svg"} {
		_, text := s.ask("GET", "/admin/"+file, "")
		text = strings.ReplaceAll(text, "http://www.w3.org/2000/svg", "")
		if text == "" || strings.Contains(text, "://") {
			t.Errorf("%s is empty or names another place", file)
		}
	}
}

func TestThePageShowsTheNodesInARealBrowser(t *testing.T) {
	s := operate(t)
	s.now(func() {
		s.reports = append(s.reports, Missing("game-2", []string{"game"}, "no answer for 2 s"))
		s.reports[1].Tables.LastError = "prices.csv:3:6: gold is \"x\"; write a number"
	})
	seen := s.browse("/admin/")
	for _, text := range []string{"gate-1", "game-2 does not answer. no answer for 2 s",
		"1 of 5 nodes not ready, act now", "prices.csv:3:6", ">Collect<", ">88,120<", "14.0 ms",
		`<button id="reload" hidden="">`} {
		if !strings.Contains(seen, text) {
			t.Errorf("the page lacks %q\n%s", text, seen)
		}
	}
	seen = s.browse("/admin/#token=" + s.token())
	const button = `<button id="reload">Reload tables</button>`
	if !strings.Contains(seen, button) || len(s.printed) != 2 {
		t.Errorf("the address on the console does not log in\n%s", seen)
	}
}

// browse opens a page in a real browser and returns what it holds after a while.
func (s *operated) browse(path string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dom, err := exec.CommandContext(ctx, browser(s.t, exec.LookPath), "--headless", "--no-sandbox",
		"--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir="+s.t.TempDir(),
		"--virtual-time-budget=3000", "--dump-dom", "http://"+s.Addr()+path).Output()
	if err != nil {
		s.t.Fatal(err)
	}
	return string(dom)
}

func TestOffLoopbackIsAChoice(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		":0":        "admin: address :0 is not loopback: list the names it is called by",
		"0.0.0.0:0": "admin: address 0.0.0.0:0 is not loopback: list the names it is called by",
		"nonsense": `admin: address "nonsense": address nonsense: missing port in address; ` +
			`write host:port`,
		"10.0.0.1:80": "admin: address 10.0.0.1:80 is not loopback: list the names it is called by",
	} {
		if _, err := Listen(Options{Addr: addr}); err == nil || err.Error() != want {
			t.Errorf("%s: %v", addr, err)
		}
	}
	s := operate(t, func(o *Options) { o.Addr, o.Hosts = "0.0.0.0:0", []string{"ops.example"} })
	if !strings.HasPrefix(s.printed[0], "http://127.0.0.1:") {
		t.Errorf("the console shows %s", s.printed[0])
	}
}

func TestATakenPortIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	s := operate(t)
	_, err := Listen(Options{Addr: s.Addr()})
	if err == nil || !strings.Contains(err.Error(), s.Addr()) {
		t.Errorf("got %v", err)
	}
}

func TestConnectionsOverTheBoundAreClosed(t *testing.T) {
	s := operate(t)
	for range maxConnections {
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	for deadline := time.Now().Add(10 * time.Second); s.open.Load() < maxConnections; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 10 s for %d connections to be open, %d are", maxConnections, s.open.Load())
		}
	}
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if err := c.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if timeout := net.Error(nil); len(got) > 0 || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("the connection over the bound got %q, %v", got, err)
	}
}

func TestStopDoesNotWaitForIdleConnections(t *testing.T) {
	t.Parallel()
	s := operate(t)
	idle, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	kept := &http.Client{Transport: &http.Transport{}}
	answer, err := kept.Get("http://" + s.Addr() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	began := time.Now()
	_ = s.Stop(ctx) // the connection that never spoke is cut off at ctx's end
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
	kept.CloseIdleConnections()
}
