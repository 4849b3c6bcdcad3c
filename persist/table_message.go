package persist

import (
	"maps"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// Numbers of the questions about rows of Tables and of their answer: runtime numbers beside those of the keepers.
const (
	NumberRowAsk   = 23 // RowAsk -> RowAnswer
	NumberRowsFind = 24 // RowsFind -> RowAnswer
	NumberAnswer   = 25 // RowAnswer
)

// Messages are the questions that behaviours ask keepers by way of Tables, and their answer. They belong into every
// game's catalogue, so that they are recorded, told and replayed as its own are.
var Messages = wire.Runtime(
	wire.Internal[*RowAsk](NumberRowAsk),
	wire.Internal[*RowsFind](NumberRowsFind),
	wire.Internal[*RowAnswer](NumberAnswer),
)

// A Row is a table's row on its way: columns by name, as the texts that Values are. Those that are sensitive stand
// apart, so that recordings mask them.
type Row struct {
	Columns map[string]*string `json:"columns,omitempty"`
	Secret  map[string]*string `json:"secret,omitempty" firefly:"sensitive"`
}

// A RowAsk asks for one row, or to write it.
type RowAsk struct {
	Table string `json:"table"`
	Do    string `json:"do"`            // one of the RowDo
	Row   Row    `json:"row"`           // what is written; of a row that is only named, its key and shard
	Own   bool   `json:"own,omitempty"` // its key is from a block, or is still to be taken from one: the zero key
	Tries int    `json:"tries,omitempty"`
}

// What a RowAsk asks for.
const (
	DoGet    = "get"
	DoInsert = "insert"
	DoPut    = "put"
	DoUpdate = "update"
	DoDelete = "delete"
)

// A RowsFind asks for rows: those of a group, or those that a Query finds.
type RowsFind struct {
	Table string      `json:"table"`
	Where []FindTerm  `json:"where,omitempty"`
	Order []FindOrder `json:"order,omitempty"`
	Limit int         `json:"limit,omitempty"`
}

// A FindTerm is a Term on its way.
type FindTerm struct {
	Column string     `json:"column"`
	Op     Comparison `json:"op"`
	Value  *string    `json:"value"`
}

// A FindOrder is an Order on its way.
type FindOrder struct {
	Column  string `json:"column"`
	Falling bool   `json:"falling,omitempty"`
}

// A RowAnswer is what was asked for; of a row that was written, what the store has now.
type RowAnswer struct {
	Rows []Row `json:"rows,omitempty"`
}

// row makes a row on its way of those columns that are to be in it; nil: of all.
func (m *Mapping) row(v Values, has func(i int) bool) Row {
	var r Row
	for i, c := range m.Columns {
		if has != nil && !has(i) {
			continue
		}
		into := &r.Columns
		if c.Sensitive {
			into = &r.Secret
		}
		if *into == nil {
			*into = make(map[string]*string)
		}
		(*into)[c.Name] = v[i]
	}
	return r
}

// values takes a row on its way apart: its columns, and which of them it has. Another build of the game may have sent
// it, so it is looked over.
func (m *Mapping) values(r Row) (v Values, has []bool, err error) {
	v, has = make(Values, len(m.Columns)), make([]bool, len(m.Columns))
	all := maps.Clone(r.Columns)
	if all == nil {
		all = make(map[string]*string)
	}
	maps.Copy(all, r.Secret)
	for i, c := range m.Columns {
		text, ok := all[c.Name]
		if !ok {
			continue
		}
		if v[i], has[i] = text, true; text != nil {
			err = c.fits(*text)
		} else if !c.Null {
			err = BadValue.Refuse("it is NULL")
		}
		if err != nil {
			return nil, nil, BadValue.Refuse("%s: %v", m.at(i), err)
		}
		delete(all, c.Name)
	}
	if len(all) > 0 {
		return nil, nil, UnknownColumn.Refuse("table %s has no column %s here", m.Name, sortedFirst(all))
	}
	return v, has, nil
}

func sortedFirst(all map[string]*string) (first string) {
	for name := range all {
		if first == "" || name < first {
			first = name
		}
	}
	return first
}

// Codes of refusals about rows.
const (
	NoRow         actors.Code = "ROW_MISSING"
	RowTaken      actors.Code = "ROW_TAKEN"
	BadValue      actors.Code = "ROW_BAD_VALUE"
	BadRow        actors.Code = "ROW_UNREADABLE"
	TooManyRows   actors.Code = "ROW_TOO_MANY"
	UnknownColumn actors.Code = "ROW_NO_COLUMN"
)
