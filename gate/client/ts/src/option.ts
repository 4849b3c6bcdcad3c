import { wallClock, type Clock } from "./clock.js";
import { json, type Codec } from "./codec.js";
import type { Refusal, Why } from "./error.js";
import { dial, type Dial } from "./line.js";
import type { Request } from "./message.js";
import type { Bound } from "./outbox.js";

/** A State of a client. onState is told each, in order; connecting and away also once more for each try that failed. */
export type State =
  /** Not yet online. why is what the last try failed of, wait the ms until the next one. */
  | { readonly name: "connecting"; readonly why: Why | null; readonly wait: number }
  /** Logged in. If not resumed the session is a new one, and reason says what became of the one before. */
  | { readonly name: "online"; readonly session: string; readonly resumed: boolean; readonly reason: string }
  /** The connection is lost, and the client tries to come back. Calls wait, and what is sent is queued. */
  | { readonly name: "away"; readonly why: Why; readonly wait: number }
  /** It does not come back. */
  | { readonly name: "ended"; readonly why: Why };

/** A Voice says things to the game. */
export interface Voice {
  /**
   * call asks, and resolves with the reply. It rejects with a Refusal (the answer is no), Lost (the session ended
   * first), Late (after within, in ms), Full (too much waits), Ended, or a RangeError (the body is too long). A call
   * that is under way when the connection is lost goes on when the session is resumed.
   */
  call<T, R>(request: Request<T, R>, body: NoInfer<T>, options?: { readonly within?: number }): Promise<R>;
  /** send says something that wants no answer. It throws Lost, Full, Ended or a RangeError if it cannot even wait. */
  send<T>(request: Request<T, unknown>, body: NoInfer<T>): void;
}

/** A value, or how to find it before each try. */
export type Source = string | (() => string | Promise<string>);

/** Options of a client. All may be left out; times are milliseconds. */
export interface Options {
  /** Who the client is, if the game gives out tickets. */
  readonly ticket?: Source;
  /** name/version, for the gate's log. */
  readonly client?: string;
  /** Of the game's bodies. Default json. */
  readonly codec?: Codec;
  /**
   * login logs in, at the beginning of each new session; what else waits leaves after it. Only what it says through
   * door goes first. If it rejects with what may pass by itself (UNAVAILABLE, Lost, ...) there is another try later;
   * with anything else the client ends.
   */
  readonly login?: (door: Voice) => Promise<unknown>;
  readonly onState?: (state: State) => void;
  /** onStray is told of errors that name no request: what send said was refused. Default: console.warn. */
  readonly onStray?: (refusal: Refusal) => void;
  /** Closes the client when it aborts. */
  readonly signal?: AbortSignal;

  /** Silence after which the gate is asked whether it is there, while it owes something. Default 2000. */
  readonly quiet?: number;
  /** How long it may take to answer that; then the connection is given up. Default 3000. */
  readonly patience?: number;
  /** How long a try may take until Welcome. Default 8000. */
  readonly welcomeWithin?: number;
  /** How long calls and the queue wait for a connection; then they are lost. Default 60 000, as the gate's. */
  readonly awayFor?: number;
  /** What may wait for a connection. Default 100 messages, which the gate's burst allows, and 256 KiB. */
  readonly queue?: Bound;
  /** The first and the longest wait between tries. Default 250 and 10 000. */
  readonly backoff?: { readonly first: number; readonly most: number };

  /** How connections are made. */
  readonly dial?: Dial;
  /** Where time comes from; and luck, as Math.random. For tests. */
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** settled are the options with defaults in place of what was left out. */
export function settled(o: Options) {
  return {
    client: "firefly-ts/1.0", codec: json, quiet: 2000, patience: 3000, welcomeWithin: 8000, awayFor: 60_000,
    queue: { frames: 100, bytes: 256 << 10 }, backoff: { first: 250, most: 10_000 },
    dial, clock: wallClock, random: Math.random,
    onState: (_: State) => {},
    onStray: (refusal: Refusal) => console.warn("firefly:", refusal.code, refusal.message),
    ...o,
  };
}

/** sourced asks a source. */
export async function sourced(s: Source): Promise<string> {
  return typeof s === "function" ? s() : s;
}
