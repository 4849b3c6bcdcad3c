package node

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Write writes the configuration as a file that Parse reads back to the same one: every key, copies
// as nodes of their own, and no secret: a DSN must be in the file that a person wrote.
func (c *Config) Write(w io.Writer) error {
	var b strings.Builder
	for _, section := range sections() {
		fmt.Fprintf(&b, "[%s]\n", section)
		writeKeys(&b, section, c, nil)
	}
	for _, n := range c.Nodes {
		n.Count = 0
		fmt.Fprintf(&b, "[node.%s]\n", n.Name)
		writeKeys(&b, "node.*", c, &n)
		writeDoors(&b, n)
	}
	for _, o := range c.Originals {
		writeOriginal(&b, o)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("node: writing the configuration: %w", err)
	}
	return nil
}

func writeKeys(b *strings.Builder, table string, c *Config, n *NodeConfig) {
	for _, k := range keys {
		if k.table() != table || k.name == secret {
			continue
		}
		if text := written(k.field(c, n)); text != `""` && text != "[]" && (text != "0" || k.value != "") {
			fmt.Fprintf(b, "%s = %s\n", k.last(), text)
		}
	}
	b.WriteByte('\n')
}

// written is a field's value as the file has it.
func written(field any) string {
	switch f := field.(type) {
	case *string:
		return quote(*f)
	case *int:
		return strconv.Itoa(*f)
	case *bool:
		return strconv.FormatBool(*f)
	case *time.Duration:
		return quote(brief(*f))
	case size:
		return quote(f.get().String())
	case *[]string:
		return quoteAll(*f)
	case *[4]byte:
		return writtenMagic(*f)
	case *Telling:
		if *f == 0 {
			return quote(silent)
		}
		return strconv.FormatUint(uint64(*f), 10)
	case *Etcd:
		if f.Embedded {
			return quote("embedded")
		}
		return quoteAll(f.Endpoints)
	default:
		panic(fmt.Sprintf("node: no way to write a %T", field))
	}
}

func quoteAll(texts []string) string {
	all := make([]string, len(texts))
	for i, s := range texts {
		all[i] = quote(s)
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// quote writes a TOML text; its escapes are those of JSON.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteRune('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + `"`
}

// Moved derives a configuration that runs beside c without touching it: other files, other ports,
// an embedded registry and the embedded store. Its ports begin with one and stand in a row (Ports
// says how many).
func (c *Config) Moved(data string, port int) *Config {
	m := *c
	m.Path, m.places = filepath.Join(data, "runtime.toml"), nil
	m.Cluster.Data = data
	m.Cluster.EtcdPort = port
	m.Cluster.Etcd = Etcd{Embedded: true, Endpoints: []string{loopback(port)}}
	m.Persist.Store, m.Persist.DSN = StoreEmbedded, ""
	m.TLS = TLSConfig{}  // certificates are for the addresses of the original; these are the loopback's
	m.Gate.Proxies = nil // nobody stands between these
	m.Nodes = nil
	if len(c.With(RoleRegistry)) == 0 {
		m.Nodes = append(m.Nodes, impliedRegistry(""))
	}
	port += registryPorts
	for _, n := range c.Nodes {
		n.Host, n.Advertise, n.Originals = "", "", slices.Clone(n.Originals)
		for _, key := range n.listening() {
			if a := n.address(key); *a != "" {
				*a = loopback(port)
				port++
			}
		}
		m.Nodes = append(m.Nodes, n)
	}
	return &m
}

// registryPorts is how many ports an embedded registry takes, in a row.
const registryPorts = 2

// Ports is how many ports Moved takes: the registry's, and one for each address of each node.
func (c *Config) Ports() int {
	count := registryPorts
	for _, n := range c.Nodes {
		for _, key := range n.listening() {
			if *n.address(key) != "" {
				count++
			}
		}
	}
	return count
}
