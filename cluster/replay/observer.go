package replay

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/fireflyrt/firefly/persist"
)

// Observe writes down all that can be seen of a World, one line an event with its time: every frame to every client,
// every statement to the store with what became of it, every line of every log. Two Worlds of one seed that are used
// the same way write the same bytes; hand it a hash to compare them.
func Observe(to io.Writer) Option { return func(w *World) { w.observer = to } }

// observe writes one line down, if somebody wants it.
func (w *World) observe(format string, args ...any) {
	if w.observer == nil {
		return
	}
	if _, err := fmt.Fprintf(w.observer, "%v "+format+"\n", append([]any{w.Now().Sub(born)}, args...)...); err != nil {
		w.t.Fatalf("the World cannot be observed: %v", err)
	}
}

// written lists what a batch writes.
func written(b persist.Batch) string {
	var s strings.Builder
	for _, c := range b.Changes {
		fmt.Fprintf(&s, " %s/%s by %v %v", b.Kind, c.ID, c.Owner, c.Keeper)
		for _, p := range c.Parts {
			fmt.Fprintf(&s, " %s@%d=%s", p.Name, p.Version, p.Data)
		}
	}
	return s.String()
}

// logger shows a node's warnings with the test that caused them, and all that it says to an observer.
func (w *World) logger(node string, s *share) *slog.Logger {
	shown := slog.Handler(slog.NewTextHandler(testLog{w.t}, &slog.HandlerOptions{Level: slog.LevelWarn,
		ReplaceAttr: w.timed}))
	if w.observer != nil {
		shown = slog.NewMultiHandler(shown, slog.NewTextHandler(observed{w}, &slog.HandlerOptions{ReplaceAttr: plain}))
	}
	return slog.New(voice{shown, s}).With("node", node)
}

// timed puts the World's time in the place of the process's.
func (w *World) timed(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		a.Value = slog.StringValue(w.Now().Sub(born).String())
	}
	return a
}

// plain leaves out what is the process's and not the World's: time, and addresses in stacks.
func plain(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == "stack") {
		return slog.Attr{}
	}
	return a
}

// A voice is a node's log: one that has died says nothing more.
type voice struct {
	slog.Handler
	share *share
}

func (v voice) Enabled(ctx context.Context, l slog.Level) bool {
	return !v.share.dead && v.Handler.Enabled(ctx, l)
}
func (v voice) WithAttrs(as []slog.Attr) slog.Handler { return voice{v.Handler.WithAttrs(as), v.share} }
func (v voice) WithGroup(name string) slog.Handler    { return voice{v.Handler.WithGroup(name), v.share} }

type testLog struct{ t TB }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Logf("%s", strings.TrimSpace(string(b)))
	return len(b), nil
}

// observed hands a line of a log to the observer.
type observed struct{ w *World }

func (l observed) Write(b []byte) (int, error) {
	l.w.observe("log %s", strings.TrimSpace(string(b)))
	return len(b), nil
}
