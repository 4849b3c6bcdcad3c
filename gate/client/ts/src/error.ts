// What can go wrong, by what a game can do about it. Every error has a code for programs, and a text for people.

/** A Failure is any error of this client. */
export class Failure extends Error {
  constructor(readonly code: string, text: string) {
    super(text === "" ? code : text);
    this.name = new.target.name;
  }
}

/** The body of a frame that says no. */
export interface ErrorBody {
  readonly code: string;
  readonly text?: string;
  readonly retry_after_ms?: number;
  readonly incident?: string;
}

/** A Refusal is the gate's or the game's answer to a request that it did not grant. docs/errors.md has the codes. */
export class Refusal extends Failure {
  /** Milliseconds after which to try again; 0 if the answer does not say. */
  readonly retryAfter: number;
  /** What operators find the cause by; empty if there is none. */
  readonly incident: string;

  /** number is the request's; 3 if the gate refused a frame that was no request. */
  constructor(readonly number: number, body: ErrorBody) {
    super(body.code, body.text ?? "");
    this.retryAfter = body.retry_after_ms ?? 0;
    this.incident = body.incident ?? "";
  }
}

/**
 * Lost means that no answer will come, because the session has ended. With sent, the request may have taken effect
 * or not (code OUTCOME_UNKNOWN): ask the game. Without, it certainly has not (code NOT_SENT).
 */
export class Lost extends Failure {
  constructor(readonly sent: boolean, text: string) {
    super(sent ? "OUTCOME_UNKNOWN" : "NOT_SENT", text);
  }
}

/** Late means that the time is over which the caller gave a call (code LATE). With sent, its outcome is unknown. */
export class Late extends Failure {
  constructor(readonly sent: boolean, text: string) {
    super("LATE", text);
  }
}

/** Full means that too much waits for the gate already (code QUEUE_FULL): nothing was sent or queued. */
export class Full extends Failure {
  constructor(text: string) {
    super("QUEUE_FULL", text);
  }
}

/** Why a connection or a client ended: the gate's Close, or words of this client's own for what it saw. */
export interface Why {
  /** KICKED, TAKEN_OVER and the like from the gate; LOST, SILENT, UNREACHABLE, REFUSED or CLOSED from here. */
  readonly code: string;
  /** Its range says whether to come back: 1xxx now, 2xxx later, 3xxx not. */
  readonly number: number;
  readonly text: string;
  /** What was thrown, if something was: the refusal of a login, for example. */
  readonly error?: unknown;
}

/** Ended means that the client does not come back by itself: it was closed from here, or the gate said 3xxx. */
export class Ended extends Failure {
  constructor(readonly why: Why) {
    super(why.code, why.text);
    this.cause = why.error;
  }
}
