package gate

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTheKernelIsToldHowLongADeadClientIsWaitedFor(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := watched(c, deadAfter); err != nil {
		t.Fatal(err)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []struct {
		name          string
		level, option int
		want          int
	}{
		{"keep-alive", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{"seconds of silence before it asks", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 30},
		{"seconds between questions", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 10},
		{"questions", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
		{"milliseconds for bytes to be taken", unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 60_000},
	} {
		var got int
		var refused error
		err := raw.Control(func(fd uintptr) { got, refused = unix.GetsockoptInt(int(fd), o.level, o.option) })
		if err != nil || refused != nil || got != o.want {
			t.Errorf("%s: %d, want %d (%v, %v)", o.name, got, o.want, err, refused)
		}
	}
	c.Close()
	if err := watched(c, deadAfter); err == nil {
		t.Error("a closed connection was watched")
	}
}
