package hotreload

import (
	"fmt"
	"reflect"
)

// A sheet is what one file said: rows in its order. It never changes after it was read.
type sheet[K comparable, Row any] struct {
	index  map[K]int
	keys   []K
	rows   []Row
	places []Place // where each row begins, for rules that complain about it
}

// parse reads a whole file, or says everything that is wrong with it.
func (t *Table[K, Row]) parse(content []byte) (any, []Fault) {
	p := paper{content: content}
	if p.unreadable() {
		return nil, p.faults
	}
	records := t.format.read(&p, t.form)
	if len(records) == 0 && len(p.faults) == 0 {
		p.fault(Place{1, 1}, "the table has no rows",
			"write at least one row, or take the table out of the game")
	}
	s := &sheet[K, Row]{index: make(map[K]int, len(records))}
	for _, r := range records {
		t.add(&p, s, r)
	}
	if len(p.faults) > 0 {
		return nil, p.faults
	}
	return s, nil
}

// add binds one record to a Row, names it by its key and holds it against the rules.
func (t *Table[K, Row]) add(p *paper, s *sheet[K, Row], r value) {
	var row Row
	if !p.bind(t.form, r, reflect.ValueOf(&row).Elem(), "the row") {
		return
	}
	var k K
	err := guarded(func() error {
		k = t.key(row)
		return nil
	})
	if err != nil {
		p.fault(r.at, err.Error(), "mend the table's key function")
		return
	}
	if first, twice := s.index[k]; twice {
		name, line := quoted(fmt.Sprint(k)), s.places[first].Line
		p.fault(r.at, fmt.Sprintf("key %s is taken by line %d", name, line),
			"keep one of the two rows")
		return
	}
	s.index[k] = len(s.rows)
	s.keys, s.rows, s.places = append(s.keys, k), append(s.rows, row), append(s.places, r.at)
	for _, rule := range t.checks {
		if err := guarded(func() error { return rule(row) }); err != nil {
			p.fault(r.at, err.Error(), "")
		}
	}
}

// cross holds every row against the rules that look at other tables.
func (t *Table[K, Row]) cross(e *Edition, of any) []Fault {
	s, p := of.(*sheet[K, Row]), paper{}
	for i, row := range s.rows {
		for _, rule := range t.across {
			if err := guarded(func() error { return rule(e, row) }); err != nil {
				p.fault(s.places[i], err.Error(), "")
			}
		}
	}
	return p.faults
}

// guarded calls the game's own code, whose panic must not end a node that was only asked to look at
// a file.
func guarded(rule func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the game's rule panicked: %v", r)
		}
	}()
	return rule()
}
