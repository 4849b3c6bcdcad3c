package prompt

import (
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/contract"
)

// A shape is what a JSON value may hold, as far as names go; nil: nobody knows.
type shape struct{ of *contract.Type }

// shapeOf is the shape of a message's body.
func shapeOf(t *wire.Type) shape { return shape{contract.Body(t)} }

func (s shape) fields() []contract.Field {
	if s.of == nil || s.of.Shape == nil {
		return nil
	}
	return s.of.Shape.Fields
}

// names are those of an object's fields, in their order; none: it is no object.
func (s shape) names() (all []string) {
	for _, f := range s.fields() {
		all = append(all, f.Name)
	}
	return all
}

func (s shape) field(name string) shape {
	for _, f := range s.fields() {
		if f.Name == name {
			return shape{&f.Type}
		}
	}
	return shape{}
}

// element is what a list holds, or a map as its values.
func (s shape) element() shape {
	if s.of == nil {
		return shape{}
	}
	return shape{s.of.Elem}
}
