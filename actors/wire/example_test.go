package wire_test

import (
	"fmt"

	"github.com/fireflyrt/firefly/actors/wire"
)

type greet struct {
	Name string `json:"name"`
}

// A game writes once which number is which type; frames, recordings and clients follow from it.
func Example() {
	catalogue := wire.Messages(wire.In[*greet](100))
	line := catalogue.Of(&greet{})
	body, err := line.Encode(wire.JSON, &greet{Name: "ann"})
	if err != nil {
		panic(err)
	}
	frame := wire.AppendFrame(nil, 0, line.Number, 1, body)
	h, body, _, err := wire.CutFrame(frame, 1024)
	fmt.Printf("%+v %s %v\n", h, body, err)
	// Output: {Flags:0 Length:14 Number:100 Seq:1} {"name":"ann"} <nil>
}
