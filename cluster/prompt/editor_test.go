package prompt

import (
	"context"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fireflyrt/firefly/gate/client"
)

// A person sits at a terminal: types, and sees.
type person struct {
	t     *testing.T
	desk  *os.File // the terminal's other end
	mu    sync.Mutex
	seen  strings.Builder
	looks sync.WaitGroup
}

// sit opens a pseudo terminal of 100 columns.
func sit(t *testing.T) (*person, *os.File) {
	t.Helper()
	desk, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(desk.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 30, Col: 100})
	}
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &person{t: t, desk: desk}
	p.looks.Go(func() {
		b := make([]byte, 4096)
		for {
			n, err := desk.Read(b)
			if err != nil { // the terminal is closed
				return
			}
			p.mu.Lock()
			p.seen.Write(b[:n])
			p.mu.Unlock()
		}
	})
	t.Cleanup(func() { terminal.Close(); p.looks.Wait(); desk.Close() })
	return p, terminal
}

func (p *person) types(keys string) {
	p.t.Helper()
	if _, err := p.desk.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

func (p *person) sees(what string) {
	p.t.Helper()
	for end := time.Now().Add(patient); ; time.Sleep(time.Millisecond) {
		p.mu.Lock()
		seen := p.seen.String()
		p.mu.Unlock()
		if strings.Contains(seen, what) {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("%q is not to be seen on:\n%q", what, seen)
		}
	}
}

func TestAPersonCompletesIsToldOfMistakesAndGetsTheTerminalBack(t *testing.T) {
	t.Parallel()
	p, terminal := sit(t)
	before, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	h := newHall(t)
	ended := make(chan error, 1)
	go func() {
		ended <- Run(context.Background(), Options{Address: "tcp://" + h.Addr().String(), In: terminal, Out: terminal,
			Client: client.Options{Catalogue: messages}})
	}()
	p.sees("Tab completes")
	p.types("en\t\t")
	p.sees("Name  Secret")
	p.types("n\t\"ann\"}\r")
	p.sees(`<- #1 heard {"Text":"hello"}`)
	p.types("entr\r")
	p.sees("!! line 2:1: there is no message entr; did you mean enter?")
	p.types("\x1b[A\x1b[A\r") // the line before the last
	p.sees(`<- #2 heard`)
	p.types("\x04")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	after, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil || *after != *before {
		t.Errorf("the terminal was %+v and is %+v, %v", before, after, err)
	}
}

func TestATerminalThatSaysNoSizeAndSomebodyWhoWillNotWait(t *testing.T) {
	t.Parallel()
	p, terminal := sit(t)
	if err := unix.IoctlSetWinsize(int(p.desk.Fd()), unix.TIOCSWINSZ, &unix.Winsize{}); err != nil {
		t.Fatal(err)
	}
	h := newHall(t)
	ended := make(chan error, 1)
	go func() {
		ended <- Run(context.Background(), Options{Address: "tcp://" + h.Addr().String(), In: terminal, Out: terminal,
			Client: client.Options{Catalogue: messages}})
	}()
	p.sees("Tab completes")
	p.types(":wait 1h")
	p.sees(":wait 1h") // in one line
	p.types("\r\x03")
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patient):
		t.Fatal("it goes on waiting")
	}
}
