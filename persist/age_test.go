package persist

import "testing"

func TestAgesDoNotGatherBehindOneThatStays(t *testing.T) {
	t.Parallel()
	pending := func() *entity { return &entity{parts: map[string]*Part{"": new(Part)}} }
	k := &keeper{pending: 1}
	k.aged(pending(), 1)
	for i := range int64(10_000) {
		e := pending()
		k.pending = 2
		k.aged(e, i+2)
		clear(e.parts) // it was written
		k.pending = 1
	}
	if n := len(k.ages); n > 2*2+spareAges {
		t.Errorf("%d ages are kept of one entity", n)
	}
	if at := k.oldestAt.Load(); at != 1 {
		t.Errorf("the oldest change is of %d, want 1", at)
	}
}
