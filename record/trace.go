package record

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// checkEvery is how many steps may pass without the hash of the whole state.
const checkEvery = 1000

// retryAfter is how long a state that could not be written is not written again, unless the rules change: one that is
// too large for the queue would cost all of its JSON in every turn.
const retryAfter = 10 * time.Second

// The reasons of gaps.
const (
	whyFull   = "the queue to the disk was full"
	whyBroken = "the disk took no more"
	whyRules  = "no rule asked for it"
	whyState  = "the state could not be written"
)

// A trace is one activation of an actor as the Recorder hears it. Its methods run in the actor's turns.
type trace struct {
	r      *Recorder
	view   actors.View
	ref    actors.Ref
	number uint64 // of the activation
	index  uint64 // of the next input
	at     int64  // of the newest input

	rules    *ruleset
	wanted   bool   // a rule matches
	running  bool   // the stream goes on in the files
	file     uint64 // the file that it stands in; the queue's
	orphaned bool   // in that file it has no state to begin with
	since    uint64 // steps since the newest check
	broken   bool   // the newest step has panicked: what is there then may be no state of the actor
	again    int64  // before then, the state is not written again; of the Recorder's clock
	warned   bool   // it was said that the state cannot be written
	gap      *Gap   // what was left out and does not stand in the file yet

	ring *ring // the flight recorder's
}

// Heard records a step if a rule asks for it, and keeps it in the flight recorder's ring.
func (t *trace) Heard(s *actors.Step) {
	index := t.index
	t.index++
	before := t.wanted
	t.decide(s)
	if before || t.wanted {
		t.record(s, index)
	}
	if before && !t.wanted {
		t.end()
	}
	if t.r.flight.most > 0 {
		t.r.flight.keep(t.ring, s, index, t.at)
	}
	t.at = s.Input.At
	t.broken = false
	for i := range s.Turns {
		if s.Turns[i].Verdict == actors.Broken {
			t.broken = true
			t.dump(&s.Turns[i], index)
		}
	}
}

// Closed ends the stream.
func (t *trace) Closed() {
	if t.running {
		var b []byte
		if t.since > 0 && !t.broken {
			b = t.check(nil, t.at)
		}
		t.say(appendClose(b, t.number, t.index), t.index)
		t.halt()
	} else {
		t.sayGap(t.index)
	}
	t.depart()
}

// decide looks whether a rule matches, when rules have changed or who is logged in has.
func (t *trace) decide(s *actors.Step) {
	rules := t.r.rules.Load()
	if rules == t.rules && !(rules.bySession() && binds(&s.Input)) {
		return
	}
	t.rules, t.again = rules, 0
	t.wanted = rules.matches(t.ref, t.view.Clients)
}

// binds says whether an input may change who is logged in.
func binds(in *actors.Input) bool {
	return in.Type != actors.InputTimer && in.Type != actors.InputAnswer &&
		(in.Envelope == nil || in.Envelope.Number < 100)
}

// record writes a step into the stream, which it opens first if it can.
func (t *trace) record(s *actors.Step, index uint64) {
	if !t.running && !t.open(s, index) {
		if t.gap != nil {
			t.gap.Lost++
			t.r.dropped(t.gap.Why)
		}
		return
	}
	w := t.r.benches.Get().(*bench)
	err := w.encode(s, t.r.masking, t.number, index)
	if err != nil {
		t.warn(err)
		t.lose(whyState)
		return
	}
	if t.orphaned && s.Quiet && t.ready() {
		t.refresh(s, index)
	}
	for i := range w.step.Turns {
		if turn := &w.step.Turns[i]; turn.Verdict == actors.Broken {
			w.b = appendPanic(w.b, t.number, Panic{index, turn.Number, turn.Name, turn.Text})
		}
	}
	if t.since++; t.since >= checkEvery {
		w.b = t.check(w.b, s.Input.At)
	}
	tables, _ := s.Input.Tables.(Tables)
	if t.put(w.b, tables, index) {
		t.r.counts.steps.Add(1)
	} else {
		t.lose(t.r.queue.why())
	}
	w.rest()
	t.r.benches.Put(w)
}

// check appends the hash of the whole state as it is now, after the input that came at that time. A state that cannot
// be written is not checked.
func (t *trace) check(b []byte, at int64) []byte {
	t.since = 0
	image, err := t.image(Blank)
	if err != nil {
		return b
	}
	image.At = at
	hash, err := Hash(image)
	if err != nil {
		return b
	}
	return appendCheck(b, t.number, Check{After: t.index, Hash: hash})
}

// openNow opens the stream before the first input.
func (t *trace) openNow() {
	image, err := t.image(t.r.masking.mask)
	if err == nil {
		t.at = image.At
		err = t.begin(image, 0)
	}
	if err != nil {
		t.warn(err)
		t.retry()
		t.gap = &Gap{Why: whyState}
	}
}

// warn says, once in an activation, that the state cannot be written.
func (t *trace) warn(err error) {
	if !t.warned {
		t.r.o.Log.Warn("cannot be recorded", "actor", t.ref.String(), "error", err)
	}
	t.warned = true
}

// image is the whole state, or why it cannot be written.
func (t *trace) image(mask actors.Mask) (_ *actors.Image, err error) {
	defer recovered(&err)
	return t.view.Image(mask)
}

// recovered makes an error of a panic in what a game has made to write its state, a MarshalJSON. Deferred by whatever
// may call one: in an actor's turn it would end the actor, and elsewhere the process.
func recovered(err *error) {
	if reason := recover(); reason != nil {
		*err = fmt.Errorf("record: a panic while the state was written: %v\n%s", reason, debug.Stack())
	}
}

// open opens the stream with the state before a step, if nothing was under way then: it is the state of now, with what
// the step has changed undone. It reports whether the stream runs.
func (t *trace) open(s *actors.Step, index uint64) bool {
	if !s.Quiet || !t.ready() {
		return false
	}
	image, err := t.stateBefore(s)
	if err == nil {
		err = t.begin(image, index)
	}
	if err != nil {
		t.warn(err)
		t.retry()
		if t.gap == nil {
			t.gap = &Gap{Why: whyState}
		}
	}
	return t.running
}

// ready says whether it may be tried to write the state.
func (t *trace) ready() bool {
	return t.r.queue.hasRoom() && (t.again == 0 || t.r.o.Clock.Now().UnixNano() >= t.again)
}

// retry has the state written again later.
func (t *trace) retry() { t.again = t.r.o.Clock.Now().Add(retryAfter).UnixNano() }

// stateBefore is the state before the step that the actor has just done.
func (t *trace) stateBefore(s *actors.Step) (image *actors.Image, err error) {
	defer recovered(&err)
	if image, err = t.view.Image(t.r.masking.mask); err == nil {
		_, err = rewind(image, []*actors.Step{s}, t.at, t.r.masking.mask)
	}
	return image, err
}

// refresh writes the state into a file that the stream goes on in, so that it can be replayed without the file before.
func (t *trace) refresh(s *actors.Step, index uint64) {
	image, err := t.stateBefore(s)
	if err == nil {
		var text []byte
		if text, err = json.Marshal(image); err == nil {
			tables, _ := image.Tables.(Tables)
			t.orphaned = !t.put(appendOpen(nil, t.number, t.segment(index), text), tables, opens)
		}
	}
	if err != nil {
		t.warn(err)
	}
	if t.orphaned {
		t.retry()
	}
}

// begin writes the opening, behind the gap that it ends.
func (t *trace) begin(image *actors.Image, index uint64) error {
	text, err := json.Marshal(image)
	if err != nil {
		return fmt.Errorf("record: the state of %s: %w", t.ref, err)
	}
	var b []byte
	first := opens
	if t.gap != nil {
		b, first = appendGap(b, t.number, *t.gap), index-t.gap.Lost
	}
	tables, _ := image.Tables.(Tables)
	if !t.put(appendOpen(b, t.number, t.segment(index), text), tables, first) {
		t.retry()
		if t.gap == nil {
			t.gap = &Gap{Why: t.r.queue.why()}
		}
		return nil
	}
	t.gap, t.running, t.orphaned, t.since = nil, true, false, 0
	t.r.counts.streams.Add(1)
	return nil
}

// segment says who the stream is about, from an input on.
func (t *trace) segment(index uint64) *Segment {
	return &Segment{Ref: t.ref, Node: t.r.o.Node, Incarnation: t.r.o.Incarnation, Activation: t.number,
		At: t.r.o.Clock.Now().UnixNano(), First: index}
}

// lose ends the stream with a gap, from the step under way on.
func (t *trace) lose(why string) {
	t.halt()
	t.r.counts.gaps.Add(1)
	t.gap = &Gap{Lost: 1, Why: why}
	t.r.dropped(why)
	t.say(appendGap(nil, t.number, Gap{Why: why}), t.index-1)
}

// end ends the stream because nobody wants it any more.
func (t *trace) end() {
	if t.running {
		t.say(appendGap(nil, t.number, Gap{Why: whyRules}), t.index)
		t.halt()
	} else {
		t.sayGap(t.index)
	}
	t.gap = nil
}

// sayGap says how many steps are missing, up to an index, in the stream's last file.
func (t *trace) sayGap(index uint64) {
	if t.gap != nil && t.file != 0 {
		t.say(appendGap(nil, t.number, *t.gap), index-t.gap.Lost)
	}
}

// say puts less than 200 bytes about the end of a stream, for which there is always room: without them, the stream
// would read as if nothing were missing. No stream says more than twice of it before it begins anew, which takes room.
func (t *trace) say(b []byte, first uint64) { t.putIn(b, nil, first, true) }

func (t *trace) halt() {
	if t.running {
		t.running = false
		t.r.counts.streams.Add(-1)
	}
}

// opens says of records that they begin with an opening.
const opens = ^uint64(0)

// put hands records of the stream to the queue. The first is about the input with that index, or opens the stream: in
// a file in which the stream is not yet, an opening is put before it.
func (t *trace) put(b []byte, tables Tables, first uint64) bool {
	return t.putIn(b, tables, first, false)
}

func (t *trace) putIn(b []byte, tables Tables, first uint64, must bool) bool {
	file, ok := t.r.queue.put(b, tables, must, func(file uint64) []byte {
		if first == opens || file == t.file || t.file == 0 {
			return nil
		}
		t.orphaned = true
		return appendOpen(nil, t.number, t.segment(first), nil)
	})
	if ok {
		t.file = file
	}
	return ok
}
