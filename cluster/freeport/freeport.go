// Package freeport finds ports for servers that cannot be told to take any: those that are written into a
// configuration before anybody listens at them.
//
// A port that was free a moment ago may be taken a moment later: by a connection, since the system gives connections
// the same ports that it gives a listener at port 0, or by another search for a free port. So the ports found here lie
// below those that Linux hands out by itself, in blocks, and who has a block holds its first port open, which keeps
// every other user of this package away from the rest, in whatever process.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// The blocks lie from lowest to highest; Linux hands out ports from 32768 on.
const (
	width   = 128
	lowest  = 11008
	highest = 32768
	blocks  = (highest - lowest) / width
)

// Most is how many ports a block has at most.
const Most = width - 1

// A Block is a number of free ports of the loopback in a row.
type Block struct {
	First int
	held  net.Listener
}

// errNone means that every block is taken, or that a stranger listens in it.
var errNone = errors.New("freeport: found no free ports below 32768")

// Take takes n ports, 1 to Most, until Release or the end of the process.
func Take(n int) (*Block, error) {
	if n < 1 || n > Most {
		return nil, fmt.Errorf("freeport: %d ports: there can be 1 to %d", n, Most)
	}
	for _, i := range rand.Perm(blocks) { // the order is nobody's business: any free block will do
		if b := take(lowest+i*width, n); b != nil {
			return b, nil
		}
	}
	return nil, errNone
}

// take takes the block whose first port this is, or returns nil if it is taken.
func take(first, n int) *Block {
	held, err := listen(first)
	if err != nil {
		return nil
	}
	b := &Block{First: first + 1, held: held}
	for port := b.First; port < b.First+n; port++ {
		l, err := listen(port)
		if err != nil {
			b.Release()
			return nil
		}
		l.Close() //nolint:errcheck // it took no connection
	}
	return b
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
}

// Release gives the ports back to others that look for some; what listens at them is not disturbed.
func (b *Block) Release() {
	b.held.Close() //nolint:errcheck // it took no connection
}
