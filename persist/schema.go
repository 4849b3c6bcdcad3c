package persist

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fireflyrt/firefly/actors"
)

// A Schema is what a database must hold: a table per kind with columns for its indexed fields, and
// a fence per role and shard.
type Schema struct {
	Kinds   []actors.KindName
	Roles   []string
	Shards  int
	Indexes map[actors.KindName][]actors.Index

	Tables     []*Mapping  // that must be there; the migrations make them
	Migrations []Migration // the game's own, in order
}

// Behind is the error of a database that does not hold what a Schema says: what Migrate would do.
type Behind []string

func (b Behind) Error() string {
	return "the database does not hold what this build needs; to be done:\n  " +
		strings.Join(b, "\n  ")
}

// A Step is one thing that Migrate does.
type Step struct {
	Number, Of int // it is the Number-th of so many, from 1
	What       string
}

// A planner is a Database whose schema is made step by step, and can be looked at before.
type planner interface {
	// plan lists what the database lacks and what it has too much; it changes nothing.
	plan(ctx context.Context, s Schema) ([]step, error)
	// carryOut makes a plan while nobody else does, and carries it out.
	carryOut(ctx context.Context, s Schema, told func(Step)) error
}

// A step is a Step of which one knows how it is done.
type step struct {
	what string
	do   func(context.Context) error
}

// Missing lists what Migrate would do, and changes nothing; none: the database is as the schema
// says. A database without a schema of its own (Memory) lacks nothing.
func Missing(ctx context.Context, db Database, s Schema) (Behind, error) {
	p, ok := db.(planner)
	if !ok {
		return nil, nil
	}
	steps, err := p.plan(ctx, s)
	var missing Behind
	for _, todo := range steps {
		missing = append(missing, todo.what)
	}
	if err == nil && len(missing) == 0 {
		err = db.CheckTables(ctx, s.Tables)
	}
	return missing, err
}

// Migrate is Database.Migrate that tells of each step before it is taken. A step that fails ends
// it; the next call goes on from there. Steps take as long as they take: an index over millions of
// rows is minutes of work, during which the table can be read and, on InnoDB, written.
func Migrate(ctx context.Context, db Database, s Schema, told func(Step)) error {
	if p, ok := db.(planner); ok {
		return p.carryOut(ctx, s, told)
	}
	return db.Migrate(ctx, s)
}

// Migrate implements Database.
func (s *server) Migrate(ctx context.Context, schema Schema) error {
	return s.carryOut(ctx, schema, func(Step) {})
}

func (s *server) carryOut(ctx context.Context, schema Schema, told func(Step)) error {
	return s.alone(ctx, func() error {
		steps, err := s.plan(ctx, schema)
		if err != nil {
			return err
		}
		for i, todo := range steps {
			told(Step{Number: i + 1, Of: len(steps), What: todo.what})
			if err := todo.do(ctx); err != nil {
				return s.fail(todo.what, err)
			}
		}
		return s.CheckTables(ctx, schema.Tables)
	})
}

func (s *server) plan(ctx context.Context, schema Schema) ([]step, error) {
	now, err := s.dialect.inspect(ctx, s.patient)
	if err != nil {
		return nil, s.fail("look at the schema", err)
	}
	steps, err := s.planFiles(ctx, now)
	if err != nil {
		return nil, s.fail("look at the migrations", err)
	}
	for _, m := range schema.Migrations {
		more, err := s.planMigration(ctx, now, m)
		if err != nil {
			return nil, err
		}
		steps = append(steps, more...)
	}
	for _, k := range schema.Kinds {
		table, err := tableName(k)
		if err != nil {
			return nil, err
		}
		more, err := s.planTable(now, table, schema.Indexes[k])
		if err != nil {
			return nil, err
		}
		steps = append(steps, more...)
	}
	more, err := s.planFences(ctx, now, schema)
	return append(steps, more...), s.fail("look at the fences", err)
}

// run is a step that is one statement.
func (s *server) run(what, statement string) step {
	return step{what, func(ctx context.Context) error {
		_, err := s.patient.ExecContext(ctx, statement)
		return err
	}}
}

// stateColumns are what a kind's table has beside its indexed columns.
var stateColumns = [...]string{"id", "part", "shard", "epoch", "version", "data", "box", "due_at",
	"updated_at"}

// dueIndex finds what is due. Rows that are not have NULL there.
const dueIndex = "due_at"

// A heldTable is a table as the database has it.
type heldTable struct {
	columns map[string]string // by name in lower case: the mark of one of ours, else ""
	indexes map[string]bool   // by name in lower case
}

// planTable plans a kind's table with its columns and indexes.
func (s *server) planTable(now map[string]heldTable, table string, want []actors.Index) ([]step, error) {
	held, isThere := now[table]
	var steps []step
	if !isThere {
		steps = append(steps, s.run("make table "+table, s.dialect.table(table)))
	} else {
		for _, c := range stateColumns {
			if _, ok := held.columns[c]; !ok {
				return nil, fmt.Errorf("persist: the table %s has no column %s.%s: it is not one that this "+
					"build made, or the column was dropped: %w", table, table, c, ErrRejected)
			}
		}
	}
	if !held.indexes[strings.ToLower(s.dialect.indexName(table, dueIndex))] {
		steps = append(steps, s.planIndex(table, dueIndex, s.dialect.sparse))
	}
	var wanted []string
	for _, x := range want {
		wanted = append(wanted, x.Column)
	}
	for _, c := range slices.Sorted(maps.Keys(held.columns)) {
		if held.columns[c] != "" && !slices.Contains(wanted, c) {
			steps = append(steps, s.planDrop(held, table, c, ", which no field is tagged for any more")...)
		}
	}
	for _, x := range want {
		more, err := s.planColumn(held, table, x)
		if err != nil {
			return nil, err
		}
		steps = append(steps, more...)
	}
	return steps, nil
}

// planColumn plans one indexed column: anew, or again if it stands there with another definition.
func (s *server) planColumn(held heldTable, table string, x actors.Index) ([]step, error) {
	definition, mark := s.dialect.column(x)
	there, isThere := held.columns[x.Column]
	hasIndex := held.indexes[strings.ToLower(s.dialect.indexName(table, x.Column))]
	var steps []step
	switch {
	case isThere && there == "":
		return nil, fmt.Errorf("persist: the table %s has a column %s.%s already, and not for the field "+
			"%s.%s that is tagged as an index: rename one of them: %w", table, table, x.Column, x.Cell,
			strings.Join(x.Path, "."), ErrRejected)
	case isThere && there == mark && hasIndex:
		return nil, nil
	case isThere && there != mark:
		steps, hasIndex = s.planDrop(held, table, x.Column, ", whose field has changed"), false
		fallthrough
	case !isThere:
		steps = append(steps, s.run("add column "+table+"."+x.Column,
			"ALTER TABLE "+table+" ADD COLUMN "+definition))
	}
	if !hasIndex {
		steps = append(steps, s.planIndex(table, x.Column, ""))
	}
	return steps, nil
}

func (s *server) planIndex(table, column, where string) step {
	return s.run("add index of "+table+"."+column, "CREATE INDEX "+
		s.dialect.quote(s.dialect.indexName(table, column))+" ON "+table+" ("+column+")"+where)
}

// planDrop plans the end of one of our columns. It holds nothing that is not in data, too.
func (s *server) planDrop(held heldTable, table, column, why string) []step {
	var steps []step
	if name := s.dialect.indexName(table, column); held.indexes[strings.ToLower(name)] {
		steps = append(steps, s.run("drop index of "+table+"."+column,
			s.dialect.dropIndex(s.dialect.quote(name), table)))
	}
	return append(steps, s.run("drop column "+table+"."+column+why,
		"ALTER TABLE "+table+" DROP COLUMN "+column))
}

// planFences plans the rows of fences that are not there. Making them beforehand lets a raise lock
// single rows and no gaps.
func (s *server) planFences(ctx context.Context, now map[string]heldTable, schema Schema) ([]step, error) {
	counts := map[string]int{}
	if _, made := now["firefly_fence"]; made {
		rows, err := s.patient.QueryContext(ctx,
			"SELECT role, COUNT(*) FROM firefly_fence WHERE shard BETWEEN 0 AND ? GROUP BY role", schema.Shards-1)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			var role string
			var count int
			if err := rows.Scan(&role, &count); err != nil {
				return nil, err
			}
			counts[role] = count
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	var steps []step
	for _, role := range slices.Compact(slices.Sorted(slices.Values(append([]string{KeeperRole},
		schema.Roles...)))) {
		if counts[role] < schema.Shards {
			steps = append(steps, step{fmt.Sprintf("make %d fences of role %s", schema.Shards-counts[role], role),
				func(ctx context.Context) error { return s.seed(ctx, role, schema.Shards) }})
		}
	}
	return steps, nil
}

func (s *server) seed(ctx context.Context, role string, shards int) error {
	rows := make([]jsonClaim, shards)
	for shard := range shards {
		rows[shard] = jsonClaim{Role: role, Shard: shard}
	}
	doc, err := encode(rows)
	if err != nil {
		return err
	}
	_, err = s.patient.ExecContext(ctx, s.dialect.seed, doc)
	return err
}
