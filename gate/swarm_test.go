package gate_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A swarm is very many clients that cost next to nothing themselves: plain sockets, one thread, one
// epoll. What is measured with it is the gate.
type swarm struct {
	poll    int
	clients []*buzzer // by file descriptor; nil: none
	order   []*buzzer // as they came
	open    int
	events  []syscall.EpollEvent
	buffer  []byte

	// heard gets every frame that comes. The body dies with the call.
	heard func(c *buzzer, h wire.Header, body []byte)
	lost  int // connections that the gate has ended
}

// A buzzer is one client of a swarm.
type buzzer struct {
	fd, number int
	partial    []byte
	seq        uint32
	received   int       // counted frames
	since      time.Time // when its open request left
}

func newSwarm() (*swarm, error) {
	poll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("swarm: epoll: %w", err)
	}
	return &swarm{poll: poll, clients: make([]*buzzer, 1024), events: make([]syscall.EpollEvent, 1024),
		buffer: make([]byte, 64<<10), heard: func(*buzzer, wire.Header, []byte) {}}, nil
}

// join opens n connections to 127.0.0.1:port over TCP, from several addresses, so that ports suffice,
// and sends what first says on each.
func (s *swarm) join(to string, n int, first func(c *buzzer) []byte) error {
	_, digits, err := net.SplitHostPort(to)
	if err != nil {
		return fmt.Errorf("swarm: %w", err)
	}
	port, err := strconv.Atoi(digits)
	if err != nil {
		return fmt.Errorf("swarm: %w", err)
	}
	for range n {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("swarm: socket %d: %w", s.open, err)
		}
		source := &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 1, byte(1 + s.open%8)}}
		c := &buzzer{fd: fd, number: s.open}
		err = errors.Join(syscall.Bind(fd, source),
			syscall.Connect(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port}),
			syscall.SetNonblock(fd, true),
			syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1),
			syscall.EpollCtl(s.poll, syscall.EPOLL_CTL_ADD, fd,
				&syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}))
		if err != nil {
			syscall.Close(fd)
			return fmt.Errorf("swarm: connection %d: %w", s.open, err)
		}
		for fd >= len(s.clients) {
			s.clients = append(s.clients, make([]*buzzer, len(s.clients))...)
		}
		s.clients[fd] = c
		s.order = append(s.order, c)
		s.open++
		if b := first(c); len(b) > 0 {
			if err := s.say(c, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// say writes a client's bytes, which must fit into its socket.
func (s *swarm) say(c *buzzer, b []byte) error {
	if n, err := syscall.Write(c.fd, b); err != nil || n < len(b) {
		return fmt.Errorf("swarm: client %d wrote %d of %d bytes: %w", c.number, n, len(b), err)
	}
	return nil
}

// hear reads what comes until done says so, or the time is over; then it reports what is missing.
func (s *swarm) hear(within time.Duration, done func() bool) error {
	for end := time.Now().Add(within); !done(); {
		left := time.Until(end)
		if left <= 0 {
			return fmt.Errorf("swarm: not done within %v; %d of %d connections were lost", within, s.lost, s.open)
		}
		if err := s.turn(int(min(left, 100*time.Millisecond).Milliseconds())); err != nil {
			return err
		}
	}
	return nil
}

// turn waits so many milliseconds for anything, and reads what there is.
func (s *swarm) turn(wait int) error {
	n, err := syscall.EpollWait(s.poll, s.events, wait)
	if err != nil && !errors.Is(err, syscall.EINTR) {
		return fmt.Errorf("swarm: waiting: %w", err)
	}
	for _, e := range s.events[:max(n, 0)] {
		if c := s.clients[e.Fd]; c != nil {
			s.read(c)
		}
	}
	return nil
}

func (s *swarm) read(c *buzzer) {
	n, err := syscall.Read(c.fd, s.buffer)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
		return
	}
	if err != nil || n == 0 {
		s.drop(c)
		s.lost++
		return
	}
	b := s.buffer[:n]
	if len(c.partial) > 0 {
		c.partial = append(c.partial, b...)
		b = c.partial
	}
	for len(b) >= wire.HeaderSize {
		end := wire.HeaderSize + int(binary.BigEndian.Uint32(b)&0xffffff)
		if len(b) < end {
			break
		}
		h, err := wire.ParseHeader(b, wire.MaxBody)
		if err != nil {
			s.drop(c)
			s.lost++
			return
		}
		s.heard(c, h, b[wire.HeaderSize:end])
		b = b[end:]
	}
	c.partial = append(c.partial[:0], b...)
	if len(c.partial) == 0 {
		c.partial = nil
	}
}

func (s *swarm) drop(c *buzzer) {
	s.clients[c.fd] = nil
	syscall.Close(c.fd)
}

// leave closes all connections, once: afterwards the number of its epoll is that of somebody else's file.
func (s *swarm) leave() {
	if s.poll < 0 {
		return
	}
	for _, c := range s.clients {
		if c != nil {
			s.drop(c)
		}
	}
	syscall.Close(s.poll)
	s.poll = -1
}

func TestASwarmThatHasLeftClosesNobodyElsesFiles(t *testing.T) { // not in parallel: others open files, too
	s, err := newSwarm()
	if err != nil {
		t.Fatal(err)
	}
	s.leave()
	other, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	s.leave()
	if _, err := other.Stat(); err != nil {
		t.Errorf("it closed what came after it: %v", err)
	}
}
