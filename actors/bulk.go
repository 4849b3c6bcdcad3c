package actors

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// This file brings stored contents up to date without the actors that they are of: it runs the steps of cells (From)
// and nothing else of a behaviour.

// A storedForm is what must be known of a stored cell to read its contents without an instance.
type storedForm struct {
	inRows  bool
	version int
	steps   []Migration
	fits    func(plain json.RawMessage) error // reports whether this build's type takes the contents
}

// storing notes, while probing, how a cell is stored, if it is. A type with an index may be carried elsewhere: the tag
// says something where the cell is stored.
func storing[T any](p *Props, cell string, inRows, stored bool, steps []Migration) {
	if !stored {
		return
	}
	p.table.forms[cell] = storedForm{inRows, currentVersion(steps), steps, func(plain json.RawMessage) error {
		return json.Unmarshal(plain, new(T))
	}}
	p.checkIndexes(cell, reflect.TypeFor[T](), inRows)
}

// Migrates reports whether any cell of the kind has steps, so that stored contents may be older than this build's.
func (s *System) Migrates(k KindName) bool {
	if !s.Keeps(k) {
		return false
	}
	for _, f := range s.kinds[k].table.forms {
		if len(f.steps) > 0 {
			return true
		}
	}
	return false
}

// UpToDate takes the stored contents of one part of an entity of a kind through the steps that they have not been
// through, as loading does, and reports whether there were any. The part is named as in the store: "" for the flat
// cells, cell/key for a row. Cells that this build does not know stay as they are. The error names the cell; nothing is
// changed then. It may be called from many goroutines at once; a step that panics is an error.
func (s *System) UpToDate(k KindName, part string, stored json.RawMessage) (now json.RawMessage, changed bool,
	err error,
) {
	if !s.Keeps(k) {
		return nil, false, fmt.Errorf("actors: migrate %s: this build knows no such kind that keeps anything", k)
	}
	forms := s.kinds[k].table.forms
	if part == "" {
		return upToDateCells(forms, stored)
	}
	cell, _, _ := strings.Cut(part, "/")
	f, known := forms[cell]
	if !known || !f.inRows {
		return stored, false, nil
	}
	return f.upToDate("row "+part, stored)
}

func upToDateCells(forms map[string]storedForm, stored json.RawMessage) (now json.RawMessage, changed bool, err error) {
	var cells map[string]json.RawMessage
	if err := json.Unmarshal(stored, &cells); err != nil {
		return nil, false, fmt.Errorf("actors: migrate the cells: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(cells)) {
		f, known := forms[name]
		if !known || f.inRows {
			continue
		}
		next, isNew, err := f.upToDate("cell "+name, cells[name])
		if err != nil {
			return nil, false, err
		}
		cells[name], changed = next, changed || isNew
	}
	if !changed {
		return stored, false, nil
	}
	now, err = json.Marshal(cells)
	return now, true, err
}

func (f storedForm) upToDate(what string, raw json.RawMessage) (now json.RawMessage, changed bool, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("panic: %v", reason)
		}
		if err != nil {
			now, changed, err = nil, false, fmt.Errorf("actors: migrate %s: %w", what, err)
		}
	}()
	var s storedCell
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, false, err
	}
	if s.Version == f.version {
		return raw, false, nil
	}
	plain, err := upToDate(raw, f.version, f.steps)
	if err == nil {
		err = f.fits(plain)
	}
	if err != nil {
		return nil, false, err
	}
	now, err = json.Marshal(storedCell{f.version, plain})
	return now, true, err
}
