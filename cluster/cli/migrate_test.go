package cli

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/persist"
	"github.com/fireflyrt/firefly/persist/mariadbtest"
)

type (
	coat struct{ Colour string }
	cape struct {
		Colour string
		Size   int `firefly:"index"`
	}
)

const closetKind actors.KindName = "closet"

// closet is a game in two builds: the second's cells have a step, which does not like blue, and an index.
func closet(build int) node.App {
	return node.App{Name: "closet", Game: node.Module{Name: "closet", Kinds: []actors.Kind{{Name: closetKind,
		New: func(p *actors.Props) {
			if build == 1 {
				actors.State[coat](p, "worn")
				return
			}
			actors.State[cape](p, "worn", actors.From(1, func(o coat) (cape, error) {
				if o.Colour == "blue" {
					return cape{}, errors.New("blue is out")
				}
				return cape{o.Colour, 42}, nil
			}))
		}}}}}
}

// prepareCloset makes a place with a store; the DSN is empty for the embedded one.
func prepareCloset(t *testing.T, dsn string) *place {
	t.Helper()
	p := prepare(t)
	p.as = "closet1"
	if dsn == "" {
		return p
	}
	text, err := os.ReadFile(p.config.Path)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, "[persist]\nstore = \"mysql\"\ndsn = \""+dsn+"\"\n"...)
	if err := os.WriteFile(p.config.Path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if p.config, err = node.Load(p.config.Path, nil); err != nil {
		t.Fatal(err)
	}
	return p
}

// says runs a verb, and wants an exit code and texts.
func (p *place) says(code int, verb string, texts ...string) string {
	p.t.Helper()
	output, got := p.run(strings.Fields(verb)...)
	for _, text := range texts {
		if got != code || !strings.Contains(output, text) {
			p.t.Errorf("%s: exit code %d, want %d; no %q in:\n%s", verb, got, code, text, output)
		}
	}
	return output
}

func TestNodesDoNotStartOnASchemaThatTheyCannotWorkWith(t *testing.T) {
	t.Parallel()
	p := prepareCloset(t, mariadbtest.Start(t, "--innodb-flush-log-at-trx-commit=2").DSN())
	how := "run: " + filepath.Base(os.Args[0]) + " migrate --config " + p.config.Path
	for _, verb := range []string{"node persist-1", "up"} {
		p.says(exitBehind, verb, "make table state_closet", "make 256 fences of role persist", how)
	}
	p.says(exitBehind, "migrate --dry-run", "would make table state_closet", "would do the migration 00001_fence.sql")
	p.says(exitBehind, "node persist-1", how)
	p.says(exitOK, "migrate", "  1/", " do the migration 00001_fence.sql", "the schema is up to date: ")
	p.says(exitOK, "migrate --dry-run", "the schema is up to date")
	g := p.begin("node", "persist-1") // which then waits for the registry
	g.prints(`level=WARN msg="store opened" node=persist-1 store=mysql commit="degraded: mysql 1`)
	g.ends(syscall.SIGKILL)
	p.as = "closet2"
	p.says(exitBehind, "node persist-1", "add column state_closet.worn_size")
	p.says(exitOK, "migrate --json", `{"what":"step","number":1,"of":2,"text":"add column state_closet.worn_size"}`,
		`{"what":"done","number":2,"of":2,"seconds":`)
	p.says(exitOK, "migrate --dry-run --states", "would look at all rows of kind closet")
}

func TestAStartEndsIfANodeFindsTheStoreBehind(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	p.misbehave("persist-1", "behind")
	text, code := p.run("up")
	if code != exitBehind || !strings.Contains(text, "persist-1 does not start: the database lacks what it needs") {
		t.Errorf("exit code %d:\n%s", code, text)
	}
	p.misbehave("persist-1", "")
	up := p.begin("up")
	up.prints("ready in")
	p.misbehave("persist-1", "behind") // somebody changes the store while they play
	dead := p.pid("persist-1")
	if err := syscall.Kill(dead, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	up.prints("make table state_room")
	p.misbehave("persist-1", "") // and back
	p.within(time.Minute, "persist-1 to come back", func() bool { return p.pid("persist-1") > 0 })
	if code := up.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
}

func TestThereIsNothingToMigrateInMemory(t *testing.T) {
	t.Parallel()
	p := prepare(t, "[cluster]", "[persist]\nstore = \"memory\"\n[cluster]")
	p.as = "closet1"
	p.says(exitUsage, "migrate", "the store is memory")
}

func TestStatesDoNotMigrateUnderNodesOfAnotherBuild(t *testing.T) {
	t.Parallel()
	p := prepareCloset(t, "")
	other := node.Started("game-1", []string{"game"}, os.Getpid()) // lives while this test does
	other.Build = "0123456789ab"
	text, err := json.Marshal(other)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(p.config.RunDir(), "game-1.json")
	if err := errors.Join(os.MkdirAll(p.config.RunDir(), 0o700), os.WriteFile(file, text, 0o600)); err != nil {
		t.Fatal(err)
	}
	p.says(exitFailed, "migrate --states", "game-1 runs another build")
	p.says(exitOK, "migrate", "the schema is up to date")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	p.says(exitOK, "migrate --states", "no kind has cells with steps")
}

// hang fills the closets of an older build; each hundredth is blue.
func (p *place) hang(count int) {
	p.t.Helper()
	db, err := node.OpenStore(p.config)
	if err != nil {
		p.t.Fatal(err)
	}
	defer db.Close()
	const shard, holder = 3, 7
	fence := func(role string) persist.Fence {
		got, err := db.Raise(context.Background(), []persist.Claim{{Role: role, Shard: shard, Holder: holder}})
		if err != nil {
			p.t.Fatal(err)
		}
		return persist.Fence{Epoch: got[0], Holder: holder}
	}
	keeper, owner := fence(persist.KeeperRole), fence("game")
	for at := 0; at < count; at += 1000 {
		b := persist.Batch{Kind: closetKind, Role: "game"}
		for i := at; i < at+1000; i++ {
			colour := "red"
			if i%100 == 0 {
				colour = "blue"
			}
			b.Changes = append(b.Changes, persist.Change{ID: fmt.Sprintf("c%06d", i), Shard: shard, Keeper: keeper,
				Owner: owner, Parts: []persist.Part{{Version: 1,
					Data: json.RawMessage(`{"worn":{"v":1,"d":{"Colour":"` + colour + `"}}}`)}}})
		}
		if got, err := db.Write(context.Background(), b); err != nil || slices.Contains(got, persist.OwnerFenced) {
			p.t.Fatalf("%v, %v", got, err)
		}
	}
}

func TestStatesGoOnMigratingAfterAKill(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		p := prepareCloset(t, "")
		migratesStates(p, "sqlite", p.config.StoreFile()+"?_pragma=busy_timeout(5000)")
	})
	t.Run("mysql", func(t *testing.T) {
		t.Parallel()
		dsn := mariadbtest.Start(t).DSN()
		migratesStates(prepareCloset(t, dsn), "mysql", dsn)
	})
}

func migratesStates(p *place, driver, source string) {
	const rows = 20_000
	p.says(exitOK, "migrate", "the schema is up to date")
	p.hang(rows)
	operator, err := sql.Open(driver, source)
	if err != nil {
		p.t.Fatal(err)
	}
	defer operator.Close()
	migrated := func() (count int) {
		_ = operator.QueryRow("SELECT COUNT(*) FROM state_closet WHERE worn_size = 42").Scan(&count) // no column yet
		return count
	}
	p.as = "closet2"
	first := p.begin("migrate", "--states", "--json")
	p.within(time.Minute, "the first rows to be migrated", func() bool { return migrated() > 0 })
	first.ends(syscall.SIGKILL)
	before := migrated()
	if before == 0 || before >= rows*99/100 {
		p.t.Errorf("%d rows were migrated when it was killed: that is not its middle", before)
	}
	text := p.says(exitFailed, "migrate --states --json",
		`{"what":"misfit","text":"actors: migrate cell worn: migrate from version 1: blue is out",`+
			`"table":"state_closet","id":"c000100"}`,
		"200 rows could not be migrated")
	var last migrateEvent
	for _, line := range strings.Split(text, "\n") {
		if strings.Contains(line, `"what":"rows"`) {
			decode(p.t, line, &last)
		}
	}
	if w := last.Walk; w == nil || w.Rows != rows || w.Migrated != int64(rows*99/100-before) || w.Failed != rows/100 {
		p.t.Errorf("after %d it went on as %+v", before, w)
	}
	if now := migrated(); now != rows*99/100 {
		p.t.Errorf("%d rows are migrated", now)
	}
	p.says(exitFailed, "migrate --states", "closet: 20000 rows in ",
		": 0 migrated, 0 written by their owners meanwhile, 200 failed",
		`state_closet, id "c000100", part "": actors: migrate cell worn`)
}
