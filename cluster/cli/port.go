package cli

import (
	"errors"
	"fmt"
	"net"
)

// freePorts finds ports of the loopback that nobody listens on, the one after the first included:
// that is how an embedded registry wants them.
func freePorts(n int) ([]int, error) {
	var open []net.Listener
	defer func() {
		for _, l := range open {
			l.Close() //nolint:errcheck // it took no connection
		}
	}()
	var ports []int
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("cli: looking for a free port: %w", err)
		}
		open = append(open, l)
		port := l.Addr().(*net.TCPAddr).Port
		if len(ports) == 0 {
			next, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+1))
			if err != nil {
				continue
			}
			open = append(open, next)
		}
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, errors.New("cli: found no free ports")
}
