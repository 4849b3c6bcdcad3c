package cli

import (
	"errors"
	"os"
	"testing"
	"time"
)

func TestASecondUpIsRefusedAndOneThatFollowsADyingOneWaitsForItsEnd(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	first, err := takeLock(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.say(holding{pid: os.Getpid()}); err != nil {
		t.Fatal(err)
	}
	if _, err := takeLock(data); !errors.Is(err, errLocked) {
		t.Errorf("a second one: %v", err)
	}
	if h, held := holder(data); !held || h.pid != os.Getpid() {
		t.Errorf("the second one harmed the first: %+v, %v", h, held)
	}
	ended := make(chan error, 1)
	time.AfterFunc(200*time.Millisecond, func() { ended <- first.release() })
	next, err := takeLock(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-ended, next.release()); err != nil {
		t.Error(err)
	}
}
