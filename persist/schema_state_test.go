package persist_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
)

type (
	coat struct{ Colour string }
	cape struct {
		Colour string
		Size   int
	}
)

// wardrobe is a build whose heroes have a cell and rows of version 2.
func wardrobe(t *testing.T) *actors.System {
	t.Helper()
	step := actors.From(1, func(o coat) (cape, error) {
		if o.Colour == "blue" {
			return cape{}, errors.New("blue is out")
		}
		return cape{o.Colour, 42}, nil
	})
	s, err := actors.NewSystem(actors.Options{Kinds: []actors.Kind{{Name: hero, New: func(p *actors.Props) {
		actors.State[cape](p, "worn", step)
		actors.Rows[string, cape](p, "coats", step)
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// dress writes n heroes of an older build, half of their rows in a Rows cell.
func dress(b *bench, n int) {
	b.Helper()
	for at := 0; at < n; at += 1000 {
		var all []persist.Change
		for i := at; i < min(n, at+1000); i++ {
			all = append(all, plain(b, fmt.Sprintf("h%05d", i), 1,
				"", fmt.Sprintf(`{"other":{"v":7,"d":1},"worn":{"v":1,"d":{"Colour":"c%d"}}}`, i),
				"coats/a", fmt.Sprintf(`{"v":1,"d":{"Colour":"r%d"}}`, i)))
		}
		b.expect(persist.Written, all...)
	}
}

// walk migrates; stop ends it after so many rows, if not 0.
func (y *yard) walk(stop int64) (persist.Walk, []string, error) {
	y.Helper()
	ctx, cancel := context.WithCancel(y.Context())
	defer cancel()
	var misfits []string
	last := int64(0)
	w, err := persist.MigrateStates(ctx, y.db, hero, persist.Bulk{UpToDate: wardrobe(y.T).UpToDate,
		Told: func(w persist.Walk) {
			if w.Rows < last {
				y.Errorf("%d rows after %d", w.Rows, last)
			}
			if last = w.Rows; stop > 0 && w.Rows >= stop {
				cancel()
			}
		},
		Failed: func(m persist.Misfit) { misfits = append(misfits, m.Error()) }})
	return w, misfits, err
}

func statesInBulk(y *yard) {
	const heroes = 3000
	y.migrate(actors.Index{Cell: "worn", Path: []string{"Size"}, Column: "worn_size", Type: actors.IndexInt})
	b := y.bench()
	dress(b, heroes)
	b.expect(persist.Written, plain(b, "h00007", 2, "", `{"worn":{"v":1,"d":{"Colour":"blue"}}}`),
		plain(b, "h00008", 2, "", `{"worn":{"v":3,"d":{}}}`), plain(b, "h00009", 2, "", `{}`, "coats/a", "null"))
	gone := plain(b, "h00009", 3, "", `{}`, "coats/a", "null")
	gone.Parts[1].Data = nil
	b.expect(persist.Written, gone)

	first, _, err := y.walk(1500)
	isEnded := errors.Is(err, context.Canceled) || strings.Contains(fmt.Sprint(err), "interrupted")
	if !isEnded || first.Migrated < 1000 || first.Migrated > 3000 {
		y.Fatalf("ended in its middle: %+v, %v", first, err)
	}
	second, misfits, err := y.walk(0)
	want := persist.Walk{Kind: hero, About: second.About, Rows: 2*heroes - 1, Migrated: 2*heroes - 4 - first.Migrated,
		Failed: 2}
	if err != nil || second != want || second.About < heroes {
		y.Errorf("went on as %+v, %v; want %+v", second, err, want)
	}
	const worn = `", part "": actors: migrate cell worn: `
	if len(misfits) != 2 || misfits[0] != `state_hero, id "h00007`+worn+`migrate from version 1: blue is out` ||
		!strings.HasPrefix(misfits[1], `state_hero, id "h00008`+worn+`stored version 3`) {
		y.Errorf("told of %q", misfits)
	}
	third, _, err := y.walk(0)
	if want.Migrated = 0; err != nil || third.Migrated != 0 || third.Rows != want.Rows || third.Overtaken != 0 {
		y.Errorf("again: %+v, %v", third, err)
	}
	y.finds("SELECT COUNT(*) FROM state_hero WHERE worn_size = 42", fmt.Sprint(heroes-3))
	y.finds("SELECT data FROM state_hero WHERE id = 'h00003' AND part = 'coats/a'",
		`{"v":2,"d":{"Colour":"r3","Size":42}}`)
	y.finds("SELECT version, epoch, data FROM state_hero WHERE id = 'h00003' AND part = ''",
		`1 1 {"other":{"v":7,"d":1},"worn":{"v":2,"d":{"Colour":"c3","Size":42}}}`)
	y.finds("SELECT data FROM state_hero WHERE id = 'h00007' AND part = ''", `{"worn":{"v":1,"d":{"Colour":"blue"}}}`)
}

// statesBeside: what owners write while it runs stays, whoever comes first.
func statesBeside(y *yard) {
	const heroes, rounds = 1500, 3
	y.migrate()
	b := y.bench()
	dress(b, heroes)
	var writing sync.WaitGroup
	writing.Go(func() {
		for v := range uint64(rounds) {
			for at := 0; at < heroes; at += 250 {
				var all []persist.Change
				for i := at; i < at+250; i += 2 {
					all = append(all, plain(b, fmt.Sprintf("h%05d", i), v+2,
						"", fmt.Sprintf(`{"worn":{"v":2,"d":{"Colour":"new","Size":%d}}}`, v)))
				}
				for {
					_, err := b.db.Write(context.Background(), persist.Batch{Kind: hero, Role: "game", Changes: all})
					if err == nil {
						break
					}
					if !errors.Is(err, persist.ErrContended) {
						y.Errorf("write beside: %v", err)
						return
					}
				}
			}
		}
	})
	for range 3 {
		if w, misfits, err := y.walk(0); err != nil || len(misfits) > 0 {
			y.Errorf("%+v %q %v", w, misfits, err)
		}
	}
	writing.Wait()
	if w, _, err := y.walk(0); err != nil || w.Overtaken > 0 {
		y.Errorf("with nobody beside: %+v %v", w, err)
	}
	for i, row := range y.ask("SELECT version, data FROM state_hero WHERE part = '' ORDER BY id") {
		want := fmt.Sprintf(`1 {"other":{"v":7,"d":1},"worn":{"v":2,"d":{"Colour":"c%d","Size":42}}}`, i)
		if i%2 == 0 {
			want = fmt.Sprintf(`%d {"worn":{"v":2,"d":{"Colour":"new","Size":%d}}}`, rounds+1, rounds-1)
		}
		if row != want {
			y.Fatalf("hero %d is %s, want %s", i, row, want)
		}
	}
}

// statesOvertaken: an owner writes a row between its being read and its being replaced.
func statesOvertaken(y *yard) {
	y.migrate()
	b := y.bench()
	dress(b, 10)
	steps := wardrobe(y.T)
	w, err := persist.MigrateStates(y.Context(), y.db, hero, persist.Bulk{Told: func(persist.Walk) {},
		UpToDate: func(k actors.KindName, part string, stored json.RawMessage) (json.RawMessage, bool, error) {
			if strings.Contains(string(stored), `"c3"`) {
				b.expect(persist.Written, plain(b, "h00003", 2, "", `{"worn":{"v":2,"d":{"Colour":"new","Size":1}}}`))
			}
			if strings.Contains(string(stored), `"c4"`) { // a new owner, whose versions begin anew
				b.owner = b.raise("game", 1, gameB)
				b.expect(persist.Written, plain(b, "h00004", 1, "", `{"worn":{"v":2,"d":{"Colour":"new","Size":2}}}`))
			}
			return steps.UpToDate(k, part, stored)
		}})
	if err != nil || w.Overtaken != 2 || w.Migrated != 18 {
		y.Errorf("%+v, %v", w, err)
	}
	y.finds("SELECT data FROM state_hero WHERE id IN ('h00003', 'h00004') AND part = '' ORDER BY id",
		`{"worn":{"v":2,"d":{"Colour":"new","Size":1}}}`, `{"worn":{"v":2,"d":{"Colour":"new","Size":2}}}`)
}

// statesOfAnySize: a page is bounded in bytes, odd keys are keys, and one row that the store refuses costs itself.
func statesOfAnySize(y *yard) {
	y.migrate()
	b := y.bench()
	big := strings.Repeat("x", 2<<20)
	for i := range 4 {
		b.expect(persist.Written, plain(b, fmt.Sprint("big", i), 1, "", `{"worn":{"v":1,"d":{"Colour":"`+big+`"}}}`))
	}
	keys := []string{"Ann", "ann", "ann ", "änn", `'"\`, "\x01", "😀", "a%", "a_"}
	for _, id := range keys {
		b.expect(persist.Written, plain(b, id, 1, "", `{"worn":{"v":1,"d":{"Colour":"\u0000\u003c'\"😀"}}}`,
			"coats/"+id, `{"v":1,"d":{"Colour":"x"}}`))
	}
	grown := `{"v":2,"d":"` + strings.Repeat("y", 65<<20) + `"}` // more than any server of this test takes
	steps := wardrobe(y.T)
	var failed []string
	w, err := persist.MigrateStates(y.Context(), y.db, hero, persist.Bulk{Told: func(persist.Walk) {},
		UpToDate: func(k actors.KindName, part string, stored json.RawMessage) (json.RawMessage, bool, error) {
			if part == "coats/a%" && !y.isSQLite {
				return json.RawMessage(grown), true, nil
			}
			return steps.UpToDate(k, part, stored)
		}, Failed: func(m persist.Misfit) { failed = append(failed, m.ID+" "+m.Part) }})
	want := map[bool]string{true: "[]", false: "[a% coats/a%]"}[y.isSQLite]
	if err != nil || w.Rows != 4+2*int64(len(keys)) || fmt.Sprint(failed) != want ||
		w.Migrated+w.Failed != w.Rows {
		y.Errorf("%+v, %v, failed %v", w, err, failed)
	}
	y.finds("SELECT COUNT(*) FROM state_hero WHERE part = '' AND JSON_EXTRACT(data, '$.worn.d.Size') = 42",
		fmt.Sprint(4+len(keys)))
	if _, err := persist.MigrateStates(y.Context(), persist.NewMemory(), hero, persist.Bulk{}); err == nil {
		y.Error("states were migrated in memory")
	}
}
