package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// A desk is where a running `up` takes wishes: HTTP on a unix socket that only this user can open. GET /nodes answers
// with the table as JSON. POST /scale?node=game&count=4, /drain?node=game-2, /stop?node=, /start?node= answer with one
// JSON event a line as they come, the last of which is done or failed. Who hangs up loses sight of a wish; it is
// fulfilled all the same.
type desk struct {
	socket string
	server *http.Server
	served chan struct{}
}

// maxSocket is how long a unix socket's path may be.
const maxSocket = 100

// deskSocket says where the desk of a cluster's files is.
func deskSocket(data string) (string, error) {
	socket := filepath.Join(data, "up.sock")
	if len(socket) <= maxSocket {
		return socket, nil
	}
	dir, err := os.MkdirTemp("", "firefly-")
	if err != nil {
		return "", fmt.Errorf("cli: making a directory for the control socket: %w", err)
	}
	return filepath.Join(dir, "up.sock"), nil
}

// openDesk begins to take wishes for a supervisor.
func openDesk(socket string, s *Supervisor) (*desk, error) {
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("cli: removing an old control socket: %w", err)
	}
	l, err := net.Listen("unix", socket)
	if err == nil {
		err = os.Chmod(socket, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("cli: opening the control socket: %w", err)
	}
	d := &desk{socket: socket, served: make(chan struct{}),
		server: &http.Server{Handler: s.counter(), ReadHeaderTimeout: 5 * time.Second}}
	go func() { // ends with close
		defer close(d.served)
		d.server.Serve(l) //nolint:errcheck // it says that it was closed
	}()
	return d, nil
}

// close ends the desk. Wishes that were taken have been answered: the supervisor has ended.
func (d *desk) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := d.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, d.server.Close())
	}
	<-d.served
	if dir := filepath.Dir(d.socket); filepath.Dir(dir) == filepath.Clean(os.TempDir()) {
		os.Remove(dir) //nolint:errcheck // made for this socket alone, or not empty
	}
	if err != nil {
		return fmt.Errorf("cli: closing the control socket: %w", err)
	}
	return nil
}

// counter is what the desk serves.
func (s *Supervisor) counter() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /nodes", func(w http.ResponseWriter, r *http.Request) {
		rows := make(chan []Row, 1)
		select {
		case s.asked <- rows:
			writeJSON(w, <-rows)
		case <-s.ended:
			http.Error(w, errStopping.Error(), http.StatusServiceUnavailable)
		case <-r.Context().Done():
		}
	})
	for _, verb := range [...]string{verbScale, verbDrain, verbStop, verbStart} {
		mux.HandleFunc("POST /"+verb, func(w http.ResponseWriter, r *http.Request) {
			count, err := 0, error(nil)
			if verb == verbScale {
				count, err = strconv.Atoi(r.FormValue("count"))
			}
			if err == nil {
				err = s.wish(r.Context(), newWish(verb, r.FormValue("node"), count), w)
			}
			e := Event{At: time.Now(), What: "done", Text: "done"}
			if err != nil {
				e.What, e.Text = "failed", err.Error()
			}
			writeJSON(w, e)
		})
	}
	return mux
}

// wish hands a wish to the supervisor and writes what is heard of it, until it is over.
func (s *Supervisor) wish(ctx context.Context, h *wish, w http.ResponseWriter) error {
	select {
	case s.wished <- h:
	case <-s.ended:
		return errStopping
	case <-ctx.Done():
		return ctx.Err()
	}
	out := http.NewResponseController(w)
	out.Flush() //nolint:errcheck // whoever asked is gone
	for {
		select {
		case e := <-h.heard:
			writeJSON(w, e)
			out.Flush() //nolint:errcheck // whoever asked is gone
		case err := <-h.granted:
			for len(h.heard) > 0 {
				writeJSON(w, <-h.heard)
			}
			return err
		case <-s.ended:
			return errStopping
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// upWithin is how long an `up` may take to begin its answer.
const upWithin = 10 * time.Second

// errFromUp is what an `up` has answered; its text says what.
type errFromUp struct{ text string }

func (e errFromUp) Error() string { return e.text }

// askUp asks an `up` for something and hears what comes of it.
func askUp(ctx context.Context, socket, verb string, query url.Values, tell func(Event)) error {
	body, err := callUp(ctx, socket, http.MethodPost, "/"+verb+"?"+query.Encode())
	if err != nil {
		return err
	}
	defer body.Close()
	for lines := bufio.NewScanner(body); lines.Scan(); {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("cli: reading what `up` says: %w", err)
		}
		switch e.What {
		case "done":
			return nil
		case "failed":
			return errFromUp{e.Text}
		default:
			tell(e)
		}
	}
	if ctx.Err() != nil {
		return errors.New("cli: interrupted; `up` goes on with it, and ps shows how far it is")
	}
	return errors.New("cli: `up` ended before it was done")
}

// rowsOfUp is the table as an `up` sees it.
func rowsOfUp(ctx context.Context, socket string) ([]Row, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	body, err := callUp(ctx, socket, http.MethodGet, "/nodes")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var rows []Row
	if err := json.NewDecoder(body).Decode(&rows); err != nil {
		return nil, fmt.Errorf("cli: reading what `up` says: %w", err)
	}
	return rows, nil
}

func callUp(ctx context.Context, socket, method, path string) (io.ReadCloser, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, askWithin)
		defer cancel()
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true,
		ResponseHeaderTimeout: upWithin}}
	request, err := http.NewRequestWithContext(ctx, method, "http://up"+path, nil)
	if err != nil {
		return nil, fmt.Errorf("cli: asking `up`: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("cli: asking `up`: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		response.Body.Close()
		return nil, fmt.Errorf("cli: asking `up`: %s", text)
	}
	return response.Body, nil
}
