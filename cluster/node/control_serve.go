package node

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/fireflyrt/firefly/actors"
)

// Controlled is a node as its control endpoint sees it. All of it may be called while the node still starts.
type Controlled interface {
	// Ready returns nil when the node does its work, else what it still waits for. It returns soon.
	Ready() error
	// Report returns what the node counts, for JSON. `up` and `ps` read of it what Report names.
	Report() any
	// Members lists who is in the cluster as this node sees it, in the order of their names.
	Members() []Membership
	// Drain marks the node as draining, which lets others take its shards over, and says how far that is. It does not
	// wait; further calls say how far it has come. The error is why the last try was given up: the next call tries
	// again.
	Drain() (Drained, error)
	// Record makes the node follow the rules of recording as their file has them now.
	Record() error
	// Take writes what the flight recorder has of an actor to a file and returns its path; "" if the actor is not here.
	Take(ctx context.Context, ref actors.Ref) (string, error)
	// Box is what is in an entity's box, wherever it lives: actors.Contents in JSON. A drop other than 0 is the number
	// of a durable message to give up first.
	Box(ctx context.Context, ref actors.Ref, drop uint64) ([]byte, error)
	// Stop begins an orderly end and returns at once. Further calls do nothing.
	Stop()
}

// A Report is the part of every node's report that `up`, `ps` and `bots` read. A node's own report
// may hold more; it embeds this one, or has fields of the same names in JSON.
type Report struct {
	Sessions int    `json:"sessions"`
	Actors   int    `json:"actors"`
	Messages uint64 `json:"messages"` // handled by actors or taken by the gate, since the start

	Store *StoreReport `json:"store,omitempty"` // of a persist node
}

// A StoreReport says what a commit means in the node's store.
type StoreReport struct {
	Level string `json:"level"`
}

// A Membership is a node that is in the cluster, on whatever machine.
type Membership struct {
	Name        string   `json:"name"`
	Incarnation uint64   `json:"incarnation,string"`
	Roles       []string `json:"roles"`
	Shards      int      `json:"shards"` // of all its roles
	Draining    bool     `json:"draining,omitempty"`
}

// Drained is how far a node has come that hands its shards over.
type Drained struct {
	Shards int    `json:"shards"`         // that are left
	Done   bool   `json:"done"`           // nobody sends anything to it any more: to stop it loses nothing
	Rest   string `json:"rest,omitempty"` // what it still has, for a person to read; empty if it is done
}

// controlHandler serves what the node itself answers.
func controlHandler(n Controlled) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := n.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /report", func(w http.ResponseWriter, _ *http.Request) { answer(w, n.Report(), nil) })
	mux.HandleFunc("GET /members", func(w http.ResponseWriter, _ *http.Request) { answer(w, n.Members(), nil) })
	mux.HandleFunc("POST /drain", func(w http.ResponseWriter, _ *http.Request) {
		now, err := n.Drain()
		answer(w, now, err)
	})
	mux.HandleFunc("POST /record", func(w http.ResponseWriter, _ *http.Request) {
		if err := n.Record(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /take", func(w http.ResponseWriter, r *http.Request) {
		ref, err := actors.ParseRef(r.FormValue("actor"))
		path := ""
		if err == nil {
			path, err = n.Take(r.Context(), ref)
		}
		write(w, []byte(path), err)
	})
	mux.HandleFunc("POST /box", func(w http.ResponseWriter, r *http.Request) {
		ref, err := actors.ParseRef(r.FormValue("actor"))
		drop, bad := strconv.ParseUint(r.FormValue("drop"), 10, 64)
		contents := []byte(nil)
		if err = errors.Join(err, bad); err == nil {
			contents, err = n.Box(r.Context(), ref, drop)
		}
		write(w, contents, err)
	})
	mux.HandleFunc("POST /stop", func(w http.ResponseWriter, _ *http.Request) {
		n.Stop()
		w.WriteHeader(http.StatusAccepted)
	})
	return mux
}

// answer writes a value as JSON, or the error instead.
func answer(w http.ResponseWriter, v any, err error) {
	var text []byte
	if err == nil {
		w.Header().Set("Content-Type", "application/json")
		text, err = json.Marshal(v)
	}
	write(w, text, err)
}

func write(w http.ResponseWriter, text []byte, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Write(text) //nolint:errcheck // whoever asked is gone
}
