package actors

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"
	"unsafe"
)

// This file is how the actors of a shard stand in a state: one byte of version, the shard, each actor with what waits
// in its mailbox, who was bound to actors that are not there, and a checksum of it all.

// stateVersion is the first byte of a state.
const stateVersion = 2

// A moved is an entity on its way, beside its mailbox.
type moved struct {
	Image     *Image       `json:"image"`
	Unwritten []string     `json:"unwritten,omitempty"` // cells and rows that the store is not known to have
	Version   uint64       `json:"version"`             // the newest that was ever sent
	Flush     int64        `json:"flush,omitempty"`     // nanoseconds until what is unwritten is to be sent
	Timers    []movedTimer `json:"timers,omitempty"`    // in the order of their messages
	Served    bool         `json:"served,omitempty"`
	Leaves    bool         `json:"leaves,omitempty"` // it is to passivate
}

// A movedTimer is a timer with the time that is left: clocks of nodes differ.
type movedTimer struct {
	Number uint32        `json:"number"`
	Body   []byte        `json:"body,omitempty"`
	Left   time.Duration `json:"left"`
	Period time.Duration `json:"period,omitempty"`
	Rung   bool          `json:"rung,omitempty"` // it waits in the mailbox
}

// Types of what stands in a state. They never change.
const (
	movedEntity   = 1
	movedReceiver = 2

	itemEnvelope = 1
	itemTimer    = 2 // index among the timers
	itemUnbound  = 3
)

// State is all that the actors are, as Prepare of the next owner reads it, in at most limit bytes. It changes nothing.
// An error says what does not let them move now: they are too much.
func (f *Frozen) State(limit int) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.phase != frozen {
		return nil, errors.New("actors: state: the shard is not frozen")
	}
	b := []byte{stateVersion}
	b = appendText(b, f.tenure.Role)
	b = binary.AppendUvarint(b, uint64(f.tenure.Shard))
	all := f.sorted()
	b = binary.AppendUvarint(b, uint64(len(all)))
	for _, p := range all {
		b = appendRef(b, p.ref)
		var err error
		if n, ok := p.body.(*entity); ok {
			b, err = n.appendTo(append(b, movedEntity))
		} else {
			b, err = appendItems(append(b, movedReceiver), p.box.waiting(), nil)
		}
		if err != nil {
			return nil, fmt.Errorf("actors: state of %s: %w", p.ref, err)
		}
		if len(b) > limit {
			break
		}
	}
	b, err := f.appendFarewells(b)
	if err != nil {
		return nil, err
	}
	if len(b)+crc32.Size > limit {
		return nil, fmt.Errorf("actors: state of %s/%d: it is more than %d bytes, the bound",
			f.tenure.Role, f.tenure.Shard, limit)
	}
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b)), nil
}

// appendFarewells writes who was bound to actors of the tenure that are not here.
func (f *Frozen) appendFarewells(b []byte) ([]byte, error) {
	kept := map[Ref][]any{}
	for i := range f.sys.stripes {
		st := &f.sys.stripes[i]
		st.mu.Lock()
		for ref, w := range st.farewells {
			if w.tenure == f.tenure {
				kept[ref] = w.items
			}
		}
		st.mu.Unlock()
	}
	b = binary.AppendUvarint(b, uint64(len(kept)))
	for ref := range sortedSetOf(kept) {
		var err error
		if b, err = appendItems(appendRef(b, ref), kept[ref], nil); err != nil {
			return nil, fmt.Errorf("actors: state of %s: %w", ref, err)
		}
	}
	return b, nil
}

// appendTo writes the entity and what waits for it.
func (n *entity) appendTo(b []byte) ([]byte, error) {
	items := n.box.waiting()
	m, err := n.pack(items)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	b = binary.AppendUvarint(b, uint64(len(raw)))
	places := map[string]int{}
	for i, t := range m.Timers {
		places[timerKey(t.Number, t.Body)] = i
	}
	return appendItems(append(b, raw...), items, places)
}

// pack is the entity as it is. A change under way counts as not written: the next owner sends it again.
func (n *entity) pack(items []any) (*moved, error) {
	image, err := n.Image(nil)
	if err != nil {
		return nil, err
	}
	if n.props.box != nil {
		image.News = n.props.box.news
	}
	now := n.sys.o.Clock.Now()
	m := &moved{Image: image, Version: n.version, Served: n.served, Leaves: n.isToLeave && !n.sys.isStopping()}
	for _, c := range n.props.cells {
		if c.isStored() {
			m.Unwritten = append(m.Unwritten, c.unwritten()...)
		}
	}
	if n.flushing != nil && n.underway == nil {
		m.Flush = int64(max(n.flushAt.Sub(now), 0))
	}
	for _, key := range sortedKeys(n.timers) {
		t := n.timers[key]
		m.Timers = append(m.Timers, movedTimer{Number: t.number, Body: t.body, Left: t.due.Sub(now), Period: t.period,
			Rung: slices.Contains(items, any(t))})
	}
	return m, nil
}

// appendItems writes what waits in a mailbox, in order. A Bound that is to be told again is not written: a new
// instance is told of all anyway.
func appendItems(b []byte, items []any, timers map[string]int) ([]byte, error) {
	items = slices.DeleteFunc(slices.Clone(items), func(item any) bool {
		t, isTimer := item.(*timer)
		_, isReminded := item.(*reminded)
		return isReminded || isTimer && t.ended
	})
	b = binary.AppendUvarint(b, uint64(len(items)))
	for _, item := range items {
		switch m := item.(type) {
		case *Envelope:
			b = m.Append(append(b, itemEnvelope))
		case *timer:
			b = binary.AppendUvarint(append(b, itemTimer), uint64(timers[m.key]))
		case *Unbound:
			b = appendRef(append(b, itemUnbound), m.Session)
			b = appendText(appendRef(b, m.Who), string(m.Code))
		default:
			return nil, fmt.Errorf("a %T waits in the mailbox", item)
		}
	}
	return b, nil
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// items reads what appendItems wrote. Timers are those of the actor.
func (r *reader) items(timers []*timer) (items []any, err error) {
	count := r.Count()
	for range count {
		switch what := r.Byte(); {
		case r.Torn:
		case what == itemEnvelope:
			e, rest, err := ReadEnvelope(r.B)
			if err != nil {
				return nil, err
			}
			items, r.B = append(items, e), rest
		case what == itemTimer:
			at := r.Uvarint()
			if r.Torn || at >= uint64(len(timers)) {
				return nil, errTornState
			}
			items = append(items, timers[at])
		case what == itemUnbound:
			items = append(items, &Unbound{Session: r.ref(), Who: r.ref(), Code: Code(r.Bytes())})
		default:
			return nil, errTornState
		}
		if r.Torn {
			return nil, errTornState
		}
	}
	return items, nil
}

// How cells say what of them the store is not known to have, and hear it again.

func (c *Cell[T]) unwritten() []string {
	if c.dirty || c.given {
		return []string{c.name}
	}
	return nil
}

func (c *Cell[T]) soil(string) error {
	c.dirty = true
	return nil
}

func (m *Map[K, V]) unwritten() []string {
	var parts []string
	for _, changed := range []map[K]bool{m.dirty, m.given} {
		for k := range changed {
			parts = append(parts, m.name+"/"+formatKey(k))
		}
	}
	slices.Sort(parts)
	return slices.Compact(parts)
}

func (m *Map[K, V]) soil(part string) error {
	_, text, _ := strings.Cut(part, "/")
	k, err := parseKey[K](text)
	if err != nil {
		return fmt.Errorf("actors: row %s: %w", part, err)
	}
	v := m.rows[k]
	m.dirty[k] = true
	m.waiting += len(m.name) + m.keyBytes(k) + versionBytes + m.scale.most(unsafe.Pointer(&v))
	return nil
}

func (b *box) unwritten() []string {
	if b.dirty || b.given {
		return []string{boxName}
	}
	return nil
}

func (b *box) soil(string) error {
	b.dirty = true
	return nil
}
