package persist

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"unsafe"

	"github.com/fireflyrt/firefly/actors"
)

// A Table is an existing SQL table whose rows are objects of the whole cluster: whoever asks for a row, in whatever
// process, reaches the one keeper that has it, so that nobody's update is lost. Each column that the game uses is a
// field of Row:
//
//	type Score struct {
//		Who    string `db:"who,key"`
//		Sparks int64  `db:"sparks"`
//	}
//
//	var scores = persist.NewTable[Score]("score")
//
// A field is a bool, an integer, a float, a string, []byte or time.Time (UTC, microseconds), a pointer to one of
// them where the column may be NULL, or of any type with `db:"column,json"`. One field is the key, the table's
// primary key. Rows with the same value of the shard column (`db:"guild,shard"`; it is the key unless said
// otherwise) are kept by one keeper; key and shard column of a row cannot be updated. A text tagged
// `firefly:"sensitive"` is masked in recordings.
//
// The methods are questions for actors.Then and actors.Reply. The answer to one that writes means that the row is
// durable; what the answer holds is the row as the store has it, with its defaults and roundings. Questions about
// one row are done in the order in which they reach its keeper. There are no transactions over several rows.
//
// The game is the only one that writes to the rows that it uses: what others write to them is seen only when the
// keepers' caches have forgotten them. The table is to be in the App (node.Module.SQLTables); every node that has
// the role persist compares it with the database when it starts.
type Table[R any] struct {
	m      *Mapping
	fields []field
	err    error
}

// A Declared is a Table without its row's type, as an App lists it.
type Declared interface {
	// Mapping is what the table is mapped to, or everything that is wrong with its declaration.
	Mapping() (*Mapping, error)
}

// NewTable maps a table to a struct. What is wrong with the struct is told when the App is built.
func NewTable[R any](name string) *Table[R] {
	t := new(Table[R])
	if t.m, t.fields, t.err = mappingOf[R](name); t.err != nil {
		t.err = fmt.Errorf("persist: %w", t.err)
	}
	return t
}

// Mapping implements Declared.
func (t *Table[R]) Mapping() (*Mapping, error) { return t.m, t.err }

// Get asks for the row with the key (and the shard value) that row has; its other fields are not looked at. A row
// that is not there is refused with ROW_MISSING.
func (t *Table[R]) Get(row R) actors.Pending[R] { return t.one(DoGet, row, t.named) }

// Group asks for all rows with the shard value that row has, in the order of their keys: exactly those that are
// there. More than Limits.AnswerRows are refused with ROW_TOO_MANY.
func (t *Table[R]) Group(row R) actors.Pending[[]R] {
	v, err := t.values(row, func(i int) bool { return i == t.m.Shard })
	if err != nil {
		return failed[[]R](err)
	}
	m := t.m
	return t.many(m.home(*v[m.Shard]), &RowsFind{Table: m.Name,
		Where: []FindTerm{{m.Columns[m.Shard].Name, Equal, v[m.Shard]}},
		Order: []FindOrder{{Column: m.Columns[m.Key].Name}}})
}

// Find asks the store for rows. It finds all that was durable when it was asked, and nothing that never will be.
// More than Limits.AnswerRows are refused with ROW_TOO_MANY. A column by which much is found wants an index of the
// game's own.
func (t *Table[R]) Find(q Query) actors.Pending[[]R] {
	if t.err != nil {
		return failed[[]R](t.err)
	}
	f := &RowsFind{Table: t.m.Name, Limit: q.Limit}
	if q.Limit < 0 {
		return failed[[]R](BadValue.Refuse("table %s: a limit of %d", t.m.Name, q.Limit))
	}
	for _, w := range q.Where {
		term, err := t.term(w)
		if err != nil {
			return failed[[]R](err)
		}
		f.Where = append(f.Where, term)
	}
	for _, o := range q.Order {
		if t.m.column(o.column) < 0 {
			return failed[[]R](t.unknown(o.column))
		}
		f.Order = append(f.Order, FindOrder{o.column, o.falling})
	}
	return t.many(t.m.home(hashed(f)), f)
}

// Insert writes a new row. One whose key is there is refused with ROW_TAKEN. If the key is an integer and zero, the
// row gets one that no row has had before; the answer has it.
func (t *Table[R]) Insert(row R) actors.Pending[R] { return t.one(DoInsert, row, nil) }

// Put writes a row, whether it is there or not.
func (t *Table[R]) Put(row R) actors.Pending[R] { return t.one(DoPut, row, nil) }

// Update writes the named columns of a row that is there, and leaves the others as they are; a row that is not there is
// refused with ROW_MISSING. Updates of different columns of one row all last, whoever sends them.
func (t *Table[R]) Update(row R, columns ...string) actors.Pending[R] {
	if t.err != nil {
		return failed[R](t.err)
	}
	for _, name := range columns {
		switch i := t.m.column(name); {
		case i < 0:
			return failed[R](t.unknown(name))
		case i == t.m.Key || i == t.m.Shard:
			return failed[R](BadValue.Refuse("%s: key and shard column are what a row is, and cannot be updated",
				t.m.at(i)))
		}
	}
	if len(columns) == 0 {
		return failed[R](BadValue.Refuse("table %s: an update names the columns that it writes", t.m.Name))
	}
	return t.one(DoUpdate, row, func(i int) bool { return t.named(i) || slices.Contains(columns, t.m.Columns[i].Name) })
}

// Delete deletes the row with the key (and the shard value) that row has. One that is not there is refused with
// ROW_MISSING. The answer is the row as it was.
func (t *Table[R]) Delete(row R) actors.Pending[R] { return t.one(DoDelete, row, t.named) }

// named reports whether a column is one of those that name a row.
func (t *Table[R]) named(i int) bool { return i == t.m.Key || i == t.m.Shard }

func (t *Table[R]) unknown(column string) error {
	return UnknownColumn.Refuse("table %s has no column %.80q in %T", t.m.Name, column, *new(R))
}

// failed is a question that fails without being asked.
func failed[A any](err error) actors.Pending[A] {
	return actors.Work(func() (none A, _ error) { return none, err })
}

// one asks about one row.
func (t *Table[R]) one(do string, row R, has func(i int) bool) actors.Pending[R] {
	v, err := t.values(row, has)
	if err != nil {
		return failed[R](err)
	}
	if n := v.bytes(); n > maxRow {
		return failed[R](actors.TooBig.Refuse("a row of table %s with %d bytes, the bound is %d", t.m.Name, n, maxRow))
	}
	ask := &RowAsk{Table: t.m.Name, Do: do, Row: t.m.row(v, has)}
	home := t.m.home(*v[t.m.Shard])
	if do == DoInsert && t.m.hasZeroKey(v) {
		ask.Own = true
		if t.m.Shard == t.m.Key { // its home is known when its key is; until then any keeper will do
			home = t.m.home(hashed(ask.Row))
		}
	}
	return actors.Convert(actors.Ask[*RowAnswer](home, ask), func(a *RowAnswer) (R, error) {
		var none R
		rows, err := t.rows(a)
		if err != nil || len(rows) == 0 {
			return none, err
		}
		return rows[0], nil
	})
}

// many asks for rows.
func (t *Table[R]) many(home actors.Ref, f *RowsFind) actors.Pending[[]R] {
	return actors.Convert(actors.Ask[*RowAnswer](home, f), t.rows)
}

func (m *Mapping) hasZeroKey(v Values) bool {
	c := m.Columns[m.Key]
	return (c.Type == Int || c.Type == Uint) && *v[m.Key] == "0"
}

// values reads columns out of a row; nil: all of them.
func (t *Table[R]) values(row R, has func(i int) bool) (v Values, err error) {
	if t.err != nil {
		return nil, t.err
	}
	v = make(Values, len(t.fields))
	for i, f := range t.fields {
		if has != nil && !has(i) {
			continue
		}
		if v[i], err = f.read(unsafe.Pointer(&row)); err != nil {
			return nil, BadValue.Refuse("%s: %v", t.m.at(i), err)
		}
	}
	return v, nil
}

// rows makes the rows of an answer.
func (t *Table[R]) rows(a *RowAnswer) ([]R, error) {
	if a == nil {
		return nil, nil
	}
	rows := make([]R, len(a.Rows))
	for n, r := range a.Rows {
		for i, f := range t.fields {
			from := r.Columns
			if t.m.Columns[i].Sensitive {
				from = r.Secret
			}
			text, ok := from[t.m.Columns[i].Name]
			if !ok {
				return nil, BadRow.Refuse("%s: its keeper does not know the column", t.m.at(i))
			}
			if err := f.write(unsafe.Pointer(&rows[n]), text); err != nil {
				return nil, BadRow.Refuse("%s: %v", t.m.at(i), err)
			}
		}
	}
	return rows, nil
}

// term puts a term's value into words.
func (t *Table[R]) term(w Term) (FindTerm, error) {
	i := t.m.column(w.column)
	if i < 0 {
		return FindTerm{}, t.unknown(w.column)
	}
	f := FindTerm{Column: w.column, Op: w.op}
	if w.value == nil {
		if w.op != Equal && w.op != Unequal {
			return f, BadValue.Refuse("%s: NULL is not %s anything", t.m.at(i), w.op)
		}
		return f, nil
	}
	text, err := t.m.Columns[i].given(w.value)
	if err != nil {
		return f, BadValue.Refuse("%s: %v", t.m.at(i), err)
	}
	f.Value = &text
	return f, nil
}

// home names the keeper of all rows with a shard value. Rows' homes are not known by number, because how many shards
// there are is the cluster's affair.
func (m *Mapping) home(shard string) actors.Ref {
	ref := KeeperKind.Ref(m.Name + "/" + shard)
	if ref.Check() != nil {
		sum := sha256.Sum256([]byte(shard))
		ref.ID = m.Name + "/" + hex.EncodeToString(sum[:])
	}
	return ref
}

// hashed spreads what may be asked of any keeper over all of them; the same of the same.
func hashed(message any) string {
	text, err := json.Marshal(message)
	if err != nil {
		return "" // names and texts: it has none
	}
	h := fnv.New64a()
	h.Write(text)
	return strconv.FormatUint(h.Sum64(), 36)
}
