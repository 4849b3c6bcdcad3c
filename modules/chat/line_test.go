package chat

import (
	"errors"
	"strings"
	"testing"

	"github.com/fireflyrt/firefly/actors"
)

func TestALineIsCleanBoundedText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		said, heard string
		code        actors.Code
	}{
		{"good evening", "good evening", ""},
		{"  good evening \n", "good evening", ""},
		{strings.Repeat("é", Longest), strings.Repeat("é", Longest), ""},
		{strings.Repeat("é", Longest+1), "", TooLong},
		{"", "", Empty},
		{" \t\r\n", "", Empty},
		{"two\nlines", "", Garbled},
		{"a bell \a", "", Garbled},
		{"not \xff text", "", Garbled},
	} {
		heard, err := line(c.said)
		if heard != c.heard || (c.code == "") != (err == nil) || c.code != "" && !errors.Is(err, c.code) {
			t.Errorf("line(%q) = %q, %v", c.said, heard, err)
		}
	}
}
