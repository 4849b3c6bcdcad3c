package hotreload

import "encoding/hex"

// An Edition is one reading of all tables of a Set. It never changes, so whoever holds it sees one
// version.
type Edition struct {
	version Digest
	sheets  map[Declared]any
	files   map[string][]byte
	hash    string
}

// Version names what the files held: nodes with the same version have the same rows.
func (e *Edition) Version() string { return e.version.String() }

// Hash is Version in full, for whoever keeps editions apart for ever: recordings do.
func (e *Edition) Hash() string { return e.hash }

// Files are the source files by name, as they were read. They are the edition's own: do not change them.
func (e *Edition) Files() map[string][]byte { return e.files }

// FromFiles makes an edition again from what Files gave: a replay reads the rows that were read then. Its Hash is that
// of the edition it came from, as long as the same tables are declared. The error says what is wrong with declarations
// or files, a line each: one that did not exist then is missing, and new rules may refuse an old row.
func FromFiles(tables []Declared, files map[string][]byte) (*Edition, error) {
	names, err := names(tables)
	if err != nil {
		return nil, err
	}
	seen := snapshotOf(names, func(name string) file {
		content, ok := files[name]
		if !ok {
			return file{unread: "the file is not there", do: "record anew with the tables of today"}
		}
		return file{content: content}
	})
	return edit(tables, seen, "(recorded)")
}

// edit reads all tables from what the files hold, or says everything that is wrong with any of
// them. The rules that look at other tables are asked once every table is sound by itself.
func edit(tables []Declared, seen snapshot, dir string) (*Edition, error) {
	e := &Edition{version: seen.digest, sheets: make(map[Declared]any, len(tables)),
		files: make(map[string][]byte, len(tables)), hash: hex.EncodeToString(seen.digest[:])}
	faults := new(Faults)
	for i, t := range tables {
		if f := seen.files[i]; f.unread != "" {
			missed := Fault{Place: Place{1, 1}, What: f.unread, Do: f.do}
			faults.add(dir, t.File(), []Fault{missed})
			continue
		}
		of, bad := t.parse(seen.files[i].content)
		faults.add(dir, t.File(), bad)
		e.sheets[t], e.files[t.File()] = of, seen.files[i].content
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
