/** What a close number advises: its range. An unknown one says never, the careful answer. */
export type Advice = "now" | "later" | "never";

/** adviceOf reads the range of a close number. */
export function adviceOf(number: number): Advice {
  if (number >= 1000 && number < 2000) return "now";
  return number >= 2000 && number < 3000 ? "later" : "never";
}

const LATER = 2000; // ms that "later" is at least

/**
 * A Backoff says how long to wait before each attempt: twice as long each time, up to a bound, and half of it luck, so
 * that those whom a gate lost together do not come back together.
 */
export class Backoff {
  #attempts = 0;

  /** first and most are milliseconds; random is 0 to 1, as Math.random. */
  constructor(readonly first: number, readonly most: number, readonly random: () => number) {}

  /** next is the wait before the next attempt, in milliseconds. */
  next(advice: Advice): number {
    const whole = Math.min(this.most, this.first * 2 ** this.#attempts);
    if (whole < this.most) this.#attempts++;
    return (advice === "later" ? LATER : 0) + whole * (0.5 + this.random() / 2);
  }

  /** reset lets the next attempt be a first one. */
  reset(): void {
    this.#attempts = 0;
  }
}
