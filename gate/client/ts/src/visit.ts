import type { Clock } from "./clock.js";
import type { Why } from "./error.js";
import { CLOSE, HELLO, PING, PONG, WELCOME, packJSON, unpack, unpackJSON, type Bytes, type Frame } from "./frame.js";
import type { Dial, Line } from "./line.js";
import { Pulse } from "./pulse.js";

/** Hello is the client's first frame; all but version may be left out. */
export interface Hello {
  readonly version: 2;
  readonly codec: string;
  readonly client: string;
  readonly ticket?: string | undefined;
  readonly resume?: { readonly session: string; readonly token: string; readonly received: number } | undefined;
}

/** Welcome is the gate's answer to Hello. */
export interface Welcome {
  readonly session: string;
  readonly token?: string;
  readonly codec: string;
  readonly heartbeat_s: number;
  readonly frame_max: number;
  readonly time_ms: number;
  /** Counted frames that the gate has. */
  readonly received: number;
  readonly resumed: boolean;
  /** Why it was not resumed. */
  readonly reason?: string;
}

/** A Host is whom a visit tells what it hears. */
export interface Host {
  welcomed(visit: Visit, welcome: Welcome): void;
  /** heard takes the game's frames, and errors that name no request. */
  heard(frame: Frame): void;
  /** acknowledged says how many counted frames the gate has; false if that cannot be. */
  acknowledged(received: number): boolean;
  /** over is the visit's last word. With final its session is over, too. */
  over(why: Why, final: boolean): void;
  /** Counted frames that the client has. */
  readonly received: number;
  /** Whether the gate owes an answer or an acknowledgement. */
  readonly owed: boolean;
}

/** How a visit is made. Times are milliseconds. */
export interface Terms {
  readonly dial: Dial;
  readonly clock: Clock;
  readonly quiet: number;
  readonly patience: number;
}

const RESUMABLE = "SLOW_CLIENT"; // the one Close after which the session is still there
const PING_FRAMES = 64, PING_BYTES = 64 << 10; // counted, after which the gate is asked what it has

/** A Visit is one connection's time: Hello, Welcome, frames in both directions, and its end. */
export class Visit {
  readonly #line: Line;
  readonly #host: Host;
  readonly #terms: Terms;
  #pulse: Pulse | null = null; // from Welcome on
  #over = false;
  #frames = 0; // counted, since the last Ping
  #bytes = 0;

  /** It throws what dial throws. */
  constructor(url: string, hello: Hello, host: Host, terms: Terms) {
    this.#host = host;
    this.#terms = terms;
    this.#line = terms.dial(url, {
      opened: () => this.#line.send(packJSON(HELLO, 1, hello)),
      heard: (bytes) => this.#heard(bytes),
      closed: (text) => this.#end({ code: "LOST", number: 1000, text }, false),
    });
  }

  /** welcomed tells whether frames may be sent. */
  get welcomed(): boolean { return this.#pulse !== null && !this.#over; }

  /** send writes a counted frame. */
  send(frame: Bytes): void {
    this.#line.send(frame);
    this.#frames++;
    this.#bytes += frame.length;
    if (this.#frames >= PING_FRAMES || this.#bytes >= PING_BYTES) this.#ping();
  }

  /** doubt asks whether the gate is still there, because something tells that it might not be. */
  doubt(): void { this.#pulse?.ask(); }

  /** leave ends the connection, and its session at the gate, which is told so. Nothing more is told here. */
  leave(): void {
    if (this.welcomed) this.#line.send(packJSON(CLOSE, 0, {}));
    this.#hangUp(true);
  }

  /** drop ends the connection; its session may be resumed. Nothing more is told. */
  drop(): void { this.#hangUp(false); }

  /** cut is drop, and the reason is told. */
  cut(why: Why): void { this.#end(why, false); }

  #end(why: Why, final: boolean): void {
    if (this.#over) return;
    this.drop();
    this.#host.over(why, final);
  }

  #hangUp(leave: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#pulse?.stop();
    this.#line.close(leave);
  }

  #ping(): void {
    this.#frames = this.#bytes = 0;
    this.#line.send(packJSON(PING, 0, { received: this.#host.received }));
  }

  #heard(bytes: Uint8Array): void {
    if (this.#over) return;
    try {
      this.#take(unpack(bytes));
    } catch (error) {
      this.#end({ code: "BAD_FRAME", number: 2000, text: String(error), error }, true);
    }
  }

  #take(frame: Frame): void {
    this.#pulse?.heard();
    if (this.#pulse === null && frame.number !== WELCOME && frame.number !== CLOSE) {
      throw new RangeError(`number ${frame.number} came before Welcome`);
    }
    switch (frame.number) {
      case WELCOME: return this.#welcome(unpackJSON<Welcome>(frame));
      case CLOSE: return this.#closed(unpackJSON<Why>(frame));
      case PING:
        this.#acknowledged(frame);
        return this.#line.send(packJSON(PONG, frame.seq, { received: this.#host.received }));
      case PONG: return this.#acknowledged(frame);
      default: return this.#host.heard(frame);
    }
  }

  #closed(why: Why): void { this.#end(why, why.code !== RESUMABLE); }

  #acknowledged(frame: Frame): void {
    const { received } = unpackJSON<{ received: number }>(frame);
    if (!this.#host.acknowledged(received)) throw new RangeError(`the gate has ${received} frames, of fewer or more`);
  }

  #welcome(welcome: Welcome): void {
    if (this.#pulse !== null) throw new RangeError("Welcome came twice");
    const { clock, quiet, patience } = this.#terms;
    this.#pulse = new Pulse(clock, {
      quiet, patience, heartbeat: welcome.heartbeat_s * 1000,
      owed: () => this.#host.owed,
      ask: () => this.#ping(),
      dead: () => this.#end({ code: "SILENT", number: 1000, text: "the gate is not heard any more" }, false),
    });
    this.#host.welcomed(this, welcome);
  }
}
