// Messages as a client knows them: numbers that the compiler knows the bodies of. `gen ts` writes a game's own
// from its catalogue; they look like this:
//
//   export interface Buy { item: string }
//   export interface Bought { item: string; light: number }
//   export interface Say { text: string }
//
//   export const Bought: Message<Bought> = { number: 5104, name: "Bought" };
//   export const Buy: Request<Buy, Bought> = { number: 5103, name: "Buy", reply: Bought };
//   export const Say: Request<Say, void> = { number: 1101, name: "Say", reply: null };
//
// so that `await c.call(Buy, { item: "sword" })` is a Bought, and `c.send(Bought, ...)` does not compile.

/** A Message is a line of the catalogue: what the gate may push or reply. T is its body. */
export interface Message<T> {
  /** What stands in the frame: 100 and up, and forever. */
  readonly number: number;
  /** The name in the catalogue, for people. */
  readonly name: string;
  /** Never set: it ties the number to its body for the compiler alone. */
  readonly body?: T;
}

/**
 * A Request is a Message that a client may send: with `call`, answered by R or by a Refusal, or with `send`, which
 * wants no answer.
 */
export interface Request<T, R> extends Message<T> {
  /** What answers it; null if the answer has no body (R is void). */
  readonly reply: Message<R> | null;
}
