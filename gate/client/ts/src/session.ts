import { Calls, Call } from "./call.js";
import type { Codec } from "./codec.js";
import { Full, Lost } from "./error.js";
import { pack, type Frame } from "./frame.js";
import { Outbox, type Bound, type Item } from "./outbox.js";
import type { Hello, Visit, Welcome } from "./visit.js";

/**
 * A Session is what outlives a connection: what was said and not acknowledged, what waits to be said, and calls that
 * wait for answers. The client has one for its whole life; begin makes it another one of the gate's.
 */
export class Session {
  /** The gate's name for it; empty if there is none to resume. */
  id = "";
  /** How often it began: what belongs to an earlier one has another. */
  serial = 0;
  /** Counted frames of the gate's that have come. */
  received = 0;
  /** Whether the game has logged in: until then only a login's messages leave. */
  ready = false;

  #token = "";
  #frameMax = 64 << 10; // bytes of a body; the gate says it in Welcome
  #visit: Visit | null = null;
  #alone = false; // there was no connection for too long
  readonly #calls = new Calls();
  readonly #outbox: Outbox;

  constructor(queue: Bound) { this.#outbox = new Outbox(queue); }

  /** What Hello asks to be resumed; undefined if there is nothing. */
  get resume(): Hello["resume"] {
    return this.id === "" ? undefined : { session: this.id, token: this.#token, received: this.received };
  }

  /** Whether the gate owes an answer or an acknowledgement. */
  get owed(): boolean { return this.#outbox.unacknowledged + this.#calls.size > 0; }

  /** resumed goes on with it over another connection; false if the gate's count cannot be. */
  resumed(visit: Visit, welcome: Welcome): boolean {
    if (!this.#outbox.has(welcome.received) || !this.#outbox.acknowledge(welcome.received)) return false;
    this.#attach(visit, welcome);
    for (const frame of [...this.#outbox.again()]) visit.send(frame);
    this.pump(); // a login goes on with what it has said meanwhile
    return true;
  }

  /** begin makes it a new one. What was sent in the old one and not answered is lost. */
  begin(visit: Visit, welcome: Welcome): void {
    this.end(welcome.reason || "the session began anew");
    this.serial++;
    this.id = welcome.session;
    this.received = 0;
    this.#attach(visit, welcome);
  }

  #attach(visit: Visit, welcome: Welcome): void {
    this.#visit = visit;
    this.#token = welcome.token ?? "";
    this.#frameMax = welcome.frame_max;
    this.#alone = false;
  }

  /** detach says that its connection has gone. */
  detach(): void { this.#visit = null; }

  /** end says that it cannot be resumed any more. What was never sent still waits, but for a login's. */
  end(text: string): void {
    this.id = "";
    this.ready = false;
    for (const item of this.#outbox.begin()) item.call?.lose(false, text);
    this.#calls.lose(text);
  }

  /**
   * giveUp ends what waits. Without a connection it ends the session, too, and until there is one nothing is queued;
   * with one, the login goes on that all else has waited for.
   */
  giveUp(text: string): void {
    const alone = this.#alone = this.#visit === null;
    if (alone) this.end(text);
    for (const item of this.#outbox.clear()) item.call?.lose(false, text);
  }

  /** post sends an item as soon as may be. It throws Full or Lost if it cannot wait, a RangeError if it is too long. */
  post(item: Item, first: boolean): void {
    const { number, body } = item;
    if (body.length > this.#frameMax) {
      throw new RangeError(`number ${number}: a body of ${body.length} bytes; the gate takes ${this.#frameMax}`);
    }
    if (this.#alone) throw new Lost(false, "there was no connection for too long");
    if (!this.#outbox.add(item, first)) throw new Full("too much waits for the gate");
    this.pump();
  }

  /** pump writes what may be written. */
  pump(): void {
    const visit = this.#visit;
    if (visit === null) return;
    for (let item; (item = this.#outbox.next(!this.ready)) !== null;) {
      const frame = pack(item.number, item.call === null ? 0 : this.#calls.open(item.call), item.body);
      this.#outbox.keep(frame);
      visit.send(frame);
    }
  }

  /** acknowledge notes what the gate has; false if that cannot be. */
  acknowledge(received: number): boolean {
    const can = this.#outbox.acknowledge(received);
    this.pump();
    return can;
  }

  /** answer settles the call that a frame answers. */
  answer(frame: Frame, codec: Codec): void { this.#calls.answer(frame, codec); }

  /** abandon forgets a call whose caller has gone, and says whether it was sent. */
  abandon(call: Call): boolean { return !this.#outbox.remove(call) && this.#calls.abandon(call); }
}
