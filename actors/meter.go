package actors

import (
	"cmp"
	"maps"
	"math/bits"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A meter counts what handlers do, by kind and number. Its lines are made at start; counting never locks.
type meter struct {
	lines map[meterKey]*meterLine
}

type meterKey struct {
	kind   KindName
	number uint32
}

// A meterLine keeps durations in buckets of an eighth of a power of two of microseconds: 9 % wide.
type meterLine struct {
	name    string
	count   atomic.Uint64
	errors  atomic.Uint64
	max     atomic.Int64
	buckets [bucketCount]atomic.Uint64
}

const bucketCount = 8 * 33 // up to two hours

func newMeter(kinds map[KindName]*kind) *meter {
	m := &meter{lines: map[meterKey]*meterLine{}}
	for name, k := range kinds {
		if k.table == nil {
			continue
		}
		for number, e := range k.table.byNumber {
			m.lines[meterKey{name, number}] = &meterLine{name: e.line.Name}
		}
	}
	return m
}

func (m *meter) count(k KindName, t *wire.Type, took time.Duration, failed bool) {
	l := m.lines[meterKey{k, t.Number}]
	if l == nil {
		return
	}
	l.count.Add(1)
	if failed {
		l.errors.Add(1)
	}
	l.buckets[bucketOf(took)].Add(1)
	for old := l.max.Load(); int64(took) > old && !l.max.CompareAndSwap(old, int64(took)); old = l.max.Load() {
	}
}

func bucketOf(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	if us < 8 {
		return int(us)
	}
	power := bits.Len64(us) - 4 // the leading bit and three more
	return min(8*power+int(us>>power), bucketCount-1)
}

func bucketTop(i int) time.Duration {
	if i < 16 {
		return time.Duration(i+1) * time.Microsecond
	}
	power := i/8 - 1
	return time.Duration((i-8*power)+1) << power * time.Microsecond
}

func (l *meterLine) quantile(q float64) time.Duration {
	var total uint64
	for i := range l.buckets {
		total += l.buckets[i].Load()
	}
	rank, seen := uint64(q*float64(total)), uint64(0)
	for i := range l.buckets {
		if seen += l.buckets[i].Load(); seen > rank {
			return min(bucketTop(i), time.Duration(l.max.Load()))
		}
	}
	return time.Duration(l.max.Load())
}

// A NumberReport is what became of the messages of one number at one kind, since the node's start.
type NumberReport struct {
	Number uint32
	Name   string
	Kind   KindName
	Count  uint64
	Errors uint64 // failures of ours and unreadable bodies, not refusals
	P50    time.Duration
	P99    time.Duration
	Max    time.Duration
}

func (m *meter) report() []NumberReport {
	var all []NumberReport
	for key, l := range m.lines {
		if l.count.Load() == 0 {
			continue
		}
		all = append(all, NumberReport{Number: key.number, Name: l.name, Kind: key.kind, Count: l.count.Load(),
			Errors: l.errors.Load(), P50: l.quantile(0.5), P99: l.quantile(0.99), Max: time.Duration(l.max.Load())})
	}
	slices.SortFunc(all, func(a, b NumberReport) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
