package hotreload_test

import (
	"errors"
	"fmt"
	"testing/fstest"

	"github.com/fireflyrt/firefly/hotreload"
)

type Light struct {
	Name string
	Gold int
	Glow float64 `csv:"brightness"`
}

// A table is declared once; handlers then say Lights.Get(ctx, "moon").
var Lights = hotreload.CSV("lights.csv", func(l Light) string { return l.Name }).
	Check(func(l Light) error {
		if l.Gold <= 0 {
			return errors.New("every light costs something")
		}
		return nil
	})

func ExampleCSV() {
	content := "name,gold,brightness\nmoon,30,1.5\nsun,900,9\n"
	files := fstest.MapFS{"lights.csv": {Data: []byte(content)}}
	set, err := hotreload.Open(hotreload.Options{
		Tables: []hotreload.Declared{Lights}, Dir: "no/such/directory", Fallback: files,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for name, light := range Lights.Rows(set.Current()) {
		fmt.Println(name, light.Gold, light.Glow)
	}
	// Output:
	// moon 30 1.5
	// sun 900 9
}

func ExampleFaults() {
	content := "name,gold,brightness\nmoon,30,bright\nsun,0,9\n"
	files := fstest.MapFS{"lights.csv": {Data: []byte(content)}}
	_, err := hotreload.Open(hotreload.Options{
		Tables: []hotreload.Declared{Lights}, Fallback: files,
	})
	fmt.Println(err)
	// Output:
	// (built in)/lights.csv:2:9: brightness is "bright"; write a number
	// (built in)/lights.csv:3:1: every light costs something
}
