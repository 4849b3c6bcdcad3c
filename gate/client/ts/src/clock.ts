/** A Clock is where time comes from: the machine, or a test. */
export interface Clock {
  /** Milliseconds since some moment; they never run backwards. */
  now(): number;
  /** after calls fn once, in ms milliseconds, unless the function that it returns was called before. */
  after(ms: number, fn: () => void): () => void;
}

/** The machine's own clock. */
export const wallClock: Clock = {
  now: () => performance.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, ms);
    return () => clearTimeout(timer);
  },
};
