package replay

import "fmt"

// Leftovers lists what nodes still remember of moves, or keep for others: nothing, when all has come to rest.
func Leftovers(w *World) (all []string) {
	for _, name := range w.Nodes() {
		r := w.nodes[name].Cluster().Report()
		for role, n := range r.Parked {
			if n > 0 {
				all = append(all, fmt.Sprintf("%s: %d wait for %s", name, n, role))
			}
		}
		if m := r.Moves; m.Tenures+m.Held+m.Staged+m.Open+m.Due > 0 {
			all = append(all, fmt.Sprintf("%s: %+v", name, m))
		}
	}
	return all
}
