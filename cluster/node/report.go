package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/admin"
)

// Numbers of the requests that nodes answer each other.
const (
	numberReport = 30
	numberReload = 31
)

// reportWithin is how long the admin node waits for another node's report.
const reportWithin = 2 * time.Second

// serveReports answers the admin node.
func (n *Node) serveReports() {
	n.System.Serve(numberReport, func(e *actors.Envelope) {
		body, err := json.Marshal(n.Report())
		n.answer(e, body, err)
	})
	n.System.Serve(numberReload, func(e *actors.Envelope) {
		n.parts.Scheduler.Offload(func() { n.answer(e, nil, n.parts.Tables.Reload()) })
	})
}

func (n *Node) answer(e *actors.Envelope, body []byte, err error) {
	if err != nil {
		n.System.Route(e.Refuse(&actors.Refusal{Code: actors.Internal, Text: err.Error()}))
		return
	}
	n.System.Route(e.Answer(e.Number, wire.JSON, body))
}

// Report is this node as it is now.
func (n *Node) Report() admin.Report {
	counted := n.System.Report()
	r := admin.Report{
		Node: n.self.Name, Incarnation: strconv.FormatUint(n.Incarnation(), 16), Roles: n.self.Roles,
		PID: os.Getpid(), State: admin.StateReady, Started: n.started, At: n.parts.Clock.Now(),
		Kinds: map[string]int{}, Messages: counted.Messages, Deepest: counted.Deepest, Whose: counted.DeepestOf,
		Process: admin.Measure(), Tables: n.tablesReport(), Mishaps: n.mishaps(counted),
	}
	r.Moves = n.movesReport()
	if err := n.Ready(); err != nil {
		r.State, r.Reason = admin.StateStarting, err.Error()
	}
	for kind, count := range counted.Actors {
		r.Kinds[string(kind)] = count
		r.Actors += count
	}
	for _, c := range counted.Numbers {
		r.Numbers = append(r.Numbers, admin.Number{Number: c.Number, Name: c.Name, Kind: string(c.Kind),
			Count: c.Count, Errors: c.Errors, P50: c.P50, P99: c.P99, Max: c.Max})
	}
	n.reportGate(&r)
	n.reportStore(&r)
	if tap, ok := n.parts.Tap.(interface{ Report() map[string]int64 }); ok {
		r.Record = tap.Report()
	}
	if link, ok := n.parts.Carrier.(interface {
		Refusals() map[string]uint64
		Until() time.Time
	}); ok {
		r.Refused, r.Until = link.Refusals(), link.Until()
	}
	return r
}

func (n *Node) mishaps(counted actors.Report) map[string]uint64 {
	carried := n.Cluster().Report()
	return map[string]uint64{
		"late": counted.Late, "expired": counted.Expired, "lost": counted.Lost + carried.Lost,
		"mailbox_full": counted.Full, "unhandled": counted.Unhandled, "fenced": counted.Fenced,
		"hung":           uint64(counted.Hung),
		"requests_again": counted.Again, "outcome_unknown": counted.OutcomeUnknown,
		"durable_stuck": uint64(counted.Stuck), "durable_gaps": counted.Gaps, "durable_repeated": counted.Repeated,
		"durable_resent": counted.Resent, "durable_refused": counted.Undelivered,
		"refused_by_link": carried.Refused, "strangers": carried.Strangers, "malformed": carried.Malformed,
		"move_overflow": carried.Moves.Overflow, "move_astray": carried.Moves.Astray,
		"move_late": carried.Moves.Late, "moves_put_off": carried.Moves.PutOff,
	}
}

// movesReport is how planned moves do, under the names of metrics.
func (n *Node) movesReport() map[string]int64 {
	m := n.Cluster().Report().Moves
	return map[string]int64{"shards_given_total": int64(m.Given), "shards_taken_total": int64(m.Taken),
		"tenures": int64(m.Tenures), "envelopes_held": int64(m.Held), "state_bytes_staged": int64(m.Staged),
		"longest_silence_ms": m.Longest.Milliseconds()}
}

func (n *Node) tablesReport() admin.Tables {
	st := n.parts.Tables.Status()
	return admin.Tables{Version: st.Version, LastError: st.LastError}
}

func (n *Node) reportGate(r *admin.Report) {
	if n.Gate == nil {
		return
	}
	c := &n.Gate.Counters
	r.Sessions = int(c.Sessions.Load())
	r.Messages += c.FramesIn.Load()
	r.Gate = map[string]int64{
		"connections": c.Connections.Load(), "handshakes": c.Handshakes.Load(),
		"away": c.Away.Load(), "resumed_total": int64(c.Resumed.Load()),
		"unresumed_total": int64(c.Unresumed.Load()), "missed_total": int64(c.Missed.Load()),
		"accepted_total": int64(c.Accepted.Load()), "shut_total": int64(c.Shut.Load()),
		"frames_in_total": int64(c.FramesIn.Load()), "frames_out_total": int64(c.FramesOut.Load()),
		"bytes_in_total": int64(c.BytesIn.Load()), "bytes_out_total": int64(c.BytesOut.Load()),
		"dropped_total": int64(c.Dropped.Load()), "late_total": int64(c.Late.Load()),
		"retried_total": int64(c.Retried.Load()), "overtaken_total": int64(c.Overtaken.Load()),
		"gone_total": int64(c.Gone.Load()), "refused_total": int64(c.Refused.Load()),
		"malformed_total": int64(c.Malformed.Load()), "forbidden_total": int64(c.Forbidden.Load()),
		"oversized_total": int64(c.Oversized.Load()), "bind_refused_total": int64(c.BindRefused.Load()),
		"addresses": c.Addresses.Load(), "bans_total": int64(c.Bans.Load()),
		"shut_connections_total": int64(c.ShutConnections.Load()),
		"shut_handshakes_total":  int64(c.ShutHandshakes.Load()),
		"shut_open_total":        int64(c.ShutOpen.Load()), "shut_new_total": int64(c.ShutNew.Load()),
		"shut_banned_total":    int64(c.ShutBanned.Load()),
		"unsecured_total":      int64(c.Unsecured.Load()),
		"unproxied_total":      int64(c.Unproxied.Load()),
		"original_magic_total": int64(c.WrongMagic.Load()), "original_version_total": int64(c.WrongVersion.Load()),
		"original_unsaid_total": int64(c.Unsaid.Load()),
	}
	if shown := n.parts.Shown; shown != nil {
		r.Gate["certificate_seconds"] = int64(shown.Until().Sub(r.At).Seconds())
		r.Gate["certificate_failed_total"] = int64(shown.Failures())
	}
	r.Answers, r.Closes = map[string]uint64{}, map[string]uint64{}
	for code, count := range c.Errors() {
		r.Answers[string(code)] = count
	}
	for code, count := range c.Closes() {
		r.Closes[string(code)] = count
	}
}

func (n *Node) reportStore(r *admin.Report) {
	if n.archive == nil {
		return
	}
	c := n.archive.Report()
	r.Store = &admin.Store{Level: c.Level, Dirty: int(c.Rows - c.Sent), Pending: int(c.Sent), Oldest: c.Oldest,
		Hits: c.Hits, Misses: c.Misses,
		Counters: map[string]int64{
			"pending_bytes": c.Bytes, "saves_total": int64(c.Saves), "coalesced_total": int64(c.Coalesced),
			"behind_total": int64(c.Behind), "statements_total": int64(c.Statements),
			"rows_total": int64(c.Written), "fenced_total": int64(c.Fenced), "raises_total": int64(c.Raises),
			"retries_total": int64(c.Retries),
			"unclear_total": int64(c.Unclear),
			"late_total":    int64(c.Late), "aside_total": int64(c.Aside), "loads_total": int64(c.Loads),
			"wakes_total": int64(c.Wakes), "purged_total": int64(c.Purged), "crowded_total": int64(c.Crowded),
			"cache_kept_total": int64(c.Kept), "cache_dropped_total": int64(c.Dropped),
			"cache_rejected_total": int64(c.Rejected), "cache_evicted_total": int64(c.Evicted),
		}}
}

// everyone lists the nodes there are to be, by name and roles: those of the configuration without copies that `scale`
// has taken away since it was read, and then members that it does not have, such as copies that `scale` has made.
func (n *Node) everyone() []NodeConfig {
	var all []NodeConfig
	view := n.Cluster().View()
	for _, c := range n.config.Nodes {
		number, _ := strconv.Atoi(strings.TrimPrefix(c.Name, c.Table+"-"))
		if _, here := view.Member(c.Name); here || c.Count == 0 || number <= n.config.wanted(c.Table) {
			all = append(all, c)
		}
	}
	for _, m := range view.Members {
		if _, known := n.config.Node(m.Name); !known {
			all = append(all, NodeConfig{Name: m.Name, Roles: m.Roles})
		}
	}
	return all
}

// Reports brings the report of every node there is to be, those that do not answer as missing.
func (n *Node) Reports(ctx context.Context) []admin.Report {
	nodes := n.everyone()
	all := make([]admin.Report, len(nodes))
	n.askAll(ctx, nodes, numberReport, func(i int, e *actors.Envelope) {
		if e.Type == actors.Refused {
			all[i] = admin.Missing(nodes[i].Name, nodes[i].Roles, e.Refusal().Error())
			return
		}
		if err := json.Unmarshal(e.Body, &all[i]); err != nil {
			all[i] = admin.Missing(nodes[i].Name, nodes[i].Roles, err.Error())
		}
	})
	return all
}

// askAll asks nodes and returns when all have answered or been given up.
func (n *Node) askAll(ctx context.Context, nodes []NodeConfig, number uint32,
	each func(i int, e *actors.Envelope)) {
	type answer struct {
		i int
		e *actors.Envelope
	}
	answers := make(chan answer, len(nodes))
	for i, other := range nodes {
		e := &actors.Envelope{Type: actors.Message, To: actors.NodeKind.Ref(other.Name), Number: number,
			Codec: wire.JSON}
		n.System.Request(e, reportWithin, func(e *actors.Envelope) { answers <- answer{i, e} })
	}
	for range nodes {
		a := <-answers // Request promises one, within reportWithin
		each(a.i, a.e)
	}
}

// Reload makes every node read its tables now. The error says which nodes did not, and why.
func (n *Node) Reload(ctx context.Context) error {
	nodes := n.everyone()
	var errs []error
	n.askAll(ctx, nodes, numberReload, func(i int, e *actors.Envelope) {
		if e.Type == actors.Refused {
			errs = append(errs, fmt.Errorf("%s: %w", nodes[i].Name, e.Refusal()))
		}
	})
	return errors.Join(errs...)
}
