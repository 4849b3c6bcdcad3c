import type { Clock } from "./clock.js";

const BEAT = 500; // ms between two looks

/** What a Pulse is told when it begins. Times are milliseconds. */
export interface Vigil {
  /** Silence after which it asks, while an answer or an acknowledgement is owed. */
  readonly quiet: number;
  /** Silence after which it asks when nothing is owed: the gate's heartbeat. */
  readonly heartbeat: number;
  /** How long a question may stay without any sign of life. */
  readonly patience: number;
  /** Whether the gate owes something. */
  owed(): boolean;
  /** ask sends a Ping. */
  ask(): void;
  /** dead is called once: the gate is not heard any more. */
  dead(): void;
}

/**
 * A Pulse finds out that a connection is dead, though nobody says so: a cable that was pulled closes nothing. It gives
 * up only what was asked and did not answer, so a machine that slept asks first.
 */
export class Pulse {
  #heard: number;
  #asked = -1; // when; -1: no question is open
  #stop: () => void = () => {};

  constructor(private readonly clock: Clock, private readonly vigil: Vigil) {
    this.#heard = clock.now();
    this.#arm();
  }

  /** heard notes a sign of life. */
  heard(): void {
    this.#heard = this.clock.now();
    this.#asked = -1;
  }

  /** ask asks now, because something tells that the network has changed. */
  ask(): void {
    if (this.#asked >= 0) return;
    this.#asked = this.clock.now();
    this.vigil.ask();
  }

  /** stop ends it. */
  stop(): void {
    this.#stop();
    this.#stop = () => {};
  }

  #arm(): void {
    this.#stop = this.clock.after(BEAT, () => this.#look());
  }

  #look(): void {
    const now = this.clock.now(), v = this.vigil;
    if (this.#asked >= 0 && now - this.#asked >= v.patience) {
      v.dead();
      return;
    }
    this.#arm();
    if (now - this.#heard >= (v.owed() ? v.quiet : v.heartbeat)) this.ask();
  }
}
