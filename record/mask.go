package record

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"strings"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// masked begins what stands for something sensitive; 16 hex digits follow, or in a blank nothing.
const masked = "masked:"

var maskShape = regexp.MustCompile(`masked:[0-9a-f]{16}`)

// NewMask makes a mask: equal contents give equal masks, nobody without the key can tell which contents, and what is
// masked already stays as it is.
func NewMask(key []byte) actors.Mask {
	return func(contents string) string {
		if isMasked(contents) {
			return contents
		}
		h := hmac.New(sha256.New, key)
		h.Write([]byte(contents))
		return masked + hex.EncodeToString(h.Sum(nil)[:8])
	}
}

func isMasked(s string) bool {
	rest, ok := strings.CutPrefix(s, masked)
	return ok && (rest == "" || len(rest) == 16 && maskShape.MatchString(s))
}

// Blank is the mask for comparing: everything sensitive looks alike, so that two runs with different masks do.
func Blank(string) string { return masked }

// A Masking masks the messages of a catalogue.
type Masking struct {
	sensitive map[uint32]*wire.Type
	mask      actors.Mask
}

// NewMasking looks up, once, which messages of the catalogue are sensitive.
func NewMasking(c wire.Catalogue, mask actors.Mask) *Masking {
	m := &Masking{sensitive: map[uint32]*wire.Type{}, mask: mask}
	for _, t := range c.All() {
		if t.Sensitive() {
			m.sensitive[t.Number] = t
		}
	}
	return m
}

// MaskingOf is how what happens today is masked, to be compared with a recording: everything sensitive looks alike, or,
// where the recording is not masked, nothing is masked.
func MaskingOf(r *Recording, c wire.Catalogue) *Masking {
	if r.Header.Masked {
		return NewMasking(c, Blank)
	}
	return NewMasking(wire.Catalogue{}, nil)
}

// Mask is the mask for cells.
func (m *Masking) Mask() actors.Mask { return m.mask }

// envelope masks a copy of an envelope.
func (m *Masking) envelope(e *actors.Envelope) {
	if t := m.sensitive[e.Number]; t != nil && e.Type != actors.Refused {
		e.Body = t.RedactBody(e.Codec, e.Body, m.mask)
	}
	e.Body = someOrNil(e.Body)
}

// someOrNil makes no difference between bytes that are none and none at all, as the format does.
func someOrNil(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

func (m *Masking) timers(orders []actors.TimerOrder) []actors.TimerOrder {
	var all []actors.TimerOrder
	for _, o := range orders {
		if t := m.sensitive[o.Number]; t != nil {
			o.Body = t.RedactBody(t.Native(), o.Body, m.mask)
		}
		o.Body = someOrNil(o.Body)
		all = append(all, o)
	}
	return all
}

// Compared returns a copy of a step in which everything sensitive looks alike. Two steps that are to be compared go
// through it first: the one that was recorded, and the one that Encode made of what happens today.
func (m *Masking) Compared(s *Step) *Step {
	blank := &Masking{sensitive: m.sensitive, mask: Blank}
	c := *s
	if e := s.Input.Envelope; e != nil {
		masked := *e
		blank.envelope(&masked)
		c.Input.Envelope = &masked
	}
	c.Turns, c.Out = nil, nil
	for _, t := range s.Turns {
		t.Timers = blank.timers(t.Timers)
		c.Turns = append(c.Turns, t)
	}
	for _, e := range s.Out {
		blank.envelope(&e)
		c.Out = append(c.Out, e)
	}
	if s.Patch != nil {
		p := *s.Patch
		p.Cells, p.Rows = blankTexts(p.Cells), blankTexts(p.Rows)
		c.Patch = &p
	}
	return &c
}

// blankTexts makes all masks in JSON alike.
func blankTexts(texts map[string]json.RawMessage) map[string]json.RawMessage {
	if texts == nil {
		return nil
	}
	all := make(map[string]json.RawMessage, len(texts))
	for name, text := range texts {
		all[name] = text
		if text != nil {
			all[name] = maskShape.ReplaceAllLiteral(text, []byte(masked))
		}
	}
	return all
}

// Hash is the digest of an Image that was made with the mask Blank: equal states have equal hashes in every build.
func Hash(blank *actors.Image) (Digest, error) {
	text, err := json.Marshal(blank)
	if err != nil {
		return Digest{}, err
	}
	return sha256.Sum256(text), nil
}

// A Digest is a SHA-256.
type Digest [sha256.Size]byte

func (d Digest) String() string { return hex.EncodeToString(d[:]) }
