package replay

import (
	"slices"
	"strings"
)

// Registry names the registry in Partition: a node that is cut off from it loses its lease.
const Registry = "registry"

// A cut is two parties that cannot reach each other, by name and in order.
type cut [2]string

func cutOf(a, b string) cut { return cut{min(a, b), max(a, b)} }

// Partition cuts a node off from others by name, or, if none are named, from all other nodes and from the Registry.
// What is on its way between them is lost, both ways, and what is sent later too, until Heal. Lives that nodes begin
// meanwhile are cut off like the ones before.
func (w *World) Partition(node string, from ...string) {
	w.t.Helper()
	if len(from) == 0 {
		others := slices.DeleteFunc(w.Nodes(), func(other string) bool { return other == node })
		from = append(others, Registry)
	}
	for _, other := range from {
		for _, name := range [...]string{node, other} {
			if name != Registry && w.nodes[name] == nil {
				w.t.Fatalf("the World has no node %s", name)
			}
		}
		if c := cutOf(node, other); node != other && !slices.Contains(w.cuts, c) {
			w.cuts = append(w.cuts, c)
			w.sever(c, true)
		}
	}
	w.fault("partition %s from %s", node, strings.Join(from, " "))
	w.loop.Settle()
}

// Blind lets a node's watch of the registry stand still while its lease goes on: until Heal it knows nothing new of
// members and owners, and then only the newest.
func (w *World) Blind(node string) {
	w.t.Helper()
	w.fault("blind %s", node)
	w.blind = append(w.blind, node)
	w.registry.Blind(w.member(node).Incarnation(), true)
}

// Heal joins again what Partition has cut, lets every node see, and ends what goes wrong with the Store.
func (w *World) Heal() {
	cuts, blind := w.cuts, w.blind
	w.cuts, w.blind = nil, nil
	for _, c := range cuts {
		w.sever(c, false)
	}
	for _, node := range blind {
		if m := w.nodes[node]; m != nil {
			w.registry.Blind(m.Incarnation(), false)
		}
	}
	w.store.heal()
	w.fault("healed")
	w.loop.Settle()
}

// sever cuts two parties, or joins them. Whoever does not run now is cut off when it starts.
func (w *World) sever(c cut, apart bool) {
	a, b := w.nodes[c[0]], w.nodes[c[1]]
	switch {
	case a == nil && c[0] != Registry, b == nil && c[1] != Registry:
	case c[0] == Registry:
		w.registry.Cut(b.Incarnation(), apart)
	case c[1] == Registry:
		w.registry.Cut(a.Incarnation(), apart)
	default:
		w.network.Cut(a.address, b.address, apart)
	}
}
