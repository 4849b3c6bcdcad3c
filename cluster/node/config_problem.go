package node

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fireflyrt/firefly/cluster/spelling"
)

// A Problem is one thing that is wrong with a configuration: where, what, and what to do about it.
type Problem struct {
	File      string `json:"file"`
	Line, Col int    `json:",omitempty"` // from 1; 0: it is about the file as a whole
	What      string `json:"what"`
	Do        string `json:"do"`
}

func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s; %s", p.File, max(p.Line, 1), max(p.Col, 1), p.What, p.Do)
}

// advise says what to do about it.
func (p *Problem) advise(do string) { p.Do = do }

// Problems is everything that is wrong with a configuration, one a line, in the file's order.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

func (p Problems) sorted() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(a.Line-b.Line, a.Col-b.Col, strings.Compare(a.What, b.What))
	})
	return slices.Compact(p)
}

// instead says what to write for an unknown word.
func instead(word string, names []string) string {
	if n, ok := spelling.Nearest(word, names); ok {
		return fmt.Sprintf("did you mean %s?", n)
	}
	return "there are " + strings.Join(names, ", ")
}

// quoted writes a value as the file has it, shortened.
func quoted(v value) string {
	switch {
	case v.form == formList:
		items := make([]string, len(v.list))
		for i, item := range v.list {
			items[i] = quoted(item)
		}
		return shortened("[" + strings.Join(items, ", ") + "]")
	case v.form == formHeader:
		return "a table"
	case v.form == formText:
		return strconv.Quote(shortened(v.text))
	default:
		return shortened(v.text)
	}
}

func shortened(s string) string {
	if len(s) > 60 {
		return s[:57] + "..."
	}
	return s
}

// example shows how a key is written.
func example(k key) string {
	switch k.form() {
	case "text":
		return fmt.Sprintf("write %s = %q", k.last(), cmp.Or(k.value, "..."))
	case "true or false":
		return "write it without quotes"
	case "whole number":
		return fmt.Sprintf("write it without quotes, such as %s = %s", k.last(), max(k.value, "2"))
	case "duration":
		return fmt.Sprintf("write a number with its unit, such as %s = %q", k.last(), k.value)
	case "size":
		return fmt.Sprintf("write a number with its unit, such as %s = %q", k.last(), k.value)
	case "text or list of texts":
		return fmt.Sprintf(`write %s = "embedded" or %s = ["10.0.0.5:2379"]`, k.last(), k.last())
	case "four numbers":
		return fmt.Sprintf("write %s = [78, 37, 38, 48]", k.last())
	case "text or whole number":
		return fmt.Sprintf(`write %s = "silent" or %s = 999`, k.last(), k.last())
	default:
		return fmt.Sprintf(`write %s = ["...", "..."]`, k.last())
	}
}
