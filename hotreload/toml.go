package hotreload

import (
	"errors"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

var tomlFormat = format{tag: "toml", nests: true, read: readTOML}

const tomlShape = "a table is [[row]] after [[row]] under one name, with name = value lines"

// readTOML reads one array of tables. The decoder says whether the file is TOML at all; the parser
// knows where everything stands.
func readTOML(p *paper, _ *form) []value {
	var whole map[string]any
	if err := toml.Unmarshal(p.content, &whole); err != nil {
		p.tomlFault(err)
		return nil
	}
	r := tomlReader{paper: p}
	r.parser.Reset(p.content)
	for r.parser.NextExpression() {
		r.expression(r.parser.Expression())
	}
	if err := r.parser.Error(); err != nil {
		p.tomlFault(err)
	}
	return r.rows
}

func (p *paper) tomlFault(err error) {
	at := Place{1, 1}
	if where := (*toml.DecodeError)(nil); errors.As(err, &where) {
		at = p.placeOf(where.Position())
	}
	what := "this is not TOML: " + strings.TrimPrefix(err.Error(), "toml: ")
	p.fault(at, what, "mend it here or just before")
}

type tomlReader struct {
	paper  *paper
	parser unstable.Parser
	name   string // of the array
	rows   []value
	lost   bool // within something that is no row, which was said
}

// expression takes one line: a [[row]] or a field of the last one.
func (r *tomlReader) expression(e *unstable.Node) {
	name, at := r.key(e)
	switch {
	case e.Kind == unstable.ArrayTable && r.isRow(name):
		r.name, r.lost = name, false
		r.rows = append(r.rows, value{at: at, sort: record})
	case e.Kind == unstable.KeyValue && r.lost:
	case e.Kind == unstable.KeyValue && len(r.rows) > 0:
		row := &r.rows[len(r.rows)-1]
		row.fields = append(row.fields, named{name, at, r.value(e.Value(), at)})
	default:
		r.lost = true
		r.paper.fault(at, quoted(name)+" belongs to no row", tomlShape)
	}
}

// isRow tells the array's own name, which the first one sets, from others.
func (r *tomlReader) isRow(name string) bool {
	return r.name == name || r.name == "" && !strings.Contains(name, ".")
}

// key is the dotted name of an expression and where it begins.
func (r *tomlReader) key(e *unstable.Node) (string, Place) {
	var parts []string
	at := Place{1, 1}
	for keys := e.Key(); keys.Next(); {
		if k := keys.Node(); len(parts) == 0 {
			at = r.paper.place(int(k.Raw.Offset))
		}
		parts = append(parts, string(keys.Node().Data))
	}
	return strings.Join(parts, "."), at
}

// value reads what stands behind the equals sign. A value of which the parser does not tell the
// place has its key's.
func (r *tomlReader) value(n *unstable.Node, at Place) value {
	if n.Raw.Length > 0 {
		at = r.paper.place(int(n.Raw.Offset))
	}
	v := value{at: at, text: string(n.Data)}
	switch n.Kind {
	case unstable.Array:
		v.sort = list
		for items := n.Children(); items.Next(); {
			v.list = append(v.list, r.value(items.Node(), at))
		}
	case unstable.InlineTable:
		v.sort = record
		for fields := n.Children(); fields.Next(); {
			name, at := r.key(fields.Node())
			v.fields = append(v.fields, named{name, at, r.value(fields.Node().Value(), at)})
		}
	case unstable.Integer, unstable.Float:
		v.sort, v.text = number, strings.ReplaceAll(v.text, "_", "")
	case unstable.Bool:
		v.sort = boolean
	default:
		v.sort = text
	}
	return v
}
