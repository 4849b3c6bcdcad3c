package gate

import (
	"errors"
	"log/slog"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// deadAfter is how long nothing may be heard of a client that nobody pings: its kernel must answer
// ours, and take what is sent to it. Then the connection ends.
const deadAfter = 60 * time.Second

// keepAlive has the kernel end a connection whose client died without a word. One that cannot be
// watched is served nevertheless.
func keepAlive(c *net.TCPConn, log *slog.Logger) {
	if err := watched(c, deadAfter); err != nil {
		log.Warn("a connection without keep-alive", "remote", c.RemoteAddr().String(), "error", err)
	}
}

// watched sets both clocks of the kernel: the one for a connection on which nothing happens, and
// the one for bytes that nobody acknowledges.
func watched(c *net.TCPConn, dead time.Duration) error {
	probing := net.KeepAliveConfig{Enable: true, Idle: dead / 2, Interval: dead / 6, Count: 3}
	if err := c.SetKeepAliveConfig(probing); err != nil {
		return err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var refused error
	err = raw.Control(func(fd uintptr) {
		refused = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(dead.Milliseconds()))
	})
	return errors.Join(err, refused)
}
