package actors

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A KindName names a kind of actor: "player", "room". Declare it as a constant: a variable that is used inside its own
// behaviour would be an initialization cycle.
type KindName string

// Ref names the actor of this kind with the given id.
func (k KindName) Ref(id string) Ref { return Ref{Kind: k, ID: id} }

// A Ref names an actor for life, wherever it runs. It is comparable; the zero Ref names nobody.
type Ref struct {
	Kind KindName
	ID   string
}

// Kinds of the runtime's own.
const (
	SessionKind KindName = "session" // one client's connection; see SessionRef
	NodeKind    KindName = "node"    // a node itself: id is the node's name
)

// MaxRef bounds kind and id together, in bytes: they are a key of 255 bytes in the store.
const MaxRef = 200

// IsZero reports whether the Ref names nobody.
func (r Ref) IsZero() bool { return r == Ref{} }

func (r Ref) String() string { return string(r.Kind) + "/" + r.ID }

// Check says what is wrong with a Ref: empty parts, a slash or a NUL in the kind, text that is not UTF-8, or too long.
func (r Ref) Check() error {
	switch {
	case r.Kind == "" || r.ID == "":
		return fmt.Errorf("actors: ref %q lacks a kind or an id", r)
	case len(r.Kind)+len(r.ID) > MaxRef:
		return fmt.Errorf("actors: ref %.40q... is %d bytes, the bound is %d", r, len(r.Kind)+len(r.ID), MaxRef)
	case strings.ContainsAny(string(r.Kind), "/\x00") || strings.Contains(r.ID, "\x00"):
		return fmt.Errorf("actors: ref %q: no slash in a kind, no NUL anywhere", r)
	case !utf8.ValidString(r.ID) || !utf8.ValidString(string(r.Kind)):
		return fmt.Errorf("actors: ref %q is not UTF-8", r)
	}
	return nil
}

// ParseRef reads what String wrote.
func ParseRef(s string) (Ref, error) {
	kind, id, ok := strings.Cut(s, "/")
	r := Ref{Kind: KindName(kind), ID: id}
	if !ok {
		return Ref{}, fmt.Errorf("actors: %q is no ref; it is written kind/id", s)
	}
	return r, r.Check()
}

// Shard is the number, below shards, of the shard that the actor belongs to. It mixes well over kind and id, so that
// ids which differ in their last digit only are spread evenly.
func (r Ref) Shard(shards int) int {
	h := fnv.New64a()
	h.Write([]byte(r.Kind))
	h.Write([]byte{0})
	h.Write([]byte(r.ID))
	return int(mixed(h.Sum64()) % uint64(shards)) // FNV alone is weak in its high bits
}

// mixed spreads numbers that differ little over all 64 bits, as splitmix64 does.
func mixed(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// SessionRef names a session. The name says which node holds it and which codec its client speaks, so that whoever has
// the name can send to it without asking anyone. Incarnation is the gate process's.
func SessionRef(gate string, c wire.Codec, incarnation, serial uint64) Ref {
	return Ref{SessionKind, gate + "." + c.String() + "." + strconv.FormatUint(incarnation, 36) + "." +
		strconv.FormatUint(serial, 36)}
}

// everyone names all sessions that are logged in, and those of one gate and codec when it has found its way there.
// Only SendToAll sends to it: names that come from clients do not.
const everyone = "*"

// IsEveryone reports whether the Ref names all sessions.
func (r Ref) IsEveryone() bool { return r.Kind == SessionKind && r.ID == everyone }

// EveryoneAt names all sessions of a gate that speak a codec. It stands in a Fan; SessionPlace takes it apart.
func EveryoneAt(gate string, c wire.Codec) Ref {
	return Ref{SessionKind, gate + "." + c.String() + "." + everyone}
}

// SessionPlace takes a session's name apart: the node that holds it and the codec of its client.
func (r Ref) SessionPlace() (gate string, c wire.Codec, ok bool) {
	if r.Kind != SessionKind {
		return "", 0, false
	}
	gate, rest, _ := strings.Cut(r.ID, ".")
	name, _, ok := strings.Cut(rest, ".")
	c, err := wire.ParseCodec(name)
	return gate, c, ok && err == nil
}

// SessionProcess is the gate process that a session's name names: the incarnation that it began with.
func (r Ref) SessionProcess() (incarnation uint64, ok bool) {
	parts := strings.Split(r.ID, ".")
	if r.Kind != SessionKind || len(parts) != 4 {
		return 0, false
	}
	incarnation, err := strconv.ParseUint(parts[2], 36, 64)
	return incarnation, err == nil
}

// MarshalText writes kind/id, and nothing for the zero Ref.
func (r Ref) MarshalText() ([]byte, error) {
	if r.IsZero() {
		return nil, nil
	}
	return []byte(r.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (r *Ref) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*r = Ref{}
		return nil
	}
	*r, err = ParseRef(string(text))
	return err
}
