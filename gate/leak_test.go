package gate_test

import (
	"testing"

	"go.uber.org/goleak"
)

// gnet's pool of goroutines starts with the program and never ends; everything else must.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }
