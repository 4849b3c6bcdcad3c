package node

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/fireflyrt/firefly/actors"
)

// Ready asks the node whether it is ready; the error is its reason, or that it cannot be reached.
func (r Running) Ready(ctx context.Context) error {
	_, err := r.call(ctx, http.MethodGet, "/readyz")
	return err
}

// Report asks the node for its report and reads it into the value that into points to.
func (r Running) Report(ctx context.Context, into any) error {
	text, err := r.call(ctx, http.MethodGet, "/report")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("node: reading the report of %s: %w", r.Name, err)
	}
	return nil
}

// Record asks the node to follow the rules of recording as their file has them now.
func (r Running) Record(ctx context.Context) error {
	_, err := r.call(ctx, http.MethodPost, "/record")
	return err
}

// Take asks the node to write what its flight recorder has of an actor, and returns the file's path; "" if the actor
// is not there.
func (r Running) Take(ctx context.Context, ref actors.Ref) (string, error) {
	text, err := r.call(ctx, http.MethodPost, "/take?actor="+url.QueryEscape(ref.String()))
	return string(text), err
}

// Box asks the node what is in an entity's box, wherever the entity lives, and has it give up the durable message drop
// first, if that is not 0.
func (r Running) Box(ctx context.Context, ref actors.Ref, drop uint64) (*actors.Contents, error) {
	text, err := r.call(ctx, http.MethodPost,
		"/box?actor="+url.QueryEscape(ref.String())+"&drop="+strconv.FormatUint(drop, 10))
	if err != nil {
		return nil, err
	}
	c := new(actors.Contents)
	if err := json.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("node: reading the box of %s: %w", ref, err)
	}
	return c, nil
}

// Stop asks the node to end in order. It does not wait for the end: watch Alive.
func (r Running) Stop(ctx context.Context) error {
	_, err := r.call(ctx, http.MethodPost, "/stop")
	return err
}

// Members asks the node who is in the cluster as it sees it.
func (r Running) Members(ctx context.Context) ([]Membership, error) {
	text, err := r.call(ctx, http.MethodGet, "/members")
	if err != nil {
		return nil, err
	}
	var all []Membership
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("node: reading who %s knows: %w", r.Name, err)
	}
	return all, nil
}

// Drain lets the node hand its shards over, if it does not yet, and returns how far it is.
func (r Running) Drain(ctx context.Context) (Drained, error) {
	var now Drained
	text, err := r.call(ctx, http.MethodPost, "/drain")
	if err != nil {
		return now, err
	}
	if err := json.Unmarshal(text, &now); err != nil {
		return now, fmt.Errorf("node: reading how far the drain of %s is: %w", r.Name, err)
	}
	return now, nil
}

// maxReport bounds what a node may answer, in bytes.
const maxReport = 4 << 20

func (r Running) call(ctx context.Context, method, path string) ([]byte, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", r.Socket)
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, method, "http://node"+path, nil)
	if err != nil {
		return nil, fmt.Errorf("node: asking %s: %w", r.Name, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("node: asking %s: %w", r.Name, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxReport))
	if err != nil {
		return nil, fmt.Errorf("node: asking %s: %w", r.Name, err)
	}
	if response.StatusCode >= 300 {
		return nil, fmt.Errorf("node: %s: %s", r.Name, strings.TrimSpace(string(text)))
	}
	return text, nil
}

// FindLost asks the control socket of a name who serves there, and has the process write its run file anew. It is for a
// run file that is torn or gone. It reports false if nobody answers.
func FindLost(ctx context.Context, dir, name string) (Running, bool) {
	r := Running{Name: name, Socket: socketFile(dir, name)}
	if _, err := os.Stat(r.Socket); err != nil {
		return Running{}, false
	}
	text, err := r.call(ctx, http.MethodPost, "/self")
	if err != nil || json.Unmarshal(text, &r) != nil || r.Name != name || !r.Alive() {
		return Running{}, false
	}
	return r, true
}
