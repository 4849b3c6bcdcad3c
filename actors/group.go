package actors

import (
	"cmp"
	"iter"
	"slices"
	"strings"
)

// A Group is a set of receivers, of sessions above all. Its changes are part of the turn that makes them. It is not
// stored; sessions that have ended, or are not bound to the entity any more, are taken out by the runtime.
type Group struct {
	p       *Props
	name    string
	members map[Ref]struct{}
	order   []Ref // sorted; nil when a member has come or gone since
	log     []member
}

// A member is one change of this turn: who came, or went.
type member struct {
	ref  Ref
	came bool
}

// NewGroup declares a group.
func NewGroup(p *Props, name string) *Group {
	g := &Group{p: p, name: name, members: map[Ref]struct{}{}}
	if p.probing {
		p.table.cell("group "+name, false)
	}
	p.groups = append(p.groups, g)
	return g
}

// Audience is the group of all clients bound to this entity. The runtime keeps it.
func Audience(p *Props) *Group {
	if p.audience == nil {
		p.audience = NewGroup(p, "audience")
	}
	return p.audience
}

// Add takes somebody in.
func (g *Group) Add(r Ref) { g.change(r, true) }

// Remove takes somebody out.
func (g *Group) Remove(r Ref) { g.change(r, false) }

// Len is the number of members.
func (g *Group) Len() int {
	g.p.turn(g.name)
	return len(g.members)
}

// All runs over the members in their canonical order, as they were when it began.
func (g *Group) All() iter.Seq[Ref] {
	g.p.turn(g.name)
	return slices.Values(g.sorted())
}

// Send sends to every member, encoded once for each codec, one envelope for each gate.
func (g *Group) Send(ctx Context, msg any) { turnOf(ctx).fanOut(g.sorted(), msg) }

func (g *Group) sorted() []Ref {
	if g.order == nil {
		g.order = make([]Ref, 0, len(g.members))
		for r := range g.members {
			g.order = append(g.order, r)
		}
		slices.SortFunc(g.order, compareRefs)
	}
	return g.order
}

func (g *Group) change(r Ref, comes bool) {
	t := g.p.turn(g.name)
	if _, is := g.members[r]; is == comes || comes && !t.reaches(r) {
		return
	}
	if len(g.log) == 0 {
		t.touch(g)
	}
	g.log = append(g.log, member{r, comes})
	g.set(r, comes)
}

func (g *Group) set(r Ref, comes bool) {
	g.order = nil
	if comes {
		g.members[r] = struct{}{}
	} else {
		delete(g.members, r)
	}
}

func (g *Group) undo() {
	for _, m := range slices.Backward(g.log) {
		g.set(m.ref, !m.came)
	}
	g.keep()
}

func (g *Group) keep() { g.log = g.log[:0] }

func compareRefs(a, b Ref) int {
	return cmp.Or(strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.ID, b.ID))
}

func sortedSet(to iter.Seq[Ref]) []Ref {
	return slices.Compact(slices.SortedFunc(to, compareRefs))
}
