package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/fireflyrt/firefly/actors"
)

// maxRules bounds the rules of a node.
const maxRules = 1000

// A Rule says who is recorded: one actor, the actors of a kind or a share of them, the actor that a session is logged
// in as, a share of all sessions, or everybody.
type Rule struct {
	Actor   string  `json:"actor,omitempty"`   // kind/id
	Kind    string  `json:"kind,omitempty"`    // with Share: so many of its actors, always the same ones
	Session string  `json:"session,omitempty"` // its id
	Share   float64 `json:"share,omitempty"`   // 0 to 1; alone: of the sessions
	All     bool    `json:"all,omitempty"`
}

// Check says what is wrong with a rule.
func (r Rule) Check() error {
	named := 0
	for _, is := range [...]bool{r.Actor != "", r.Kind != "", r.Session != "", r.All} {
		if is {
			named++
		}
	}
	_, err := actors.ParseRef(r.Actor)
	switch {
	case r.Share < 0 || r.Share > 1 || r.Share != r.Share:
		return fmt.Errorf("record: a share is between 0 and 1, not %v", r.Share)
	case named > 1 || named == 0 && r.Share == 0:
		return errors.New("record: a rule names one thing: an actor, a kind, a session, a share or all")
	case r.Share > 0 && named == 1 && r.Kind == "":
		return errors.New("record: a share is one of a kind, or of the sessions")
	case r.Actor != "" && err != nil:
		return err
	}
	return nil
}

// String is the rule as it is written on the command line.
func (r Rule) String() string {
	switch {
	case r.Actor != "":
		return "--actor " + r.Actor
	case r.Kind != "" && r.Share != 0:
		return fmt.Sprintf("--kind %s --share %g", r.Kind, r.Share)
	case r.Kind != "":
		return "--kind " + r.Kind
	case r.Session != "":
		return "--session " + r.Session
	case r.All:
		return "--all"
	}
	return fmt.Sprintf("--share %g", r.Share)
}

// Rules are all rules of a cluster's data directory.
type Rules []Rule

// RulesFile is where the rules of a directory of recordings stand.
func RulesFile(dir string) string { return filepath.Join(dir, "rules.json") }

// ReadRules reads the rules of a directory; there are none if there is no file.
func ReadRules(dir string) (Rules, error) {
	text, err := os.ReadFile(RulesFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var rules Rules
	if err == nil {
		err = json.Unmarshal(text, &rules)
	}
	if err == nil && len(rules) > maxRules {
		err = fmt.Errorf("there are %d rules, and at most %d may be", len(rules), maxRules)
	}
	for _, r := range rules {
		err = errors.Join(err, r.Check())
	}
	if err != nil {
		return nil, fmt.Errorf("record: reading %s: %w", RulesFile(dir), err)
	}
	return rules, nil
}

// Write puts the rules in place, whole or not at all.
func (r Rules) Write(dir string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err == nil && len(r) > maxRules {
		err = fmt.Errorf("at most %d rules may be", maxRules)
	}
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = os.WriteFile(RulesFile(dir)+".next", append(text, '\n'), 0o600)
	}
	if err == nil {
		err = os.Rename(RulesFile(dir)+".next", RulesFile(dir))
	}
	if err != nil {
		return fmt.Errorf("record: writing the rules: %w", err)
	}
	return nil
}

// EditRules changes the rules of a directory; one change at a time, whoever makes it.
func EditRules(dir string, edit func(Rules) (Rules, error)) (Rules, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("record: making %s: %w", dir, err)
	}
	lock, err := os.OpenFile(RulesFile(dir)+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("record: locking the rules: %w", err)
	}
	defer lock.Close() // which gives the lock back
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return nil, fmt.Errorf("record: locking the rules: %w", err)
	}
	rules, err := ReadRules(dir)
	if err == nil {
		rules, err = edit(rules)
	}
	if err != nil {
		return nil, err
	}
	return rules, rules.Write(dir)
}

// With adds a rule, once. One for the same kind, or for a share of sessions, takes the other's place.
func (r Rules) With(rule Rule) Rules {
	kept := slices.DeleteFunc(slices.Clone(r), rule.sameAs)
	return append(kept, rule)
}

// Without takes a rule out, and reports whether it was there.
func (r Rules) Without(rule Rule) (Rules, bool) {
	kept := slices.DeleteFunc(slices.Clone(r), rule.sameAs)
	return kept, len(kept) < len(r)
}

// sameAs says whether two rules differ at most in how large a share they want.
func (r Rule) sameAs(other Rule) bool {
	r.Share, other.Share = 0, 0
	return r == other
}

// A ruleset is rules as an actor is held against them.
type ruleset struct {
	all      bool
	actors   map[actors.Ref]bool
	kinds    map[actors.KindName]float64
	sessions map[string]bool
	share    float64 // of sessions
}

func (r Rules) set() *ruleset {
	s := &ruleset{actors: map[actors.Ref]bool{}, kinds: map[actors.KindName]float64{}, sessions: map[string]bool{}}
	for _, rule := range r {
		switch {
		case rule.All:
			s.all = true
		case rule.Actor != "":
			ref, _ := actors.ParseRef(rule.Actor) // Check has parsed it
			s.actors[ref] = true
		case rule.Kind != "":
			s.kinds[actors.KindName(rule.Kind)] = share(rule.Share)
		case rule.Session != "":
			s.sessions[strings.TrimPrefix(rule.Session, string(actors.SessionKind)+"/")] = true
		default:
			s.share = rule.Share
		}
	}
	return s
}

// share is all of a kind, if the rule does not say how many.
func share(of float64) float64 {
	if of == 0 {
		return 1
	}
	return of
}

// bySession says whether it matters who is logged in.
func (s *ruleset) bySession() bool { return s.share > 0 || len(s.sessions) > 0 }

// matches says whether an actor is to be recorded. Clients are asked for only where it matters.
func (s *ruleset) matches(ref actors.Ref, clients func() []actors.Ref) bool {
	if s.all || s.actors[ref] {
		return true
	}
	if of, ok := s.kinds[ref.Kind]; ok && lot(ref.String()) < of {
		return true
	}
	return s.bySession() && slices.ContainsFunc(clients(), func(c actors.Ref) bool {
		return s.sessions[c.ID] || lot(c.ID) < s.share
	})
}

// lot draws a number below 1 for a name, always the same one on every node.
func lot(name string) float64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9 // FNV alone is weak in its high bits
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return float64((x^x>>31)>>11) / (1 << 53)
}
