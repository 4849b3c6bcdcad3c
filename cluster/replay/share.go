package replay

import (
	"time"

	"github.com/fireflyrt/firefly/actors/virtual"
)

// A share is one node's part of the World's time: its clock and its scheduler. A node that has died does nothing more.
type share struct {
	loop *virtual.Time
	dead bool
}

func (s *share) Now() time.Time { return s.loop.Now() }

func (s *share) Run(f func()) { s.loop.Run(s.alive(f)) }

func (s *share) Offload(f func()) { s.loop.Offload(s.alive(f)) }

func (s *share) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	return s.loop.AfterFunc(d, s.alive(f))
}

func (s *share) alive(f func()) func() {
	return func() {
		if !s.dead {
			f()
		}
	}
}
