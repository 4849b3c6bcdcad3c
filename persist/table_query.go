package persist

import "fmt"

// A Query says which rows Find returns: those that all of Where hold for, in the order of Order. The zero Query means
// all rows, in no particular order.
type Query struct {
	Where []Term
	Order []Order // by the first, equals by the second, and so on
	Limit int     // rows at most; 0: all, and more than Limits.AnswerRows are refused
}

// A Term compares a column with a value of the column's Go type, for instance Above("sparks", 100).
type Term struct {
	column string
	op     Comparison
	value  any
}

// An Order sorts by a column: Rising("who"), Falling("sparks"). NULL is below everything.
type Order struct {
	column  string
	falling bool
}

// A Comparison is how a Term compares. Its value travels between nodes and must never change.
type Comparison uint8

// The comparisons. NULL is neither above nor below nor unequal to anything.
const (
	Equal Comparison = iota + 1
	Unequal
	More
	MoreOrEqual
	Less
	LessOrEqual
)

func (c Comparison) String() string {
	if c < Equal || c > LessOrEqual {
		return fmt.Sprintf("comparison(%d)", uint8(c))
	}
	return [...]string{"", "=", "<>", ">", ">=", "<", "<="}[c]
}

// Is holds where the column is the value; nil stands for NULL.
func Is(column string, value any) Term { return Term{column, Equal, value} }

// Not holds where the column is another value and not NULL; nil stands for NULL.
func Not(column string, value any) Term { return Term{column, Unequal, value} }

// Above holds where the column is above the value.
func Above(column string, value any) Term { return Term{column, More, value} }

// AtLeast holds where the column is the value or above it.
func AtLeast(column string, value any) Term { return Term{column, MoreOrEqual, value} }

// Below holds where the column is below the value.
func Below(column string, value any) Term { return Term{column, Less, value} }

// AtMost holds where the column is the value or below it.
func AtMost(column string, value any) Term { return Term{column, LessOrEqual, value} }

// Rising sorts the smallest first.
func Rising(column string) Order { return Order{column: column} }

// Falling sorts the greatest first.
func Falling(column string) Order { return Order{column, true} }
