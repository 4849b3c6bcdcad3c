package record

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// Options say what a Recorder is made of.
type Options struct {
	Dir         string // of the recordings; made when the first file is
	App         string
	Node        string
	Incarnation uint64
	Catalogue   wire.Catalogue
	Key         []byte // of the masks; nobody else should know it
	Clock       actors.Clock
	Scheduler   actors.Scheduler
	Log         *slog.Logger
	Limits      Limits
}

// Limits bound a Recorder. At each of them recordings are given up, never the game's time.
type Limits struct {
	Flight      int   // inputs that the flight recorder keeps of each actor; 0: it is off
	FlightBytes int64 // and of all actors of the node together; the oldest go first
	FileBytes   int64 // a file that is larger is followed by the next
	TotalBytes  int64 // of the node's files; the oldest are deleted
	QueueBytes  int64 // that wait for the disk; what finds no room is left out
}

// DefaultLimits are those of runtime.toml.
func DefaultLimits() Limits {
	return Limits{Flight: 1000, FlightBytes: 64 << 20, FileBytes: 64 << 20, TotalBytes: 1 << 30, QueueBytes: 8 << 20}
}

// A Recorder is the Tap of a node in production. Its rules say who is recorded, and change while the game runs. Beside
// it the flight recorder keeps the newest inputs of everybody in memory, and writes those of an actor whose handler
// panics.
type Recorder struct {
	o       Options
	rules   atomic.Pointer[ruleset]
	masking *Masking
	blank   *Masking
	queue   *queue
	flight  *flight
	benches sync.Pool
	opened  atomic.Uint64 // activations so far
	counts  counts
}

// counts are what became of steps.
type counts struct {
	steps, bytes, dropped, gaps, files, errors atomic.Uint64
	dumps, dumpsSkipped                        atomic.Uint64
	streams                                    atomic.Int64
	warned                                     atomic.Int64 // when drops were last logged
}

// NewRecorder makes a Recorder without rules: only the flight recorder works, if it is on.
func NewRecorder(o Options) *Recorder {
	r := &Recorder{o: o, masking: NewMasking(o.Catalogue, NewMask(o.Key)), blank: NewMasking(o.Catalogue, Blank)}
	r.benches.New = func() any { return &bench{patch: actors.NewPatch(r.masking.mask)} }
	r.rules.Store(Rules(nil).set())
	r.queue = &queue{r: r}
	r.flight = &flight{most: o.Limits.Flight, bound: o.Limits.FlightBytes, allowed: map[cause]int64{}}
	return r
}

// Follow replaces the rules: actors that match begin to be recorded when nothing of theirs is under way, others end.
// Recording that a full disk has stopped is tried again.
func (r *Recorder) Follow(rules Rules) {
	r.queue.mend()
	r.rules.Store(rules.set())
}

// FollowFile is Follow with the rules that stand in the recordings' directory.
func (r *Recorder) FollowFile() error {
	rules, err := ReadRules(r.o.Dir)
	if err != nil {
		return err
	}
	r.Follow(rules)
	r.o.Log.Info("recording rules", "rules", len(rules), "dir", r.o.Dir)
	return nil
}

// Opened makes the trace of an actor. It is nil, and costs nothing, if the flight recorder is off and no rule can come
// to match the actor: one that is added later finds those that come up after it.
func (r *Recorder) Opened(v actors.View) actors.Trace {
	rules := r.rules.Load()
	t := &trace{r: r, view: v, ref: v.Self(), ring: new(ring)}
	t.wanted = rules.matches(t.ref, v.Clients)
	if r.flight.most == 0 && !t.wanted && !rules.bySession() {
		return nil
	}
	t.rules, t.number = rules, r.opened.Add(1)
	if t.wanted {
		t.openNow()
	}
	return t
}

// Stop writes what waits and closes the file. The actors must have ended.
func (r *Recorder) Stop() error {
	if err := r.queue.close(); err != nil {
		return fmt.Errorf("record: closing: %w", err)
	}
	return nil
}

// Report counts what the recorder has done since the start. Names that end in _total only rise.
func (r *Recorder) Report() map[string]int64 {
	steps, bytes := r.flight.size()
	waiting, size := r.queue.sizes()
	return map[string]int64{
		"streams": r.counts.streams.Load(), "queue_bytes": waiting, "file_bytes": size,
		"steps_total": int64(r.counts.steps.Load()), "bytes_total": int64(r.counts.bytes.Load()),
		"dropped_total": int64(r.counts.dropped.Load()), "gaps_total": int64(r.counts.gaps.Load()),
		"files_total": int64(r.counts.files.Load()), "errors_total": int64(r.counts.errors.Load()),
		"flight_steps": int64(steps), "flight_bytes": bytes,
		"panics_written_total": int64(r.counts.dumps.Load()),
		"panics_skipped_total": int64(r.counts.dumpsSkipped.Load()),
	}
}

// header is that of a file that begins now.
func (r *Recorder) header() Header {
	return Header{App: r.o.App, Node: r.o.Node, Incarnation: r.o.Incarnation, At: r.o.Clock.Now().UnixNano(),
		Masked: true}
}

// warnEvery is how often drops are logged.
const warnEvery = 10 * time.Second

// dropped counts a step that was left out, and says so now and then.
func (r *Recorder) dropped(why string) {
	r.counts.dropped.Add(1)
	now, last := r.o.Clock.Now().UnixNano(), r.counts.warned.Load()
	if (last == 0 || now-last >= int64(warnEvery)) && r.counts.warned.CompareAndSwap(last, now) {
		r.o.Log.Warn("recordings have gaps", "why", why, "dropped_total", r.counts.dropped.Load())
	}
}

// failed says that recording has stopped. The game goes on.
func (r *Recorder) failed(err error) {
	r.counts.errors.Add(1)
	r.o.Log.Error("recording has stopped; `record start` tries again", "error", err, "dir", r.o.Dir)
}

// makeDir makes the directory of the recordings, for this user only: they hold what players do.
func (r *Recorder) makeDir() error { return os.MkdirAll(r.o.Dir, 0o700) }
