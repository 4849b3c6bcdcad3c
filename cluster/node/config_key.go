package node

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// A key is one line that runtime.toml may hold. This table is the whole language of the file: what
// is not here is an unknown key, and `check --keys` prints it.
type key struct {
	name  string // table and key; * is the name of a node or of an original
	value string // default, as text; "" is the zero value
	bound bound
	doc   string                         // one sentence
	field func(*Config, *NodeConfig) any // where the value goes; its type says what is expected
}

// keys is the table, in the order in which a file is best read.
var keys = [...]key{
	{"cluster.name", "firefly", named, "Name of the cluster; nodes of different names never meet.",
		func(c *Config, _ *NodeConfig) any { return &c.Cluster.Name }},
	{"cluster.etcd", "embedded", anything,
		"Where membership lives: \"embedded\", or a list of host:port.",
		func(c *Config, _ *NodeConfig) any { return &c.Cluster.Etcd }},
	{"cluster.etcd_port", "9470", number(1, 65534),
		"Client port of the embedded etcd; its peer port is the next one.",
		func(c *Config, _ *NodeConfig) any { return &c.Cluster.EtcdPort }},
	{"cluster.data", ".firefly", filled,
		"Directory for run files, logs and embedded stores, relative to this file.",
		func(c *Config, _ *NodeConfig) any { return &c.Cluster.Data }},
	{"cluster.lease", "5s", lasting(2*time.Second, time.Minute),
		"How long a silent node keeps its shards.",
		func(c *Config, _ *NodeConfig) any { return &c.Cluster.Lease }},
	{"cluster.shards", "256", number(1, 4096),
		"Parts that each role's entities are dealt out in; fixed once rows exist.",
		func(c *Config, _ *NodeConfig) any { return &c.Cluster.Shards }},
	{"cluster.drain_timeout", "30s", lasting(time.Second, 10*time.Minute),
		"How long a node may take to stop.",
		func(c *Config, _ *NodeConfig) any { return &c.Cluster.DrainTimeout }},

	{"node.*.roles", "", anything,
		"What the node does: gate, persist, admin, registry, or roles of the game's own.",
		func(_ *Config, n *NodeConfig) any { return &n.Roles }},
	{"node.*.count", "", number(1, maxCopies), "How many copies: game becomes game-1, game-2, ...",
		func(_ *Config, n *NodeConfig) any { return &n.Count }},
	{"node.*.listen", "127.0.0.1:0", address,
		"Where other nodes reach it; a + after the port: one up per copy.",
		func(_ *Config, n *NodeConfig) any { return &n.Listen }},
	{"node.*.advertise", "", address,
		"Where other nodes reach it, if that is not where it listens: behind a port mapping.",
		func(_ *Config, n *NodeConfig) any { return &n.Advertise }},
	{"node.*.tcp", "", address, "Where a gate takes clients over TCP.",
		func(_ *Config, n *NodeConfig) any { return &n.TCP }},
	{"node.*.ws", "", address, "Where a gate takes clients over WebSocket.",
		func(_ *Config, n *NodeConfig) any { return &n.WS }},
	{"node.*.tls", "", address, "Where a gate takes clients over TCP in TLS.",
		func(_ *Config, n *NodeConfig) any { return &n.TLS }},
	{"node.*.wss", "", address, "Where a gate takes clients over WebSocket in TLS.",
		func(_ *Config, n *NodeConfig) any { return &n.WSS }},
	{"node.*.original.NAME", "", address,
		"Where a gate takes clients of the original Firefly; [original.NAME] says how they speak.",
		func(_ *Config, n *NodeConfig) any { return n.newestDoor() }},
	{"node.*.http", "", address,
		"Where it serves /metrics, /healthz, /readyz; on an admin node also the pages.",
		func(_ *Config, n *NodeConfig) any { return &n.HTTP }},
	{"node.*.host", "", anything,
		"Name of the machine that starts it; without: the one where `up` runs.",
		func(_ *Config, n *NodeConfig) any { return &n.Host }},
	{"node.*.weight", "100", number(1, 10000),
		"Its share of the shards, relative to other nodes of the role.",
		func(_ *Config, n *NodeConfig) any { return &n.Weight }},

	{"gate.frame_max", "64KiB", sized(1<<10, 8<<20),
		"Longest body that a client may send; longer: closed with BAD_FRAME.",
		func(c *Config, _ *NodeConfig) any { return sizeOf(&c.Gate.FrameMax) }},
	{"gate.reply_max", "512KiB", sized(1<<10, 8<<20),
		"Longest body that a gate sends; a longer answer becomes TOO_BIG.",
		func(c *Config, _ *NodeConfig) any { return sizeOf(&c.Gate.ReplyMax) }},
	{"gate.hello_within", "5s", lasting(100*time.Millisecond, time.Minute),
		"A connection without Hello is closed then.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Hello }},
	{"gate.authenticate_within", "5s", lasting(100*time.Millisecond, time.Minute),
		"How long checking a ticket may take.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Authenticate }},
	{"gate.held", "64", number(1, 10000),
		"Frames that a client may send while its ticket is checked.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Held }},
	{"gate.rate", "60", number(1, 100000),
		"Messages a second that a session may send; more: RATE_LIMITED.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Rate }},
	{"gate.burst", "120", number(1, 1000000),
		"Messages that a session may send at once after a rest.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Burst }},
	{"gate.rate_close_after", "3s", lasting(100*time.Millisecond, time.Hour),
		"A session over its rate for so long is closed.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.RateGrace }},
	{"gate.rate_refusals", "500", number(1, 1000000),
		"Messages over its rate that close a session before that time, counted until it rests for a second.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Refusals }},
	{"gate.bad_seqs", "3", number(1, 1000),
		"So many requests whose seq does not rise close a session.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.BadSeqs }},
	{"gate.requests", "256", number(1, 100000),
		"Open requests of one session; one more: OVERLOADED.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Requests }},
	{"gate.behind", "256", number(1, 100000),
		"Messages of a session that wait behind a request that is sent again; one more: OVERLOADED.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Behind }},
	{"gate.repeat_bytes", "256KiB", sized(16<<10, 64<<20),
		"Bytes of a session that the gate keeps to send them again, or behind those; more: OVERLOADED.",
		func(c *Config, _ *NodeConfig) any { return sizeOf(&c.Gate.RepeatBytes) }},
	{"gate.within", "5s", lasting(100*time.Millisecond, time.Minute),
		"A request is answered within this, one way or the other.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Within }},
	{"gate.queue_frames", "256", number(8, 65536),
		"Frames that wait for one client to read; then SLOW_CLIENT.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.QueueFrames }},
	{"gate.queue_bytes", "1MiB", sized(64<<10, 64<<20),
		"Bytes that wait for one client to read; then SLOW_CLIENT.",
		func(c *Config, _ *NodeConfig) any { return sizeOf(&c.Gate.QueueBytes) }},
	{"gate.heartbeat", "15s", lasting(time.Second, 10*time.Minute),
		"How often a silent client is pinged.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Heartbeat }},
	{"gate.dead_after", "45s", lasting(2*time.Second, time.Hour),
		"A client that was silent for so long, or said not once what it has while more waited for that, is gone.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Dead }},
	{"gate.resume_for", "1m", lasting(0, time.Hour),
		"How long a session waits for a client that lost its connection; 0: not at all.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.ResumeFor }},
	{"gate.away", "5000", number(1, 1000000),
		"Sessions that wait for their clients at a time, strangers' only up to half of it; one more ends.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Away }},
	{"gate.unacked_frames", "256", number(8, 65536),
		"Frames that one client was sent and has not acknowledged; what follows waits.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.UnackedFrames }},
	{"gate.unacked_bytes", "1MiB", sized(64<<10, 64<<20),
		"Bytes that one client was sent and has not acknowledged; what follows waits.",
		func(c *Config, _ *NodeConfig) any { return sizeOf(&c.Gate.UnackedBytes) }},
	{"gate.linger", "1s", lasting(10*time.Millisecond, time.Minute),
		"How long a closed connection has to take its last frames.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Linger }},
	{"gate.bindings", "64", number(1, 10000),
		"Entities that one session may be bound to.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Bindings }},
	{"gate.connections", "15000", number(1, 1000000),
		"Open connections of a gate; one more is closed.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Connections }},
	{"gate.handshakes", "4096", number(1, 1000000),
		"Connections of a gate that have not said Hello yet.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Handshakes }},
	{"gate.address_open", "1000", number(1, 1000000),
		"Open connections of one address.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.AddressOpen }},
	{"gate.address_new", "200", number(1, 1000000),
		"New connections a second of one address.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.AddressNew }},
	{"gate.offences", "60", number(1, 1000000),
		"Connections of one address that may come to nothing in a minute; more: shut out for gate.ban.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Offences }},
	{"gate.ban", "10s", lasting(time.Second, time.Hour),
		"How long an address is shut out at first; twice as long each time it goes on.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Ban }},
	{"gate.ban_max", "10m", lasting(time.Second, 24*time.Hour),
		"How long it is at most; after as long without a ban it begins at gate.ban again.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.BanMax }},
	{"gate.http_max", "8KiB", sized(512, 1<<20),
		"Longest HTTP header that opens a WebSocket.",
		func(c *Config, _ *NodeConfig) any { return sizeOf(&c.Gate.Handshake) }},
	{"gate.trusted", "", networks,
		"Networks without limits per address (10.0.0.0/8); loopback is one.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Trusted }},
	{"gate.strict", "", networks,
		"Networks with limits per address though they are trusted or loopback (127.0.0.7/32): for tests.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Strict }},
	{"gate.proxies", "", networks,
		"Networks of proxies; their connections must begin with a PROXY header (version 2) that says whose they are.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Proxies }},
	{"gate.certificate", "", anything,
		"File with the certificate that clients see over tls and wss, PEM; a changed one is used without a restart.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Certificate }},
	{"gate.key", "", anything,
		"File with the key of that.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Key }},
	{"gate.origins", "", anything,
		"Hosts of pages that may connect, beside the gate's own and loopback; * is any.",
		func(c *Config, _ *NodeConfig) any { return &c.Gate.Origins }},

	{"original.*.magic", "", anything,
		"First bytes of each frame; [78, 37, 38, 48] in both published games, else all 0.",
		func(c *Config, _ *NodeConfig) any { return &c.atHand().Magic }},
	{"original.*.version", "0", number(0, 255), "Version of the protocol, in each frame; 9 in both published games.",
		func(c *Config, _ *NodeConfig) any { return &c.atHand().Version }},
	{"original.*.server_version", "0", number(0, 1<<32-1), "Version of the server, in each frame.",
		func(c *Config, _ *NodeConfig) any { return &c.atHand().ServerVersion }},
	{"original.*.codec", "json", oneOf("json", "proto"), "How the bodies of all messages there are written.",
		func(c *Config, _ *NodeConfig) any { return &c.atHand().Codec }},
	{"original.*.errors", silent, anything,
		"Number under which clients are told of errors, in JSON; \"silent\" tells nothing, as the original did.",
		func(c *Config, _ *NodeConfig) any { return &c.atHand().Errors }},
	{"original.*.first_within", "0s", lasting(0, time.Hour),
		"A connection without a whole frame is closed then; 0s: never.",
		func(c *Config, _ *NodeConfig) any { return &c.atHand().FirstWithin }},

	{"actors.mailbox", "10000", number(16, 1000000),
		"Messages that wait for one actor; further ones: MAILBOX_FULL.",
		func(c *Config, _ *NodeConfig) any { return &c.Actors.Mailbox }},
	{"actors.mailbox_warn", "1000", number(1, 1000000),
		"A mailbox that grows to this depth is logged.",
		func(c *Config, _ *NodeConfig) any { return &c.Actors.MailboxWarn }},
	{"actors.timers", "1000", number(1, 1000000),
		"Timers of one actor.",
		func(c *Config, _ *NodeConfig) any { return &c.Actors.Timers }},
	{"actors.box", "1000", number(1, 100000),
		"Durable messages under way of one actor, senders of such, reminders, sessions that retry; more: OVERLOADED.",
		func(c *Config, _ *NodeConfig) any { return &c.Actors.Box }},
	{"actors.slow", "100ms", lasting(time.Millisecond, time.Minute),
		"A handler that runs longer is logged.",
		func(c *Config, _ *NodeConfig) any { return &c.Actors.Slow }},
	{"actors.profile", "false", anything,
		"Label CPU profiles with kind and number; costs a little.",
		func(c *Config, _ *NodeConfig) any { return &c.Actors.Profile }},

	{"persist.store", StoreEmbedded, oneOf(StoreEmbedded, StoreMySQL, StoreMemory),
		"SQLite in cluster.data, MySQL or MariaDB at dsn, or nothing durable.",
		func(c *Config, _ *NodeConfig) any { return &c.Persist.Store }},
	{"persist.dsn", "", anything,
		"user:password@tcp(host:port)/schema; \"env:NAME\" keeps it out of the file.",
		func(c *Config, _ *NodeConfig) any { return &c.Persist.DSN }},
	{"persist.flush_every", "1s", lasting(10*time.Millisecond, time.Minute),
		"Changes that no commit made durable are this old at most.",
		func(c *Config, _ *NodeConfig) any { return &c.Persist.FlushEvery }},
	{"persist.writers", "2", number(1, 64),
		"Statements that a persist node has under way.",
		func(c *Config, _ *NodeConfig) any { return &c.Persist.Writers }},
	{"persist.batch_rows", "256", number(1, 5000),
		"Rows of one statement.",
		func(c *Config, _ *NodeConfig) any { return &c.Persist.BatchRows }},
	{"persist.batch_bytes", "1MiB", sized(16<<10, 8<<20),
		"Bytes of one statement.",
		func(c *Config, _ *NodeConfig) any { return sizeOf(&c.Persist.BatchBytes) }},
	{"persist.gather", "50ms", lasting(time.Millisecond, time.Second),
		"How long changes that nobody waits for may gather.",
		func(c *Config, _ *NodeConfig) any { return &c.Persist.Gather }},
	{"persist.pending_rows", "200000", number(256, 100000000),
		"Rows that wait to be written; beyond it: STORE_BEHIND.",
		func(c *Config, _ *NodeConfig) any { return &c.Persist.PendingRows }},
	{"persist.pending_bytes", "256MiB", sized(1<<20, 64<<30),
		"Bytes that wait to be written; beyond it: STORE_BEHIND.",
		func(c *Config, _ *NodeConfig) any { return sizeOf(&c.Persist.PendingBytes) }},
	{"persist.waiting", "10000", number(16, 1000000),
		"Requests that wait at one persistence actor; then OVERLOADED.",
		func(c *Config, _ *NodeConfig) any { return &c.Persist.Waiting }},
	{"persist.cache_bytes", "64MiB", sized(1<<20, 64<<30),
		"Clean rows that a persist node keeps in memory.",
		func(c *Config, _ *NodeConfig) any { return sizeOf(&c.Persist.CacheBytes) }},
	{"persist.answer_rows", "1000", number(1, 100000),
		"Rows of a Table that one answer holds; more: ROW_TOO_MANY.",
		func(c *Config, _ *NodeConfig) any { return &c.Persist.AnswerRows }},
	{"persist.answer_bytes", "4MiB", sized(1<<10, 8<<20),
		"Bytes of them.",
		func(c *Config, _ *NodeConfig) any { return sizeOf(&c.Persist.AnswerBytes) }},

	{"tls.ca", "", anything,
		"File with the CA's certificate; with it all nodes prove to each other who they are.",
		func(c *Config, _ *NodeConfig) any { return &c.TLS.CA }},
	{"tls.cert", "", anything,
		"File with a node's certificate; {node} stands for its name.",
		func(c *Config, _ *NodeConfig) any { return &c.TLS.Cert }},
	{"tls.key", "", anything,
		"File with the key of that.",
		func(c *Config, _ *NodeConfig) any { return &c.TLS.Key }},
	{"tls.etcd_ca", "", anything,
		"File with the CA of an etcd of one's own, if that is another one.",
		func(c *Config, _ *NodeConfig) any { return &c.TLS.EtcdCA }},

	{"record.flight", "1000", number(0, 100000),
		"Newest inputs of each actor that are kept and written when it panics; 0: none.",
		func(c *Config, _ *NodeConfig) any { return &c.Record.Flight }},
	{"record.flight_bytes", "64MiB", sized(1<<20, 64<<30),
		"Memory for the newest inputs of all actors of a node; the oldest go first.",
		func(c *Config, _ *NodeConfig) any { return sizeOf(&c.Record.FlightBytes) }},
	{"record.file_bytes", "64MiB", sized(64<<10, 1<<30),
		"A recording that is larger goes on in another file.",
		func(c *Config, _ *NodeConfig) any { return sizeOf(&c.Record.FileBytes) }},
	{"record.total_bytes", "1GiB", sized(1<<20, 1<<40),
		"Recordings of one node; the oldest files are deleted.",
		func(c *Config, _ *NodeConfig) any { return sizeOf(&c.Record.TotalBytes) }},
	{"record.queue_bytes", "8MiB", sized(64<<10, 1<<30),
		"Recordings of one node that wait for the disk; beyond it they have gaps.",
		func(c *Config, _ *NodeConfig) any { return sizeOf(&c.Record.QueueBytes) }},
}

// maxCopies bounds how many nodes one table makes.
const maxCopies = 200

// secret is the one key whose value is never printed.
const secret = "persist.dsn"

// table is the part of a key's name before its last dot.
func (k key) table() string { return k.name[:strings.LastIndexByte(k.name, '.')] }

// last is the part behind it, as it stands in the file.
func (k key) last() string { return k.name[strings.LastIndexByte(k.name, '.')+1:] }

// form says in words what is expected, by the type of the field.
func (k key) form() string {
	switch k.field(new(Config), new(NodeConfig)).(type) {
	case *string:
		return "text"
	case *int:
		return "whole number"
	case size:
		return "size"
	case *time.Duration:
		return "duration"
	case *Etcd:
		return "text or list of texts"
	case *bool:
		return "true or false"
	case *[4]byte:
		return "four numbers"
	case *Telling:
		return "text or whole number"
	default:
		return "list of texts"
	}
}

// WriteKeys prints every key with its type, default, bound and sentence.
func WriteKeys(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "KEY\tTYPE\tDEFAULT\tBOUND\t")
	for _, k := range keys {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", k.name, k.form(), k.value, k.bound.text, k.doc)
	}
	return t.Flush()
}
