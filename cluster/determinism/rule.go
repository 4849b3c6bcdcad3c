package determinism

import (
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// A Rule is what a finding breaks; each has a section in docs/determinism.md.
type Rule string

// The rules.
const (
	Time      Rule = "time"      // the process's clock and timers
	Luck      Rule = "luck"      // the process's random numbers
	Goroutine Rule = "goroutine" // go statements
	Channel   Rule = "channel"   // anything done with channels
	Lock      Rule = "lock"      // sync and sync/atomic
	Process   Rule = "process"   // files, sockets, environment, other processes, the Go runtime
	Shared    Rule = "shared"    // package variables that are written
	Order     Rule = "order"     // the order of a map, where it can be seen
	Excused   Rule = "excuse"    // an excuse without a reason, or for nothing
)

// Rules returns all rules, in the order of the page about them.
func Rules() []Rule {
	return []Rule{Time, Luck, Goroutine, Channel, Lock, Process, Shared, Order, Excused}
}

// A finding is one place that breaks a rule.
type finding struct {
	pos     token.Pos
	rule    Rule
	message string
	afar    bool // is about a place in another package, which the message names
}

// A ban is what no behaviour may use of a package.
type ban struct {
	rule    Rule
	names   []string // of functions and variables; nil: all of them
	but     []string // beginnings of names that are allowed nevertheless
	methods bool     // the methods of its types, too
	types   bool     // its types, too
	instead string
}

// bans has the packages by import path.
func bans(path string) []ban {
	const clock, timers = "ctx.Now()", "ctx.After or ctx.Every"
	const work = "actors.Work, or keep it in a hot table"
	switch path {
	case "time":
		return []ban{
			{rule: Time, names: []string{"Now", "Since", "Until"}, instead: clock},
			{rule: Time, names: []string{"Sleep", "After", "NewTimer", "NewTicker", "Tick", "AfterFunc"},
				instead: timers},
			{rule: Time, names: []string{"Local", "LoadLocation"}, methods: true,
				instead: "UTC or time.FixedZone"},
		}
	case "context":
		return []ban{{rule: Time, names: []string{"WithTimeout", "WithTimeoutCause", "WithDeadline",
			"WithDeadlineCause", "AfterFunc"}, instead: "Within of the question"}}
	case "math/rand", "math/rand/v2":
		return []ban{{rule: Luck, but: []string{"New"}, instead: "ctx.Rand()"}}
	case "crypto/rand", "hash/maphash":
		return []ban{{rule: Luck, methods: true, instead: "ctx.Rand(), or actors.Work for secrets"}}
	case "github.com/google/uuid":
		return []ban{{rule: Luck, names: []string{"New", "NewString", "NewRandom", "NewUUID", "NewV6", "NewV7"},
			instead: "uuid.NewRandomFromReader with bytes of ctx.Rand()"}}
	case "sync", "sync/atomic":
		return []ban{{rule: Lock, methods: true, types: true, instead: "plain fields"}}
	case "golang.org/x/sync/errgroup":
		return []ban{{rule: Goroutine, methods: true, instead: "actors.Work"}}
	case "os":
		return []ban{{rule: Process, but: []string{"Err", "Is"}, methods: true, instead: work}}
	case "net":
		return []ban{{rule: Process, names: []string{"Dial", "DialTimeout", "Listen", "ListenPacket", "Interfaces",
			"InterfaceAddrs", "LookupHost", "LookupIP", "LookupAddr"}, instead: work}}
	case "net/http":
		return []ban{{rule: Process, but: []string{"StatusText"}, methods: true, instead: work}}
	case "os/exec", "os/user", "os/signal", "io/ioutil", "database/sql", "syscall", "plugin":
		return []ban{{rule: Process, methods: true, instead: work}}
	case "runtime", "runtime/debug":
		return []ban{{rule: Process, methods: true, instead: "something that does not depend on the process"}}
	case "reflect":
		return []ban{{rule: Order, names: []string{"MapKeys", "MapRange"}, methods: true,
			instead: "fmt or encoding/json, which sort, or sort the keys"}}
	}
	return nil
}

// wrong says what is wrong with what a rule bans of other packages.
var wrong = map[Rule]string{
	Goroutine: "starts goroutines, which run when they like",
	Time:      "is the process's time, which a replay does not repeat",
	Luck:      "is the process's luck, which a replay does not repeat",
	Lock:      "is for goroutines that share, and an actor shares nothing",
	Process:   "asks the process, which answers otherwise on replay",
	Order:     "runs over a map in an order that differs from run to run",
}

// banned says what is wrong with an object of another package, if anything is.
func banned(o types.Object) (Rule, string) {
	if o.Pkg() == nil {
		return "", ""
	}
	for _, b := range bans(o.Pkg().Path()) {
		if b.bans(o) {
			return b.rule, o.Pkg().Name() + "." + spoken(o) + " " + wrong[b.rule] + ": use " + b.instead
		}
	}
	return "", ""
}

func spoken(o types.Object) string {
	if fn, ok := o.(*types.Func); ok {
		return nameOf(fn)
	}
	return o.Name()
}

func (b ban) bans(o types.Object) bool {
	switch o := o.(type) {
	case *types.Func:
		if o.Signature().Recv() != nil && !b.methods {
			return false
		}
	case *types.Var:
		if o.IsField() {
			return false
		}
	case *types.TypeName:
		return b.types
	default:
		return false
	}
	if slices.ContainsFunc(b.but, func(start string) bool { return strings.HasPrefix(o.Name(), start) }) {
		return false
	}
	return b.names == nil || slices.Contains(b.names, o.Name())
}
