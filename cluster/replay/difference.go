package replay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/record"
)

// A Difference is the first step in which the behaviours of today do other things than the recording says.
type Difference struct {
	Ref      actors.Ref
	Step     int    // of the segment, from 0
	What     string // what differs first
	Recorded *record.Step
	Today    *record.Step // nil: the input could not be given
	tell     *Telling
}

// number is that of the message; 0 if the input is none.
func (d *Difference) number() uint32 {
	if e := d.Recorded.Input.Envelope; e != nil {
		return e.Number
	}
	return 0
}

// String shows the message, both outcomes, and what differs in the state.
func (d *Difference) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, step %d: %s\n", d.Ref, d.Step, d.What)
	fmt.Fprintf(&b, "  %s %s\n", signIn, d.tell.input(d.Recorded.Input))
	if d.Today == nil {
		writeLines(&b, "recorded", d.tell.outcome(d.Recorded))
		return b.String()
	}
	was, is := d.tell.outcome(d.Recorded), d.tell.outcome(d.Today)
	same := 0
	for same < min(len(was), len(is)) && was[same] == is[same] {
		same++
	}
	for _, l := range was[:same] {
		fmt.Fprintf(&b, "           %s\n", l)
	}
	writeLines(&b, "recorded", was[same:])
	writeLines(&b, "today", is[same:])
	for _, text := range stateDiff(d.Recorded.Patch, d.Today.Patch) {
		fmt.Fprintf(&b, "  state    %s\n", text)
	}
	return b.String()
}

func writeLines(b *strings.Builder, who string, lines []line) {
	if len(lines) == 0 {
		fmt.Fprintf(b, "  %-8s (nothing more)\n", who)
	}
	for _, l := range lines {
		fmt.Fprintf(b, "  %-8s %s\n", who, l)
	}
}

// compare says what differs first between two steps; "": nothing.
func compare(want, got *record.Step) string {
	for i := range max(len(want.Turns), len(got.Turns)) {
		switch {
		case i >= len(want.Turns):
			return fmt.Sprintf("a turn more: %s", got.Turns[i].Name)
		case i >= len(got.Turns):
			return fmt.Sprintf("a turn less: %s", want.Turns[i].Name)
		}
		if what := compareTurns(want.Turns[i], got.Turns[i]); what != "" {
			return what
		}
	}
	for i := range max(len(want.Out), len(got.Out)) {
		switch {
		case i >= len(want.Out):
			return fmt.Sprintf("output %d was not there", i+1)
		case i >= len(got.Out):
			return fmt.Sprintf("output %d is not there any more", i+1)
		case !bytes.Equal(want.Out[i].Append(nil), got.Out[i].Append(nil)):
			return fmt.Sprintf("output %d differs", i+1)
		}
	}
	if diff := stateDiff(want.Patch, got.Patch); len(diff) > 0 {
		return "the state differs"
	}
	return ""
}

func compareTurns(want, got record.Turn) string {
	timers := slices.EqualFunc(want.Timers, got.Timers, func(a, b actors.TimerOrder) bool {
		return a.Number == b.Number && a.Wait == b.Wait && a.Every == b.Every && a.Cancel == b.Cancel &&
			bytes.Equal(a.Body, b.Body)
	})
	switch {
	case want.Name != got.Name || want.Number != got.Number:
		return fmt.Sprintf("the turn of %s is one of %s", want.Name, got.Name)
	case want.Verdict != got.Verdict:
		return fmt.Sprintf("%s %s, and now %s", want.Name, verdicts[want.Verdict], verdicts[got.Verdict])
	case want.Text != got.Text && want.Verdict != actors.Broken:
		return fmt.Sprintf("%s says %q, and now %q", want.Name, want.Text, got.Text)
	case want.Commit != got.Commit:
		return want.Name + " commits in one of both only"
	case !timers:
		return want.Name + " sets other timers"
	}
	return ""
}

var verdicts = map[actors.Verdict]string{actors.Stood: "succeeded", actors.Declined: "was refused",
	actors.Kept: "was refused and kept its edits", actors.Failed: "failed", actors.Broken: "panicked"}

// stateDiff says, a line each, what two patches have changed to other contents.
func stateDiff(want, got *actors.Patch) []string {
	if want == nil {
		want = actors.NewPatch(nil)
	}
	if got == nil {
		got = actors.NewPatch(nil)
	}
	diff := append(diffTexts(want.Cells, got.Cells), diffTexts(want.Rows, got.Rows)...)
	for _, name := range union(want.Groups, got.Groups) {
		if !maps.Equal(want.Groups[name], got.Groups[name]) {
			diff = append(diff, "group "+name+" has other members")
		}
	}
	if a, b := restOf(want), restOf(got); a != b {
		diff = append(diff, fmt.Sprintf("failures of late: %s, and now %s", a, b))
	}
	for _, session := range slices.SortedFunc(maps.Keys(both(want.Bound, got.Bound)), byName) {
		a, b := want.Bound[session], got.Bound[session]
		if (a == nil) != (b == nil) || a != nil && *a != *b {
			diff = append(diff, session.String()+" is bound otherwise")
		}
	}
	return diff
}

func restOf(p *actors.Patch) string {
	if p.Rest == nil {
		return "unchanged"
	}
	return fmt.Sprintf("%d, rests until %d", len(p.Rest.Failures), p.Rest.Until)
}

func diffTexts(want, got map[string]json.RawMessage) []string {
	var diff []string
	for _, name := range union(want, got) {
		was, is := describe(want, name), describe(got, name)
		if was != is {
			diff = append(diff, fmt.Sprintf("%s: %s, and now %s", name, was, is))
		}
	}
	return diff
}

func describe(texts map[string]json.RawMessage, name string) string {
	raw, changed := texts[name]
	if !changed {
		return "unchanged"
	}
	return contents(raw)
}

func union[V any](a, b map[string]V) []string { return slices.Sorted(maps.Keys(both(a, b))) }

func both[K comparable, V any](a, b map[K]V) map[K]V {
	all := maps.Clone(a)
	if all == nil {
		all = map[K]V{}
	}
	maps.Copy(all, b)
	return all
}
