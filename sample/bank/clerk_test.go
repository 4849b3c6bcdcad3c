package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
)

// A clerk files deeds, each once, and shreds every second of them when it is filed, so that the table alone does not
// keep a number from being given again.
type clerk struct {
	*customer
	filed    map[uint64]uint64 // the line of each number that it was told
	shredded map[uint64]bool   // by number: whether it was told so
	tried    uint64            // the newest line
}

// An office is all clerks.
type office []*clerk

// clerks adds clerks to the crowd.
func (w *crowd) clerks(n int) (all office) {
	for i := range n {
		c := &clerk{customer: w.customer(fmt.Sprintf("clerk%d", i)), filed: map[uint64]uint64{},
			shredded: map[uint64]bool{}}
		c.be(LedgerKind.Ref(c.name))
		w.add(c.customer, c.live)
		all = append(all, c)
	}
	return all
}

func (c *clerk) live(ctx context.Context) {
	for pause := pace; c.wait(ctx, pause); {
		c.tried++
		f, err := request[*Filed](ctx, c.customer, &File{c.tried})
		if errors.Is(err, errStopped) {
			return
		}
		if pause = pace; err != nil {
			pause = 20 * pace // whatever the answer says: what is there in the end is counted
			continue
		}
		if line, twice := c.filed[f.ID]; twice {
			c.fault("deed %d has the number of %d: %d", c.tried, line, f.ID)
		}
		c.filed[f.ID] = c.tried
		if c.certain(1, 0); c.tried%2 == 0 {
			_, err := request[*Filed](ctx, c.customer, &Shred{f.ID})
			c.shredded[f.ID] = err == nil
		}
	}
}

// deeds reads the table.
func (v *vault) deeds(t *testing.T) map[uint64]Deed {
	t.Helper()
	found, err := v.db.Query("SELECT id, holder, line FROM deed")
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	all := map[uint64]Deed{}
	for found.Next() {
		var d Deed
		if err := found.Scan(&d.ID, &d.Holder, &d.Line); err != nil {
			t.Fatal(err)
		}
		all[d.ID] = d
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// audit compares what the clerks were told with the table: what was filed is there once, under the number that was
// told, unless it was shredded; no number was given to two; nothing is there that nobody has filed.
func (o office) audit(t *testing.T, stored map[uint64]Deed, least int) {
	t.Helper()
	owners, sure, shredded := map[uint64]string{}, 0, 0
	rows := map[string]map[uint64]int{} // how often each holder has each line
	for _, d := range stored {
		if rows[d.Holder] == nil {
			rows[d.Holder] = map[uint64]int{}
		}
		rows[d.Holder][d.Line]++
	}
	for _, c := range o {
		for id, line := range c.filed {
			if other := owners[id]; other != "" {
				t.Errorf("%s and %s both have the number %d", other, c.name, id)
			}
			owners[id] = c.name
			told, tried := c.shredded[id]
			d, is := stored[id]
			switch {
			case told && is:
				t.Errorf("%s has shredded deed %d, and it is there", c.name, id)
			case is && d != (Deed{id, c.name, line}), !is && !tried, rows[c.name][line] > 1:
				t.Errorf("%s has filed line %d as %d; the table has %+v, and the line %d times", c.name, line, id, d,
					rows[c.name][line])
			case !is && rows[c.name][line] > 0:
				t.Errorf("%s has shredded deed %d, and its line %d is there under another number", c.name, id, line)
			}
			if sure++; told {
				shredded++
			}
			delete(rows[c.name], line)
		}
		for line, times := range rows[c.name] {
			if times != 1 || line < 1 || line > c.tried {
				t.Errorf("%s tried %d lines; the table has line %d %d times", c.name, c.tried, line, times)
			}
		}
		delete(rows, c.name)
	}
	if len(rows) > 0 {
		t.Errorf("deeds of nobody: %v", slices.Sorted(maps.Keys(rows)))
	}
	t.Logf("%d deeds were filed for certain, of which %d were shredded; the table has %d", sure, shredded, len(stored))
	if sure < least {
		t.Errorf("%d deeds were filed, less than %d: too little was tested", sure, least)
	}
}
