package node

import (
	"cmp"
	"fmt"
	"slices"
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
