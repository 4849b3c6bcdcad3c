package node

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/spelling"
	"github.com/fireflyrt/firefly/gate"
)

// An OriginalConfig is a table [original.NAME]: how clients of one game of the original Firefly speak. Gates name it
// where they take them: original.NAME = "host:port".
type OriginalConfig struct {
	Name          string
	Magic         [4]byte
	Version       int
	ServerVersion int
	Codec         string
	Errors        Telling
	FirstWithin   time.Duration
}

// A Telling is the number under which old clients are told of errors; 0, "silent" in the file: they are not.
type Telling uint32

// silent is a Telling's word for nothing.
const silent = "silent"

func (o OriginalConfig) original() *gate.Original {
	codec, _ := wire.ParseCodec(o.Codec) // the bound of its key leaves no other
	return &gate.Original{Codec: codec, Errors: uint32(o.Errors), First: o.FirstWithin,
		Original: wire.Original{Magic: o.Magic, Version: uint8(o.Version), ServerVersion: uint32(o.ServerVersion)}}
}

// An OriginalDoor is where a gate takes the clients of an [original.NAME].
type OriginalDoor struct{ Name, Address string }

// doorKey is the key of a node that says where.
func doorKey(name string) string { return "original." + name }

// newestDoor is where the address goes that is being read.
func (n *NodeConfig) newestDoor() *string {
	if len(n.Originals) == 0 {
		n.Originals = append(n.Originals, OriginalDoor{})
	}
	return &n.Originals[len(n.Originals)-1].Address
}

// atHand is the [original.NAME] that is being read or written.
func (c *Config) atHand() *OriginalConfig {
	if len(c.Originals) == 0 {
		c.Originals = append(c.Originals, OriginalConfig{})
	}
	return &c.Originals[c.hand]
}

// Original finds how the clients speak that come through a door of this name.
func (c *Config) Original(name string) (OriginalConfig, bool) {
	for _, o := range c.Originals {
		if o.Name == name {
			return o, true
		}
	}
	return OriginalConfig{}, false
}

// oldDoors are where the node takes clients of the original.
func (c *Config) oldDoors(n NodeConfig) []gate.Listener {
	var all []gate.Listener
	for _, d := range n.Originals {
		o, _ := c.Original(d.Name)
		all = append(all, gate.Listener{Scheme: gate.Firefly1, Address: d.Address, Original: o.original()})
	}
	return all
}

// original finds or begins the table of an original.
func (r *reading) original(name string, at place) {
	c := r.config
	c.hand = slices.IndexFunc(c.Originals, func(o OriginalConfig) bool { return o.Name == name })
	if c.hand >= 0 {
		return
	}
	c.hand = len(c.Originals)
	c.Originals = append(c.Originals, OriginalConfig{Name: name})
	if !nameShape.MatchString(name) {
		r.wrong(at, "%q cannot be an original's name", name).
			advise("use " + named.text)
	}
	if p := doorKey(name); c.places[p] == (place{}) {
		c.places[p] = at
	}
	for _, k := range keys {
		if k.value != "" && k.table() == "original.*" {
			r.preset(k, nil)
		}
	}
}

// checkOriginals compares doors with the tables that they name.
func (r *reading) checkOriginals() {
	c := r.config
	var names, used []string
	for _, o := range c.Originals {
		names = append(names, o.Name)
	}
	for _, n := range r.tables {
		for _, d := range n.Originals {
			used = append(used, d.Name)
			if _, there := c.Original(d.Name); !there {
				do := "add one; it may be empty: the original's defaults are all 0"
				if near, ok := spelling.Nearest(d.Name, names); ok {
					do = "did you mean original." + near + "?"
				}
				r.wrong(r.at(n, doorKey(d.Name)),
					"node %s takes the clients of %s, and there is no table [original.%s]", n.Table, d.Name, d.Name).
					advise(do)
			}
		}
	}
	for _, name := range names {
		if !slices.Contains(used, name) {
			r.wrong(c.places[doorKey(name)], "no node takes the clients of [original.%s]", name).
				advise(`write original.` + name + ` = "0.0.0.0:11009" into the table of a gate, or remove it`)
		}
	}
}

// CheckMessages compares what is said of the original's clients with the game's messages. The error is Problems.
func (c *Config) CheckMessages(messages wire.Catalogue) error {
	var problems Problems
	wrong := func(key, what, do string) {
		at := c.places[key+"="]
		problems = append(problems, Problem{filepath.Base(c.Path), at.line, at.col, key + " is " + what, do})
	}
	for _, o := range c.Originals {
		key := doorKey(o.Name)
		if t := messages.ByNumber(uint32(o.Errors)); o.Errors != 0 && t != nil {
			wrong(key+".errors", fmt.Sprintf("%d, and so is the game's %s: clients tell them apart by nothing else",
				o.Errors, t.Name), "take a number that no message has")
		}
		if o.Codec == wire.Proto.String() && !slices.ContainsFunc(messages.All(), (*wire.Type).Proto) {
			wrong(key+".codec", "proto, and no message of the game's is a protobuf one", `write codec = "json"`)
		}
	}
	if len(problems) > 0 {
		return problems.sorted()
	}
	return nil
}

// readMagic reads the four bytes of a list.
func readMagic(v value) (m [4]byte, ok bool) {
	for i, item := range v.list {
		n, err := strconv.ParseUint(item.text, 0, 8)
		if i >= len(m) || item.form != formNumber || err != nil {
			return m, false
		}
		m[i] = byte(n)
	}
	return m, len(v.list) == len(m)
}

func writtenMagic(m [4]byte) string {
	all := make([]string, len(m))
	for i, b := range m {
		all[i] = strconv.Itoa(int(b))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// readTelling reads a number, or silent.
func readTelling(v value) (Telling, bool) {
	if v.form == formText && v.text == silent {
		return 0, true
	}
	n, err := strconv.ParseUint(strings.ReplaceAll(v.text, "_", ""), 10, 32)
	return Telling(n), v.form == formNumber && err == nil && n > 0
}

// writeDoors writes where a node takes clients of the original.
func writeDoors(b *strings.Builder, n NodeConfig) {
	for _, d := range n.Originals {
		fmt.Fprintf(b, "original.%s = %s\n", d.Name, quote(d.Address))
	}
}

// writeOriginal writes a table [original.NAME].
func writeOriginal(b *strings.Builder, o OriginalConfig) {
	fmt.Fprintf(b, "[original.%s]\n", o.Name)
	writeKeys(b, "original.*", &Config{Originals: []OriginalConfig{o}}, nil)
}
