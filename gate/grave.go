package gate

import (
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// A grave is what is left of a session that was closed for good. A client that was away then, or
// lost its connection just before it was told, is told when it comes back.
type grave struct {
	token, oldToken token
	number          wire.CloseNumber
	text            string
	until           time.Time
}

// bury remembers how a session ended, if its client must not simply begin another one.
func (g *Gate) bury(s *Session, n wire.CloseNumber, text string) {
	if !s.keeps() || n.Advice() != wire.ReturnNever || n == wire.CloseBadFrame {
		return
	}
	now := g.Clock.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.dead) > 0 && (len(g.dead) >= g.Limits.Away || !now.Before(g.graves[g.dead[0]].until)) {
		delete(g.graves, g.dead[0])
		g.dead = g.dead[1:]
	}
	g.graves[s.ref] = grave{s.token, s.oldToken, n, text, now.Add(g.Limits.ResumeFor)}
	g.dead = append(g.dead, s.ref)
}

// buried returns how the session ended that a token would have opened.
func (g *Gate) buried(ref actors.Ref, token string) (grave, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e, ok := g.graves[ref]
	return e, ok && g.Clock.Now().Before(e.until) && (e.token.opens(token) || e.oldToken.opens(token))
}
