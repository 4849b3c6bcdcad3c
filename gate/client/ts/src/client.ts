import { Backoff, adviceOf } from "./backoff.js";
import { Call } from "./call.js";
import { Ended, Failure, Refusal, type ErrorBody, type Why } from "./error.js";
import { ERROR, FIRST_GAME_NUMBER, unpackJSON, type Frame } from "./frame.js";
import type { Message, Request } from "./message.js";
import { settled, sourced, type Options, type Source, type State, type Voice } from "./option.js";
import { Session } from "./session.js";
import { Visit, type Host, type Welcome } from "./visit.js";

const STEADY = 5000; // ms online, after which the next loss is a first one

// Refusals of a login that may pass by themselves; the rest are answers.
const PASSING = ["DEADLINE", "UNAVAILABLE", "OUTCOME_UNKNOWN", "NOT_SENT", "LATE", "MAILBOX_FULL", "OVERLOADED",
  "RATE_LIMITED", "STORE_UNAVAILABLE", "STORE_BEHIND", "COMMIT_UNKNOWN", "RESTARTED"];

/**
 * connect resolves when the client is online for the first time. It rejects with Ended if the gate does not want the
 * client, or the game its login; while no gate is there it goes on trying.
 */
export function connect(url: Source, options: Options = {}): Promise<Client> {
  return new Client(url, options).open();
}

/**
 * A Client is somebody at the gate: online, or on the way back. A connection that dies is replaced, and its session
 * resumed: nothing is lost or doubled, calls get their answers, and what was said meanwhile is said then.
 */
export class Client implements Voice {
  readonly #url: Source;
  readonly #options: ReturnType<typeof settled>;
  readonly #session: Session;
  readonly #backoff: Backoff;
  readonly #handlers = new Map<number, Set<(body: unknown) => void>>();
  readonly #host: Host;
  #state: State = { name: "connecting", why: null, wait: 0 };
  #visit: Visit | null = null;
  #attempt = 0; // what an earlier one finds out is of no use
  #since = 0; // online
  #told = 0; // serial of the session that was told to be online
  #reason = ""; // why the session is another than the one before
  #stopTimer = nothing; // of the next try, or of the end of this one
  #stopGrace: (() => void) | null = null;
  #stopListening = nothing;
  #opened: Promise<this> | null = null;
  #settle: { resolve(): void; reject(err: Error): void } | null = null;

  /** A client does nothing before open. */
  constructor(url: Source, options: Options = {}) {
    this.#url = url;
    this.#options = settled(options);
    this.#session = new Session(this.#options.queue);
    this.#backoff = new Backoff(this.#options.backoff.first, this.#options.backoff.most, this.#options.random);
    const session = this.#session;
    this.#host = {
      welcomed: (visit, welcome) => this.#welcomed(visit, welcome),
      heard: (frame) => this.#heard(frame),
      acknowledged: (received) => session.acknowledge(received),
      over: (why, final) => this.#over(why, final),
      get received() { return session.received; },
      get owed() { return session.owed; },
    };
  }

  /** What it is doing. */
  get state(): State { return this.#state; }

  /** Whether it is online: what is said now leaves now. */
  get online(): boolean { return this.#state.name === "online"; }

  /** open begins, once; it resolves and rejects as connect does. */
  open(): Promise<this> {
    if (this.#opened === null) {
      this.#opened = new Promise((resolve, reject) => { this.#settle = { resolve: () => resolve(this), reject }; });
      this.#opened.catch(nothing); // onState tells it, too
      if (this.#options.signal?.aborted) this.close();
      this.#begin();
    }
    return this.#opened;
  }

  #begin(): void {
    if (this.#state.name === "ended") { // before it was opened
      this.#settle!.reject(new Ended(this.#state.why));
      return;
    }
    this.#listen();
    this.#wait();
    this.#dial();
  }

  /** close ends it and its session: calls are lost, and so is what waits. */
  close(): void { this.#end({ code: "CLOSED", number: 3000, text: "closed from this side" }); }

  /**
   * on has fn called with each push of a message, in order; the function that it returns ends that. What fn throws is
   * uncaught, as in any event listener, and what comes behind is handled all the same.
   */
  on<T>(message: Message<T>, fn: (body: T) => void): () => void {
    const all = this.#handlers.get(message.number) ?? new Set();
    this.#handlers.set(message.number, all.add(fn as (body: unknown) => void));
    return () => { all.delete(fn as (body: unknown) => void); };
  }

  call<T, R>(request: Request<T, R>, body: NoInfer<T>, options?: { readonly within?: number }): Promise<R> {
    return this.#ask(request, body, options?.within, false);
  }

  send<T>(request: Request<T, unknown>, body: NoInfer<T>): void { this.#say(request, body, null, false); }

  #ask<T, R>(request: Request<T, R>, body: T, within: number | undefined, first: boolean): Promise<R> {
    return new Promise((resolve, reject) => {
      const call = new Call(request, resolve as (body: unknown) => void, reject);
      this.#say(request, body, call, first);
      if (within === undefined) return;
      call.stop = this.#options.clock.after(within, () => call.late(this.#session.abandon(call), within));
    });
  }

  #say<T>(request: Message<T>, body: T, call: Call | null, first: boolean): void {
    if (this.#state.name === "ended") throw new Ended(this.#state.why);
    this.#session.post({ number: request.number, body: this.#options.codec.encode(request, body), call }, first);
  }

  // --- a try

  async #dial(): Promise<void> {
    const attempt = ++this.#attempt, { client, codec, clock, welcomeWithin, ticket } = this.#options;
    const failed = (text: string, error?: unknown) =>
      this.#over({ code: "UNREACHABLE", number: 1000, text, error }, false);
    this.#stopTimer = clock.after(welcomeWithin, () => failed(`no Welcome within ${welcomeWithin} ms`));
    let url: string, shown: string | undefined;
    try {
      [url, shown] = await Promise.all([sourced(this.#url), ticket && sourced(ticket)]);
    } catch (error) {
      if (attempt === this.#attempt) failed(String(error), error);
      return;
    }
    if (attempt !== this.#attempt) return;
    const hello = { version: 2, codec: codec.name, client, ticket: shown, resume: this.#session.resume } as const;
    try {
      this.#visit = new Visit(url, hello, this.#host, this.#options);
    } catch (error) { // no such way: another try finds another only if it is asked for
      if (typeof this.#url === "function") failed(String(error), error);
      else this.#end({ code: "UNREACHABLE", number: 3000, text: String(error), error });
    }
  }

  #welcomed(visit: Visit, welcome: Welcome): void {
    this.#stopTimer();
    if (!welcome.resumed) {
      this.#session.begin(visit, welcome);
      this.#reason = welcome.reason ?? "";
      this.#login();
    } else if (!this.#session.resumed(visit, welcome)) {
      this.#session.end("the gate counted otherwise");
      visit.cut({ code: "BAD_FRAME", number: 2000, text: "the gate resumed what was not there" });
      return;
    }
    if (this.#session.ready) this.#online();
  }

  async #login(): Promise<void> {
    const session = this.#session, { serial } = session;
    const door: Voice = {
      call: (request, body, options) => this.#ask(request, body, options?.within, true),
      send: (request, body) => this.#say(request, body, null, true),
    };
    const login = this.#options.login;
    if (login === undefined) {
      session.ready = true;
      return;
    }
    try {
      await login(door);
    } catch (error) {
      if (serial === session.serial && session.id !== "") this.#refused(error);
      return;
    }
    if (serial !== session.serial || session.id === "") return;
    session.ready = true;
    if (this.#visit?.welcomed) this.#online();
  }

  // refused is a login that failed: what may pass is tried again in another session, the rest is an answer.
  #refused(error: unknown): void {
    const code = error instanceof Failure ? error.code : "REFUSED", passes = PASSING.includes(code);
    const text = error instanceof Error ? error.message : String(error);
    const why: Why = { code, number: passes ? 2000 : 3000, text, error };
    if (!passes) {
      this.#end(why);
      return;
    }
    this.#session.end(text);
    this.#visit?.cut(why);
  }

  #online(): void {
    const { serial, id } = this.#session, resumed = serial === this.#told;
    this.#stopGrace?.();
    this.#stopGrace = null;
    this.#since = this.#options.clock.now();
    this.#enter({ name: "online", session: id, resumed, reason: resumed ? "" : this.#reason });
    this.#told = serial;
    this.#session.pump();
    this.#settle?.resolve();
  }

  // --- its end, and what comes after

  #over(why: Why, final: boolean): void {
    const { clock } = this.#options;
    this.#abort();
    if (final) this.#session.end(why.text || why.code);
    const advice = adviceOf(why.number);
    if (advice === "never") {
      this.#end(why);
      return;
    }
    if (this.online && clock.now() - this.#since >= STEADY) this.#backoff.reset();
    this.#wait();
    const wait = this.#backoff.next(advice);
    this.#stopTimer = clock.after(wait, () => this.#dial());
    this.#enter({ name: this.#told === 0 ? "connecting" : "away", why, wait });
  }

  // abort ends what there is of a try or a connection, without a word.
  #abort(): void {
    this.#attempt++;
    this.#stopTimer();
    this.#visit?.drop();
    this.#visit = null;
    this.#session.detach();
  }

  // wait bounds how long calls and the queue wait for a connection.
  #wait(): void {
    const { clock, awayFor } = this.#options;
    this.#stopGrace ??= clock.after(awayFor, () => {
      this.#stopGrace = null;
      this.#session.giveUp(`no connection for ${awayFor} ms`);
    });
  }

  #end(why: Why): void {
    if (this.#state.name === "ended") return;
    this.#visit?.leave();
    this.#abort();
    this.#stopGrace?.();
    this.#stopListening();
    this.#enter({ name: "ended", why });
    this.#session.giveUp(why.text || why.code);
    this.#settle?.reject(new Ended(why));
  }

  #enter(state: State): void {
    this.#state = state;
    uncaught(() => this.#options.onState(state));
  }

  // --- what comes

  #heard(frame: Frame): void {
    if (frame.number >= FIRST_GAME_NUMBER) this.#session.received++;
    if (frame.seq !== 0) this.#session.answer(frame, this.#options.codec);
    else if (frame.failed) this.#stray(new Refusal(ERROR, unpackJSON<ErrorBody>(frame)));
    else this.#push(frame);
  }

  #stray(refusal: Refusal): void { uncaught(() => this.#options.onStray(refusal)); }

  #push({ number, body }: Frame): void {
    const all = this.#handlers.get(number);
    if (all === undefined) return;
    try {
      const m = this.#options.codec.decode(number, body);
      for (const fn of [...all]) uncaught(() => fn(m));
    } catch (error) {
      uncaught(() => { throw error; });
    }
  }

  // listen hears what a browser knows of its network; Node knows nothing.
  #listen(): void {
    const back = () => this.#visit?.welcomed ? this.#visit.doubt() : this.#now(), gone = () => this.#visit?.doubt();
    const { signal } = this.#options, abort = () => this.close();
    const page = globalThis as Partial<Pick<Window, "addEventListener" | "removeEventListener">>;
    page.addEventListener?.("online", back);
    page.addEventListener?.("offline", gone);
    signal?.addEventListener("abort", abort);
    this.#stopListening = () => {
      page.removeEventListener?.("online", back);
      page.removeEventListener?.("offline", gone);
      signal?.removeEventListener("abort", abort);
    };
  }

  // now tries without waiting any longer.
  #now(): void {
    this.#abort();
    this.#dial();
  }
}

function nothing(): void {}

// uncaught lets what fn throws go where a page or a program hears of it, and goes on. Node has no reportError.
function uncaught(fn: () => void): void {
  try {
    fn();
  } catch (error) {
    if (typeof reportError === "function") reportError(error);
    else queueMicrotask(() => { throw error; });
  }
}
