package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// A Scaling is how many copies of a table an operator wanted while the cluster ran. It holds as long as the file says
// what it said then: who edits the count later has the last word.
type Scaling struct {
	Count int `json:"count"`
	File  int `json:"file"` // what runtime.toml said
}

// scaleFile keeps scalings over restarts. A node cannot have its name: run files end in .json.
func (c *Config) scaleFile() string { return filepath.Join(c.RunDir(), "scale") }

// kept reads the scalings that hold. What cannot be read is none: the file is as it was written, or not there.
func (c *Config) kept() map[string]Scaling {
	text, err := os.ReadFile(c.scaleFile())
	if err != nil {
		return nil
	}
	var all map[string]Scaling
	if json.Unmarshal(text, &all) != nil {
		return nil
	}
	maps.DeleteFunc(all, func(table string, s Scaling) bool {
		count, ok := c.count(table)
		return !ok || count != s.File || s.Count < 1 || s.Count > maxCopies
	})
	return all
}

// count is how many copies a table has, and whether it can have any number.
func (c *Config) count(table string) (int, bool) {
	for _, n := range c.Nodes {
		if n.Table == table {
			return n.Count, n.Count > 0
		}
	}
	return 0, false
}

// errCopies is what is wrong with a wish for copies.
var errCopies = errors.New("node: no such copies")

// LoadScaled is Load as if a table had so many copies, for KeepScale to make it so. The error is Problems if the file
// is wrong then, such as copies that would share a port.
func LoadScaled(path string, kinds []KindRole, table string, count int) (*Config, error) {
	plain, err := loadPlain(path, kinds)
	if err != nil {
		return nil, err
	}
	file, ok := plain.count(table)
	switch {
	case ok && count >= 1 && count <= maxCopies:
	case ok:
		return nil, fmt.Errorf("%w: %s may have 1 to %d", errCopies, table, maxCopies)
	case len(plain.tables()) == 0:
		return nil, fmt.Errorf("%w: no table of %s has a count", errCopies, filepath.Base(path))
	default:
		return nil, fmt.Errorf("%w: [node.%s] is no table with a count; %s", errCopies, table,
			instead(table, plain.tables()))
	}
	scale := plain.kept()
	if scale == nil {
		scale = map[string]Scaling{}
	}
	if scale[table] = (Scaling{Count: count, File: file}); count == file {
		delete(scale, table)
	}
	return loadWith(path, kinds, scale)
}

// tables are those with a count.
func (c *Config) tables() []string {
	var all []string
	for _, n := range c.Nodes {
		if n.Count > 0 && !slices.Contains(all, n.Table) {
			all = append(all, n.Table)
		}
	}
	return all
}

// KeepScale makes Load say from now on what this configuration says of copies.
func (c *Config) KeepScale() error {
	if len(c.Scaled) == 0 {
		if err := os.Remove(c.scaleFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("node: forgetting copies: %w", err)
		}
		return nil
	}
	text, err := json.Marshal(c.Scaled)
	if err == nil {
		err = os.MkdirAll(c.RunDir(), 0o700)
	}
	if err == nil {
		err = os.WriteFile(c.scaleFile()+".next", append(text, '\n'), 0o600)
	}
	if err == nil {
		err = os.Rename(c.scaleFile()+".next", c.scaleFile())
	}
	if err != nil {
		return fmt.Errorf("node: keeping how many copies there are: %w", err)
	}
	return nil
}

// wanted is how many copies of a table there are to be by now: somebody may have scaled it since this configuration was
// read.
func (c *Config) wanted(table string) int {
	file, _ := c.count(table)
	if s, ok := c.Scaled[table]; ok {
		file = s.File
	}
	text, err := os.ReadFile(c.scaleFile())
	var all map[string]Scaling
	if err != nil || json.Unmarshal(text, &all) != nil {
		return file
	}
	if s, ok := all[table]; ok && s.File == file {
		return s.Count
	}
	return file
}

// scaled reports that a configuration is wrong only because of copies that were wanted earlier.
func (c *Config) scaled(p Problems) Problems {
	return append(p, Problem{File: filepath.Base(c.Path),
		What: "and that only with the copies that scale asked for earlier",
		Do:   "remove " + c.scaleFile() + " to have those of the file"})
}
