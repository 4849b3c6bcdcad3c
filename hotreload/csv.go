package hotreload

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A format reads a file's records; what is wrong goes to the paper.
type format struct {
	tag   string // the struct tag that names columns
	nests bool   // a field may be a record or a list
	read  func(p *paper, f *form) []value
}

var csvFormat = format{tag: "csv", read: readCSV}

// readCSV reads a header line and records under it. Every line counts its own cells, so that one
// short line is one fault.
func readCSV(p *paper, f *form) []value {
	r := csv.NewReader(bytes.NewReader(p.content))
	r.FieldsPerRecord = -1
	header, err := r.Read()
	if err != nil {
		p.csvFault(err)
		return nil
	}
	p.checkHeader(r, header, f)
	var records []value
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return records
		}
		if err != nil {
			p.csvFault(err)
			return records
		}
		line, col := r.FieldPos(0)
		at := p.placeOf(line, col)
		if len(cells) != len(header) {
			what := "the row has %s, the header has %d"
			p.fault(at, fmt.Sprintf(what, count(len(cells), "cell"), len(header)),
				`put a cell that holds a comma in "quotes"`)
			continue
		}
		records = append(records, p.csvRecord(r, f, at, header, cells))
	}
}

func (p *paper) csvRecord(r *csv.Reader, f *form, at Place, header, cells []string) value {
	v := value{at: at, sort: record, whole: true}
	for i, c := range cells {
		if _, known := f.column(header[i]); known {
			at := p.placeOf(r.FieldPos(i))
			v.fields = append(v.fields, named{header[i], at, value{at: at, sort: cell, text: c}})
		}
	}
	return v
}

// checkHeader says once what would otherwise be wrong in every row.
func (p *paper) checkHeader(r *csv.Reader, header []string, f *form) {
	seen := make(map[string]bool, len(header))
	for i, name := range header {
		at := p.placeOf(r.FieldPos(i))
		if _, known := f.column(name); !known {
			do := "the columns are " + f.names()
			if strings.ContainsAny(name, ";\t") {
				do = "separate columns by commas; " + do
			}
			p.fault(at, "column "+quoted(name)+" is unknown", do)
		} else if seen[name] {
			p.fault(at, "column "+quoted(name)+" stands here twice", "keep one")
		}
		seen[name] = true
	}
	for _, c := range f.columns {
		if !seen[c.name] && !c.optional {
			p.fault(Place{1, 1}, "column "+quoted(c.name)+" is missing",
				"add it to the header and to every row")
		}
	}
}

// csvFault says what the CSV reader could not get past: quotes.
func (p *paper) csvFault(err error) {
	var broken *csv.ParseError
	if !errors.As(err, &broken) {
		p.fault(Place{1, 1}, err.Error(), "")
		return
	}
	at := p.placeOf(broken.Line, broken.Column)
	if broken.StartLine < broken.Line {
		at = p.placeOf(broken.StartLine, 1) // the quote that was left open is there
	}
	p.fault(at, broken.Err.Error(),
		`close every "quote", and write a quote inside quotes twice`)
}

func count(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}
