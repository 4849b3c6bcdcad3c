package gate_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// gnet's pool of goroutines starts with the program and never ends; everything else must.
func TestMain(m *testing.M) {
	if of := os.Getenv(keepOf); of != "" {
		if err := runKeep(of); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
