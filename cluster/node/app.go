package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate/client"
	"github.com/fireflyrt/firefly/hotreload"
	"github.com/fireflyrt/firefly/persist"
)

// A Module is a part of a game: its numbers, its tables, its kinds of actors. What is mounted on the game's own kinds
// brings only messages and tables.
type Module struct {
	Name      string
	Messages  wire.Catalogue
	Tables    []hotreload.Declared
	SQLTables []persist.Declared // whose rows behaviours ask for
	Kinds     []actors.Kind

	// Migrations make the module's SQL tables: goose files, in the folders mysql and sqlite3 where they differ.
	// Which of them were done stands in the table migration_NAME, after the module's name. They are done with the
	// runtime's own.
	Migrations fs.FS
}

// An App is a whole game, as every node of its cluster gets it. Which part of it a node runs, its roles decide.
type App struct {
	Name    string
	Game    Module
	Modules []Module

	// Authenticate says whom a ticket in Hello stands for; nil: no tickets, clients log in by a Public number.
	Authenticate func(ctx context.Context, ticket string) (actors.Ref, error)

	Web        fs.FS  // the browser client, served at / by the admin node; nil: none
	TableDir   string // where the tables' files are, relative to where the program was started
	TableFiles fs.FS  // the same files built in, for when TableDir does not exist

	// Bot is one robot's life, for `bots` and for the probe of a new cluster: it plays until b.Until ends. nil: none.
	Bot func(b *client.Bot) error
}

// A Blueprint is an App that was looked over: what all its modules declare, joined.
type Blueprint struct {
	App
	Catalogue wire.Catalogue
	Kinds     []actors.Kind
	Tables    []hotreload.Declared
	SQLTables map[string]*persist.Mapping // by name
	Roles     map[actors.KindName]string  // where each kind lives
	Stored    map[actors.KindName]string  // the same of kinds that keep state
	probe     *actors.System              // knows what constructors declare; nothing runs on it
}

// Build joins the modules and probes every constructor; the error says everything that is wrong, joined.
func (a App) Build() (*Blueprint, error) {
	b := &Blueprint{App: a, SQLTables: map[string]*persist.Mapping{}, Roles: map[actors.KindName]string{},
		Stored: map[actors.KindName]string{}}
	parts, errs := []wire.Catalogue{persist.Messages}, []error(nil)
	for _, m := range a.modules() {
		errs = append(errs, b.addSQLTables(m))
		parts = append(parts, m.Messages)
		b.Kinds = append(b.Kinds, m.Kinds...)
		b.Tables = append(b.Tables, m.Tables...)
	}
	b.Catalogue = wire.Join(parts...)
	for _, k := range b.Kinds {
		if k.Name == actors.SessionKind || k.Name == actors.NodeKind || k.Name == persist.KeeperKind {
			errs = append(errs, fmt.Errorf("node: the kind %s is the runtime's own; take another name", k.Name))
		}
	}
	probe, err := actors.NewSystem(actors.Options{Kinds: b.Kinds, Catalogue: b.Catalogue})
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, fmt.Errorf("node: the app %s cannot run:\n%w", a.Name, err)
	}
	b.probe = probe
	for _, k := range b.Kinds {
		at, _ := probe.Placement(k.Name)
		b.Roles[k.Name] = at.Role
		if probe.Keeps(k.Name) {
			b.Stored[k.Name] = at.Role
		}
	}
	return b, nil
}

func (a App) modules() []Module { return append([]Module{a.Game}, a.Modules...) }

// addSQLTables takes a module's SQL tables into the blueprint.
func (b *Blueprint) addSQLTables(m Module) error {
	var errs []error
	for _, t := range m.SQLTables {
		mapping, err := t.Mapping()
		if err == nil && b.SQLTables[mapping.Name] != nil {
			err = fmt.Errorf("node: the SQL table %s stands twice", mapping.Name)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		b.SQLTables[mapping.Name] = mapping
	}
	return errors.Join(errs...)
}

// KindRoles lists where kinds live, for the check of a configuration.
func (b *Blueprint) KindRoles() []KindRole {
	var all []KindRole
	for _, k := range b.Kinds {
		all = append(all, KindRole{Kind: string(k.Name), Role: b.Roles[k.Name]})
	}
	return all
}

// Replies says what a number of the clients' is answered with; nil: an empty body. False: no kind handles it.
func (b *Blueprint) Replies(number uint32) (reply *wire.Type, handled bool) {
	return b.probe.Replies(number)
}

// Schema is what a database must hold for this app.
func (b *Blueprint) Schema(shards int) persist.Schema {
	schema := persist.Schema{Shards: shards, Indexes: map[actors.KindName][]actors.Index{}}
	for _, k := range b.Kinds {
		if role, kept := b.Stored[k.Name]; kept {
			schema.Kinds, schema.Roles = append(schema.Kinds, k.Name), append(schema.Roles, role)
			schema.Indexes[k.Name] = b.probe.Indexes(k.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.SQLTables)) {
		schema.Tables = append(schema.Tables, b.SQLTables[name])
	}
	for _, m := range b.modules() {
		if m.Migrations != nil {
			schema.Migrations = append(schema.Migrations, persist.Migration{Name: m.Name, Files: m.Migrations})
		}
	}
	return schema
}
