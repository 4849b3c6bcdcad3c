package node

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
)

// OpenStore opens the store that the configuration names, as it is. A server need not be up yet.
func OpenStore(c *Config) (persist.Database, error) {
	switch c.Persist.Store {
	case StoreMySQL:
		return persist.OpenMySQL(c.Persist.DSN)
	case StoreMemory:
		return persist.NewMemory(), nil
	}
	if err := os.MkdirAll(filepath.Dir(c.StoreFile()), 0o700); err != nil {
		return nil, fmt.Errorf("node: making a place for the store: %w", err)
	}
	return persist.OpenSQLite(c.StoreFile())
}

// settle sees to the store's schema before a node uses it. An embedded store belongs to the nodes, so they bring it up
// to date. A server belongs to its operator, who says when a table with all players in it is changed: there a node only
// looks, and does not start on a schema that it cannot work with. The error then is a persist.Behind.
func settle(ctx context.Context, b *Blueprint, c *Config, db persist.Database) error {
	if c.Persist.Store != StoreMySQL {
		return db.Migrate(ctx, b.Schema(c.Cluster.Shards))
	}
	return CheckSchema(ctx, b, c, db)
}

// CheckSchema returns a persist.Behind, and how to go on, unless the store has what the app needs.
func CheckSchema(ctx context.Context, b *Blueprint, c *Config, db persist.Database) error {
	missing, err := persist.Missing(ctx, db, b.Schema(c.Cluster.Shards))
	if err != nil || len(missing) == 0 {
		return err
	}
	return fmt.Errorf("%w\nrun: %s migrate --config %s", missing, filepath.Base(os.Args[0]), c.Path)
}

// Migrates reports whether any cell of the kind has steps, so that stored contents may be older than this build's.
func (b *Blueprint) Migrates(k actors.KindName) bool { return b.probe.Migrates(k) }

// UpToDate is actors.System.UpToDate for the app's kinds.
func (b *Blueprint) UpToDate(k actors.KindName, part string, stored json.RawMessage) (json.RawMessage, bool, error) {
	return b.probe.UpToDate(k, part, stored)
}
