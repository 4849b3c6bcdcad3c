package actors

import (
	"encoding/json"
	"unsafe"
)

// This file is how cells say what a change would hold of them.

// encodedSize is what versioned contents are, in bytes; what cannot be encoded cannot be written either.
func encodedSize(version int, contents any) int {
	raw, err := versioned(version, contents)
	if err != nil {
		return 0
	}
	return len(raw)
}

// A cell of one value is in every change, whoever has edited it.
func (c *Cell[T]) estimate(*entity) int {
	if c.size > 0 {
		return c.size
	}
	return len(c.name) + versionBytes + c.scale.most(unsafe.Pointer(&c.now))
}
func (c *Cell[T]) measure(*entity) int {
	if c.size == 0 {
		c.size = len(c.name) + len(`"":,`) + encodedSize(c.version, c.now)
	}
	return c.size
}
func (c *Cell[T]) measureTurn(n *entity) int { return c.measure(n) }

func (m *Map[K, V]) estimate(n *entity) int {
	rows := len(m.dirty) + len(m.given) // those of both count twice
	return m.edited + m.waiting + m.sent + rows*(partBytes+len(n.ref.ID))
}

// measure encodes each row that has changed since it was measured, and so knows the bounds better.
func (m *Map[K, V]) measure(n *entity) int {
	if m.sizes == nil {
		m.sizes = make(map[K]int, len(m.dirty)+len(m.given))
	}
	waiting, sent, both := 0, 0, 0
	for k := range m.dirty {
		waiting += m.measureRow(k)
	}
	for k := range m.given {
		size := m.measureRow(k)
		if sent += size; m.dirty[k] {
			both += size + partBytes + len(n.ref.ID)
		}
	}
	m.edited, m.waiting, m.sent = 0, waiting, sent
	return m.estimate(n) - both
}

func (m *Map[K, V]) measureRow(k K) int {
	size, known := m.sizes[k]
	if known {
		return size
	}
	size = len(m.name) + len(`/`) + len(formatKey(k))
	if v, ok := m.rows[k]; ok {
		size += encodedSize(m.version, v)
	}
	m.sizes[k] = size
	return size
}

func (m *Map[K, V]) measureTurn(n *entity) (sum int) {
	if m.sizes == nil {
		m.sizes = map[K]int{}
	}
	seen := make(map[K]bool, len(m.log))
	for _, b := range m.log {
		if !seen[b.key] {
			seen[b.key] = true
			sum += partBytes + len(n.ref.ID) + m.measureRow(b.key)
		}
	}
	return sum
}

func (m *Map[K, V]) keyBytes(k K) int {
	if m.textual {
		return len(formatKey(k))
	}
	return 24 // digits of a number
}

func (b *box) estimate(*entity) int {
	c := b.now
	things := len(c.Out) + len(c.In) + len(c.Twice) + len(c.Due)
	for _, had := range c.In {
		things += len(had.Refused)
	}
	kept := 0
	for _, a := range c.Asked {
		things += 1 + len(a.Kept)
		for _, r := range a.Kept {
			kept += len(r.Body)
		}
	}
	return (things+1)*noticeBytes + textFactor*(c.bytes()+kept) + versionBytes
}

func (b *box) measure(*entity) int {
	raw, err := json.Marshal(b.now)
	if err != nil {
		return 0
	}
	return len(raw)
}

func (b *box) measureTurn(n *entity) int { return b.measure(n) }
