package main

import (
	"testing"
	"time"
)

// TestEveryStepIsCountedOnceAndInOrder is what all tests here compare with: nothing happens.
func TestEveryStepIsCountedOnceAndInOrder(t *testing.T) {
	t.Parallel()
	c := start(t)
	f := compete(t, c, racersInCI)
	f.during("three seconds", func() { time.Sleep(3 * time.Second) })
	f.finish(1000)
	c.Stop()
}
