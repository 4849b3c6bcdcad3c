package persist

// This file is how a keeper goes elsewhere in a planned move: empty. It waits until nothing is under way, and the next
// one begins as after any keeper, with a number of its own. What comes meanwhile waits in its mailbox and moves along.

// Freeze implements actors.Receiver: it writes what is pending and finishes what was asked, and then calls done. While
// the store takes nothing, that does not end: whoever froze it gives up and thaws it.
func (k *keeper) Freeze(done func()) {
	k.frozen = done
	k.handAll()
	k.mayRest()
}

// Thaw implements actors.Receiver.
func (k *keeper) Thaw() { k.frozen = nil }

// mayRest tells whoever froze the keeper when nothing is under way: nothing pending, no read, no number being raised.
func (k *keeper) mayRest() {
	if k.frozen == nil || k.pending > 0 || k.reading > 0 || k.rows.busy() || k.raising || len(k.early) > 0 {
		return
	}
	for _, o := range k.owners {
		if o.raising {
			return
		}
	}
	done := k.frozen
	k.frozen = nil
	done()
}

// isHurried reports whether somebody waits for all that is pending to be written.
func (k *keeper) isHurried() bool { return k.stopped != nil || k.frozen != nil }
