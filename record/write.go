package record

import (
	"encoding/json"
	"fmt"
	"os"
)

// New makes a recording of segments and of the tables that they read, by hash.
func New(h Header, segments []*Segment, tables map[string]map[string][]byte) *Recording {
	return &Recording{Header: h, runs: segments, tables: tables}
}

// Write writes the recording as one file, whole or not at all.
func (r *Recording) Write(path string) error {
	text, err := r.Append(nil)
	if err == nil {
		next := path + ".next"
		if err = os.WriteFile(next, text, 0o600); err == nil {
			err = os.Rename(next, path)
		}
	}
	if err != nil {
		return fmt.Errorf("record: write %s: %w", path, err)
	}
	return nil
}

// Append writes the recording as the bytes of one file.
func (r *Recording) Append(b []byte) ([]byte, error) {
	b = appendHeader(appendMagic(b), r.Header)
	for _, hash := range r.hashes() {
		if files := r.tables[hash]; files != nil {
			b = appendTables(b, hash, files)
		}
	}
	for i, s := range r.runs {
		image := []byte(nil)
		if s.Image != nil {
			var err error
			if image, err = json.Marshal(s.Image); err != nil {
				return nil, fmt.Errorf("record: the image of %s: %w", s.Ref, err)
			}
		}
		b = s.append(appendOpen(b, uint64(i+1), s, image), uint64(i+1))
	}
	return appendEnd(b), nil
}

// append writes what follows a segment's opening.
func (s *Segment) append(b []byte, stream uint64) []byte {
	checks := s.Checks
	for _, p := range s.Panics {
		b = appendPanic(b, stream, p)
	}
	for _, step := range s.Steps {
		b, checks = appendChecks(b, stream, checks, step.Index)
		b = appendStep(b, stream, step)
	}
	b, _ = appendChecks(b, stream, checks, s.end())
	if s.Gap != nil {
		b = appendGap(b, stream, *s.Gap)
	}
	if s.Closed {
		b = appendClose(b, stream, s.end())
	}
	return b
}

// appendChecks writes those that hold before the input with this index.
func appendChecks(b []byte, stream uint64, checks []Check, index uint64) ([]byte, []Check) {
	for len(checks) > 0 && checks[0].After <= index {
		b = appendCheck(b, stream, checks[0])
		checks = checks[1:]
	}
	return b, checks
}
