package actors

import "slices"

// This file keeps what waits for the store within what one change may hold. Contents are encoded when they are sent,
// not in every turn; so a turn is held against an estimate that is never too low, and is measured only if that is too
// much.

// MaxChange bounds a Change by its Size, in bytes. A turn that would need more is refused with TOO_BIG.
const MaxChange = 8 << 20

// Turns of the game may fill a change up to turnBytes. The rest is for what the runtime notes in the box by itself,
// about messages that were sent or taken: it must always be able to.
const turnBytes = MaxChange - 512<<10

// Bounds of what is written beside contents, in bytes.
const (
	partBytes    = 100       // a statement of each row, beside its key
	versionBytes = 32        // storedCell, around the contents
	noticeBytes  = 4*255 + 4 // the box of each thing in it, beside a body: most of it is a Ref
	textFactor   = 8         // of a text as JSON, if all of it must be escaped, and that once more
)

// Size is what the change of an entity with this id needs of a statement, in bytes, before contents are escaped.
func (c *Change) Size(id string) int {
	sum := partBytes + len(id) + len(c.Cells) + len(c.Box)
	for part, data := range c.Parts {
		sum += partBytes + len(id) + len(part) + len(data)
	}
	return sum
}

// overflow says why the turn that has just succeeded cannot be: what waits for the store would be more than a change
// holds. Nil: it can. Such a turn is too big by itself, or early: it may be when the store has what waits.
func (n *entity) overflow(t *turn) (why error) {
	if t.own || !slices.ContainsFunc(t.touched, isWeighed) {
		return nil
	}
	most := n.weigh(slot.estimate)
	if most > turnBytes {
		if alone := n.weigh(slot.measureTurn); alone > turnBytes {
			return TooBig.Refuse("it needs %d bytes in the store, the bound is %d", alone, turnBytes)
		}
	}
	if t.early = n.overfills(most); t.early {
		return TooBig.Refuse("with what waits for the store it needs more than %d bytes there, the bound", turnBytes)
	}
	return nil
}

// isWeighed: only what is stored is.
func isWeighed(u undoable) bool {
	s, ok := u.(slot)
	return ok && s.isStored()
}

// weigh sums up what a change would hold of each cell.
func (n *entity) weigh(of func(slot, *entity) int) int {
	sum := partBytes + len(n.ref.ID) + len(`{}`)
	for _, c := range n.props.cells {
		if c.isStored() {
			sum += of(c, n)
		}
	}
	return sum
}

// overfills reports whether all that waits for the store, the turn under way included, is too much. That hangs on the
// store, so a recording says it of its turns, and a Rerun believes that.
func (n *entity) overfills(most int) (is bool) {
	if n.rerun {
		return n.heard != nil && slices.Contains(n.heard.Input.TooBig, len(n.heard.Turns))
	}
	if is = most > turnBytes && n.weigh(slot.measure) > turnBytes; is && n.heard != nil {
		n.heard.Input.TooBig = append(n.heard.Input.TooBig, len(n.heard.Turns))
	}
	return is
}
