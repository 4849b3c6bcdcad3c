package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"
)

// Limits of a Server.
const (
	maxConnections = 256      // at once; more are closed unread
	maxHeader      = 16 << 10 // bytes
	maxBody        = 4 << 10  // bytes; the only bodies are tokens
)

// Options say what a Server serves.
type Options struct {
	Addr    string        // host:port; off loopback it wants Hosts; port 0 picks one
	Hosts   []string      // names, without port, by which browsers may call it besides loopback
	Report  func() Report // this node, now
	Ready   func() error  // nil when the node does its work, else what it waits for
	Console *Console      // on the admin node: pages for people; nil elsewhere
	Log     *slog.Logger  // nil: slog.Default()
}

// A Server answers HTTP for one node: /healthz, /readyz, /metrics, /debug/pprof/, and a Console's pages.
type Server struct {
	o       Options
	listen  net.Listener
	http    http.Server
	open    atomic.Int64 // connections
	served  chan struct{}
	console *console
}

// Listen binds the address, so that a taken port is known at once. Nothing is answered before
// Start.
func Listen(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if err := mayBind(o.Addr, o.Hosts); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("admin: listening: %w", err)
	}
	s := &Server{o: o, listen: l, served: make(chan struct{})}
	s.http = http.Server{
		Handler:           s.guarded(s.routes()),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    maxHeader,
		ConnState:         s.count,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// mayBind refuses to be reachable from elsewhere by accident.
func mayBind(addr string, hosts []string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("admin: address %q: %w; write host:port", addr, err)
	}
	if !isLoopback(host) && len(hosts) == 0 {
		return fmt.Errorf("admin: address %s is not loopback: list the names it is called by", addr)
	}
	return nil
}

// Addr is the host:port that is listened at.
func (s *Server) Addr() string { return s.listen.Addr().String() }

// calledAs is how a browser here reaches it.
func (s *Server) calledAs() string {
	host, port, err := net.SplitHostPort(s.Addr())
	if err == nil && net.ParseIP(host).IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return s.Addr()
}

// Start serves, in a goroutine that Stop ends, and announces the console's token. It may be called
// once.
func (s *Server) Start() {
	if s.console != nil {
		s.console.announce()
	}
	go func() {
		defer close(s.served)
		if err := s.http.Serve(s.listen); !errors.Is(err, http.ErrServerClosed) {
			s.o.Log.Error("admin server ended", "error", fmt.Errorf("admin: serving: %w", err))
		}
	}()
}

// Stop answers what was asked, closes every connection and waits; at ctx's end it does not wait
// for the answers. It must follow Start.
func (s *Server) Stop(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("admin: stopping: %w", err), s.http.Close())
	}
	<-s.served
	return err
}

// count closes connections over the bound.
func (s *Server) count(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if s.open.Add(1) > maxConnections {
			_ = c.Close()
		}
	case http.StateClosed, http.StateHijacked:
		s.open.Add(-1)
	}
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		plain(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.o.Ready(); err != nil {
			plain(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		plain(w, http.StatusOK, "ready")
	})
	mux.Handle("GET /metrics", metrics(s.o.Report))
	for path, show := range map[string]http.HandlerFunc{"": pprof.Index, "cmdline": pprof.Cmdline,
		"profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace} {
		mux.HandleFunc("GET /debug/pprof/"+path, show)
	}
	if s.o.Console != nil {
		s.console = newConsole(s)
		s.console.routes(mux)
	}
	return mux
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n")
}
