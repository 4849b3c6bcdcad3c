package persist

import (
	"encoding/json"

	"github.com/fireflyrt/firefly/actors"
)

// This file is how a keeper goes elsewhere in a planned move: empty. It waits until nothing is under way, and the next
// one begins as after any keeper, with a number of its own. What comes meanwhile waits in its mailbox and moves along,
// and so does what the store refuses although somebody rests on it: nobody else has that any more.

// Freeze implements actors.Receiver: it writes what is pending and finishes what was asked, and then calls done. While
// the store takes nothing, that does not end: whoever froze it gives up and thaws it.
func (k *keeper) Freeze(done func(left ...*actors.Envelope)) {
	k.frozen = done
	k.handAll()
	k.mayRest()
}

// Thaw implements actors.Receiver.
func (k *keeper) Thaw() { k.frozen = nil }

// mayRest tells whoever froze the keeper when nothing is under way: nothing pending that the store may yet take, no
// read, no number being raised.
func (k *keeper) mayRest() {
	if k.frozen == nil || k.reading > 0 || k.rows.busy() || k.raising || len(k.early) > 0 {
		return
	}
	for _, o := range k.owners {
		if o.raising {
			return
		}
	}
	left := k.left()
	if len(left) < k.pending {
		return
	}
	done := k.frozen
	k.frozen = nil
	done(left...)
}

// left is what the next keeper is handed of what the store refuses: see setAside.
func (k *keeper) left() (left []*actors.Envelope) {
	if k.pending == 0 {
		return nil
	}
	for _, e := range k.sorted() {
		if e.refusals == 0 || e.rows() == 0 || e.version() > e.shown || k.archive.writers.has(e.parcel) {
			continue
		}
		m := e.whole()
		if m.suits(e.bytes) != nil {
			continue
		}
		env, err := request(k.runner.Self(), NumberSave, m)
		if err != nil {
			continue
		}
		env.From = k.runner.Self()
		left = append(left, env)
	}
	return left
}

// whole is all that is pending of an entity, as one save that nobody waits for and that every keeper takes.
func (e *entity) whole() *save {
	m := &save{Kind: e.ref.Kind, ID: e.ref.ID, Fence: e.owner.Epoch, Holder: e.owner.Holder, Version: e.version(),
		Term: newestTerm, Shown: true}
	for name, p := range e.parts {
		if name == "" {
			m.Cells, m.Box, m.DueAt = p.Data, p.Box, p.DueAt
			continue
		}
		if m.Parts == nil {
			m.Parts = make(map[string]json.RawMessage)
		}
		m.Parts[name] = p.Data
	}
	return m
}

// isHurried reports whether somebody waits for all that is pending to be written.
func (k *keeper) isHurried() bool { return k.stopped != nil || k.frozen != nil }
