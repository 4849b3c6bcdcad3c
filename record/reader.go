package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
)

// Damage says that a file is not whole. What could be read is returned beside it.
type Damage struct {
	Path   string // "" if no file was read
	Offset int64  // of the first byte that makes no sense
	What   string
	Open   bool // nothing is wrong but that the file was never closed: its process works on it still, or was killed
	More   int  // further damaged places
}

func (d *Damage) Error() string {
	where := fmt.Sprintf("at byte %d", d.Offset)
	if d.Path != "" {
		where = d.Path + ": " + where
	}
	if d.More > 0 {
		return fmt.Sprintf("record: %s: %s; and %d more damaged places", where, d.What, d.More)
	}
	return "record: " + where + ": " + d.What
}

// Read reads a file. An error that is a *Damage comes with what could be read: everything before the damage, and what
// can be found behind it. With any other error there is no Recording.
func Read(path string) (*Recording, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	r, err := Parse(text)
	if d, ok := err.(*Damage); ok {
		d.Path = path
	} else if err != nil {
		return nil, fmt.Errorf("%w: %s", err, path)
	}
	return r, err
}

// Parse is Read of a file's bytes. The Recording keeps parts of them: they must not change.
func Parse(text []byte) (*Recording, error) { return newReader(text).read(text) }

func newReader(text []byte) *reader {
	return &reader{recording: &Recording{tables: map[string]map[string][]byte{}}, streams: map[uint64]*stream{},
		vain: vainTimes*len(text) + vainLeast}
}

func (r *reader) read(text []byte) (*Recording, error) {
	at := len(magic) + 1
	if !bytes.HasPrefix(text, appendMagic(nil)) {
		at = r.find(text, 0)
		if at == len(text) {
			return nil, strange(text)
		}
		r.damage(0, "the file does not begin as a recording does")
	}
	for at < len(text) && !r.ended {
		kind, payload, size, err := r.frame(text[at:])
		if err != nil {
			r.damage(at, err.Error())
			at = r.find(text, at+1)
			continue
		}
		if err = r.take(kind, payload); err != nil {
			r.damage(at, err.Error())
		}
		at += size
	}
	if at < len(text) {
		r.damage(at, "something stands behind the end of the file")
	} else if !r.ended && r.first == nil {
		r.damage(at, "the file was never closed: its process works on it still, or was killed, or it is cut off here")
		r.first.Open = true
	}
	return r.finish(), r.err()
}

// strange says what is wrong with a file in which nothing can be read.
func strange(text []byte) error {
	n := min(len(text), len(magic))
	switch {
	case len(text) > len(magic) && string(text[:n]) == magic && text[n] != Version:
		return fmt.Errorf("record: the format is version %d, and this program reads version %d", text[n], Version)
	case string(text[:n]) == magic[:n]:
		return &Damage{Offset: int64(len(text)), What: "torn: nothing of the recording is there"}
	}
	return fmt.Errorf("record: this is no recording")
}

// A reader puts the streams of one file together.
type reader struct {
	recording *Recording
	streams   map[uint64]*stream
	first     *Damage
	ended     bool
	vain      int // so many bytes may still be summed up to find that it is no record
}

// What may be summed up in vain, in file sizes, and in bytes of a small file. Each damaged head costs as much as it
// claims to be long, and bytes that were made to be many such heads would otherwise cost the square of the file.
const (
	vainTimes = 32
	vainLeast = 1 << 20
)

// frame reads a record. One that claims to be longer than what may still be summed up in vain is refused.
func (r *reader) frame(b []byte) (kind byte, payload []byte, size int, err error) {
	claimed, err := measure(b)
	if err == nil && claimed > r.vain {
		err = errors.New("so much is damaged that what claims to be long is not looked at any more")
	}
	if err != nil {
		return 0, nil, 0, err
	}
	if kind, payload, size, err = frame(b); err != nil {
		r.vain -= claimed
	}
	return kind, payload, size, err
}

// A stream is one activation in the file.
type stream struct {
	newest *Segment
	open   bool // newest goes on; else steps are passed over until the next image
}

// find looks for the next whole record; the end of the text if there is none.
func (r *reader) find(text []byte, from int) int {
	for from < len(text) {
		n := bytes.Index(text[from:], []byte(marker))
		if n < 0 {
			break
		}
		from += n
		if _, _, _, err := r.frame(text[from:]); err == nil {
			return from
		}
		from++
	}
	return len(text)
}

func (r *reader) damage(at int, what string) {
	if r.first == nil {
		r.first = &Damage{Offset: int64(at), What: what}
		return
	}
	r.first.More++
}

func (r *reader) err() error {
	if r.first == nil {
		return nil
	}
	return r.first
}

// take adds one record. Types that it does not know are passed over: they are younger than this program.
func (r *reader) take(kind byte, b []byte) error {
	switch kind {
	case typeHeader:
		if json.Unmarshal(b, &r.recording.Header) != nil {
			return errMalformed
		}
	case typeOpen:
		id, s, err := decodeOpen(b)
		if err == nil {
			r.begin(id, s)
		}
		return err
	case typeStep:
		id, s, err := decodeStep(b)
		if err == nil {
			r.step(id, s)
		}
		return err
	case typeTables:
		hash, files, err := decodeTables(b)
		if err == nil {
			r.recording.tables[hash] = files
		}
		return err
	case typeEnd:
		r.ended = true
	default:
		return r.remark(kind, b)
	}
	return nil
}

// remark adds what is said about a stream beside its steps.
func (r *reader) remark(kind byte, b []byte) error {
	switch kind {
	case typeGap:
		id, g, err := decodeGap(b)
		if s := r.streams[id]; err == nil && s != nil {
			s.open, s.newest.Gap = false, &g
		}
		return err
	case typeCheck:
		id, c, err := decodeCheck(b)
		if s := r.streams[id]; err == nil && s != nil && s.open && c.After == s.newest.end() {
			s.newest.Checks = append(s.newest.Checks, c)
		}
		return err
	case typeClose:
		id, index, err := decodeClose(b)
		if s := r.streams[id]; err == nil && s != nil {
			s.newest.Closed = s.open && index == s.newest.end()
			s.open = false
		}
		return err
	case typePanic:
		id, p, err := decodePanic(b)
		if s := r.streams[id]; err == nil && s != nil {
			s.newest.Panics = append(s.newest.Panics, p)
		}
		return err
	}
	return nil
}

// begin begins a segment; one that only repeats where its stream is goes on.
func (r *reader) begin(id uint64, s *Segment) {
	before := r.streams[id]
	if before != nil && before.newest.life() == s.life() {
		last := before.newest
		if before.open && s.First == last.end() && last.Image != nil {
			return
		}
		if before.open && s.First > last.end() {
			last.Gap = &Gap{Why: "damaged"}
		}
		if last.Gap != nil && s.First > last.end() {
			last.Gap.Lost = s.First - last.end()
		}
	}
	r.recording.runs = append(r.recording.runs, s)
	r.streams[id] = &stream{newest: s, open: true}
}

// step adds a step where it belongs. One that is not the next shows that others are missing.
func (r *reader) step(id uint64, s *Step) {
	to := r.streams[id]
	switch {
	case to == nil || !to.open && to.newest.Gap == nil:
	case to.open && s.Index == to.newest.end():
		to.newest.Steps = append(to.newest.Steps, s)
	case s.Index >= to.newest.end():
		if to.open {
			to.open, to.newest.Gap = false, &Gap{Why: "damaged"}
		}
		to.newest.Gap.Lost = s.Index + 1 - to.newest.end()
	}
}

func (s *Segment) life() life { return life{s.Ref, s.Incarnation, s.Activation} }

// finish drops what holds nothing.
func (r *reader) finish() *Recording {
	r.recording.runs = slices.DeleteFunc(r.recording.runs, func(s *Segment) bool {
		return s.Image == nil && len(s.Steps) == 0 && !s.Closed && s.Gap == nil
	})
	r.recording.join()
	return r.recording
}
