// Package persist keeps what entities are: it loads them before they run and writes behind them
// while they run.
//
// Two halves meet over the link. On game nodes a Client fulfils actors.Store by asking keepers. On
// persist nodes an Archive runs the keepers, one actor per shard: a keeper pins what is not yet
// durable, answers loads from that, then from its cache, then from the Database, and hands changed
// rows to the node's writers, which put many entities into one statement.
//
// It promises: a confirmed save is durable to the degree that Database.Level names; an entity is
// written whole or not at all; of two owners of an entity at most one can write, and of two keepers
// of a shard likewise, because every writing statement compares both fences in the store itself;
// a change that was accepted is kept until the store has it, or the one who sent it was told.
//
// It does not promise transactions over several entities, and it never guesses: what became of a
// statement whose answer was lost is found out from the store, or reported as unknown.
package persist
