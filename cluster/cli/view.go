package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// An Event is one thing that happened to the cluster, or to a node of it.
type Event struct {
	At time.Time `json:"at"`
	// What: waiting adopted started ready play died hung stopping stopped drain refused log admin; of what an operator
	// asked for the last is done or failed
	What string `json:"what"`
	Node string `json:"node,omitempty"`
	PID  int    `json:"pid,omitempty"`
	Text string `json:"text"`
	// Shards are left of a node that drains.
	Shards *int `json:"shards,omitempty"`
}

// String is the event as a line.
func (e Event) String() string {
	if e.Node == "" {
		return e.Text
	}
	return fmt.Sprintf("%-12s %s", e.Node, e.Text)
}

// A Row is a node as the table shows it.
type Row struct {
	Node     string  `json:"node"`
	Roles    string  `json:"roles"`
	PID      int     `json:"pid,omitempty"`
	State    string  `json:"state"`
	Sessions int     `json:"sessions"`
	Actors   int     `json:"actors"`
	Rate     float64 `json:"messages_per_s"`
	Store    string  `json:"store,omitempty"` // of a persist node: what a commit means there
	Shards   int     `json:"shards"`
	Host     string  `json:"host,omitempty"`  // the machine that starts it, if the configuration says which
	Build    string  `json:"build,omitempty"` // which binary it runs
	Note     string  `json:"note,omitempty"`  // what is unusual about it
	Watched  bool    `json:"watched"`         // an `up` of this machine starts it again when it dies
}

// A View shows what a supervisor does. It is called by one goroutine at a time.
type View interface {
	Event(e Event)
	Table(rows []Row) // each second, and at the end
}

// lines prints events as lines, or as JSON, and no table.
type lines struct {
	w    io.Writer
	json bool
}

func (l lines) Event(e Event) {
	if !l.json {
		fmt.Fprintln(l.w, e)
		return
	}
	writeJSON(l.w, e)
}

func (l lines) Table([]Row) {}

// writeJSON writes one line of JSON.
func writeJSON(w io.Writer, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("cli: what is printed is texts and numbers: %v", err))
	}
	fmt.Fprintf(w, "%s\n", text)
}

// tableLines formats rows under a heading, columns aligned.
func tableLines(rows []Row) []string {
	cells := [][]string{{"NODE", "ROLES", "PID", "STATE", "SESSIONS", "ACTORS", "MESSAGES/S"}}
	for _, r := range rows {
		pid := "-"
		if r.PID != 0 {
			pid = fmt.Sprint(r.PID)
		}
		cells = append(cells, []string{r.Node, r.Roles, pid, r.State, fmt.Sprint(r.Sessions),
			fmt.Sprint(r.Actors), fmt.Sprintf("%.0f", r.Rate)})
	}
	widths := make([]int, len(cells[0]))
	for _, row := range cells {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	var out []string
	for _, row := range cells {
		var b strings.Builder
		for i, cell := range row {
			if i >= 4 || i == 2 {
				fmt.Fprintf(&b, "%*s  ", widths[i], cell)
			} else {
				fmt.Fprintf(&b, "%-*s  ", widths[i], cell)
			}
		}
		out = append(out, strings.TrimRight(b.String(), " "))
	}
	return out
}
