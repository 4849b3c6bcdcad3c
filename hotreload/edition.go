package hotreload

// An Edition is one reading of all tables of a Set. It never changes, so whoever holds it sees one
// version.
type Edition struct {
	version Digest
	sheets  map[Declared]any
}

// Version names what the files held: nodes with the same version have the same rows.
func (e *Edition) Version() string { return e.version.String() }

// edit reads all tables from what the files hold, or says everything that is wrong with any of
// them. The rules that look at other tables are asked once every table is sound by itself.
func edit(tables []Declared, seen snapshot, dir string) (*Edition, error) {
	e := &Edition{version: seen.digest, sheets: make(map[Declared]any, len(tables))}
	faults := new(Faults)
	for i, t := range tables {
		if f := seen.files[i]; f.unread != "" {
			missed := Fault{Place: Place{1, 1}, What: f.unread, Do: f.do}
			faults.add(dir, t.File(), []Fault{missed})
			continue
		}
		of, bad := t.parse(seen.files[i].content)
		faults.add(dir, t.File(), bad)
		e.sheets[t] = of
	}
	if err := faults.orNil(); err != nil {
		return nil, err
	}
	for _, t := range tables {
		faults.add(dir, t.File(), t.cross(e, e.sheets[t]))
	}
	if err := faults.orNil(); err != nil {
		return nil, err
	}
	return e, nil
}
