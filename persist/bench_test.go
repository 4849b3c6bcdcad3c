package persist_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
)

// A bench is a migrated database with the fences of shard 1 raised.
type bench struct {
	*testing.T
	db            persist.Database
	keeper, owner persist.Fence
}

func (b *bench) migrate() {
	b.Helper()
	err := b.db.Migrate(context.Background(), persist.Schema{
		Kinds: []actors.KindName{hero}, Roles: []string{"game"}, Shards: 8})
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) raise(role string, shard int, holder uint64) persist.Fence {
	b.Helper()
	got, err := b.db.Raise(context.Background(),
		[]persist.Claim{{Role: role, Shard: shard, Holder: holder}})
	if err != nil || len(got) != 1 || got[0] == 0 {
		b.Fatalf("raise %s/%d: %v, %v", role, shard, got, err)
	}
	return persist.Fence{Epoch: got[0], Holder: holder}
}

// change is a change in shard 1 under the fences that hold; text of a part is made to JSON.
func (b *bench) change(id string, version uint64, parts ...string) persist.Change {
	c := persist.Change{ID: id, Shard: 1, Owner: b.owner, Keeper: b.keeper}
	for i := 0; i < len(parts); i += 2 {
		text, err := json.Marshal(parts[i+1])
		if err != nil {
			b.Fatal(err)
		}
		c.Parts = append(c.Parts, persist.Part{Name: parts[i], Version: version, Data: text})
	}
	return c
}

func (b *bench) write(changes ...persist.Change) []persist.Outcome {
	b.Helper()
	got, err := b.db.Write(context.Background(),
		persist.Batch{Kind: hero, Role: "game", At: 1, Changes: changes})
	if err != nil || len(got) != len(changes) {
		b.Fatalf("write: %v, %v", got, err)
	}
	return got
}

func (b *bench) expect(want persist.Outcome, changes ...persist.Change) {
	b.Helper()
	for i, got := range b.write(changes...) {
		if got != want {
			b.Errorf("%q: %v, want %v", changes[i].ID, got, want)
		}
	}
}

// holds compares an entity with name=text pairs; a tombstone is written name=.
func (b *bench) holds(id, want string) {
	b.Helper()
	if got := b.text(id); got != want {
		b.Errorf("%q holds %s, want %s", id, got, want)
	}
}

func (b *bench) text(id string) string {
	b.Helper()
	parts, err := b.db.Load(context.Background(), hero.Ref(id))
	if err != nil {
		b.Fatal(err)
	}
	var texts []string
	for _, p := range parts {
		text := ""
		if p.Data != nil {
			if err := json.Unmarshal(p.Data, &text); err != nil {
				b.Fatal(err)
			}
		}
		texts = append(texts, fmt.Sprintf("%s=%s@%d", p.Name, text, p.Version)+boxText(p))
	}
	return strings.Join(texts, " ")
}

// boxText shows a box and when its entity is due: +box!due.
func boxText(p persist.Part) (text string) {
	if p.Box != nil {
		text = "+" + string(p.Box)
	}
	if p.DueAt != 0 {
		text += fmt.Sprintf("!%d", p.DueAt)
	}
	return text
}

// raw reads an entity with its parts as they are; tombstones are shown.
func (b *bench) raw(id string) string {
	b.Helper()
	parts, err := b.db.Load(context.Background(), hero.Ref(id))
	if err != nil {
		b.Fatal(err)
	}
	var texts []string
	for _, p := range parts {
		texts = append(texts, fmt.Sprintf("%s=%s@%d", p.Name, p.Data, p.Version)+boxText(p))
	}
	return strings.Join(texts, " ")
}
