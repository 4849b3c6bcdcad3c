package node

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
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

// nearest finds the name that a writer may have meant: the one with the smallest edit distance, if
// that is at most a third of the word (a short word may have one error).
func nearest(word string, names []string) (string, bool) {
	best, name := max(1, len(word)/3)+1, ""
	for _, n := range names {
		if d := distance(word, n); d < best {
			best, name = d, n
		}
	}
	return name, name != ""
}

// distance counts the letters to insert, delete, change, or swap with their neighbour to turn a
// into b.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// instead says what to write for an unknown word.
func instead(word string, names []string) string {
	if n, ok := nearest(word, names); ok {
		return fmt.Sprintf("did you mean %s?", n)
	}
	return "there are " + strings.Join(names, ", ")
}
