// A client of Firefly's gates for browsers and Node: typed messages, calls as promises, pushes as handlers, and a
// connection that comes back by itself. It knows frames and the runtime's own numbers, and nothing of any game.

export { Client, connect } from "./client.js";
export { json } from "./codec.js";
export { Ended, Failure, Full, Late, Lost, Refusal } from "./error.js";
export { dial } from "./line.js";
export type { Clock } from "./clock.js";
export type { Codec } from "./codec.js";
export type { Why } from "./error.js";
export type { Dial, Ears, Line } from "./line.js";
export type { Message, Request } from "./message.js";
export type { Options, Source, State, Voice } from "./option.js";
export type { Bound } from "./outbox.js";
