package clustertest

import (
	"testing"
	"time"
)

const (
	Patience = time.Minute           // for what takes time only because the machine does other things
	LookEach = 10 * time.Millisecond // between two looks of Await
)

// Await waits until there is no error any more; at the deadline it says what it waited for and what the last one was.
func Await(t testing.TB, within time.Duration, what string, look func() error) {
	t.Helper()
	AwaitEach(t, LookEach, within, what, look)
}

// AwaitEach is Await with a pause of one's own between two looks.
func AwaitEach(t testing.TB, pause, within time.Duration, what string, look func() error) {
	t.Helper()
	began := time.Now()
	for {
		err := look()
		if err == nil {
			return
		}
		if time.Since(began) > within {
			t.Fatalf("waited %v for %s: %v", within, what, err)
		}
		time.Sleep(pause)
	}
}
