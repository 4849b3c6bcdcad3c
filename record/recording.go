// Package record keeps what actors did, so that it can be done again: every input of an actor, all that came of it, and
// the state it began with, in files that are read by tests and at the terminal.
//
// It promises that recording never slows or stops the game: what cannot be kept is left out, counted, and stands in the
// file as a gap; that what is sensitive is masked before it leaves the actor's turn; and that a file which is torn,
// truncated or has flipped bits is read as far as it is good, with the place of the damage. The format is described in
// docs/recording.md, and files of every version stay readable.
//
// It does not replay: that is the test kit's. It does not mask what a game does not tag, nor texts of errors, nor what
// Work returns.
package record

import (
	"cmp"
	"maps"
	"slices"

	"github.com/fireflyrt/firefly/actors"
)

// A Recording is what one or several files hold: the recorded lives of actors, and the tables they read.
type Recording struct {
	Header Header
	runs   []*Segment // also those whose beginning stands in another file
	tables map[string]map[string][]byte
}

// A Header says where and when a file was begun.
type Header struct {
	App         string `json:"app"`
	Node        string `json:"node"`
	Incarnation uint64 `json:"incarnation,string"`
	At          int64  `json:"at"`               // Unix nanoseconds
	Masked      bool   `json:"masked,omitempty"` // what is sensitive is not in it
}

// An Actor is all that was recorded of one actor, on whatever nodes it lived.
type Actor struct {
	Ref      actors.Ref
	Segments []*Segment // by time
}

// A Segment is a part of an actor's life without a gap: a state, and every input from then on.
type Segment struct {
	Ref         actors.Ref
	Node        string
	Incarnation uint64 // of the node's process
	Activation  uint64 // counts activations of a process: segments with the same one are parts of one life
	At          int64  // when its recording began, in Unix nanoseconds
	First       uint64 // how many inputs the activation had had then

	Image  *actors.Image // the state before the first step
	Steps  []*Step
	Checks []Check
	Panics []Panic
	Gap    *Gap // what is missing behind the last step; nil: nothing, or the life is recorded to its end
	Closed bool // the activation ended after the last step
}

// end is the index of the input behind the last step.
func (s *Segment) end() uint64 { return s.First + uint64(len(s.Steps)) }

// A Check says what the whole state was at some time.
type Check struct {
	After uint64 // so many inputs of the activation
	Hash  Digest // see Hash
}

// A Panic says why a flight recorder wrote the file.
type Panic struct {
	Index  uint64 // of the step
	Number uint32
	Name   string
	Text   string
}

// A Gap is inputs that were not kept.
type Gap struct {
	Lost uint64 // how many; 0: nobody knows
	Why  string
}

// Actors lists the actors that can be replayed, by name.
func (r *Recording) Actors() []*Actor {
	by := map[actors.Ref]*Actor{}
	for _, s := range r.runs {
		if s.Image == nil {
			continue
		}
		if by[s.Ref] == nil {
			by[s.Ref] = &Actor{Ref: s.Ref}
		}
		by[s.Ref].Segments = append(by[s.Ref].Segments, s)
	}
	all := slices.Collect(maps.Values(by))
	slices.SortFunc(all, func(a, b *Actor) int { return cmp.Compare(a.Ref.String(), b.Ref.String()) })
	for _, a := range all {
		slices.SortStableFunc(a.Segments, byTime)
	}
	return all
}

func byTime(a, b *Segment) int {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Activation, b.Activation), cmp.Compare(a.First, b.First))
}

// Actor returns one actor's recording; nil: there is none.
func (r *Recording) Actor(ref actors.Ref) *Actor {
	for _, a := range r.Actors() {
		if a.Ref == ref {
			return a
		}
	}
	return nil
}

// Tables returns the source files of the tables with this hash, by name; nil: they are not here.
func (r *Recording) Tables(hash string) map[string][]byte { return r.tables[hash] }

// Steps counts the steps that can be replayed.
func (r *Recording) Steps() (n int) {
	for _, s := range r.runs {
		if s.Image != nil {
			n += len(s.Steps)
		}
	}
	return n
}

// Extract returns the recording of one actor alone.
func (r *Recording) Extract(ref actors.Ref) *Recording {
	one := &Recording{Header: r.Header, tables: map[string]map[string][]byte{}}
	for _, s := range r.runs {
		if s.Ref == ref {
			one.runs = append(one.runs, s)
		}
	}
	for _, hash := range one.hashes() {
		if files := r.tables[hash]; files != nil {
			one.tables[hash] = files
		}
	}
	return one
}

// hashes lists the tables that the steps read, and those that states rest on.
func (r *Recording) hashes() []string {
	used := map[string]bool{}
	for _, run := range r.runs {
		if run.Image != nil && run.Image.Edition != "" {
			used[run.Image.Edition] = true
		}
		for _, s := range run.Steps {
			if s.Input.Tables != "" {
				used[s.Input.Tables] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(used))
}

// Merge makes one recording of several: parts of one life that meet become one segment, whatever files they stand in,
// and lives of one actor on several nodes follow each other by time. The parts are not changed.
func Merge(parts ...*Recording) *Recording {
	all := &Recording{tables: map[string]map[string][]byte{}}
	for _, p := range parts {
		if len(p.runs) > 0 && (all.Header.At == 0 || p.Header.At < all.Header.At) {
			all.Header = p.Header
		}
		for _, s := range p.runs {
			c := *s
			c.Steps, c.Checks, c.Panics = slices.Clone(s.Steps), slices.Clone(s.Checks), slices.Clone(s.Panics)
			if s.Gap != nil {
				gap := *s.Gap
				c.Gap = &gap
			}
			all.runs = append(all.runs, &c)
		}
		maps.Copy(all.tables, p.tables)
	}
	all.join()
	return all
}

// A life is what all segments of one activation share.
type life struct {
	ref         actors.Ref
	incarnation uint64
	activation  uint64
}

// join puts segments of one life together where one goes on from within another, or from its end.
func (r *Recording) join() {
	slices.SortStableFunc(r.runs, func(a, b *Segment) int {
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(orphans(a), orphans(b)), cmp.Compare(b.end(), a.end()))
	})
	newest := map[life]*Segment{}
	var kept []*Segment
	for _, s := range r.runs {
		of := life{s.Ref, s.Incarnation, s.Activation}
		before := newest[of]
		meets := before != nil && s.First <= before.end()
		if meets && (before.Image != nil || s.Image == nil) {
			before.goOn(s)
			continue
		}
		if meets {
			s.goOn(before)
		}
		if before != nil && before.Gap == nil && s.First > before.end() {
			before.Gap = &Gap{Why: "not in these files"}
		}
		if before != nil && s.First > before.end() {
			before.Gap.Lost = s.First - before.end()
		}
		newest[of] = s
		kept = append(kept, s)
	}
	r.runs = kept
	slices.SortStableFunc(r.runs, byTime)
}

// orphans sorts those without a beginning behind the others.
func orphans(s *Segment) int {
	if s.Image == nil {
		return 1
	}
	return 0
}

// goOn takes over what the next segment of the same life has more.
func (s *Segment) goOn(next *Segment) {
	end := s.end()
	for _, c := range next.Checks {
		if !slices.ContainsFunc(s.Checks, func(d Check) bool { return d.After == c.After }) {
			s.Checks = append(s.Checks, c)
		}
	}
	for _, p := range next.Panics {
		if !slices.Contains(s.Panics, p) {
			s.Panics = append(s.Panics, p)
		}
	}
	slices.SortFunc(s.Checks, func(a, b Check) int { return cmp.Compare(a.After, b.After) })
	slices.SortFunc(s.Panics, func(a, b Panic) int { return cmp.Compare(a.Index, b.Index) })
	if next.end() < end {
		return
	}
	s.Steps = append(s.Steps, next.Steps[end-next.First:]...)
	s.Closed = s.Closed || next.Closed
	switch {
	case s.Closed:
		s.Gap = nil
	case next.end() > end || next.Gap != nil:
		s.Gap = next.Gap
	}
}
