// Package actors is all that a behaviour may know: kinds, handlers, cells, timers, questions, groups, names.
//
// An actor is a function of its envelopes. One envelope is handled in one turn, and a turn is one transaction over the
// entity: its edits, sends, timers and binds take effect together or not at all. The package promises that order, that
// every request is answered once, and that what was committed is durable before anybody hears of it.
//
// It does not know sockets, databases or other nodes: seam.go says what it needs of them.
package actors
