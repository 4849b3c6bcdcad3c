// A stage for one client: a gate that says what the test wants, a network that does what the test wants, and a clock
// that moves when the test says so. Nothing here takes time.

import assert from "node:assert/strict";
import { connect, Client } from "../../../../sample/web/firefly.js";

export const HELLO = 1, WELCOME = 2, ERROR = 3, CLOSE = 4, PING = 5, PONG = 6;

// The messages of these tests, as `gen ts` would write them.
export const Told = { number: 200, name: "Told" };
export const News = { number: 201, name: "News" };
export const Ask = { number: 100, name: "Ask", reply: Told };
export const Deed = { number: 101, name: "Deed", reply: null };
export const Enter = { number: 102, name: "Enter", reply: null };

export class Clock {
  #now = 0;
  #timers = [];
  now() { return this.#now; }
  after(ms, fn) {
    const timer = { at: this.#now + ms, fn };
    this.#timers.push(timer);
    return () => { this.#timers = this.#timers.filter((t) => t !== timer); };
  }
  get armed() { return this.#timers.length; }

  // pass lets ms pass, in the order of what was to happen meanwhile, and whatever follows of it happen.
  async pass(ms) {
    const end = this.#now + ms;
    for (;;) {
      await settled();
      const next = this.#timers.filter((t) => t.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#timers = this.#timers.filter((t) => t !== next);
      this.#now = next.at;
      next.fn();
    }
    this.#now = end;
  }
}

// settled lets promises that can settle do so.
export async function settled() {
  for (let i = 0; i < 20; i++) await null;
}

export function pack(number, seq, body, failed = false) {
  const bytes = body === undefined ? new Uint8Array(0) : new TextEncoder().encode(JSON.stringify(body));
  const frame = new Uint8Array(12 + bytes.length), view = new DataView(frame.buffer);
  view.setUint32(0, (failed ? 1 << 24 : 0) + bytes.length);
  view.setUint32(4, number);
  view.setUint32(8, seq);
  frame.set(bytes, 12);
  return frame;
}

export function unpack(frame) {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  assert.equal(view.getUint32(0), frame.length - 12, "a client's frame has its length and no flags");
  const text = new TextDecoder().decode(frame.subarray(12));
  return { number: view.getUint32(4), seq: view.getUint32(8), body: text === "" ? undefined : JSON.parse(text) };
}

// A Wire is a connection as the gate has it: what came is in heard, in order.
export class Wire {
  heard = [];
  over = false; // the client has closed it
  left = false; // for good
  dead = false; // the cable is pulled: nothing comes, nobody says so
  constructor(to, ears) {
    this.to = to;
    this.ears = ears;
  }

  send(frame) { if (!this.dead) this.heard.push(unpack(frame)); }
  close(leave) { this.over = true; this.left = leave; }

  says(number, seq, body, failed) { if (!this.over && !this.dead) this.ears.heard(pack(number, seq, body, failed)); }
  closes(code, number) { this.says(CLOSE, 0, { code, number }); }
  breaks() {
    if (!this.over) this.ears.closed("broken");
    this.over = true;
  }

  // game is what came of the game's, and forgets it.
  game() {
    const game = this.heard.filter((f) => f.number >= 100);
    this.heard = [];
    return game;
  }
}

// A Stage is a client and all its connections so far.
export class Stage {
  clock = new Clock();
  wires = [];
  states = [];
  luck = 0.5;

  constructor({ url = "test://gate", ...options } = {}) {
    this.client = new Client(url, {
      clock: this.clock,
      random: () => this.luck,
      onState: (s) => this.states.push(s),
      dial: (to, ears) => {
        const wire = new Wire(to, ears);
        this.wires.push(wire);
        return wire;
      },
      ...options,
    });
  }

  get wire() { return this.wires.at(-1); }
  get state() { return this.states.at(-1); }

  // opens lets the newest connection stand, and returns Hello.
  async opens() {
    await settled();
    this.wire.ears.opened();
    const [hello] = this.wire.heard.splice(0);
    assert.equal(hello.number, HELLO);
    return hello.body;
  }

  async welcomes(more = {}) {
    this.wire.says(WELCOME, 1, { session: "s1", token: "t1", codec: "json", heartbeat_s: 15, frame_max: 65536,
      time_ms: 0, received: 0, resumed: false, ...more });
    await settled();
  }

  // begins brings the client online.
  async begins(welcome) {
    const opened = this.client.open();
    opened.catch(() => {});
    await this.opens();
    await this.welcomes(welcome);
    return this;
  }

  // returns lets the client come back after its connection broke, and returns its Hello.
  async returns(welcome) {
    for (let waited = 0; this.wire.over && waited < 60_000; waited += 100) await this.clock.pass(100);
    const hello = await this.opens();
    await this.welcomes(welcome);
    return hello;
  }
}

// fails is the error of a promise that must not resolve.
export async function fails(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  assert.fail("it resolved");
}

export { connect };
