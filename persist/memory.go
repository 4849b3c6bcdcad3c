package persist

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/fireflyrt/firefly/actors"
)

// Memory is a Database that ends with its process, for tests and Worlds. It never blocks.
type Memory struct {
	mu     sync.Mutex
	tables map[actors.KindName]map[string]map[string]Part // by kind, id, part
	due    map[actors.KindName]map[rowKey]Due             // rows with something in due_at
	fences map[fenceKey]Fence
	rows   map[string]map[string]Values // of Tables, by table and key
	ids    map[string]uint64            // the next of each Table
}

type rowKey struct{ id, part string }

type fenceKey struct {
	role  string
	shard int
}

// NewMemory makes an empty one.
func NewMemory() *Memory {
	return &Memory{
		tables: make(map[actors.KindName]map[string]map[string]Part),
		due:    make(map[actors.KindName]map[rowKey]Due),
		fences: make(map[fenceKey]Fence),
		rows:   make(map[string]map[string]Values),
		ids:    make(map[string]uint64),
	}
}

// Migrate implements Database.
func (m *Memory) Migrate(_ context.Context, s Schema) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range s.Kinds {
		if _, err := tableName(k); err != nil {
			return err
		}
		if m.tables[k] == nil {
			m.tables[k] = make(map[string]map[string]Part)
		}
	}
	m.makeTables(s.Tables)
	return nil
}

// Raise implements Database.
func (m *Memory) Raise(_ context.Context, claims []Claim) ([]uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	numbers := make([]uint64, len(claims))
	for i, c := range claims {
		if c.Keeper != (Fence{}) && m.fences[fenceKey{KeeperRole, c.Shard}] != c.Keeper {
			continue
		}
		key := fenceKey{c.Role, c.Shard}
		numbers[i] = m.fences[key].Epoch + 1
		m.fences[key] = Fence{Epoch: numbers[i], Holder: c.Holder}
	}
	return numbers, nil
}

// Load implements Database.
func (m *Memory) Load(_ context.Context, ref actors.Ref) ([]Part, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	table, ok := m.tables[ref.Kind]
	if !ok {
		return nil, fmt.Errorf("persist: load %s: no table: %w", ref, ErrRejected)
	}
	parts := make([]Part, 0, len(table[ref.ID]))
	for _, p := range table[ref.ID] {
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(a, b Part) int { return strings.Compare(a.Name, b.Name) })
	return parts, nil
}

// Write implements Database.
func (m *Memory) Write(_ context.Context, b Batch) ([]Outcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.tables[b.Kind]; !ok {
		return nil, fmt.Errorf("persist: write %s: no table: %w", b.Kind, ErrRejected)
	}
	for _, c := range b.Changes {
		for _, p := range c.Parts {
			if len(p.Name) > MaxPart || len(c.ID) > MaxPart {
				return nil, fmt.Errorf("persist: write %s/%s: key too long: %w",
					b.Kind, c.ID, ErrRejected)
			}
		}
	}
	outcomes := make([]Outcome, len(b.Changes))
	for i, c := range b.Changes {
		switch {
		case !m.holds(KeeperRole, c.Shard, c.Keeper):
			outcomes[i] = KeeperFenced
		case !m.holds(b.Role, c.Shard, c.Owner):
			outcomes[i] = OwnerFenced
		default:
			m.put(b, c)
			outcomes[i] = Written
		}
	}
	return outcomes, nil
}

// holds: a fence that was never raised is nobody's.
func (m *Memory) holds(role string, shard int, f Fence) bool {
	return f.Epoch != 0 && m.fences[fenceKey{role, shard}] == f
}

func (m *Memory) put(b Batch, c Change) {
	table := m.tables[b.Kind]
	rows := table[c.ID]
	if rows == nil {
		rows = make(map[string]Part)
		table[c.ID] = rows
	}
	if whole := rows[""]; !newer(c.Owner.Epoch, c.Version(), whole.Epoch, whole.Version) {
		return // nor a part of it that is not there
	}
	for _, p := range c.Parts {
		p.Epoch = c.Owner.Epoch
		if old := rows[p.Name]; newer(p.Epoch, p.Version, old.Epoch, old.Version) {
			p.Data, p.Box = slices.Clone(p.Data), slices.Clone(p.Box)
			rows[p.Name] = p
			m.note(b.Kind, Due{At: dueAt(p, b.At), ID: c.ID, Part: p.Name, Shard: c.Shard,
				Epoch: p.Epoch, Version: p.Version})
		}
	}
}

// note remembers when a row is due, which a table would have an index for.
func (m *Memory) note(kind actors.KindName, d Due) {
	if m.due[kind] == nil {
		m.due[kind] = make(map[rowKey]Due)
	}
	if key := (rowKey{d.ID, d.Part}); d.At == 0 {
		delete(m.due[kind], key)
	} else {
		m.due[kind][key] = d
	}
}

// Due implements Database.
func (m *Memory) Due(_ context.Context, q Search) ([]Due, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.tables[q.Kind]; !ok {
		return nil, fmt.Errorf("persist: search %s: no table: %w", q.Kind, ErrRejected)
	}
	var found []Due
	for _, d := range m.due[q.Kind] {
		if d.At <= q.Until && d.compare(q.After) > 0 && (d.Part != "") == q.Tombs &&
			slices.Contains(q.Shards, d.Shard) {
			found = append(found, d)
		}
	}
	slices.SortFunc(found, Due.compare)
	return found[:min(len(found), q.Limit)], nil
}

// Purge implements Database.
func (m *Memory) Purge(_ context.Context, kind actors.KindName, tombs []Tomb) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	purged := 0
	for _, t := range tombs {
		p, is := m.tables[kind][t.ID][t.Part]
		if is && t.Part != "" && p.Data == nil && p.Epoch == t.Epoch && p.Version == t.Version &&
			m.holds(KeeperRole, t.Shard, t.Keeper) {
			delete(m.tables[kind][t.ID], t.Part)
			delete(m.due[kind], rowKey{t.ID, t.Part})
			purged++
		}
	}
	return purged, nil
}

// Level implements Database.
func (m *Memory) Level(context.Context) (string, error) {
	return "memory: nothing outlives the process", nil
}

// Close implements Database.
func (m *Memory) Close() error { return nil }
