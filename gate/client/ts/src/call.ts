import { Failure, Late, Lost, Refusal, type ErrorBody } from "./error.js";
import { unpackJSON, type Frame } from "./frame.js";
import type { Request } from "./message.js";
import type { Codec } from "./codec.js";

/** A Call is a request that waits for its answer. */
export class Call {
  /** Nothing stops the time that its caller gave it, unless somebody sets this. */
  stop: () => void = () => {};

  constructor(readonly request: Request<unknown, unknown>,
    private readonly resolve: (body: unknown) => void, private readonly reject: (err: Error) => void) {}

  /** answer settles it with the gate's frame. */
  answer(frame: Frame, codec: Codec): void {
    this.stop();
    try {
      if (frame.failed) this.reject(new Refusal(this.request.number, unpackJSON<ErrorBody>(frame)));
      else if (frame.number !== this.#reply) this.reject(new Failure("UNEXPECTED", this.#unexpected(frame)));
      else this.resolve(this.request.reply === null ? undefined : codec.decode(frame.number, frame.body));
    } catch (error) { // a body that the codec does not read
      this.reject(error as Error);
    }
  }

  // reply is the number that the answer must have: its own, if it has no body.
  get #reply(): number { return (this.request.reply ?? this.request).number; }

  #unexpected({ number }: Frame): string {
    return `${this.request.name}: the answer is number ${number}, not ${this.#reply}: were the messages written anew?`;
  }

  /** lose settles it without an answer. */
  lose(sent: boolean, text: string): void {
    this.stop();
    this.reject(new Lost(sent, `${this.request.name}: ${text}`));
  }

  /** late settles it because its time is over. */
  late(sent: boolean, ms: number): void {
    this.reject(new Late(sent, `${this.request.name}: no answer within ${ms} ms`));
  }
}

/** Calls are those that were sent and not answered, by seq. */
export class Calls {
  readonly #open = new Map<number, Call>();
  #seq = 0;

  get size(): number { return this.#open.size; }

  /** open gives a call the next seq. Seqs rise as long as the client lives: 4 billion are enough for two years. */
  open(call: Call): number {
    this.#open.set(++this.#seq, call);
    return this.#seq;
  }

  /** answer settles the call that a frame answers; one whose caller has gone is none. */
  answer(frame: Frame, codec: Codec): void {
    const call = this.#open.get(frame.seq);
    this.#open.delete(frame.seq);
    call?.answer(frame, codec);
  }

  /** abandon forgets a call whose caller has gone, and says whether it was sent. */
  abandon(call: Call): boolean {
    for (const [seq, c] of this.#open) if (c === call) return this.#open.delete(seq);
    return false;
  }

  /** lose settles all of them: their session is gone, and what became of them is unknown. */
  lose(text: string): void {
    const all = [...this.#open.values()];
    this.#open.clear();
    for (const call of all) call.lose(true, text);
  }
}
