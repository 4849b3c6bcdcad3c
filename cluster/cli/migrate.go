package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/persist"
)

// progressEvery is how often migrate says how far it is, on what is no terminal.
const progressEvery = 2 * time.Second

// checkSchemaWithin is how long `up` asks a store before it leaves the asking to the nodes.
const checkSchemaWithin = 5 * time.Second

// errBehind means that the store lacks what this build needs; what it is was said already.
var errBehind = errors.New("the database lacks what this build needs; migrate makes it")

// errMisfits means that rows could not be migrated; each was named.
var errMisfits = errors.New("rows could not be migrated; they are as they were")

// A migrateEvent is one line of `migrate --json`.
type migrateEvent struct {
	What    string        `json:"what"` // step rows misfit done
	Number  int           `json:"number,omitempty"`
	Of      int           `json:"of,omitempty"`
	Text    string        `json:"text,omitempty"`
	Walk    *persist.Walk `json:"walk,omitempty"`
	PerS    float64       `json:"rows_per_s,omitempty"`
	Table   string        `json:"table,omitempty"`
	ID      string        `json:"id,omitempty"`
	Part    string        `json:"part,omitempty"`
	Seconds float64       `json:"seconds,omitempty"`
}

func (t *tool) migrateCommand(config *string) *cobra.Command {
	var dry, states, json bool
	c := &cobra.Command{
		Use:   "migrate [--dry-run] [--states]",
		Short: "Give the store the tables, columns and indexes that this build needs; bring stored cells up to date",
		Long: `Give the store the tables, columns, indexes and fences that this build needs.

An embedded store is also migrated by each node that starts; a MySQL store only here: nodes that find it behind do not
start, and up ends with 3. It may run while the cluster plays, and again after it was interrupted.

With --states it goes on with the contents: cells that an older build wrote are brought up to date, as loading would do
it entity by entity. Run it only when no node of an older build runs any more, here or elsewhere. Rows that cannot be
brought up to date are named and left as they are; then it ends with 1.

With --dry-run it changes nothing and says what it would do; it ends with 3 if that is anything.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return t.migrate(*config, dry, states, json) },
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "say what would be done, and do nothing")
	c.Flags().BoolVar(&states, "states", false, "bring stored cells up to date, too")
	c.Flags().BoolVar(&json, "json", false, "one JSON object for each step, page of rows and misfit")
	return c
}

// migrate brings the configured store up to date.
func (t *tool) migrate(config string, dry, states, asJSON bool) (err error) {
	c, err := t.load(config)
	switch {
	case err != nil:
		return err
	case c.Persist.Store == node.StoreMemory:
		return misuse{errors.New("the store is memory: there is nothing to migrate")}
	}
	if states && !dry {
		if err := onlyThisBuild(c); err != nil {
			return err
		}
	}
	ctx, _, end := interrupts()
	defer end()
	db, err := node.OpenStore(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	m := &migration{tool: t, db: db, schema: t.blueprint.Schema(c.Cluster.Shards), json: asJSON, began: time.Now()}
	if file, ok := t.out.(*os.File); ok && !asJSON {
		m.live = term.IsTerminal(int(file.Fd()))
	}
	m.say("%s", storeOf(c))
	if dry {
		return m.foresee(ctx, states)
	}
	if err = m.run(ctx, states); errors.Is(ctx.Err(), context.Canceled) {
		return errors.New("interrupted; run it again, and it goes on")
	}
	return err
}

// onlyThisBuild refuses while nodes of another build run here: they would not understand what this one writes.
func onlyThisBuild(c *node.Config) error {
	found, err := node.ReadRunning(c.RunDir())
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cli: finding the own binary: %w", err)
	}
	build, err := hashOf(exe)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(found, func(r node.Running) bool { return r.Build != "" && r.Build != build && r.Alive() })
	if i < 0 {
		return nil
	}
	return fmt.Errorf("cli: %s runs another build, which might not understand what this one writes; stop it, or bring "+
		"it up with this build first", found[i].Name)
}

// A migration is one run of the verb.
type migration struct {
	*tool
	db     persist.Database
	schema persist.Schema
	json   bool
	live   bool // on a terminal: progress stays on its line
	began  time.Time
	drawn  bool // such a line stands there
	told   time.Time
}

// say prints a line for people.
func (m *migration) say(format string, args ...any) {
	if !m.json {
		m.erase()
		fmt.Fprintf(m.out, format+"\n", args...)
	}
}

func (m *migration) erase() {
	if m.drawn {
		io.WriteString(m.out, "\r\x1b[K") //nolint:errcheck // a terminal that is gone needs no line
		m.drawn = false
	}
}

// event prints a line for programs.
func (m *migration) event(e migrateEvent) {
	if m.json {
		writeJSON(m.out, e)
	}
}

// foresee says what run would do.
func (m *migration) foresee(ctx context.Context, states bool) error {
	missing, err := persist.Missing(ctx, m.db, m.schema)
	if err != nil {
		return err
	}
	for i, what := range missing {
		m.say("  would %s", what)
		m.event(migrateEvent{What: "step", Number: i + 1, Of: len(missing), Text: what})
	}
	for _, k := range m.kinds(states) {
		m.say("  would look at all rows of kind %s", k)
		m.event(migrateEvent{What: "rows", Walk: &persist.Walk{Kind: k}})
	}
	if len(missing) > 0 {
		return errBehind
	}
	m.say("the schema is up to date")
	return nil
}

// kinds are those whose stored cells may be older than this build.
func (m *migration) kinds(states bool) []actors.KindName {
	var all []actors.KindName
	for _, k := range m.schema.Kinds {
		if states && m.blueprint.Migrates(k) {
			all = append(all, k)
		}
	}
	return all
}

func (m *migration) run(ctx context.Context, states bool) error {
	steps := 0
	err := persist.Migrate(ctx, m.db, m.schema, func(s persist.Step) {
		steps = s.Of
		m.say("  %*d/%d %s", len(fmt.Sprint(s.Of)), s.Number, s.Of, s.What)
		m.event(migrateEvent{What: "step", Number: s.Number, Of: s.Of, Text: s.What})
	})
	if err != nil {
		return err
	}
	m.say("the schema is up to date: %d steps in %s", steps, m.took(m.began))
	var failed int64
	kinds := m.kinds(states)
	for _, k := range kinds {
		walk, err := m.walk(ctx, k)
		if err != nil {
			return err
		}
		failed += walk.Failed
	}
	if states && len(kinds) == 0 {
		m.say("no kind has cells with steps: there are no states to migrate")
	}
	m.event(migrateEvent{What: "done", Number: steps, Of: steps, Seconds: time.Since(m.began).Seconds()})
	if failed > 0 {
		return fmt.Errorf("cli: %d %w", failed, errMisfits)
	}
	return nil
}

// walk brings the rows of one kind up to date.
func (m *migration) walk(ctx context.Context, k actors.KindName) (persist.Walk, error) {
	began := time.Now()
	m.told = began
	perS := func(w persist.Walk) float64 { return float64(w.Rows) / max(time.Since(began).Seconds(), 1e-3) }
	w, err := persist.MigrateStates(ctx, m.db, k, persist.Bulk{UpToDate: m.blueprint.UpToDate,
		Told: func(w persist.Walk) {
			if now := time.Now(); m.live || now.Sub(m.told) >= progressEvery {
				m.told = now
				m.progress(w, perS(w))
			}
		},
		Failed: func(f persist.Misfit) {
			m.erase()
			if !m.json {
				fmt.Fprintln(m.err, f)
			}
			m.event(migrateEvent{What: "misfit", Table: f.Table, ID: f.ID, Part: f.Part, Text: f.Err.Error()})
		}})
	if err != nil {
		m.erase()
		return w, err
	}
	m.say("%s: %d rows in %s, %.0f/s: %d migrated, %d written by their owners meanwhile, %d failed", k, w.Rows,
		m.took(began), perS(w), w.Migrated, w.Overtaken, w.Failed)
	m.event(migrateEvent{What: "rows", Walk: &w, PerS: perS(w)})
	return w, nil
}

func (m *migration) progress(w persist.Walk, perS float64) {
	text := fmt.Sprintf("%s: %d of about %d rows, %.0f/s, %d migrated", w.Kind, w.Rows, max(w.About, w.Rows), perS,
		w.Migrated)
	if !m.live {
		m.say("%s", text)
		m.event(migrateEvent{What: "rows", Walk: &w, PerS: perS})
		return
	}
	m.erase()
	fmt.Fprint(m.out, text)
	m.drawn = true
}

func (m *migration) took(began time.Time) time.Duration {
	return time.Since(began).Round(time.Millisecond)
}

// checkSchema asks, before `up` starts anything, whether the store is as the nodes need it. A store that does not
// answer is the nodes' to wait for.
func (t *tool) checkSchema(ctx context.Context, c *node.Config, nodes []node.NodeConfig) (err error) {
	keeps := func(n node.NodeConfig) bool { return n.Has(node.RolePersist) }
	if t.blueprint == nil || c.Persist.Store != node.StoreMySQL || !slices.ContainsFunc(nodes, keeps) {
		return nil
	}
	db, err := node.OpenStore(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, checkSchemaWithin)
	defer cancel()
	err = node.CheckSchema(ctx, t.blueprint, c, db)
	if behind := persist.Behind(nil); errors.As(err, &behind) || errors.Is(err, persist.ErrRejected) {
		return err
	}
	return nil
}
