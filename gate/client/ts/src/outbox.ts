import type { Call } from "./call.js";
import { HEADER, type Bytes } from "./frame.js";

/** An Item is a message before it is a frame: it gets its seq when it is handed to a socket. */
export interface Item {
  readonly number: number;
  readonly body: Uint8Array;
  /** Who waits for the answer; null if nobody does. */
  readonly call: Call | null;
}

/** A Bound of frames and of bytes, headers included. */
export interface Bound {
  readonly frames: number;
  readonly bytes: number;
}

const KEPT: Bound = { frames: 256, bytes: 1 << 20 };

/**
 * An Outbox is what a session has said and what it is still to say: frames that the gate may not have, which are
 * written again when the session is resumed, and behind them a queue of what waits for a connection.
 */
export class Outbox {
  #sent = 0; // counted frames that were handed to a socket in this session
  #kept: Bytes[] = []; // the last of them, which the gate has not acknowledged
  #keptBytes = 0;
  #queue: Item[] = [];
  #first = 0; // how many at the queue's front belong to a login
  #queueBytes = 0;

  constructor(private readonly bound: Bound) {}

  get unacknowledged(): number { return this.#kept.length; }

  /**
   * add queues an item; first ones go before all others. At the bound it is false, and nothing has happened; what
   * comes first of all may be longer, since it may leave at once.
   */
  add(item: Item, first: boolean): boolean {
    const size = HEADER + item.body.length, n = this.#queue.length;
    if (n >= this.bound.frames || n > 0 && this.#queueBytes + size > this.bound.bytes) return false;
    this.#queue.splice(first ? this.#first++ : this.#queue.length, 0, item);
    this.#queueBytes += size;
    return true;
  }

  /** next takes the item that is to be written now; null if none is, or too much is unacknowledged. */
  next(onlyFirst: boolean): Item | null {
    const item = this.#queue[0];
    if (!item || onlyFirst && this.#first === 0) return null;
    const full = this.#kept.length >= KEPT.frames || this.#keptBytes + HEADER + item.body.length > KEPT.bytes;
    if (full && this.#kept.length > 0) return null;
    this.#removeAt(0);
    return item;
  }

  /** remove takes an item out again; false if it does not wait. */
  remove(call: Call): boolean {
    const at = this.#queue.findIndex((item) => item.call === call);
    if (at >= 0) this.#removeAt(at);
    return at >= 0;
  }

  #removeAt(at: number): void {
    const [item] = this.#queue.splice(at, 1);
    this.#queueBytes -= HEADER + item!.body.length;
    if (at < this.#first) this.#first--;
  }

  /** keep notes a frame that is handed to a socket. */
  keep(frame: Bytes): void {
    this.#sent++;
    this.#kept.push(frame);
    this.#keptBytes += frame.length;
  }

  /** acknowledge drops what the gate has: the first `received` of all. It is false if there were not so many. */
  acknowledge(received: number): boolean {
    if (!(received <= this.#sent)) return false;
    const n = Math.max(0, received - (this.#sent - this.#kept.length)); // old news drop nothing
    for (const frame of this.#kept.splice(0, n)) this.#keptBytes -= frame.length;
    return true;
  }

  /** has reports whether all that a gate lacks which has `received` frames is still here. */
  has(received: number): boolean { return received >= this.#sent - this.#kept.length; }

  /** again is what the gate may not have, in order. */
  again(): readonly Bytes[] { return this.#kept; }

  /** begin forgets what belonged to a session that is gone; what was not sent and is no login's stays. */
  begin(): Item[] {
    this.#sent = this.#keptBytes = 0;
    this.#kept = [];
    return this.#take(0, this.#first);
  }

  /** clear takes all that waits and is no login's. */
  clear(): Item[] { return this.#take(this.#first, this.#queue.length); }

  #take(from: number, to: number): Item[] {
    const taken = this.#queue.slice(from, to);
    for (let i = from; i < to; i++) this.#removeAt(from);
    return taken;
  }
}
