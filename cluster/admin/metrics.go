package admin

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics serves a node's report as Prometheus text, with what its Go runtime and its process say
// under their usual names (go_*, process_*).
func metrics(report func() Report) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collector{report}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
}

const maxScrapes = 4 // at once; more are answered 503

// A collector turns the report of the moment into metrics.
type collector struct{ report func() Report }

// Describe announces nothing: which counters there are, the node's roles decide.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect takes one snapshot, so that the numbers of a scrape belong together.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	r, m := c.report(), exposition{ch}
	m.gauge("firefly_up", "1; its labels name the node.", 1,
		"node", r.Node, "roles", strings.Join(r.Roles, ","), "build", r.Build)
	m.gauge("firefly_ready", "1 if the node does its work.", truth(r.State == StateReady))
	m.gauge("firefly_sessions", "Clients with a session.", float64(r.Sessions))
	for kind, n := range r.Kinds {
		m.gauge("firefly_actors", "Actors in memory.", float64(n), "kind", kind)
	}
	m.gauge("firefly_mailbox_deepest", "Messages in the fullest mailbox.", float64(r.Deepest))
	m.gauge("firefly_tables_broken", "1 if the newest tables were refused.",
		truth(r.Tables.LastError != ""))
	for _, n := range r.Numbers {
		m.number(n)
	}
	m.rising("firefly_mishaps_total", "Messages that went wrong.", "how", r.Mishaps)
	m.rising("firefly_gate_answers_total", "Refusals of the gate itself.", "code", r.Answers)
	m.rising("firefly_gate_closes_total", "Sessions that ended.", "code", r.Closes)
	m.named("firefly_gate_", "Of the gate.", r.Gate)
	m.named("firefly_moves_", "Of planned moves of shards.", r.Moves)
	m.named("firefly_record_", "Of the recorder.", r.Record)
	m.rising("firefly_peers_refused_total", "Peers that called and were not let in.", "reason", r.Refused)
	if !r.Until.IsZero() {
		m.gauge("firefly_certificate_seconds", "Until the node's certificate ends; negative after it.",
			r.Until.Sub(r.At).Seconds())
	}
	if r.Store != nil {
		m.store(r.Store)
	}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// An exposition is where the metrics of one scrape go.
type exposition struct {
	ch chan<- prometheus.Metric
}

func (m exposition) gauge(name, help string, v float64, labels ...string) {
	m.send(prometheus.GaugeValue, name, help, v, labels)
}

func (m exposition) counter(name, help string, v float64, labels ...string) {
	m.send(prometheus.CounterValue, name, help, v, labels)
}

// send takes labels as name, value, name, value.
func (m exposition) send(
	as prometheus.ValueType, name, help string, v float64, labels []string,
) {
	var names, values []string
	for i := 0; i < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	desc := prometheus.NewDesc(name, help, names, nil)
	sent, err := prometheus.NewConstMetric(desc, as, v, values...)
	if err != nil {
		sent = prometheus.NewInvalidMetric(desc, err)
	}
	m.ch <- sent
}

func (m exposition) number(n Number) {
	digits := strconv.FormatUint(uint64(n.Number), 10)
	labels := []string{"number", digits, "name", n.Name, "kind", n.Kind}
	m.counter("firefly_messages_total", "Messages handled.", float64(n.Count), labels...)
	m.counter("firefly_message_errors_total", "Handlers that failed; refusals are no failures.",
		float64(n.Errors), labels...)
	const took = "firefly_message_seconds"
	const help = "Time in handlers since the start; quantile 1 is the slowest."
	m.gauge(took, help, n.P50.Seconds(), append(labels, "quantile", "0.5")...)
	m.gauge(took, help, n.P99.Seconds(), append(labels, "quantile", "0.99")...)
	m.gauge(took, help, n.Max.Seconds(), append(labels, "quantile", "1")...)
}

func (m exposition) store(s *Store) {
	degraded := 0.0
	if strings.HasPrefix(s.Level, "degraded: ") {
		degraded = 1
	}
	m.gauge("firefly_persist_degraded", "1 if the store's settings let a crash lose commits.", degraded)
	m.gauge("firefly_persist_dirty", "Rows changed that no statement under way holds.", float64(s.Dirty))
	m.gauge("firefly_persist_pending", "Rows in statements under way.", float64(s.Pending))
	m.gauge("firefly_persist_oldest_seconds", "Age of the oldest change that is not durable.",
		s.Oldest.Seconds())
	m.counter("firefly_persist_cache_hits_total", "Loads that the cache answered.", float64(s.Hits))
	m.counter("firefly_persist_cache_misses_total", "Loads that the database answered.",
		float64(s.Misses))
	m.named("firefly_persist_", "Of the persist node.", s.Counters)
}

// rising sends counters that differ in one label.
func (m exposition) rising(name, help, label string, counts map[string]uint64) {
	for value, n := range counts {
		m.counter(name, help, float64(n), label, value)
	}
}

// named sends counts that have names of their own. Those that end in _total only rise.
func (m exposition) named(prefix, help string, counts map[string]int64) {
	for name, n := range counts {
		send := m.gauge
		if strings.HasSuffix(name, "_total") {
			send = m.counter
		}
		send(prefix+name, help, float64(n))
	}
}
