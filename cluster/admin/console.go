package admin

import (
	"context"
	"embed"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

//go:embed page
var pages embed.FS

// gatherFor is how old the reports may be that the page shows: many open pages ask nodes no more
// often than one does.
const gatherFor = 500 * time.Millisecond

// A Console is what the admin node shows to people, and what they may do there.
type Console struct {
	Web  fs.FS       // the game's own page, served at /; nil: / leads to /admin/
	Play func() Play // where the game is played, for /play.json

	// Reports brings every node's report, Missing for those that do not answer before ctx ends.
	Reports func(ctx context.Context) []Report
	// Reload makes all nodes read their tables now. An error means that nothing changed.
	Reload func(ctx context.Context) error
	// Login shows the operator an address with a token in it; it works once.
	Login func(url string)
}

// Play tells a game's page where the gate is.
type Play struct {
	Name string `json:"name"`
	WS   string `json:"ws,omitempty"`  // "ws://127.0.0.1:9401", or "wss://..." if there is no other
	TCP  string `json:"tcp,omitempty"` // "127.0.0.1:9400"
	TLS  string `json:"tls,omitempty"` // the same in TLS
}

// console is a Console at work.
type console struct {
	Console
	server *Server
	logins *logins
	origin *http.CrossOriginProtection

	mu       sync.Mutex // one gathering at a time
	gathered cluster
	asked    time.Time
}

// A cluster is /admin/report.json: all nodes at a time.
type cluster struct {
	At    time.Time `json:"at"`
	Nodes []Report  `json:"nodes"`
}

func newConsole(s *Server) *console {
	c := &console{Console: *s.o.Console, server: s, origin: http.NewCrossOriginProtection()}
	c.logins = &logins{now: time.Now, announce: func(token string) {
		c.Login("http://" + s.calledAs() + "/admin/#token=" + token)
	}}
	return c
}

func (c *console) announce() { c.logins.mint() }

func (c *console) routes(mux *http.ServeMux) {
	own, err := fs.Sub(pages, "page")
	if err != nil {
		panic("admin: the page is built in: " + err.Error())
	}
	mux.Handle("/admin/", http.StripPrefix("/admin/", page(http.FileServerFS(own))))
	mux.HandleFunc("GET /admin/report.json", c.report)
	mux.HandleFunc("GET /admin/login", c.whoami)
	mux.HandleFunc("/admin/login", c.posted(c.login))
	mux.HandleFunc("/admin/reload", c.posted(c.trusted(c.reload)))
	mux.HandleFunc("GET /play.json", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, c.Play())
	})
	mux.Handle("/", c.web())
}

// page serves our own page, which holds no secrets and loads nothing from elsewhere.
func page(files http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; "+
			"style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "+
			"base-uri 'none'; frame-ancestors 'none'")
		w.Header().Set("Cache-Control", "no-cache")
		files.ServeHTTP(w, r)
	})
}

// web serves the game's page. It may open its WebSocket to the gate, run its own scripts, and load
// nothing from elsewhere.
func (c *console) web() http.Handler {
	if c.Web == nil {
		return http.RedirectHandler("/admin/", http.StatusFound)
	}
	files := http.FileServerFS(c.Web)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") && r.URL.Path != "/" {
			http.NotFound(w, r) // a directory's listing is nobody's business
			return
		}
		w.Header().Set("Content-Security-Policy", "default-src 'self'; connect-src 'self' "+
			socketOrigin(c.Play().WS)+"; style-src 'self' 'unsafe-inline'; "+
			"img-src 'self' data: blob:; media-src 'self' data: blob:; object-src 'none'; "+
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		w.Header().Set("Cache-Control", "no-cache")
		files.ServeHTTP(w, r)
	})
}

// socketOrigin is the address as a content security policy may name it; nothing if it is none.
func socketOrigin(ws string) string {
	u, err := url.Parse(ws)
	if err != nil || u.Scheme != "ws" && u.Scheme != "wss" {
		return ""
	}
	if strings.ContainsAny(u.Host, " ;,'\"") {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// report shows all nodes, to whoever is on this machine or logged in.
func (c *console) report(w http.ResponseWriter, r *http.Request) {
	if _, in := c.logins.of(r); !in && !isNear(r) {
		loginWanted.ServeHTTP(w, r)
		return
	}
	writeJSON(w, http.StatusOK, c.gather(r.Context()))
}

// gather asks the nodes, or repeats what they answered a moment ago.
func (c *console) gather(ctx context.Context) cluster {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.asked) < gatherFor {
		return c.gathered
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	c.gathered = cluster{Nodes: c.Reports(ctx), At: time.Now()}
	c.asked = time.Now()
	return c.gathered
}

// posted lets POSTs of our own pages through. Browsers say where a request comes from.
func (c *console) posted(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodPost:
			postWanted.ServeHTTP(w, r)
		case c.origin.Check(r) != nil:
			originRefused.ServeHTTP(w, r)
		default:
			next(w, r)
		}
	}
}

// trusted lets those through who are logged in and can read our pages.
func (c *console) trusted(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, in := c.logins.of(r)
		switch {
		case !in:
			loginWanted.ServeHTTP(w, r)
		case !same(r.Header.Get(csrfHeader), who.csrf):
			csrfRefused.ServeHTTP(w, r)
		default:
			next(w, r)
		}
	}
}

// login takes the token as the whole body.
func (c *console) login(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		tooBig.ServeHTTP(w, r)
		return
	}
	made, ok := c.logins.exchange(strings.TrimSpace(string(body)))
	if !ok {
		tokenRefused.ServeHTTP(w, r)
		return
	}
	c.server.o.Log.Info("admin logged in", "from", r.RemoteAddr)
	made.setCookie(w)
	writeJSON(w, http.StatusOK, map[string]string{"csrf": made.csrf})
}

// whoami gives a page that was loaded anew its CSRF secret back.
func (c *console) whoami(w http.ResponseWriter, r *http.Request) {
	who, in := c.logins.of(r)
	if !in {
		loginWanted.ServeHTTP(w, r)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"csrf": who.csrf})
}

// reload makes all nodes read their tables now.
func (c *console) reload(w http.ResponseWriter, r *http.Request) {
	err := c.Reload(r.Context())
	if err != nil {
		c.server.o.Log.Warn("tables refused", "asked_by", r.RemoteAddr, "error", err)
		refusal{http.StatusConflict, "TABLES_REFUSED", err.Error()}.ServeHTTP(w, r)
		return
	}
	c.server.o.Log.Info("tables reloaded", "asked_by", r.RemoteAddr)
	writeJSON(w, http.StatusOK, map[string]string{"done": "tables reloaded"})
}
