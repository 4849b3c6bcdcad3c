package gate_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets four tests run at once, which wait for clients and timers most of the time. gnet's pool of goroutines
// starts with the program and never ends; everything else must.
func TestMain(m *testing.M) {
	if of := os.Getenv(keepOf); of != "" {
		if err := runKeep(of); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
