package original

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// hostShape is that of machines' names and addresses.
var hostShape = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]*$`)

// makeStore turns the database into [persist].
func (m *mapping) makeStore() {
	m.store = []string{`store = "embedded"`}
	switch {
	case m.db.name == "":
		return
	case m.db.value.is != object:
		m.odd(m.db, "db", "an object")
		return
	}
	said := map[string]string{"host": "localhost", "port": "3306", "user": "root", "passwd": "", "db": ""}
	for _, f := range m.fields(m.db.value, "db") {
		key := joined("db", f.name)
		_, known := said[f.name]
		switch port, ok := f.value.port(); {
		case f.name == "charset":
			m.note(f.at, key, "is left out: texts are utf8mb4, whatever it says")
		case !known:
			m.note(f.at, key, "is left out: the original knows no such key")
		case f.name == "port" && ok:
			said["port"] = strconv.Itoa(port)
		case f.name == "port":
			m.note(f.value.at, key, "is left out: it is %s, and no port", f.value.is)
		case f.value.is != text:
			m.odd(f, key, string(text))
		default:
			said[f.name] = f.value.text
		}
	}
	if said["db"] == "" || said["user"] == "env" || strings.ContainsAny(said["user"], ":@/") ||
		!hostShape.MatchString(said["host"]) {
		m.note(m.db.at, "db", "is left out, and rows go to SQLite: it names no schema, or what no dsn can say")
		return
	}
	dsn := fmt.Sprintf("%s:%s@tcp(%s)/%s", said["user"], said["passwd"], net.JoinHostPort(said["host"], said["port"]),
		url.PathEscape(said["db"]))
	m.store = []string{`store = "mysql"`, "dsn = " + quote(dsn)}
	m.note(m.db.at, "db", "becomes persist.dsn, with its password: dsn = \"env:FIREFLY_MYSQL_DSN\" would keep that "+
		"out of the file")
	m.note(m.db.at, "db", "keeps its tables, which persist.Table reads; entities get tables of their own: run migrate")
}

// write is the whole runtime.toml.
func (m *mapping) write() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made by import from %s. check says what each node would do, check --keys what else may stand "+
		"here.\n", printable(m.file))
	b.WriteString("\n[cluster]\nname = \"firefly\"\netcd = \"embedded\"\n")
	if port := m.free(etcdPort, 2); port != etcdPort {
		fmt.Fprintf(&b, "etcd_port = %d\n", port)
	}
	for _, n := range m.nodes {
		roles := make([]string, len(n.roles))
		for i, role := range n.roles {
			roles[i] = quote(role)
		}
		fmt.Fprintf(&b, "\n[node.%s]\nroles  = [%s]\nlisten = \"127.0.0.1:%d\"\n", n.name, strings.Join(roles, ", "),
			n.listen)
		if n.old > 0 {
			fmt.Fprintf(&b, "original.%s = \"0.0.0.0:%d\"\n", clients, n.old)
		}
		if slices.Contains(n.roles, admin) {
			fmt.Fprintf(&b, "http   = \"127.0.0.1:%d\"\n", n.http)
		}
	}
	if slices.ContainsFunc(m.nodes, func(n *node) bool { return n.old > 0 }) {
		fmt.Fprintf(&b, "\n[original.%s] # as the app has them; both published games: [78, 37, 38, 48], 9, 0\n"+
			"magic          = [0, 0, 0, 0]\nversion        = 0\nserver_version = 0\n", clients)
	}
	fmt.Fprintf(&b, "\n[persist]\n%s\n", strings.Join(m.store, "\n"))
	return b.String()
}

// etcdPort is where the embedded etcd listens by default; the next port is its too.
const etcdPort = 9470

// quote writes a TOML text.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + `"`
}
