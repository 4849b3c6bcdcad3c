// Package prompt is a person's client in a terminal: it sends messages by name or number with JSON bodies, and shows
// what comes back and what is pushed, for people who debug.
//
// It promises that every request's answer is shown once, in the order in which answers and pushes came; that a
// connection that dies is made again, and that it says so; and that a line that is wrong sends nothing and is answered
// by what is wrong, where, and what to write instead. What is no terminal is read as a script: each request waits for
// its answer before the next line, and the first line that is wrong ends it.
package prompt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/gate/client"
)

// Options are whom to talk to, and how. All are needed.
type Options struct {
	Address string         // as client.Dial takes it
	Client  client.Options // Catalogue, Codec, Ticket, Way; the rest is the prompt's
	In      io.Reader      // a terminal, or a script
	Out     io.Writer
	JSON    bool // one object a line
}

// maxLine is the longest line of a script, in bytes.
const maxLine = 1 << 20

// ErrRefused is the end of a script of whose requests not all were answered with yes.
var ErrRefused = errors.New("prompt: not every request was answered with yes")

// ErrInterrupted is the end of a script whose context ended before its input.
var ErrInterrupted = errors.New("prompt: interrupted")

// errQuit is what :quit wants.
var errQuit = errors.New("prompt: quit")

// A prompt is one conversation.
type prompt struct {
	Options
	*voice
	editor *editor // nil: the input is a script
	client *client.Client
	left   chan struct{} // closed when whoever sits at the terminal has ended the input
	asked  int
	no     atomic.Int64 // requests that were not answered with yes
}

// Run connects, and talks until the input ends, :quit, or the client's end, which is an error. A line of a script that
// is wrong makes the error a *Wrong. The goroutine that reads In ends with it: where In is a terminal, with the
// process.
func Run(ctx context.Context, o Options) (err error) {
	p := &prompt{Options: o, left: make(chan struct{}),
		voice: &voice{out: o.Out, json: o.JSON, hidden: map[uint32]bool{}}}
	c := o.Client
	c.Policy, c.Push, c.Changed, c.Strayed = client.Return, p.pushed, p.changed, p.strayed
	if p.client, err = client.Dial(ctx, o.Address, c); err != nil {
		return err
	}
	defer p.client.Close() //nolint:errcheck // nothing is open any more
	if p.editor, err = newEditor(o.In, o.Out, completer{o.Client.Catalogue}); err != nil {
		return err
	}
	if p.editor != nil {
		p.voice.into(p.editor)
		defer p.editor.close()
		p.print("%s", hint)
	}
	if err = p.listen(ctx); errors.Is(err, errQuit) || errors.Is(err, io.EOF) {
		err = nil
	}
	if err == nil && p.editor == nil && p.no.Load() > 0 {
		return fmt.Errorf("%w: %d were not", ErrRefused, p.no.Load())
	}
	return err
}

// listen takes line after line.
func (p *prompt) listen(ctx context.Context) error {
	lines, over := make(chan string), make(chan struct{})
	var ended error
	go func() { // ends with the input, or when nobody listens any more and one more line has come
		defer close(lines)
		next := p.next()
		for {
			text, err := next()
			if err != nil {
				if ended = err; p.editor != nil {
					close(p.left)
				}
				return
			}
			select {
			case lines <- text:
			case <-over:
				return
			}
		}
	}()
	defer close(over)
	for n := 1; ; n++ {
		select {
		case text, more := <-lines:
			if !more {
				return ended
			}
			if err := p.take(ctx, line{n, text}); err != nil {
				return err
			}
		case <-p.client.Done():
			return p.client.Err()
		case <-ctx.Done():
			return ErrInterrupted
		}
	}
}

// next is what returns the input's lines, and io.EOF after them.
func (p *prompt) next() func() (string, error) {
	if p.editor != nil {
		return p.editor.line
	}
	lines := bufio.NewScanner(p.In)
	lines.Buffer(nil, maxLine)
	return func() (string, error) {
		if lines.Scan() {
			return lines.Text(), nil
		}
		if err := lines.Err(); err != nil {
			return "", fmt.Errorf("prompt: reading a line: %w", err)
		}
		return "", io.EOF
	}
}

// take does what a line says.
func (p *prompt) take(ctx context.Context, l line) error {
	o, err := l.read(p.Options.Client.Catalogue)
	if err == nil {
		err = p.do(ctx, o)
	}
	if wrong := (*Wrong)(nil); errors.As(err, &wrong) && p.editor != nil {
		p.say(event{What: "wrong", Text: wrong.Error()})
		return nil
	}
	return err
}

func (p *prompt) do(ctx context.Context, o order) error {
	switch o.command {
	case "quit":
		return errQuit
	case "help":
		p.print("%s", help)
	case "list":
		p.list(o.word)
	case "hide", "show":
		p.hide(o.word, o.command == "hide")
	case "wait":
		return p.wait(ctx, o.wait)
	case "send":
		return p.send(ctx, o)
	}
	return nil
}

// send sends a message. In a script it waits for the answer.
func (p *prompt) send(ctx context.Context, o order) error {
	if o.oneWay {
		if err := p.client.Send(o.msg); err != nil {
			p.unsent(o, err)
			return nil
		}
		p.message("sent", 0, o.msg, 0)
		return nil
	}
	p.asked++
	n, began := p.asked, time.Now()
	p.message("asked", n, o.msg, 0)
	answer := make(chan struct{})
	err := p.client.Ask(o.msg, func(reply any, err error) {
		defer close(answer)
		p.answered(n, o, time.Since(began), reply, err)
	})
	switch {
	case err != nil:
		p.unsent(o, err)
	case p.editor == nil:
		select {
		case <-answer:
		case <-ctx.Done():
			return ErrInterrupted
		}
	}
	return nil
}

// unsent says that a message did not leave. If the client has ended, listen notices that by itself.
func (p *prompt) unsent(o order, err error) {
	p.no.Add(1)
	p.say(event{What: "failed", Name: o.of.Name, Number: o.of.Number, Text: err.Error()})
}

// answered shows what came of request n.
func (p *prompt) answered(n int, o order, took time.Duration, reply any, err error) {
	refusal := (*actors.Refusal)(nil)
	switch {
	case errors.As(err, &refusal):
		p.no.Add(1)
		p.say(event{What: "refused", Request: n, Number: o.of.Number, Name: o.of.Name, Code: string(refusal.Code),
			Text: refusal.Text, RetryAfter: refusal.RetryAfter, Incident: refusal.Incident, Took: milliseconds(took)})
	case err != nil:
		p.no.Add(1)
		p.say(event{What: "failed", Request: n, Number: o.of.Number, Name: o.of.Name, Text: err.Error()})
	case reply == nil:
		p.say(event{What: "reply", Request: n, Number: o.of.Number, Name: o.of.Name, Took: milliseconds(took)})
	default:
		p.message("reply", n, reply, took)
	}
}

func (p *prompt) pushed(msg any) { p.message("push", 0, msg, 0) }

func (p *prompt) strayed(r *actors.Refusal) {
	p.say(event{What: "error", Code: string(r.Code), Text: r.Text, RetryAfter: r.RetryAfter, Incident: r.Incident})
}

func (p *prompt) changed(c client.Change) {
	if c.State != client.Lost || c.Failed == 0 { // attempts that fail are told once
		p.say(event{What: c.State.String(), Text: c.String()})
	}
}

// message shows a message, whatever codec it travels in, as JSON.
func (p *prompt) message(what string, request int, msg any, took time.Duration) {
	e := event{What: what, Request: request, Took: milliseconds(took)}
	e.of(p.Options.Client.Catalogue, msg)
	p.say(e)
}

// wait lets time pass, so that a script hears pushes. At a terminal Ctrl-C ends it, and the conversation.
func (p *prompt) wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-p.left:
		return errQuit
	case <-p.client.Done():
		return p.client.Err()
	case <-ctx.Done():
		return ErrInterrupted
	}
}
