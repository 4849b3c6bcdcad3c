package hotreload

import "github.com/fireflyrt/firefly/actors"

// held is the edition that the turn holds. The runtime asks for Set.Current at the turn's first
// look and keeps it.
func held(ctx actors.Context) *Edition {
	e, _ := ctx.Tables().(*Edition)
	return e
}
