package main

import (
	"database/sql"
	"encoding/json"
	"strings"
	"testing"

	_ "modernc.org/sqlite"
)

// A vault reads the store itself, past everything that is tested.
type vault struct {
	t  *testing.T
	db *sql.DB
}

func openVault(t *testing.T, driver, dsn string) *vault {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &vault{t, db}
}

// A row is one part of an entity as the store has it.
type row struct {
	id, part       string
	shard          int
	epoch, version uint64
	data, box      string // JSON; "" for NULL, which as data is a tombstone
}

// rows reads a kind's table in one statement: all of it as it was at one moment.
func (v *vault) rows(kind string) ([]row, error) {
	found, err := v.db.Query("SELECT id, part, shard, epoch, version, COALESCE(data, ''), COALESCE(box, '')" +
		" FROM state_" + kind + " ORDER BY id, part")
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var all []row
	for found.Next() {
		var r row
		if err := found.Scan(&r.id, &r.part, &r.shard, &r.epoch, &r.version, &r.data, &r.box); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, found.Err()
}

// mustRows is rows of a store that is there.
func (v *vault) mustRows(kind string) []row {
	v.t.Helper()
	all, err := v.rows(kind)
	if err != nil {
		v.t.Fatal(err)
	}
	return all
}

// fences are the numbers of a role's owners by shard.
func (v *vault) fences(role string) map[int]uint64 {
	v.t.Helper()
	found, err := v.db.Query("SELECT shard, epoch FROM firefly_fence WHERE role = ?", role)
	if err != nil {
		v.t.Fatal(err)
	}
	defer found.Close()
	all := map[int]uint64{}
	for found.Next() {
		var shard int
		var epoch uint64
		if err := found.Scan(&shard, &epoch); err != nil {
			v.t.Fatal(err)
		}
		all[shard] = epoch
	}
	if err := found.Err(); err != nil {
		v.t.Fatal(err)
	}
	return all
}

// read reads what is stored with its version: {"v":1,"d":...}.
func read(t *testing.T, r row, text []byte, into any) {
	t.Helper()
	var versioned struct {
		D json.RawMessage `json:"d"`
	}
	if err := json.Unmarshal(text, &versioned); err != nil {
		t.Fatalf("%s %q holds %s: %v", r.id, r.part, text, err)
	}
	if err := json.Unmarshal(versioned.D, into); err != nil {
		t.Fatalf("%s %q holds %s: %v", r.id, r.part, text, err)
	}
}

// cell reads a flat cell out of an entity's own part.
func cell(t *testing.T, r row, name string, into any) {
	t.Helper()
	var cells map[string]json.RawMessage
	if err := json.Unmarshal([]byte(r.data), &cells); err != nil {
		t.Fatalf("%s holds %s: %v", r.id, r.data, err)
	}
	read(t, r, cells[name], into)
}

// A stored ledger is what the tables say of one.
type storedLedger struct {
	page  Page
	lines map[string]int // by number
	copy  Tally
}

// ledgers reads all of them, as they were at one moment.
func (v *vault) ledgers() (map[string]*storedLedger, error) {
	all, err := v.rows(string(LedgerKind))
	if err != nil {
		return nil, err
	}
	found := map[string]*storedLedger{}
	for _, r := range all {
		l := found[r.id]
		if l == nil {
			l = &storedLedger{lines: map[string]int{}}
			found[r.id] = l
		}
		line, isLine := strings.CutPrefix(r.part, "lines/")
		switch {
		case r.data == "": // deleted: its turn was undone
		case r.part == "":
			cell(v.t, r, "page", &l.page)
		case isLine:
			times := 0
			read(v.t, r, []byte(r.data), &times)
			l.lines[line] = times
		default:
			read(v.t, r, []byte(r.data), &l.copy)
		}
	}
	return found, nil
}
