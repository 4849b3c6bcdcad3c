package hotreload

import (
	"testing"
	"time"
)

func TestContentIsBelievedWhenItHasLasted(t *testing.T) {
	t.Parallel()
	start := time.Unix(1e9, 0)
	live, refused := Digest{1}, Digest{2}
	other := snapshot{digest: Digest{3}}
	unended := snapshot{digest: Digest{5}, open: true}
	s := settling{calm: true}
	for _, c := range []struct {
		name  string
		after time.Duration
		seen  snapshot
		ready bool
		wait  time.Duration
	}{
		{"what is live is no news", 0, snapshot{digest: live}, false, 0},
		{"what was refused is no news", 0, snapshot{digest: refused}, false, 0},
		{"something new", 0, other, false, settleAfter},
		{"still the same", 150 * time.Millisecond, other, false, 50 * time.Millisecond},
		{"something else", 199 * time.Millisecond, snapshot{digest: Digest{4}}, false, settleAfter},
		{"it has lasted", 399 * time.Millisecond, snapshot{digest: Digest{4}}, true, 0},
		{"an unended line", time.Second, unended, false, settleOpenAfter},
		{"it was put back", 1100 * time.Millisecond, snapshot{digest: live}, false, 0},
		{"its time begins anew", 2 * time.Second, unended, false, settleOpenAfter},
		{"and ends", 2500 * time.Millisecond, unended, true, 0},
	} {
		ready, wait := s.look(start.Add(c.after), c.seen, live, refused)
		if ready != c.ready || wait != c.wait {
			t.Errorf("%s: ready %v, wait %v", c.name, ready, wait)
		}
	}
}
