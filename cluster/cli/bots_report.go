package cli

import (
	"fmt"
	"io"
	"math"
	"sync/atomic"
	"time"

	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/gate/client"
)

// A botReport is what a run of bots found. A message is a frame, in either direction: a request, an
// answer or a push. Times are in seconds.
type botReport struct {
	Bots       int      `json:"bots"`
	Seconds    float64  `json:"seconds"`
	Rate       float64  `json:"messages_per_s"`
	Requests   uint64   `json:"requests"`
	Answers    uint64   `json:"answers"`
	Refused    uint64   `json:"refused"` // answers that say no, which is no error
	Pushes     uint64   `json:"pushes"`
	P50        float64  `json:"p50"`
	P99        float64  `json:"p99"`
	Max        float64  `json:"max"`
	CPU        float64  `json:"server_cpu"`             // of all nodes of this machine
	PerMessage float64  `json:"server_cpu_per_message"` // of all nodes together
	Processes  int      `json:"server_processes"`       // 0: one was restarted
	Errors     int      `json:"errors"`                 // bots that ended with one, and strays
	Unanswered int      `json:"unanswered"`             // requests without an answer in time
	Crossed    uint64   `json:"crossed"`                // answers that belong to another request
	Dropped    uint64   `json:"dropped"`                // pushes that a bot was too slow to read
	Resumed    uint64   `json:"resumed"`                // connections that died and were replaced
	First      []string `json:"first_errors,omitempty"`
}

// sum adds the bots up.
func (p *party) sum(clients []*client.Client, errs []error, took time.Duration) botReport {
	r := botReport{Bots: len(clients), Seconds: took.Seconds(), Unanswered: open(clients)}
	for i, c := range clients {
		n := c.Counts()
		r.Requests += n.Calls
		r.Answers += n.Replies + n.Refusals + n.Abandoned
		r.Refused += n.Refusals
		r.Pushes += n.Pushes
		r.Crossed += n.Crossed
		r.Dropped += n.Dropped
		r.Resumed += n.Resumes
		r.Errors += int(n.Strays)
		if errs[i] != nil {
			r.Errors++
		}
	}
	for _, err := range firstFew(errs) {
		r.First = append(r.First, err.Error())
	}
	r.Rate = float64(r.Requests+r.Answers+r.Pushes) / took.Seconds()
	r.P50, r.P99 = p.timing.quantile(0.5).Seconds(), p.timing.quantile(0.99).Seconds()
	r.Max = time.Duration(p.timing.max.Load()).Seconds()
	return r
}

// firstFew are the first five errors of a list.
func firstFew(errs []error) []error {
	var few []error
	for _, err := range errs {
		if err != nil && len(few) < 5 {
			few = append(few, err)
		}
	}
	return few
}

// ticksPerSecond is the unit of /proc/PID/stat: 100 on every Linux that Go runs on.
const ticksPerSecond = 100

// ticksOf is what each process has used so far, by pid.
func ticksOf(nodes []node.Running) map[int]uint64 {
	ticks := map[int]uint64{}
	for _, n := range nodes {
		if used, err := node.ProcessTicks(n.PID); err == nil && n.Alive() {
			ticks[n.PID] = used
		}
	}
	return ticks
}

// count works out the server's CPU. If a node was restarted, nothing is said: it would be too
// little.
func (r *botReport) count(nodes []node.Running, before, after map[int]uint64) {
	var used uint64
	for _, n := range nodes {
		end, lives := after[n.PID]
		if !lives {
			return
		}
		used += end - before[n.PID]
	}
	r.Processes = len(nodes)
	r.CPU = float64(used) / ticksPerSecond
	if all := r.Requests + r.Answers + r.Pushes; all > 0 {
		r.PerMessage = r.CPU / float64(all)
	}
}

// bad says whether something happened that must not.
func (r botReport) bad() bool {
	return r.Errors > 0 || r.Unanswered > 0 || r.Crossed > 0 || r.Answers == 0
}

func (r botReport) print(w io.Writer) {
	fmt.Fprintf(w, "%d bots for %.1fs: %.0f messages/s (requests %d, answers %d, pushes %d)\n",
		r.Bots, r.Seconds, r.Rate, r.Requests, r.Answers, r.Pushes)
	fmt.Fprintf(w, "answers: p50 %s  p99 %s  max %s\n",
		seconds(r.P50), seconds(r.P99), seconds(r.Max))
	if r.Processes > 0 {
		fmt.Fprintf(w, "server CPU: %s a message (%.2fs in %d processes)\n",
			seconds(r.PerMessage), r.CPU, r.Processes)
	} else {
		fmt.Fprintln(w, "server CPU: not known, a node was restarted")
	}
	fmt.Fprintf(w, "errors %d, unanswered %d, crossed %d, dropped %d, refused %d, resumed %d\n",
		r.Errors, r.Unanswered, r.Crossed, r.Dropped, r.Refused, r.Resumed)
	for _, err := range r.First {
		fmt.Fprintln(w, "  "+err)
	}
}

// seconds writes a time with three digits or so.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	for unit := time.Second; unit >= 10*time.Nanosecond; unit /= 10 {
		if d >= unit {
			return d.Round(unit / 100).String()
		}
	}
	return d.String()
}

// A histogram counts durations in buckets that are 4.4 % wide, from any goroutine.
type histogram struct {
	buckets [64 * perDoubling]atomic.Uint64
	max     atomic.Int64
}

const perDoubling = 16

func (h *histogram) add(d time.Duration) {
	d = max(d, 1)
	h.buckets[min(int(math.Log2(float64(d))*perDoubling), len(h.buckets)-1)].Add(1)
	for seen := h.max.Load(); int64(d) > seen && !h.max.CompareAndSwap(seen, int64(d)); {
		seen = h.max.Load()
	}
}

// quantile is the upper end of the bucket in which that part of the durations is reached; 0 if
// there are none.
func (h *histogram) quantile(q float64) time.Duration {
	var total, sum uint64
	for i := range h.buckets {
		total += h.buckets[i].Load()
	}
	for i := range h.buckets {
		if sum += h.buckets[i].Load(); total > 0 && float64(sum) >= q*float64(total) {
			upper := time.Duration(math.Exp2(float64(i+1) / perDoubling))
			return min(upper, time.Duration(h.max.Load()))
		}
	}
	return 0
}
