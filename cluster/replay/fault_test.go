package replay_test

import (
	"testing"
)

func TestWhateverGoesWrongNothingIsLostDoubledOrOvertaken(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		d := newDay(t, seed, nil)
		d.hour(200, (*day).any)
		d.end()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
